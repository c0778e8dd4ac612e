"""`.npy` files that lie: in files of their own, and as members of tar files."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from prepare.mutations.cases import Case
from prepare.packed import npy, read_tar, write_tar

Change = Callable[[bytes], bytes]


def array(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)


def with_header(data: bytes, header: str, version: int = 1) -> bytes:
    """The same values under another header."""
    text = header.encode("latin1") + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + array(data).tobytes()


def described(data: bytes, descr: str, shape: str) -> bytes:
    return with_header(data, f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")


def zipped(data: bytes) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, values=np.zeros(10_000_000))
    return stream.getvalue()


REFUSED: dict[str, Change] = {
    "pickled": lambda data: npy(np.array([[{"a": 1}]], dtype=object)),
    "pickled dictionary": lambda data: npy({"betasmd": 1}),
    "zip archive": zipped,
    "huge shape": lambda data: described(data, "'<f4'", "(1000000000000, 3)"),
    "overflowing shape": lambda data: described(data, "'<f4'", "(9223372036854775807, 9)"),
    "negative shape": lambda data: described(data, "'<f4'", "(-1, 3)"),
    "shape of text": lambda data: described(data, "'<f4'", "('a', 'b')"),
    "header longer than the file": lambda data: (
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{}"
    ),
    "nested header": lambda data: with_header(data, "(" * 9000),
    "header that is code": lambda data: described(data, "__import__('os').getcwd()", "(3,)"),
    "unknown version": lambda data: data[:6] + b"\x09\x00" + data[8:],
    "texts": lambda data: npy(np.array([["a", "b"], ["c", "d"]])),
    "records": lambda data: npy(np.zeros(4, dtype=[("a", "f4"), ("b", "f4")])),
    "complex": lambda data: npy(array(data).astype(np.complex64)),
    "dates": lambda data: npy(np.zeros((3, 4), "datetime64[s]")),
    "cut inside": lambda data: data[:-3],
    "no values": lambda data: npy(np.zeros((0, 0), np.float32)),
    "too many axes": lambda data: npy(array(data)[None, None, None, None]),
}
SAME: dict[str, Change] = {
    "big-endian": lambda data: npy(array(data).astype(array(data).dtype.newbyteorder(">"))),
    "column-major": lambda data: npy(np.asfortranarray(array(data))),
}
TARGETS = (
    ("webdataset", "train/train_subj01_0.tar", "nsdgeneral.npy"),
    ("webdataset", "train/train_subj01_0.tar", "coco73k.npy"),
    ("webdataset", "test/test_subj01_0.tar", "num_uniques.npy"),
    ("webdataset", "train/train_subj01_0.tar", "trial.npy"),
    ("mindeye2", "wds/subj01/train/1.tar", "behav.npy"),
)


def _file(name: str, change: Change, folder: Path, random: np.random.Generator) -> None:
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


def change_members(
    tar: str, suffix: str, change: Change, folder: Path, random: np.random.Generator
) -> None:
    """Change one member of that suffix, chosen at random."""
    entries = read_tar(folder / tar)
    places = [n for n, (info, _) in enumerate(entries) if info.name.endswith("." + suffix)]
    chosen = int(random.choice(places))
    info, data = entries[chosen]
    data = change(data)
    info.size = len(data)
    info.pax_headers = {}
    entries[chosen] = info, data
    write_tar(folder / tar, entries)


def cases() -> Iterator[Case]:
    for expect, changes in (("refused", REFUSED), ("same", SAME)):
        for name, change in changes.items():
            for file in ("voxels.npy", "images.npy"):
                yield Case("arrays", f"{name} in {file}", partial(_file, file, change), expect)
            for layout, tar, suffix in TARGETS:
                if name == "too many axes" and suffix != "nsdgeneral.npy":
                    continue
                corrupt = partial(change_members, tar, suffix, change)
                yield Case(layout, f"{name} in {suffix}", corrupt, expect)
