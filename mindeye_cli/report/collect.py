"""Find what a page is made of, below the given folders.

A given folder is a finding, or holds some up to two levels below. A folder is known by the file
that marks it, a JSON file by its `schema`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mindeye_cli.report.findings import (
    COMPARISON,
    EXHIBITED,
    RETRIEVAL,
    Finding,
    Findings,
    read_comparison,
    read_evaluation,
    read_exhibit,
    read_explanation,
    read_object,
    read_retrieval,
    read_trained,
)
from mindeye_store.errors import InvalidInput, MissingResource

Reader = Callable[[Path, str], Finding]
DEPTH = 2
FOLDERS: Mapping[str, Reader] = {
    "run.json": read_trained,
    "evaluation.json": read_evaluation,
}
FILES: Mapping[str, Reader] = {RETRIEVAL: read_retrieval, COMPARISON: read_comparison}
# Folders that are never looked into: stores, and reconstructions without an evaluation.
CLOSED = ("zarr.json", "manifest.json")


def collect(paths: Sequence[Path]) -> Findings:
    """Read everything below the given paths.

    Raises
    ------
    MissingResource
        A path does not exist.
    InvalidInput
        Nothing to report at a path, or a damaged file.
    """
    found: dict[Path, Finding] = {}
    for path in paths:
        if not path.exists():
            raise MissingResource("no such file or folder", where=str(path), fix="check the path")
        here = {item.path.resolve(): item for item in _walk(path, path, DEPTH)}
        if not here:
            # Pages and pictures of other commands are shown only where they were asked for by name.
            shown = read_exhibit(path, path.resolve().name)
            here = {} if shown is None else {path.resolve(): shown}
        if not here:
            raise InvalidInput(
                "no evaluation, retrieval result, comparison, run, explanation or page",
                where=str(path),
                fix="make one: mindeye evaluate RECON, or mindeye retrieve pool ... --out FILE",
            )
        for key, item in here.items():
            found.setdefault(key, item)
    return Findings(tuple(found.values()))


def _walk(path: Path, top: Path, depth: int) -> Iterator[Finding]:
    name = path.resolve().name if path == top else str(path.relative_to(top))
    if path.is_file():
        if path.suffix.lower() not in EXHIBITED:
            yield from _file(path, name, asked=path == top)
        return
    marks = [mark for mark in FOLDERS if (path / mark).exists()]
    if marks:
        yield FOLDERS[marks[0]](path, name)
    elif depth > 0 and not any((path / mark).exists() for mark in CLOSED):
        for child in sorted(path.iterdir()):
            if child.is_dir() or child.suffix == ".json":
                yield from _walk(child, top, depth - 1)


def _file(path: Path, name: str, *, asked: bool) -> Iterator[Finding]:
    """A result file; other JSON files in a folder are passed by, one that was named is not."""
    if not asked:
        text = path.read_text(encoding="utf-8", errors="replace")
        explained = '"rois"' in text and '"question"' in text
        if not explained and not any(f'"{schema}"' in text for schema in FILES):
            return
    document = read_object(path)
    schema = document.get("schema")
    if schema not in FILES and {"rois", "question"} <= set(document):
        yield read_explanation(path, name)
        return
    if schema not in FILES:
        raise InvalidInput(f"schema {schema!r} is none of {', '.join(FILES)}", where=str(path))
    yield FILES[str(schema)](path, name)
