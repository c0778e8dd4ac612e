"""Trained once and shared by all parts: a random rotation, the centroids, and the codes' format.

Codes are 1-bit RaBitQ (Gao & Long 2024) or product quantisation of a row's difference from its
centroid. Embeddings have a few dominant dimensions, which the rotation spreads over all bits.
Parts keep inverted lists alone, so the centroids are stored once whatever the number of parts.

Shapes: `n` rows, `q` queries, `D` width, `L` lists probed, `R` candidates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.atomic import staged_dir
from mindeye_cli.core.fingerprint import of_json
from mindeye_cli.core.neighbours.collection import BLOCK, Floats, Ints
from mindeye_cli.core.neighbours.exact import Mask
from mindeye_cli.core.neighbours.manifest import Plan
from mindeye_cli.core.neighbours.needs import need_faiss
from mindeye_store.errors import InvalidInput, MissingResource, PartialResult
from mindeye_store.files import read_json, sha256_file, write_json

FILES = ("rotation.faiss", "centroids.faiss", "empty.faiss")
RECORD = "shared.json"
PQ_WIDTH = 8  # numbers a byte of a PQ code stands for
KMEANS_ROUNDS = 10
# From here on centroids are found through a graph: comparing with all of them costs too much.
GRAPH_LISTS = 2**14
GRAPH_LINKS = 32
# Bits of a query's numbers when codes are compared. A bit costs as much as all the rest of a
# comparison, and two find 99.6 % of what four find: candidates are scored again from the rows.
QUERY_BITS = 2


class Coder:
    """What turns rows into codes; made by `train_coder` or `load_coder`.

    Attributes
    ----------
    fingerprint : str
        Of the trained files.
    record : dict
        What it was trained on.
    """

    def __init__(self, folder: Path) -> None:
        faiss = need_faiss()
        self.record = read_json(folder / RECORD)
        self.fingerprint = str(self.record["fingerprint"])
        self._rotation = faiss.read_VectorTransform(str(folder / FILES[0]))
        self._centroids = faiss.read_index(str(folder / FILES[1]))
        self._lists = _attach(
            faiss.read_index(str(folder / FILES[2]), faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE),
            self._centroids,
        )

    def rotate(self, rows: Floats) -> Floats:
        """Turn rows (n, D)."""
        turned: Floats = self._rotation.apply(np.ascontiguousarray(rows))
        return turned

    def near_lists(self, rotated: Floats, count: int) -> tuple[Ints, Floats]:
        """The lists to probe for every query and their distances, both (q, L)."""
        distances, lists = self._centroids.search(rotated, min(count, self._centroids.ntotal))
        return lists, distances

    def add(self, rows: Floats, ids: Ints) -> None:
        """Code rows (n, D) under their ids (n,)."""
        self._lists.add_with_ids(self.rotate(rows), ids)

    def write_lists(self, file: Path) -> None:
        """Write the codes that were added, without the centroids.

        Raises
        ------
        PartialResult
            The disk is full.
        """
        _write(self._lists, file)

    def open_lists(self, file: Path) -> Lists:
        """Map a part's codes into memory."""
        faiss = need_faiss()
        flags = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY | faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE
        try:
            lists = faiss.read_index(str(file), flags)
        except RuntimeError as problem:
            raise InvalidInput(
                "the part's lists cannot be read",
                where=str(file),
                fix="remove the part's folder and index again: only that part is built",
            ) from problem
        # Reading ahead starts 32 threads a part and a search, which costs more than it saves.
        faiss.downcast_InvertedLists(lists.invlists).prefetch_nthread = 0
        return Lists(_attach(lists, self._centroids), self)


class Lists:
    """One part's inverted lists, mapped."""

    def __init__(self, lists: Any, coder: Coder) -> None:
        # The coder is kept because its centroids are pointed to from C++.
        self._lists, self._coder = lists, coder

    @property
    def inverted(self) -> Any:
        """faiss' own view of the lists."""
        return self._lists.invlists

    def sizes(self) -> list[int]:
        """Codes in every list."""
        return [self.inverted.list_size(number) for number in range(self.inverted.nlist)]

    def look_into(self, other: Any) -> None:
        """Search other inverted lists of the same codes, which the caller keeps alive."""
        self._lists.replace_invlists(other, False)

    def search(
        self,
        rotated: Floats,
        lists: Ints,
        distances: Floats,
        count: int,
        mask: Mask | None,
        *,
        places: bool = False,
    ) -> tuple[Floats, Ints]:
        """Candidates by their codes.

        Parameters
        ----------
        rotated : float32 array (q, D)
        lists, distances : int64 and float32 arrays (q, L)
        count : int
            R.
        mask : bool array, optional
            Ids that may be found.
        places : bool
            Name a code by its list and its place there, `list << 32 | place`, not by its id.

        Returns
        -------
        distances : float32 array (q, R)
            Ascending squared distances; +inf where there is none.
        ids : int64 array (q, R)
            -1 where there is none.
        """
        faiss = need_faiss()
        asked = np.ascontiguousarray(rotated, np.float32)
        found = np.empty((len(asked), count), np.float32)
        ids = np.empty((len(asked), count), np.int64)
        choice = {"nprobe": lists.shape[1]}
        if mask is not None:
            choice["sel"] = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
        rabitq = isinstance(self._lists, faiss.IndexIVFRaBitQ)
        kind = faiss.IVFRaBitQSearchParameters if rabitq else faiss.SearchParametersIVF
        parameters = kind(**choice, qb=QUERY_BITS) if rabitq else kind(**choice)
        # The wrapper of this function takes no parameters.
        self._lists.search_preassigned_c(
            len(asked),
            faiss.swig_ptr(asked),
            count,
            faiss.swig_ptr(np.ascontiguousarray(lists)),
            faiss.swig_ptr(np.ascontiguousarray(distances)),
            faiss.swig_ptr(found),
            faiss.swig_ptr(ids),
            places,
            parameters,
        )
        found[ids < 0] = np.inf
        return found, ids


def train_coder(folder: Path, plan: Plan, sample: Floats, record: dict[str, Any]) -> None:
    """Train on a sample and write `folder` in one step.

    Parameters
    ----------
    folder : Path
    plan : Plan
    sample : float32 array (n, D)
        Rows at length 1; rotated in place.
    record : dict
        Kept with it: where the sample came from.
    """
    faiss = need_faiss()
    rotation = faiss.RandomRotationMatrix(plan.dim, plan.dim)
    rotation.init(plan.seed % 2**31)
    for low in range(0, len(sample), BLOCK):  # in place: the sample is the build's largest array
        sample[low : low + BLOCK] = rotation.apply(sample[low : low + BLOCK])
    kmeans = faiss.Kmeans(
        plan.dim,
        plan.lists,
        niter=KMEANS_ROUNDS,
        seed=plan.seed % 2**31,
        min_points_per_centroid=1,
        max_points_per_centroid=len(sample),
    )
    kmeans.train(sample)
    centroids = faiss.IndexFlatL2(plan.dim)
    if plan.lists >= GRAPH_LISTS:
        centroids = faiss.IndexHNSWFlat(plan.dim, GRAPH_LINKS)
    centroids.add(kmeans.centroids)
    if plan.codes == "rabitq":
        lists = faiss.IndexIVFRaBitQ(centroids, plan.dim, plan.lists, faiss.METRIC_L2)
    else:
        bytes_ = max(1, plan.dim // PQ_WIDTH)
        lists = faiss.IndexIVFPQ(centroids, plan.dim, plan.lists, bytes_, 8, faiss.METRIC_L2)
        lists.use_precomputed_table = -1
        lists.pq.cp.min_points_per_centroid = 1
    lists.train(sample)
    with staged_dir(folder, overwrite=True) as beside:
        faiss.write_VectorTransform(rotation, str(beside / FILES[0]))
        faiss.write_index(centroids, str(beside / FILES[1]))
        _write(lists, beside / FILES[2])
        digest = of_json([sha256_file(beside / name) for name in FILES])
        write_json(beside / RECORD, {**record, "fingerprint": digest})


def load_coder(folder: Path) -> Coder:
    """Open trained files.

    Raises
    ------
    MissingResource
        They are absent.
    InvalidInput
        They are damaged.
    """
    for name in (RECORD, *FILES):
        if not (folder / name).is_file():
            raise MissingResource(
                "the index' centroids are absent",
                where=str(folder / name),
                fix="index the shards again with --overwrite",
            )
    try:
        return Coder(folder)
    except RuntimeError as problem:
        raise InvalidInput(
            "the index' centroids cannot be read",
            where=str(folder),
            fix="index the shards again with --overwrite",
        ) from problem


def _attach(lists: Any, centroids: Any) -> Any:
    """Let lists that were stored without centroids use the shared ones."""
    lists.quantizer = centroids
    lists.own_fields = False
    return lists


def _write(lists: Any, file: Path) -> None:
    """Write an index with an empty table of centroids in place of the shared one."""
    faiss = need_faiss()
    shared = lists.quantizer
    empty = faiss.IndexFlatL2(lists.d)
    lists.quantizer = empty
    try:
        faiss.write_index(lists, str(file))
    except RuntimeError as problem:
        raise PartialResult(
            "the lists could not be written; finished parts are kept",
            where=str(file),
            fix="free some space and run the same command again",
        ) from problem
    finally:
        lists.quantizer = shared
