"""Betas of NSD as HDF5, MATLAB and MGH files whose head lies, or whose values cannot be used."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import h5py
import nibabel
import numpy as np
from prepare.mutations.cases import FILES, Case
from prepare.nsd_surface import write_mgh

Change = Callable[[bytearray], bytearray]


def put(offset: int, form: str, *values: float) -> Change:
    def change(data: bytearray) -> bytearray:
        struct.pack_into(form, data, offset, *values)
        return data

    return change


def _bytes(name: str, change: Change, folder: Path, random: np.random.Generator) -> None:
    path = folder / name
    data = path.read_bytes()
    packed = path.suffix == ".mgz"
    changed = bytes(change(bytearray(gzip.decompress(data) if packed else data)))
    path.write_bytes(gzip.compress(changed) if packed else changed)


def little_endian(data: bytearray) -> bytearray:
    data[:28] = struct.pack("<7i", *struct.unpack(">7i", data[:28]))
    return data


MGH: dict[str, Change] = {
    "another version": put(0, ">i", 7),
    "huge axes": put(4, ">4i", 2**31 - 1, 2**31 - 1, 2**31 - 1, 2**31 - 1),
    "negative axis": put(4, ">i", -40),
    "axis of zero": put(4, ">i", 0),
    "swapped axes": lambda data: put(4, ">4i", *struct.unpack(">4i", data[4:20])[::-1])(data),
    "one vertex more": lambda data: put(4, ">i", struct.unpack(">i", data[4:8])[0] + 1)(data),
    "frames too many": lambda data: put(16, ">i", struct.unpack(">i", data[16:20])[0] + 1)(data),
    "unknown type": put(20, ">i", 77),
    "another type": put(20, ">i", 0),
    "wrong endianness": little_endian,
    "values that end early": lambda data: data[:320],
}
# Of a little-endian file that scipy wrote, `notes` before `betas`.
MAT5: dict[str, Change] = {
    "another version": put(124, "<H", 0x0200),
    "wrong endianness": lambda data: data[:126] + b"MI" + data[128:],
    "no endianness": lambda data: data[:126] + b"  " + data[128:],
    "huge element": put(132, "<I", 2**32 - 8),
    "element of nothing": put(132, "<I", 0),
    "unknown element": put(128, "<I", 99),
    "values cut": lambda data: data[:-500],
    "renamed": lambda data: data.replace(b"betas", b"gamma"),
}


def _in_betas(change: Callable[[bytearray, int], None], data: bytearray) -> bytearray:
    """Change the head of `betas`, which begins at its tag."""
    change(data, data.index(b"betas") - 56)
    return data


def at(offset: int, form: str, *values: float) -> Change:
    return partial(_in_betas, lambda data, tag: struct.pack_into(form, data, tag + offset, *values))


MAT5 |= {
    "complex": at(16, "<I", 10 | 0x0800),
    "unsigned": at(16, "<I", 11),
    "a cell": at(16, "<I", 1),
    "huge axes": at(32, "<4i", *[2**31 - 1] * 4),
    "negative axis": at(32, "<4i", -5, 6, 4, 30),
    "swapped axes": at(32, "<4i", 6, 5, 4, 30),
    "other order of axes": at(32, "<4i", 30, 4, 6, 5),
    "a fifth axis": at(28, "<I", 20),
    "a long name": at(52, "<I", 2**31),
    "values of another kind": at(64, "<I", 14),
    "fewer values": at(68, "<I", 12),
}


def flipped(place: float, data: bytearray) -> bytearray:
    """Bits of the packed values, or of the checksum at their end."""
    start = data.rindex(struct.pack("<I", 15), 0, len(data) - 200)
    end = start + 8 + struct.unpack_from("<I", data, start + 4)[0]
    where = end - 3 if place == 1 else start + 8 + int((end - start) * place)
    data[where] ^= 0xFF
    return data


def _not_finite(name: str, folder: Path, random: np.random.Generator) -> None:
    path = folder / name
    values = nibabel.MGHImage.from_bytes(path.read_bytes()).get_fdata()[:, 0, 0].astype("f4")
    values[:, 3] = np.nan
    write_mgh(path, values)


def _hdf5(
    name: str,
    change: Callable[[np.ndarray], np.ndarray],
    folder: Path,
    random: np.random.Generator,
) -> None:
    with h5py.File(folder / name) as file:
        values = file["betas"][()]
    with h5py.File(folder / name, "w") as file:
        file["betas"] = change(values)


def _undefined(values: np.ndarray) -> np.ndarray:
    values[5] = np.nan
    return values


HDF5: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "x and z exchanged": lambda values: values.transpose(0, 3, 2, 1),
    "x and y exchanged": lambda values: values.transpose(0, 1, 3, 2),
    "trials in the middle": lambda values: values.transpose(1, 0, 2, 3),
    "a trial more": lambda values: np.concatenate([values, values[:1]]),
    "unsigned": lambda values: np.abs(values).astype(np.uint16),
    "64 bits": lambda values: np.round(values).astype(np.int64),
    "all zero": np.zeros_like,
}


def cases() -> Iterator[Case]:
    betas, label, ncsnr = FILES["nsd-surface"]
    for file in (betas, label, ncsnr):
        for name, change in MGH.items():
            # Nothing tells bytes from the first quarter of integers: a footer may follow.
            if name == "another type" and file != betas:
                continue
            yield Case("nsd-surface", f"{name} in {Path(file).name}", partial(_bytes, file, change))
    yield Case("nsd-surface", "NaN in a trial", partial(_not_finite, betas))
    for layout in ("nsd-hdf5", "nsd-mat73"):
        for what, alter in HDF5.items():
            yield Case(layout, what, partial(_hdf5, FILES[layout][0], alter))
    yield Case("nsd-mat73", "NaN in a trial", partial(_hdf5, FILES["nsd-mat73"][0], _undefined))
    for name, change in MAT5.items():
        yield Case("nsd-mat5", name, partial(_bytes, FILES["nsd-mat5"][0], change))
    for name, place in (("early", 0.2), ("late", 0.8), ("checksum", 1.0)):
        corrupt = partial(_bytes, FILES["nsd-packed"][0], partial(flipped, place))
        yield Case("nsd-packed", f"flipped bits, {name}", corrupt)
