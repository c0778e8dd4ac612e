"""Tables with wrong cells, names that lead elsewhere, and rows that do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from prepare.mutations.cases import FILES, Case

Change = Callable[[list[str], np.random.Generator], list[str]]


def cell(column: int, value: str, delimiter: str = ",") -> Change:
    """Set a cell of a random row."""

    def change(lines: list[str], random: np.random.Generator) -> list[str]:
        # The first row of events shows no picture, and its cells are not read.
        row = int(random.integers(2, len(lines)))
        cells = lines[row].split(delimiter)
        cells[column] = value
        lines[row] = delimiter.join(cells)
        return lines

    return change


def header(old: str, new: str) -> Change:
    return lambda lines, random: [lines[0].replace(old, new), *lines[1:]]


def added(text: str) -> Change:
    return lambda lines, random: [*lines, text]


def dropped(lines: list[str], random: np.random.Generator) -> list[str]:
    del lines[int(random.integers(2, len(lines)))]
    return lines


TRIALS: dict[str, Change] = {
    "an image beyond the pictures": cell(0, "77"),
    "a negative image": cell(0, "-1"),
    "an image that is a name": cell(0, "cat.png"),
    "an image of 1e400": cell(0, "1" * 400),
    "an image not whole": cell(0, "1.5"),
    "an unknown split": cell(1, "val"),
    "an empty split": cell(1, ""),
    "a session of text": cell(2, "one"),
    "a session NaN": cell(2, "nan"),
    "a session of 40000": cell(2, "40000"),
    "a negative session": cell(2, "-3"),
    "a lone session": cell(2, "9"),
    "a run of text": cell(3, "x"),
    "an unknown column": header("session", "sesion"),
    "a column twice": header("session", "split"),
    "no column image": header("image", "picture"),
    "a row less": dropped,
    "a row more": added("0,train,1,1"),
    "a short row": added("0,train"),
    "a long row": added("0,train,1,1,1,1"),
    "a huge cell": added("9" * 200_000 + ",train,1,1"),
    "a null byte": cell(1, "train\0"),
}
VOXELS: dict[str, Change] = {
    "a place not whole": cell(0, "1.5"),
    "a place of 60000": cell(1, "60000"),
    "a place of text": cell(2, "x"),
    "no z": header("z", "w"),
    "a row less": dropped,
    "an atlas that is a path": header("z", "z/../../x"),
}
EVENTS: dict[str, Change] = {
    "an absolute path": cell(2, "/etc/passwd", "\t"),
    "a path to the parent": cell(2, "../../sub-01.png", "\t"),
    "a path through a folder": cell(2, "a/../../x.png", "\t"),
    "a picture that is not there": cell(2, "none.png", "\t"),
    "a folder for a picture": cell(2, "a", "\t"),
    "a null byte": cell(2, "a\0b.png", "\t"),
    "an unknown split": cell(3, "dev", "\t"),
    "no column stim_file": header("stim_file", "stimulus"),
    "no column split": header("split", "part"),
    "a row less": dropped,
    "a row more": added("99.0\t3.0\t0.png\ttrain"),
}
PICTURES: dict[str, Change] = {
    "a name to the parent": cell(0, "../voxels.csv"),
    "an absolute name": cell(0, "/etc/passwd"),
    "a picture that is not there": cell(0, "none.png"),
    "an empty name": cell(0, ""),
}
NOTES = {
    "a list": "[1]",
    "an unknown key": json.dumps({"image": "1.png", "words": "x"}),
    "no picture": json.dumps({"caption": "x"}),
    "a caption that is a number": json.dumps({"image": "1.png", "caption": 3}),
    "nesting": "[" * 100_000,
    "an open brace": "{",
}


def _lines(name: str, change: Change, folder: Path, random: np.random.Generator) -> None:
    path = folder / name
    path.write_text("\n".join(change(path.read_text().splitlines(), random)) + "\n")


def _append(name: str, text: str, folder: Path, random: np.random.Generator) -> None:
    with (folder / name).open("a") as stream:
        stream.write(text + "\n")


def _encoded(name: str, folder: Path, random: np.random.Generator) -> None:
    path = folder / name
    path.write_bytes(path.read_text().encode("utf-16"))


def _byte_order_mark(name: str, folder: Path, random: np.random.Generator) -> None:
    path = folder / name
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))


def cases() -> Iterator[Case]:
    events = FILES["bids"][1]
    tables = (
        ("arrays", "trials.csv", TRIALS),
        ("arrays", "voxels.csv", VOXELS),
        ("pictures", "trials.csv", PICTURES),
        ("bids", events, EVENTS),
    )
    for layout, name, changes in tables:
        for what, change in changes.items():
            yield Case(layout, f"{what} in {Path(name).name}", partial(_lines, name, change))
    for layout, name in (("arrays", "trials.csv"), ("arrays", "voxels.csv"), ("bids", events)):
        yield Case(layout, f"UTF-16 {Path(name).name}", partial(_encoded, name))
    for what, text in NOTES.items():
        yield Case("pictures", f"{what} in scenes.jsonl", partial(_append, "scenes.jsonl", text))
    for layout, name in (("nsd", FILES["nsd"][3]), ("nsd", FILES["nsd"][5]), ("bids", events)):
        corrupt = partial(_byte_order_mark, name)
        yield Case(layout, f"Windows lines in {Path(name).name}", corrupt, "same")
