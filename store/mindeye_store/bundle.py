"""Write one bundle: whole shards, ledger entries last, published by one rename.

A writer that is stopped at any moment leaves readers what they had; the next one with the same
plan goes on where the ledger ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mindeye_store.array_writer import ArrayWriter
from mindeye_store.arrays import create_array, open_array, spec_of
from mindeye_store.errors import InvalidInput, StoreLocked
from mindeye_store.files import disk_errors
from mindeye_store.publish import publish
from mindeye_store.published import plan_of
from mindeye_store.schema import ArraySpec, canonical_json, make_spec, plan_hash
from mindeye_store.staging import TURN_WAIT_S, Places, open_staging, part_lock
from mindeye_store.text import OFFSETS, UTF8, encode_texts

if TYPE_CHECKING:
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
        with self._turn():
            # Looked at again: another part may have published in the meantime.
            self.done = self._is_published()
            if self.done:
                return self
            self._lock = part_lock(self.places, self.part, plan_hash(self.plan))
            try:
                open_staging(self.places, self.plan)
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
        writer = ArrayWriter(spec, None if self.done else self.places.bundle, self.part)
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
