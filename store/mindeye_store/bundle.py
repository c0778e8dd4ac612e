"""Write one bundle: whole shards, ledger entries last, published by one rename.

A writer that is stopped at any moment leaves readers what they had; the next one with the same
plan goes on where the ledger ends.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from mindeye_store import ledger
from mindeye_store.arrays import create_array, open_array, spec_of
from mindeye_store.errors import InvalidInput, StoreLocked
from mindeye_store.files import disk_errors
from mindeye_store.guard import checked
from mindeye_store.publish import publish
from mindeye_store.published import plan_of
from mindeye_store.schema import ArraySpec, canonical_json, make_spec, plan_hash
from mindeye_store.staging import TURN_WAIT_S, Places, open_staging, part_lock
from mindeye_store.text import OFFSETS, UTF8, encode_texts

if TYPE_CHECKING:
    import zarr

    from mindeye_store.lock import Lock


class BundleWriter:
    """Builds a staged bundle; made by `Store.write_bundle`, used as a context.

    Attributes
    ----------
    done : bool
        The bundle was already published with this very plan: nothing is pending and publishing
        does nothing.
    attrs : dict
        The bundle's attributes, which may be added to until it is published.
    """

    def __init__(
        self,
        places: Places,
        plan: Mapping[str, Any],
        attrs: Mapping[str, Any],
        part: tuple[int, int],
        overwrite: bool,
    ) -> None:
        self.places, self.plan, self.part = places, plan, part
        self.attrs: dict[str, Any] = dict(attrs)
        self.overwrite = overwrite
        self.done = False
        self._arrays: dict[str, ArrayWriter] = {}
        self._lock: Lock | None = None

    def __enter__(self) -> BundleWriter:
        canonical_json(self.attrs, "attributes")
        self.done = self._is_published()
        if self.done:
            return self
        self._lock = part_lock(self.places, self.part)
        try:
            with self._turn():
                # Looked at again: another part may have published in the meantime.
                self.done = self._is_published()
                if not self.done:
                    open_staging(self.places, self.plan, self.part)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            self._lock.release()

    def array(
        self,
        name: str,
        *,
        shape: Sequence[int],
        dtype: Any,
        shard_rows: int | None = None,
        compressed: bool | None = None,
    ) -> ArrayWriter:
        """Declare an array; every part of a bundle declares every array.

        Parameters
        ----------
        name : str
            Such as ``voxels`` or ``roi/streams``.
        shape : sequence of int
            Rows first.
        dtype : dtype-like
        shard_rows : int, optional
            Rows in a shard file; 512 by default, fewer where the array or memory is small.
        compressed : bool, optional
            By default integers are, floats are not.

        Raises
        ------
        InvalidInput
            The staged array of that name has another description.
        """
        spec = make_spec(name, tuple(shape), dtype, shard_rows=shard_rows, compressed=compressed)
        if not self.done:
            with self._turn(), disk_errors(self.places.bundle):
                self._declare(spec)
        writer = ArrayWriter(self, spec)
        self._arrays[name] = writer
        return writer

    def text(self, name: str, texts: Sequence[str]) -> None:
        """Write a column of texts, kept as UTF-8 bytes and offsets."""
        data, offsets = encode_texts(texts)
        for part, values in ((UTF8, data), (OFFSETS, offsets)):
            array = self.array(f"{name}/{part}", shape=values.shape, dtype=values.dtype)
            array.write_all(values)

    def publish(self) -> bool:
        """Publish the bundle when every shard of every part is in the ledger.

        Returns
        -------
        bool
            Whether the bundle is published now. False when other parts still have work: the
            last of them to call this publishes.
        """
        with disk_errors(self.places.published), self._turn():
            self.done = self.done or self._is_published()
            if self.done:
                return True
            if self._lock is None or not self._lock.held():
                raise StoreLocked(
                    "the lock was lost while writing; nothing was published",
                    where=str(self.places.locks),
                    fix="run the same command again: finished shards are kept",
                )
            specs = [array.spec for array in self._arrays.values()]
            self.done = publish(self.places, specs, plan_hash(self.plan), self.attrs)
        if not self.done and self.part == (0, 1):
            raise InvalidInput("not every shard was written", where=self.places.name.text)
        return self.done

    def _turn(self) -> Lock:
        lock = self.places.turn()
        lock.acquire(wait_s=TURN_WAIT_S)
        return lock

    def _is_published(self) -> bool:
        published = plan_of(self.places.published)
        if published is None:
            return False
        if published == plan_hash(self.plan):
            return True
        if self.overwrite:
            return False
        raise InvalidInput(
            "already there, made from another plan",
            where=self.places.name.text,
            fix=f"mindeye store rm {self.places.store} {self.places.name.text}",
        )

    def _declare(self, spec: ArraySpec) -> None:
        bundle = self.places.bundle
        if not (bundle / spec.name / "zarr.json").exists():
            create_array(bundle, spec)
            return
        staged = spec_of(open_array(bundle, spec.name), bundle, spec.name)
        if staged != spec:
            raise InvalidInput(
                f"the staged array differs from the one asked for: {staged} against {spec}",
                where=f"{self.places.name.text}/{spec.name}",
                fix=f"mindeye store rm {self.places.store} {self.places.name.text}",
            )


class ArrayWriter:
    """Writes the shards of one staged array that belong to one part."""

    def __init__(self, bundle: BundleWriter, spec: ArraySpec) -> None:
        self.spec = spec
        self._bundle = bundle
        self._array: zarr.Array[Any] | None = None

    def pending(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each shard still to write with its rows, int64, in order."""
        if not self._bundle.done:
            for shard in ledger.pending(self._folder, self.spec, self._bundle.part):
                yield shard, np.arange(*self.spec.span(shard), dtype=np.int64)

    def write(self, shard: int, values: Any) -> None:
        """Write one whole shard and enter it in the ledger.

        Parameters
        ----------
        shard : int
        values : array_like
            Shape (rows of the shard, *shape[1:]).

        Raises
        ------
        InvalidInput
            The values cannot be stored as they are; nothing was written.
        PartialResult
            The disk is full.
        """
        index, count = self._bundle.part
        if not 0 <= shard < self.spec.n_shards or shard % count != index:
            raise IndexError(f"{self.spec.name} has no shard {shard} in part {index}/{count}")
        array, largest = checked(values, self.spec, shard)
        with disk_errors(self._folder / self.spec.name):
            ledger.entry_path(self._folder, self.spec.name, shard).unlink(missing_ok=True)
            _clear_shard(self._folder, self.spec, shard)
            if self._array is None:
                self._array = open_array(self._folder, self.spec.name, mode="r+")
            start, stop = self.spec.span(shard)
            self._array[start:stop] = array
            ledger.record(self._folder, self.spec, shard, largest)

    def write_all(self, values: Any) -> None:
        """Write every pending shard of this part from the whole array."""
        array = np.asarray(values)
        if array.shape != self.spec.shape:
            raise InvalidInput(
                f"values of shape {array.shape} do not fit shape {self.spec.shape}",
                where=self.spec.name,
            )
        for shard, rows in self.pending():
            self.write(shard, array[rows[0] : rows[-1] + 1])

    @property
    def _folder(self) -> Path:
        return self._bundle.places.bundle


def _clear_shard(bundle: Path, spec: ArraySpec, shard: int) -> None:
    """Remove what a killed writer left of a shard, which only its owner may do."""
    chunks = bundle / spec.name / "c"
    for leftover in [chunks / str(shard), *chunks.glob(f"{shard}.*.partial")]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)
