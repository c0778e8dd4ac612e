"""NIfTI volumes whose header lies, or whose values cannot be used."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
from prepare.mutations.cases import FILES, Case

Change = Callable[[bytearray], bytearray]


def field(offset: int, form: str, *values: float) -> Change:
    """Overwrite a field of the 348-byte header."""

    def change(data: bytearray) -> bytearray:
        struct.pack_into("<" + form, data, offset, *values)
        return data

    return change


def dims(*values: int) -> Change:
    return field(40, f"{len(values)}h", *values)


REFUSED: dict[str, Change] = {
    "huge axes": dims(4, 32000, 32000, 32000, 30),
    "huge three axes": dims(3, 32000, 32000, 32000),
    "negative axis": dims(4, -5, 6, 4, 30),
    "no axes": dims(0, 0, 0, 0, 0),
    "nine axes": dims(9, 2, 2, 2, 2),
    "axis of zero": dims(4, 0, 6, 4, 30),
    "other order of axes": dims(4, 30, 4, 6, 5),
    "unknown type": field(70, "h", 777),
    "complex values": field(70, "hh", 32, 64),
    "colours": field(70, "hh", 128, 24),
    "values far away": field(108, "f", 1e9),
    "values before the file": field(108, "f", -400.0),
    "values nowhere": field(108, "f", float("nan")),
    "another magic": field(344, "4s", b"nope"),  # type: ignore[arg-type]
}
# nibabel mends these, as every reader of NIfTI does.
SAME: dict[str, Change] = {
    "header of another size": field(0, "i", 12345),
    "scaled by infinity": field(112, "f", float("inf")),
}


def _header(name: str, change: Change, folder: Path, random: np.random.Generator) -> None:
    path = folder / name
    path.write_bytes(gzip.compress(bytes(change(bytearray(gzip.decompress(path.read_bytes()))))))


def _bomb(name: str, folder: Path, random: np.random.Generator) -> None:
    """A sound start, then hundreds of megabytes of zeros under a header that counts them."""
    path = folder / name
    data = bytearray(gzip.decompress(path.read_bytes())[:352])
    struct.pack_into("<8h", data, 40, 4, 500, 500, 500, 2, 1, 1, 1)
    path.write_bytes(gzip.compress(bytes(data) + bytes(250 << 20)))


def _values(
    name: str, change: Callable[[np.ndarray], np.ndarray], folder: Path, random: np.random.Generator
) -> None:
    path = folder / name
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(change(np.asanyarray(image.dataobj)), image.affine), path)


def _big_endian(name: str, folder: Path, random: np.random.Generator) -> None:
    path = folder / name
    image = nibabel.load(path)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(image.get_data_dtype().newbyteorder(">"))
    values = np.asanyarray(image.dataobj)
    nibabel.save(nibabel.Nifti1Image(values, image.affine, header), path)


def flat(values: np.ndarray) -> np.ndarray:
    return np.zeros_like(values)


def undefined(values: np.ndarray) -> np.ndarray:
    return np.full(values.shape, np.nan, np.float32)


def shorter(values: np.ndarray) -> np.ndarray:
    return values[..., :-1]


def turned(values: np.ndarray) -> np.ndarray:
    return np.moveaxis(values, 0, 1)


def cases() -> Iterator[Case]:
    betas = (("nsd", FILES["nsd"][0]), ("volumes", FILES["volumes"][0]), ("bids", FILES["bids"][0]))
    masks = (
        ("nsd", FILES["nsd"][1]),
        ("glmsingle", FILES["glmsingle"][1]),
        ("bids", FILES["bids"][2]),
    )
    for layout, name in (*betas, *masks):
        short = Path(name).name
        for what, change in REFUSED.items():
            yield Case(layout, f"{what} in {short}", partial(_header, name, change))
        for what, change in SAME.items():
            yield Case(layout, f"{what} in {short}", partial(_header, name, change), "same")
        for alter in (flat, undefined, shorter, turned):
            if alter is flat and name == FILES["bids"][0]:
                continue  # its session has another run
            corrupt = partial(_values, name, alter)
            yield Case(layout, f"{alter.__name__} values in {short}", corrupt)
        yield Case(layout, f"inflating {short}", partial(_bomb, name))
        yield Case(layout, f"big-endian {short}", partial(_big_endian, name), "same")
