"""Other layouts of the same rows for `store.py`, each read the fastest way its library offers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import webdataset
import zarr

Pair = tuple[np.ndarray, np.ndarray]
Blocks = Iterator[tuple[np.ndarray, Pair]]


class Layout(Protocol):
    """Files of one kind that hold both arrays."""

    name: str
    folder: Path
    ordered: bool

    def write(self, rows: int, shape: tuple[int, ...], voxels: int, blocks: Blocks) -> None:
        """Write all rows."""

    def read(self, rows: np.ndarray) -> Pair:
        """Read a batch; an ordered layout takes the next rows, whatever is asked for."""


class HDF5:
    """One chunk a row, read row by row into place: fancy indexing is several times slower."""

    name, ordered = "HDF5", False

    def __init__(self, work: Path) -> None:
        self.folder = work / "hdf5"
        self._file: Any = None

    def write(self, rows: int, shape: tuple[int, ...], voxels: int, blocks: Blocks) -> None:
        """See `Layout`."""
        self.folder.mkdir()
        with h5py.File(self.folder / "rows.hdf5", "w") as file:
            sizes = {"features": (shape, np.float16), "voxels": ((voxels,), np.float32)}
            for name, (inner, dtype) in sizes.items():
                file.create_dataset(name, (rows, *inner), dtype, chunks=(1, *inner))
            for chosen, values in blocks:
                for name, part in zip(sizes, values, strict=True):
                    file[name][chosen[0] : chosen[-1] + 1] = part

    def read(self, rows: np.ndarray) -> Pair:
        """See `Layout`."""
        if self._file is None:
            self._file = h5py.File(self.folder / "rows.hdf5")
        return self._array("features", rows), self._array("voxels", rows)

    def _array(self, name: str, rows: np.ndarray) -> np.ndarray:
        data = self._file[name]
        values = np.empty((len(rows), *data.shape[1:]), data.dtype)
        for place in np.argsort(rows):
            data.read_direct(values, np.s_[rows[place]], np.s_[place])
        return values


class WebDataset:
    """Tars of 512 samples with one .npy a member, read in order."""

    name, ordered = "WebDataset, in order", True

    def __init__(self, work: Path) -> None:
        self.folder = work / "tars"
        self._samples: Iterator[Any] | None = None

    def write(self, rows: int, shape: tuple[int, ...], voxels: int, blocks: Blocks) -> None:
        """See `Layout`."""
        self.folder.mkdir()
        pattern = str(self.folder / "%05d.tar")
        with webdataset.ShardWriter(pattern, maxcount=512, verbose=0) as writer:
            for chosen, (features, voxel_rows) in blocks:
                for number, x, y in zip(chosen, features, voxel_rows, strict=True):
                    writer.write({"__key__": f"{number:06d}", "x.npy": x, "y.npy": y})

    def read(self, rows: np.ndarray) -> Pair:
        """See `Layout`."""
        found = []
        while len(found) < len(rows):
            if self._samples is None:
                self._samples = iter(self._open())
            sample = next(self._samples, None)
            if sample is None:
                self._samples = None
            else:
                found.append(sample)
        return np.stack([x for x, _ in found]), np.stack([y for _, y in found])

    def _open(self) -> Any:
        urls = [str(file) for file in sorted(self.folder.glob("*.tar"))]
        data = webdataset.WebDataset(urls, shardshuffle=False)
        return data.to_tuple("x.npy", "y.npy").map_tuple(_decode, _decode)


def _decode(data: bytes) -> np.ndarray:
    values: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
    return values


class PlainZarr:
    """Uncompressed zarr arrays as zarr-python makes and reads them by itself.

    Parameters
    ----------
    work : Path
    shard : int
        Rows a shard; 1 for a file a row.
    """

    ordered = False

    def __init__(self, work: Path, shard: int) -> None:
        self.shard = shard
        self.name = f"zarr, {shard} rows a file" if shard > 1 else "zarr, a file a row"
        self.folder = work / f"plain-{shard}.zarr"
        self._arrays: list[Any] | None = None

    def write(self, rows: int, shape: tuple[int, ...], voxels: int, blocks: Blocks) -> None:
        """See `Layout`."""
        group = zarr.create_group(self.folder)
        sizes = {"features": (shape, "float16"), "voxels": ((voxels,), "float32")}
        arrays = [
            group.create_array(
                name,
                shape=(rows, *inner),
                dtype=dtype,
                chunks=(1, *inner),
                shards=(self.shard, *inner) if self.shard > 1 else None,
                compressors=None,
            )
            for name, (inner, dtype) in sizes.items()
        ]
        for chosen, values in blocks:
            for array, part in zip(arrays, values, strict=True):
                array[chosen[0] : chosen[-1] + 1] = part

    def read(self, rows: np.ndarray) -> Pair:
        """See `Layout`."""
        if self._arrays is None:
            group = zarr.open_group(self.folder, mode="r")
            self._arrays = [group["features"], group["voxels"]]
        first, second = (np.asarray(array.oindex[rows]) for array in self._arrays)
        return first, second
