"""Where MindEye's tar files lie, and what `metadata_subj0S.json` says of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindeye_store.errors import InvalidInput, MissingResource
from mindeye_store.files import read_json

SPLITS = ("train", "val", "test")
# Names under which the folder is published; the second was made after NSD's last sessions came out.
FOLDERS = ("webdataset_avg_split", "webdataset_avg_new")
_MAX_METADATA = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """One subject's tar files.

    Attributes
    ----------
    folder : Path
        Holds `train/`, `val/`, `test/`.
    tars : dict of str to list of Path
        By split, in the order of their numbers.
    totals : dict of str to int, optional
        Samples of each split as the metadata file says.
    """

    folder: Path
    tars: dict[str, list[Path]]
    totals: dict[str, int] | None

    @property
    def files(self) -> list[Path]:
        """Every tar file, training before test."""
        return [path for split in SPLITS for path in self.tars[split]]


def find_shards(folder: Path, subject: int) -> Shards:
    """Find one subject's tar files.

    Parameters
    ----------
    folder : Path
        The published folder (`train/`, `val/`, `test/` in it), or the one that holds it.
    subject : int
        1 to 8.

    Raises
    ------
    MissingResource
        No such folder, no training or test file, or a number is missing among them.
    InvalidInput
        Both published folders are there, or the metadata file is damaged.
    """
    home = _home(folder)
    name = f"subj{subject:02d}"
    tars = {split: _numbered(home / split, f"{split}_{name}") for split in SPLITS}
    for split in ("train", "test"):
        if not tars[split]:
            raise MissingResource(
                f"no tar files of the {split} split of {name}",
                where=str(home / split / f"{split}_{name}_0.tar"),
                fix="fetch them, or give another --subject",
            )
    return Shards(folder=home, tars=tars, totals=_totals(home / f"metadata_{name}.json"))


def _home(folder: Path) -> Path:
    if not folder.is_dir():
        raise MissingResource("there is no such folder", where=str(folder))
    if (folder / "train").is_dir():
        return folder
    found = [folder / name for name in FOLDERS if (folder / name / "train").is_dir()]
    if len(found) > 1:
        raise InvalidInput(
            f"both {FOLDERS[0]} and {FOLDERS[1]} are there",
            where=str(folder),
            fix="give the one that is meant: their test sets differ",
        )
    if not found:
        raise MissingResource(
            "neither train/ nor a published folder that holds it is there",
            where=str(folder),
            fix="give the folder that holds train/, val/ and test/",
        )
    return found[0]


def _numbered(folder: Path, stem: str) -> list[Path]:
    """`STEM_0.tar`, `STEM_1.tar`, ... without a gap."""
    pattern = re.compile(re.escape(stem) + r"_(\d+)\.tar")
    names = folder.iterdir() if folder.is_dir() else ()
    found = {int(m[1]): path for path in names if (m := pattern.fullmatch(path.name))}
    missing = sorted(set(range(len(found))) - set(found))
    if missing:
        raise MissingResource(
            f"a tar file is missing among {len(found)}",
            where=str(folder / f"{stem}_{missing[0]}.tar"),
            fix="fetch it",
        )
    return [found[number] for number in sorted(found)]


def _totals(path: Path) -> dict[str, int] | None:
    if not path.exists():
        return None
    if not path.is_file() or path.stat().st_size > _MAX_METADATA:
        raise InvalidInput("not a metadata file", where=str(path))
    try:
        content: Any = read_json(path).get("totals")
    except RecursionError as error:
        raise InvalidInput("not a JSON file", where=str(path)) from error
    numbers = content.values() if isinstance(content, dict) else [None]
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise InvalidInput("no whole numbers by split", where=f"{path}, key totals")
    return {str(split): int(number) for split, number in content.items()}
