"""Trials from events.tsv: one row per volume of betas, `stim_file`, and which split it is in.

`stim_file` is BIDS's own column, a path below the dataset's `stimuli/`. The split comes from a
column `split` (train or test) or from a list of test images. Rows without a picture (`n/a`) have
no volume.

Shapes: `N` trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from mindeye_cli.prepare.bids.layout import BetaFile
from mindeye_cli.prepare.table import SPLITS, TEST, TRAIN, TrialTable, occurrences
from mindeye_cli.prepare.tables import read_table
from mindeye_store.errors import InvalidInput, MissingResource

NOT_THERE = "n/a"
FOLDER = "stimuli"


@dataclass(frozen=True, slots=True, kw_only=True)
class BidsTrials:
    """Trials of all files in order.

    Attributes
    ----------
    names : list of str
        Pictures below the folder of stimuli, training ones first.
    table : TrialTable
    """

    names: list[str]
    table: TrialTable


def read_trials(
    files: list[BetaFile], counts: list[int], stimuli: Path, test_images: Path | None
) -> BidsTrials:
    """Read the events of every file.

    Parameters
    ----------
    files : list of BetaFile
    counts : list of int
        Volumes of each.
    stimuli : Path
        Folder of the pictures.
    test_images : Path, optional
        Text file that names a test picture a line.

    Raises
    ------
    MissingResource
        The folder or the list is missing.
    InvalidInput
        Another number of rows than volumes, no split, or a picture that is not there.
    """
    if not stimuli.is_dir():
        raise MissingResource(
            "the folder of pictures is missing", where=str(stimuli), fix="name it with --stimuli"
        )
    listed = None if test_images is None else _listed(test_images)
    images: list[str] = []
    split: list[int] = []
    for file, count in zip(files, counts, strict=True):
        shown, labels = _rows(file.events, listed)
        if len(shown) != count:
            raise InvalidInput(
                f"{len(shown)} rows with a picture for {count} volumes of {file.betas.name}",
                where=str(file.events),
            )
        for name in set(shown) - set(images):
            _check_picture(name, stimuli, file.events)
        images += shown
        split += labels
    if listed is not None and not listed & set(images):
        raise InvalidInput("none of these images was shown", where=str(test_images))
    return _trials(files, counts, images, np.array(split, dtype=np.uint8))


def _trials(
    files: list[BetaFile], counts: list[int], images: list[str], split: np.ndarray
) -> BidsTrials:
    train = {name for name, label in zip(images, split, strict=True) if label == TRAIN}
    # Training pictures first: their rows in the store do not depend on the test pictures.
    names = [*sorted(train), *sorted(set(images) - train)]
    place = {name: position for position, name in enumerate(names)}
    position = np.array([place[name] for name in images], dtype=np.int64)
    table = TrialTable(
        image=position,
        session=np.repeat([file.session for file in files], counts).astype(np.int16),
        run=np.repeat([file.run for file in files], counts).astype(np.int16),
        repeat=occurrences(position),
        split=split,
    )
    return BidsTrials(names=names, table=table)


def _rows(path: Path, listed: set[str] | None) -> tuple[list[str], list[int]]:
    """Pictures and split labels of the rows that have a picture."""
    table = read_table(path, required=("stim_file",), others=True, delimiter="\t")
    rows = [row for row, name in enumerate(table.columns["stim_file"]) if name != NOT_THERE]
    shown = [table.columns["stim_file"][row].removeprefix(FOLDER + "/") for row in rows]
    if listed is not None:
        return shown, [TEST if name in listed else TRAIN for name in shown]
    if "split" not in table.columns:
        raise InvalidInput(
            "column 'split' is missing",
            where=f"{path}, row 1",
            fix="add it, or name the test images with --test-images",
        )
    for row in rows:
        if table.columns["split"][row] not in SPLITS:
            raise InvalidInput(
                f"{table.columns['split'][row]!r} is not one of {', '.join(SPLITS)}",
                where=table.where(row, "split"),
            )
    return shown, [SPLITS.index(table.columns["split"][row]) for row in rows]


def _check_picture(name: str, stimuli: Path, events: Path) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or not name:
        raise InvalidInput(f"{name!r} does not lie in the folder of pictures", where=str(events))
    if not (stimuli / name).is_file():
        raise InvalidInput(
            f"image {name!r} is not in {stimuli.name}/",
            where=str(events),
            fix="name the folder that holds it with --stimuli",
        )


def _listed(path: Path) -> set[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise MissingResource("the list of test images is missing", where=str(path)) from error
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InvalidInput("not a text file", where=str(path)) from error
    return {line.strip().removeprefix(FOLDER + "/") for line in lines if line.strip()}
