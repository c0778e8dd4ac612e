"""A store on disk: what can be read from it, and the doors to writing and removing.

Reading never takes a lock and never writes: a reader sees published bundles only, so a store may
be read while it is written, and from a read-only disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_store.bundle import BundleWriter
from mindeye_store.errors import MissingResource
from mindeye_store.images import Images, append
from mindeye_store.published import fingerprint, group_folders, plan_of, user_attributes
from mindeye_store.read import Reader
from mindeye_store.readers import ReaderKind
from mindeye_store.remove import remove
from mindeye_store.schema import bundle_name, decode, encode, plan_hash
from mindeye_store.staging import Places
from mindeye_store.subjects import Subject
from mindeye_store.summary import describe
from mindeye_store.targets import open_target


class Store:
    """A feature store on disk; made by `open_store` and `create_store`.

    Attributes
    ----------
    path : Path
    reader : str
        How rows are read, see `open_store`.
    """

    def __init__(self, path: Path, kind: ReaderKind) -> None:
        self.path, self.reader = path, kind

    @property
    def images(self) -> Images:
        """The images that are published now."""
        return Images(self.path, self._names("images"), self.reader)

    @property
    def subjects(self) -> list[str]:
        """Names of the published subjects."""
        return self._names("subjects")

    @property
    def spaces(self) -> list[str]:
        """Target spaces with at least one published segment."""
        folder = self.path / "targets"
        return sorted(decode(p.name) for p in group_folders(folder) if group_folders(p))

    def subject(self, name: str) -> Subject:
        """Open a subject.

        Raises
        ------
        MissingResource
            The store has no such subject.
        """
        if name not in self.subjects:
            raise MissingResource(
                f"the store has no subject {name!r}, only {self.subjects}",
                where=str(self.path),
                fix=f"mindeye prepare nsd ROOT {self.path} --subject {name}",
            )
        return Subject(self._folder(f"subjects/{name}"), name, self.reader, self.images.n)

    def target(self, space: str) -> Reader:
        """Open a target space over global image rows.

        Raises
        ------
        MissingResource
            The space is not there; or, when such a row is read, its image segment has no
            targets yet.
        InvalidInput
            Its segments were made by different encoders.
        """
        return open_target(self.path, self.images, space, self.reader)

    def missing_segments(self, space: str) -> list[str]:
        """Return the image segments that have no targets in a space."""
        there = {p.name for p in group_folders(self.path / "targets" / encode(space))}
        return [segment for segment in self.images.segments if segment not in there]

    def has_bundle(self, name: str) -> bool:
        """Tell whether a bundle is published."""
        return plan_of(self._folder(name)) is not None

    def has_plan(self, name: str, plan: Mapping[str, Any]) -> bool:
        """Tell whether a bundle is published with this very plan: nothing is to be done."""
        return plan_of(self._folder(name)) == plan_hash(plan)

    def attrs(self, name: str) -> dict[str, Any]:
        """Return the attributes of a published bundle."""
        return user_attributes(self._present(name))

    def fingerprint(self, name: str) -> str:
        """Return a sha256 over the arrays of a published bundle; equal for equal content."""
        return fingerprint(self._present(name))

    def write_bundle(
        self,
        name: str,
        *,
        plan: Mapping[str, Any],
        attrs: Mapping[str, Any] | None = None,
        part: tuple[int, int] = (0, 1),
        overwrite: bool = False,
    ) -> BundleWriter:
        """Begin or resume writing a bundle; use as a context.

        Parameters
        ----------
        name : str
            ``images/SEGMENT``, ``subjects/NAME`` or ``targets/SPACE/SEGMENT``.
        plan : mapping
            Plain JSON that decides the content: inputs, options, seeds. Staged work is resumed
            when its plan is equal, and discarded otherwise.
        attrs : mapping, optional
            Plain JSON kept with the bundle; `writer.attrs` may be added to while writing.
        part : (int, int)
            (i, n) of n cooperating writers: this one owns shards with index % n == i.
        overwrite : bool
            Replace a bundle that was published with another plan.

        Raises
        ------
        StoreLocked
            Another process writes the same bundle or part.
        InvalidInput
            It is published with another plan.
        """
        return BundleWriter(
            Places(self.path, bundle_name(name)), plan, attrs or {}, part, overwrite
        )

    def add_images(
        self,
        ids: Sequence[str],
        pixels: Callable[[np.ndarray], np.ndarray],
        shape: Sequence[int],
        *,
        captions: Sequence[str] | None = None,
        records: Sequence[dict[str, Any]] | None = None,
        plan: Mapping[str, Any],
    ) -> np.ndarray:
        """Add the images whose ids are not there, as one new segment.

        Waits up to an hour for another process that is adding images.

        Parameters
        ----------
        ids : sequence of str
            Unique.
        pixels : callable
            Takes positions in `ids`, int64 (k,); returns uint8 (k, *shape).
        shape : (H, W, 3)
            The same for the whole store.
        captions, records : sequence, optional
            One per id; a record is plain JSON.
        plan : mapping
            What decides the pixels, see `write_bundle`.

        Returns
        -------
        ndarray of int64, shape (len(ids),)
            The global row of every id, new or not.

        Raises
        ------
        InvalidInput
            An id comes twice, or is in the store with other pixels.
        """
        return append(self, ids, pixels, shape, captions, records, dict(plan))

    def remove(self, name: str) -> None:
        """Remove a subject, a target space or one segment of it, published or only staged.

        Raises
        ------
        MissingResource
            There is no such thing.
        InvalidInput
            It is an image segment: subjects and targets count on its rows.
        StoreLocked
            Somebody is writing it.
        """
        remove(self.path, name)

    def info(self) -> dict[str, Any]:
        """Return what is in the store as plain JSON; see `summary.describe`."""
        return describe(self.path)

    def _folder(self, name: str) -> Path:
        return self.path / bundle_name(name).folder

    def _present(self, name: str) -> Path:
        folder = self._folder(name)
        if plan_of(folder) is None:
            raise MissingResource(f"the store has no {name}", where=str(self.path))
        return folder

    def _names(self, kind: str) -> list[str]:
        return sorted(decode(p.name) for p in group_folders(self.path / kind))
