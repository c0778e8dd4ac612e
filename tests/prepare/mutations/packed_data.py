"""Sound tar files with samples that cannot be true: MindEye's and MindEye2's."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from prepare import packed
from prepare.mutations.cases import Case
from prepare.mutations.npy import array, change_members
from prepare.packed import npy, png, read_tar, write_tar

TRAIN, TEST = "train/train_subj01_0.tar", "test/test_subj01_0.tar"
Change = Callable[[bytes], bytes]


def values(change: Callable[[np.ndarray], Any]) -> Change:
    return lambda data: npy(np.asarray(change(array(data))))


def put(place: Any, value: float) -> Change:
    """Set one value."""

    def change(data: bytes) -> bytes:
        copy = array(data).copy()
        copy[place] = value
        return npy(copy)

    return change


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A PNG of zeros, its size a thousandth of its pixels'."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(20_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


VOXELS: dict[str, Change] = {
    "NaN": put((1, 3), np.nan),
    "infinity": put((2, 5), np.inf),
    "whole numbers": values(lambda x: x.astype(np.int16)),
    "swapped axes": values(np.transpose),
    "two rows": values(lambda x: x[:2]),
    "one voxel less": values(lambda x: x[:, 1:]),
    "another type than the others": values(lambda x: x.astype(np.float64)),
    "one axis": values(np.ravel),
}
NUMBERS: dict[str, Change] = {
    "negative": values(lambda x: -1 - np.abs(x)),
    "too large": values(lambda x: x * 0 + 10**9),
    "not whole": values(lambda x: x + 0.5),
    "NaN": values(lambda x: x * np.nan),
    "infinite": values(lambda x: x + np.inf),
    "two numbers": values(lambda x: np.array([1, 2])),
}
PICTURES: dict[str, Change] = {
    "cut": lambda data: data[: len(data) // 2],
    "of another size": lambda data: png(np.zeros((6, 9, 3), np.uint8)),
    "of 2500 megapixels": lambda data: bomb(50_000),
    "of 36 megapixels": lambda data: bomb(6_000),
    "that is text": lambda data: b"<svg></svg>",
    "with flipped bits": lambda data: data[:60] + bytes(b ^ 0xFF for b in data[60:90]) + data[90:],
}


def _drop(tar: str, suffix: str, folder: Path, random: np.random.Generator) -> None:
    entries = read_tar(folder / tar)
    places = [n for n, (info, _) in enumerate(entries) if info.name.endswith(suffix)]
    del entries[int(random.choice(places))]
    write_tar(folder / tar, entries)


def _same_id(first: str, second: str, folder: Path, random: np.random.Generator) -> None:
    """Two samples say that they show one image."""
    ids = [data for info, data in read_tar(folder / first) if info.name.endswith("coco73k.npy")]
    change_members(
        second, "coco73k.npy", lambda data: ids[-1] if data != ids[-1] else ids[0], folder, random
    )


def _metadata(content: str, folder: Path, random: np.random.Generator) -> None:
    (folder / "metadata_subj01.json").write_text(content)


METADATA = {
    "other counts": json.dumps({"totals": {"train": 7, "val": 1, "test": 3}}),
    "no counts": json.dumps({"train": 6}),
    "counts that are texts": json.dumps({"totals": {"train": "6"}}),
    "a list": "[1, 2]",
    "nested": "[" * 100_000,
    "not a number": '{"totals": {"train": NaN}}',
}


def _behaviour(tar: str, place: int, value: float) -> Callable[[Path, np.random.Generator], None]:
    return partial(change_members, tar, "behav.npy", put((0, place), value))


BEHAVIOUR = {
    "image -2": (0, -2),
    "image beyond the pictures": (0, 150),
    "image beyond NSD": (0, 1e9),
    "image 3.5": (0, 3.5),
    "image NaN": (0, np.nan),
    "another subject": (1, 4),
    "session NaN": (2, np.nan),
    "session 40 in between": (2, 40),
    "session 99": (2, 99),
    "run infinite": (3, np.inf),
    "row -1": (5, -1),
    "row beyond the responses": (5, 5000),
    "row 1e300": (5, 1e300),
    "row 2.5": (5, 2.5),
    "shared 7": (16, 7),
}


def _same_row(folder: Path, random: np.random.Generator) -> None:
    rows = [data for _, data in read_tar(folder / "wds/subj01/new_test/0.tar")][::2]
    value = float(array(rows[0])[0, 5])
    _behaviour("wds/subj01/train/0.tar", 5, value)(folder, random)


def _not_shared(folder: Path, random: np.random.Generator) -> None:
    _behaviour("wds/subj01/new_test/0.tar", 16, 0)(folder, random)


def cases() -> Iterator[Case]:
    def case(name: str, tar: str, suffix: str, change: Change) -> Case:
        return Case("webdataset", name, partial(change_members, tar, suffix, change))

    for name, change in VOXELS.items():
        for tar in (TRAIN, TEST):
            yield case(f"{name} in voxels of {tar}", tar, "nsdgeneral.npy", change)
    for name, change in NUMBERS.items():
        yield case(f"{name} image", TRAIN, "coco73k.npy", change)
        yield case(f"{name} count", TRAIN, "num_uniques.npy", change)
        if name not in ("negative", "too large"):
            yield case(f"{name} trial", TRAIN, "trial.npy", change)
    for name, change in PICTURES.items():
        yield case(f"picture {name}", TRAIN, "png", change)
        yield case(f"test picture {name}", TEST, "png", change)
    for suffix in ("nsdgeneral.npy", "coco73k.npy", "trial.npy", "num_uniques.npy", "png"):
        yield Case("webdataset", f"no {suffix}", partial(_drop, TEST, suffix))
    yield Case("webdataset", "one id, two pictures", partial(_same_id, TRAIN, TRAIN))
    yield Case("webdataset", "one id in training and test", partial(_same_id, TRAIN, TEST))
    for name, content in METADATA.items():
        yield Case("webdataset", f"metadata: {name}", partial(_metadata, content))
    for name, (place, value) in BEHAVIOUR.items():
        yield Case("mindeye2", name, _behaviour("wds/subj01/train/0.tar", place, value))
    yield Case("mindeye2", "one row twice", _same_row)
    yield Case("mindeye2", "a test image that is not shared", _not_shared)
    short = values(lambda x: x[:, :16])
    tar = "wds/subj01/train/1.tar"
    yield Case("mindeye2", "16 columns", partial(change_members, tar, "behav.npy", short))


assert packed.N_IMAGES
