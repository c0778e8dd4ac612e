"""Find and read what a page is made of: evaluations, retrieval results and runs.

A given folder is one of these, or holds them up to two levels below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindeye_cli.core.jsonable import to_jsonable
from mindeye_cli.core.runs import CONFIG, LOG, read_run
from mindeye_store.errors import InvalidInput, MissingResource

EVALUATION = "mindeye-evaluation"
RETRIEVAL = "mindeye-retrieval"
VERSIONS = {EVALUATION: 2, RETRIEVAL: 1}
DEPTH = 2
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A folder of reconstructions with `evaluation.json`; no `manifest` for plain PNG folders."""

    path: Path
    name: str
    scores: Json
    manifest: Json | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """One file of `mindeye retrieve pool --out`."""

    path: Path
    name: str
    result: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A trained model: its description, resolved configuration and log lines."""

    path: Path
    name: str
    info: Json
    config: str
    log: tuple[Json, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything for one page, each list in the order of the command line, then by name."""

    evaluations: tuple[Evaluation, ...]
    retrievals: tuple[Retrieval, ...]
    runs: tuple[Run, ...]


def collect(paths: Sequence[Path]) -> Findings:
    """Read everything below the given paths.

    Raises
    ------
    MissingResource
        A path does not exist.
    InvalidInput
        Nothing to report at a path, or a damaged file.
    """
    found: dict[Path, Evaluation | Retrieval | Run] = {}
    for path in paths:
        if not path.exists():
            raise MissingResource("no such file or folder", where=str(path), fix="check the path")
        here = {item.path.resolve(): item for item in _walk(path, path, DEPTH)}
        if not here:
            raise InvalidInput(
                "no evaluation, retrieval result or run",
                where=str(path),
                fix="make one: mindeye evaluate RECON, or mindeye retrieve pool ... --out FILE",
            )
        for key, item in here.items():
            found.setdefault(key, item)
    items = list(found.values())
    return Findings(
        evaluations=tuple(item for item in items if isinstance(item, Evaluation)),
        retrievals=tuple(item for item in items if isinstance(item, Retrieval)),
        runs=tuple(item for item in items if isinstance(item, Run)),
    )


def _walk(path: Path, top: Path, depth: int) -> Iterator[Evaluation | Retrieval | Run]:
    name = path.name if path == top else str(path.relative_to(top))
    if path.is_file():
        yield from _retrieval(path, name, asked=path == top)
    elif (path / "run.json").exists():
        yield _run(path, name)
    elif (path / "evaluation.json").exists():
        yield _evaluation(path, name)
    elif depth > 0 and not (path / "zarr.json").exists() and not (path / "manifest.json").exists():
        for child in sorted(path.iterdir()):
            if child.is_dir() or child.suffix == ".json":
                yield from _walk(child, top, depth - 1)


def _evaluation(path: Path, name: str) -> Evaluation:
    file, manifest = path / "evaluation.json", path / "manifest.json"
    scores = _versioned(file, EVALUATION, ("metrics", "skipped", "names", "ids", "stimuli"))
    return Evaluation(
        path=path,
        name=name,
        scores=scores,
        manifest=_object(manifest) if manifest.exists() else None,
    )


def _retrieval(path: Path, name: str, *, asked: bool) -> Iterator[Retrieval]:
    """A retrieval result; other JSON files in a folder are passed by, one that was named is not."""
    if not asked and f'"{RETRIEVAL}"' not in path.read_text(encoding="utf-8", errors="replace"):
        return
    result = _versioned(path, RETRIEVAL, ("image_retrieval", "brain_retrieval", "images"))
    yield Retrieval(path=path, name=Path(name).stem, result=result)


def _run(path: Path, name: str) -> Run:
    lines = []
    log = path / LOG
    if log.exists():
        for number, line in enumerate(log.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError as problem:
                raise InvalidInput(
                    f"not a JSON line: {problem}", where=f"{log}, line {number}"
                ) from problem
    config = path / CONFIG
    return Run(
        path=path,
        name=name,
        info=to_jsonable(read_run(path)),
        config=config.read_text(encoding="utf-8") if config.exists() else "",
        log=tuple(line for line in lines if isinstance(line, dict)),
    )


def _versioned(file: Path, schema: str, keys: tuple[str, ...]) -> Json:
    document = _object(file)
    version = VERSIONS[schema]
    if document.get("schema") != schema or document.get("schema_version") != version:
        raise InvalidInput(
            f"schema {document.get('schema')!r} version {document.get('schema_version')!r},"
            f" this program reads {schema} version {version}",
            where=str(file),
            fix="make it again with this version of mindeye",
        )
    missing = [key for key in keys if key not in document]
    if missing:
        raise InvalidInput(f"the key {missing[0]!r} is missing", where=str(file))
    return document


def _object(file: Path) -> Json:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise InvalidInput(f"not JSON: {problem}", where=str(file)) from problem
    if not isinstance(document, dict):
        raise InvalidInput("not a JSON object", where=str(file))
    return document
