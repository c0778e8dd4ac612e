"""Files of single-trial betas in a BIDS derivative, and the events behind their volumes.

`sub-S[_ses-X]_task-T[_run-R][_...]_betas.nii.gz` (or `_statmap`), anywhere below `sub-S/`; its
events are `sub-S[_ses-X]_task-T[_run-R]_events.tsv` in the same folder, or at the same place below
another root. The BIDS standard has no name for single-trial betas; these are the ones in use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mindeye_store.errors import InvalidInput, MissingResource

SUFFIXES = ("betas", "statmap")
_ENTITY = re.compile(r"([A-Za-z]+)-([A-Za-z0-9+]+)")
# Entities that name a recording; the others (space, desc, ...) name what was made of it.
_RECORDING = ("sub", "ses", "task", "acq", "run")


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaFile:
    """A file of betas with its events; `session` and `run` count from 1."""

    betas: Path
    events: Path
    session: int
    run: int


def find_files(
    root: Path, subject: str, events_root: Path | None, desc: str | None
) -> list[BetaFile]:
    """List a subject's files in order of session and run.

    Parameters
    ----------
    root : Path
        The derivative.
    subject : str
        Label after `sub-`.
    events_root : Path, optional
        Dataset that holds the events when the derivative does not.
    desc : str, optional
        Value of the `desc` entity of the files to take.

    Raises
    ------
    MissingResource
        No such folder or file, or events are missing.
    InvalidInput
        Two files are of the same recording.
    """
    home = root / f"sub-{subject}"
    if not home.is_dir():
        raise MissingResource("there is no such subject", where=str(home))
    found: dict[str, tuple[Path, dict[str, str]]] = {}
    for path in sorted(home.rglob("*.nii*")):
        entities = _entities(path, subject, desc)
        if entities is None:
            continue
        key = "_".join(f"{name}-{entities[name]}" for name in _RECORDING if name in entities)
        if key in found:
            raise InvalidInput(
                f"{found[key][0].name} is of the same recording",
                where=str(path),
                fix="choose one with --desc",
            )
        found[key] = path, entities
    if not found:
        raise MissingResource(
            "no single-trial betas",
            where=str(home / f"**/sub-{subject}_*_betas.nii.gz"),
            fix="give the derivative's folder, or another --desc",
        )
    sessions = _numbers([entities.get("ses", "") for _, entities in found.values()])
    runs = _numbers([entities.get("run", "") for _, entities in found.values()])
    files = [
        BetaFile(
            betas=path,
            events=_events(path, key, root, events_root),
            session=sessions[entities.get("ses", "")],
            run=runs[entities.get("run", "")],
        )
        for key, (path, entities) in found.items()
    ]
    return sorted(files, key=lambda file: (file.session, file.run, file.betas.name))


def find_mask(root: Path, subject: str, given: Path | None) -> Path:
    """The mask: the one given, or the only `*_mask.nii[.gz]` of the subject.

    Raises
    ------
    MissingResource
        None is there.
    InvalidInput
        Several are.
    """
    if given is not None:
        return given
    masks = sorted((root / f"sub-{subject}").rglob("*_mask.nii*"))
    if not masks:
        raise MissingResource(
            "no mask of the voxels to take",
            where=str(root / f"sub-{subject}"),
            fix="name one with --mask, or a store that has the subject with --voxels-of",
        )
    if len(masks) > 1:
        raise InvalidInput(
            f"{len(masks)} masks are there", where=str(masks[0].parent), fix="name one with --mask"
        )
    return masks[0]


def _entities(path: Path, subject: str, desc: str | None) -> dict[str, str] | None:
    """Entities of a file of betas of the subject; None for other files."""
    name = path.name.removesuffix(".gz")
    stem, _, ending = name.rpartition(".")
    parts = stem.split("_")
    if ending != "nii" or parts[-1] not in SUFFIXES:
        return None
    matches = [_ENTITY.fullmatch(part) for part in parts[:-1]]
    entities = {match[1]: match[2] for match in matches if match}
    if entities.get("sub") != subject or (desc is not None and entities.get("desc") != desc):
        return None
    return entities


def _numbers(labels: list[str]) -> dict[str, int]:
    """Numbers of labels: their own when all are numbers, else their place in sorted order."""
    different = sorted(set(labels))
    if all(label.isdecimal() and 0 < int(label) < 2**15 for label in different):
        values = [int(label) for label in different]
        if len(set(values)) == len(values):
            return dict(zip(different, values, strict=True))
    return {label: number for number, label in enumerate(different, start=1)}


def _events(betas: Path, key: str, root: Path, events_root: Path | None) -> Path:
    folder = betas.parent if events_root is None else events_root / betas.parent.relative_to(root)
    path = folder / f"{key}_events.tsv"
    if not path.is_file():
        raise MissingResource(
            "the events of these betas are missing",
            where=str(path),
            fix="copy them from the raw dataset, or name it with --events",
        )
    return path
