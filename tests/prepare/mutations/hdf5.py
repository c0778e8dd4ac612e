"""HDF5 files whose dataset is missing, elsewhere, of another kind, or of an impossible size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from prepare.mutations.cases import FILES, Case

Change = Callable[[h5py.File, str, np.ndarray, Path], None]


def external_file(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    raw = path.with_suffix(".raw")
    raw.write_bytes(values.tobytes())
    file.create_dataset(
        name, shape=values.shape, dtype=values.dtype, external=[(str(raw), 0, values.nbytes)]
    )


def virtual(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    other = path.with_suffix(".other")
    with h5py.File(other, "w") as source:
        source["x"] = values
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[...] = h5py.VirtualSource(str(other), "x", values.shape)
    file.create_virtual_dataset(name, layout)


def external_link(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    other = path.with_suffix(".other")
    with h5py.File(other, "w") as source:
        source["x"] = values
    file[name] = h5py.ExternalLink(str(other), "x")


def soft_link(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file["elsewhere"] = values
    file[name] = h5py.SoftLink("/elsewhere")


def renamed(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file["data"] = values


def group(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file.create_group(name)["values"] = values


def texts(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file.create_dataset(name, data=np.array([b"a", b"b"], dtype=object), dtype=h5py.string_dtype())


def references(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file["x"] = values
    file.create_dataset(name, data=[file["x"].ref], dtype=h5py.ref_dtype)


def records(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file[name] = np.zeros(values.shape, dtype=[("a", "f4"), ("b", "f4")])


def scalar(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file[name] = np.float32(3)


def nothing(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file[name] = values[:0]


def null(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file[name] = h5py.Empty("f4")


def huge(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    """Exabytes of the fill value."""
    shape = (10**6, *([10**5] * (values.ndim - 1)))
    file.create_dataset(name, shape=shape, dtype=values.dtype, chunks=(1,) * values.ndim)


def wide(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    """The right number of rows, each of gigabytes."""
    shape = (values.shape[0], *([10**9 if values.ndim == 2 else 10**4] * (values.ndim - 1)))
    file.create_dataset(name, shape=shape, dtype=values.dtype, chunks=(1,) * values.ndim)


def swapped(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file[name] = values.T


def whole(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file[name] = np.nan_to_num(values * 10).astype(np.int32)


def complex_values(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file[name] = values.astype(np.complex64)


def fewer(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file[name] = values[: len(values) // 2]


def one_axis(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file[name] = values.ravel()


def big_endian(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file[name] = values.astype(values.dtype.newbyteorder(">"))


def chunked(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    file.create_dataset(name, data=values, chunks=True, compression="gzip", shuffle=True)


def not_finite(file: h5py.File, name: str, values: np.ndarray, path: Path) -> None:
    copy = values.copy()
    copy[~np.isnan(copy)] = np.inf
    file[name] = copy


CHANGES: tuple[Change, ...] = (
    external_file, virtual, external_link, soft_link, renamed, group, texts, references, records,
    scalar, nothing, null, huge, wide, swapped, whole, complex_values, fewer, one_axis, not_finite,
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    layout: str
    file: str
    dataset: str


TARGETS = (
    Target("mindeye2", FILES["mindeye2"][0], "betas"),
    Target("mindeye2", FILES["mindeye2"][1], "images"),
    Target("glmsingle", FILES["glmsingle"][0], "betasmd"),
    Target("matlab", FILES["matlab"][0], "modelmd"),
    Target("nsd", FILES["nsd"][4], "imgBrick"),
    Target("nsd-hdf5", FILES["nsd-hdf5"][0], "betas"),
    Target("nsd-mat73", FILES["nsd-mat73"][0], "betas"),
)
# imgBrick is uint8, and pictures that nobody saw may be left out.
NOT_OF_NSD = {whole, not_finite}
# int16 has no infinity, int32 is read as int16 is, and the other order of axes is Python's.
NOT_FAULTS = {"nsd": NOT_OF_NSD, "nsd-hdf5": {whole, not_finite, swapped}, "nsd-mat73": {whole}}


def _rewrite(target: Target, change: Change, folder: Path, random: np.random.Generator) -> None:
    path = folder / target.file
    with h5py.File(path) as file:
        values = file[target.dataset][()]
    with h5py.File(path, "w") as file:
        change(file, target.dataset, values, path)


def one_value(value: float, target: Target, folder: Path, random: np.random.Generator) -> None:
    with h5py.File(folder / target.file, "r+") as file:
        place = (int(packed_row(target)), *([0] * (file[target.dataset].ndim - 1)))
        file[target.dataset][place] = value


def packed_row(target: Target) -> int:
    """A row that is read: image 5 and response 5 are."""
    return 5


def cases() -> Iterator[Case]:
    for target in TARGETS:
        for change in CHANGES:
            if change in NOT_FAULTS.get(target.layout, set()):
                continue
            name = f"{change.__name__} {target.dataset}"
            yield Case(target.layout, name, partial(_rewrite, target, change))
        # MATLAB's mark of its axes would be lost, but .mat says the same.
        for change in (big_endian, chunked):
            if not (target.layout == "nsd" and change is big_endian):
                name = f"{change.__name__} {target.dataset}"
                yield Case(target.layout, name, partial(_rewrite, target, change), "same")
    for name, value in (("NaN", np.nan), ("infinite", np.inf)):
        for target in TARGETS[:2]:
            corrupt = partial(one_value, value, target)
            yield Case("mindeye2", f"{name} in {target.dataset}", corrupt)
    for name, value in (("2", 2.0), ("-1", -1.0), ("255", 255.0)):
        yield Case("mindeye2", f"pixel {name}", partial(one_value, value, TARGETS[1]))
