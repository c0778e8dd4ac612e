"""What a report is made from: one class for each kind of file that other commands leave.

A new kind of finding needs three things: a class and a reader here, a line in `collect.py`, and a
file in `sections/`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mindeye_cli.core.jsonable import to_jsonable
from mindeye_cli.core.runs import CONFIG, LOG, read_run
from mindeye_store.errors import InvalidInput

Json = dict[str, Any]
EVALUATION = "mindeye-evaluation"
RETRIEVAL = "mindeye-retrieval"
COMPARISON = "mindeye-comparison"
EXHIBITED = (".html", ".htm", ".png", ".jpg", ".jpeg")
VERSIONS = {EVALUATION: 2, RETRIEVAL: 1, COMPARISON: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that was found, where, and its name on the page."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Finding):
    """A folder of reconstructions with `evaluation.json`; no `manifest` for plain PNG folders."""

    scores: Json
    manifest: Json | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval(Finding):
    """One file of `mindeye retrieve pool --out`."""

    result: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Finding):
    """One file of `mindeye compare --out`."""

    result: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Finding):
    """A trained model: its description, resolved configuration and log lines."""

    info: Json
    config: str
    log: tuple[Json, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Finding):
    """One result of `mindeye explain`: `rois` and the `question` that they answer."""

    result: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit(Finding):
    """An HTML page, or a folder of pages and pictures, that another command wrote."""

    files: tuple[Path, ...]


Kind = TypeVar("Kind", bound=Finding)


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything for one page, in the order of the command line, then by name."""

    items: tuple[Finding, ...]

    def of(self, kind: type[Kind]) -> tuple[Kind, ...]:
        """The findings of one kind."""
        return tuple(item for item in self.items if isinstance(item, kind))


def read_evaluation(path: Path, name: str) -> Evaluation:
    """Read a folder of evaluated reconstructions."""
    manifest = path / "manifest.json"
    keys = ("metrics", "skipped", "names", "ids", "stimuli")
    return Evaluation(
        path=path,
        name=name,
        scores=versioned(path / "evaluation.json", EVALUATION, keys),
        manifest=read_object(manifest) if manifest.exists() else None,
    )


def read_retrieval(path: Path, name: str) -> Retrieval:
    """Read the result of `mindeye retrieve pool`."""
    keys = ("image_retrieval", "brain_retrieval", "images")
    result = versioned(path, RETRIEVAL, keys)
    return Retrieval(path=path, name=Path(name).stem, result=result)


def read_comparison(path: Path, name: str) -> Comparison:
    """Read the result of `mindeye compare`."""
    result = versioned(path, COMPARISON, ("systems", "asked", "comparisons"))
    pairs, systems = result["comparisons"], result["systems"]
    whole = isinstance(pairs, list) and isinstance(systems, list) and bool(pairs)
    if not whole or len(systems) != len(pairs) + 1:
        raise InvalidInput("'systems' are not those of 'comparisons'", where=str(path))
    if not all(isinstance(pair, dict) and isinstance(pair.get("metrics"), dict) for pair in pairs):
        raise InvalidInput("a comparison without 'metrics'", where=str(path))
    return Comparison(path=path, name=Path(name).stem, result=result)


def read_explanation(path: Path, name: str) -> Explanation:
    """Read a result of `mindeye explain`."""
    result = read_object(path)
    rois = result.get("rois")
    if not isinstance(rois, dict) or not all(isinstance(v, dict) for v in rois.values()):
        raise InvalidInput("'rois' is not a table of areas", where=str(path))
    return Explanation(path=path, name=name.removesuffix(".json"), result=result)


def read_exhibit(path: Path, name: str) -> Exhibit | None:
    """A page, or the pages and pictures of a folder; None where there are none."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    shown = tuple(file for file in files if file.suffix.lower() in EXHIBITED)
    return Exhibit(path=path, name=name, files=shown) if shown else None


def read_trained(path: Path, name: str) -> Run:
    """Read a RUN: its description, configuration and log."""
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


def versioned(file: Path, schema: str, keys: tuple[str, ...]) -> Json:
    """Read a JSON object of a known schema version that has all `keys`.

    Raises
    ------
    InvalidInput
        Another schema or version, a missing key, or no JSON object.
    """
    document, version = read_object(file), VERSIONS[schema]
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


def read_object(file: Path) -> Json:
    """Read a JSON object.

    Raises
    ------
    InvalidInput
        The file is absent, not JSON, or another JSON value.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise InvalidInput(f"not JSON: {problem}", where=str(file)) from problem
    if not isinstance(document, dict):
        raise InvalidInput("not a JSON object", where=str(file))
    return document
