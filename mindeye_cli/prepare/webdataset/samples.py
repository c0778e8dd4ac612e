"""The samples of MindEye's tar files: which image each shows, and how often it was seen.

Members of a sample: `jpg` or `png`, `nsdgeneral.npy` (3, V), `coco73k.npy` (NSD's image number,
from 0), `num_uniques.npy` (rows of `nsdgeneral` that are presentations of their own, 1 to 3) and
`trial.npy`. `wholebrain_3d.npy`, nine tenths of the bytes, is passed over unread.

Shapes: `M` samples, `V` voxels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.progress import track
from mindeye_cli.prepare.npy import from_bytes
from mindeye_cli.prepare.tar import Member, Sample, read_members, read_samples, shown
from mindeye_cli.prepare.webdataset.layout import SPLITS, Shards
from mindeye_store.errors import InvalidInput

ROWS = 3
VOXELS, IMAGE_ID, UNIQUES, TRIAL = "nsdgeneral.npy", "coco73k.npy", "num_uniques.npy", "trial.npy"
PICTURES = ("jpg", "png")
MIB = 1 << 20
# The most bytes of a member: 64 MiB are three rows of five million voxels.
LIMITS = {VOXELS: 64 * MIB, IMAGE_ID: 4096, UNIQUES: 4096, TRIAL: 4096, "jpg": MIB * 16} | {
    "png": MIB * 16
}
# NSD has 73,000 images.
MAX_IMAGE_ID = 99_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Samples in the order of their files.

    Attributes
    ----------
    image : int64 array (M,)
        NSD's image number, from 0.
    uniques : int64 array (M,)
        1 to 3.
    trial : int64 array (M, 3)
        The content of `trial.npy`; one number stands for all rows.
    split : list of str
        `train`, `val` or `test`.
    voxels, pictures : list of Member
    """

    image: NDArray[np.int64]
    uniques: NDArray[np.int64]
    trial: NDArray[np.int64]
    split: list[str]
    voxels: list[Member]
    pictures: list[Member]

    def __len__(self) -> int:
        return len(self.split)

    def counts(self) -> dict[str, int]:
        """Samples of each split."""
        return {split: self.split.count(split) for split in SPLITS}

    def take(self, kept: list[int]) -> Samples:
        """The samples at these positions."""
        return Samples(
            image=self.image[kept],
            uniques=self.uniques[kept],
            trial=self.trial[kept],
            split=[self.split[i] for i in kept],
            voxels=[self.voxels[i] for i in kept],
            pictures=[self.pictures[i] for i in kept],
        )


def read_all(shards: Shards) -> Samples:
    """List every sample and read its small members.

    Raises
    ------
    InvalidInput
        A file is damaged, a sample lacks a member or has one that is not what it must be, or the
        metadata file counts other numbers of samples.
    """
    numbers: list[list[int]] = []
    split: list[str] = []
    voxels, pictures = [], []
    with track("list samples", len(shards.files), unit="files") as bar:
        for name in SPLITS:
            for tar in shards.tars[name]:
                samples = _whole_samples(tar)
                numbers += _numbers(samples)
                voxels += [sample[VOXELS] for sample in samples]
                pictures += [sample[_picture(sample)] for sample in samples]
                split += [name] * len(samples)
                bar.advance(1)
    table = np.array(numbers, dtype=np.int64).reshape(len(numbers), 2 + ROWS)
    found = Samples(
        image=table[:, 0],
        uniques=table[:, 1],
        trial=table[:, 2:],
        split=split,
        voxels=voxels,
        pictures=pictures,
    )
    _check_totals(found, shards)
    return found


def read_rows(members: list[Member]) -> Iterator[NDArray[Any]]:
    """The voxels of samples as stored, (3, V) each.

    Raises
    ------
    InvalidInput
        Not a finite float array (3, V).
    """
    for member, data in zip(members, read_members(members), strict=True):
        values = from_bytes(data, member.where)
        if values.ndim != 2 or len(values) != ROWS or not values.size or values.dtype.kind != "f":
            raise InvalidInput(
                f"{values.dtype} {values.shape} is not a float array (3, voxels)",
                where=member.where,
            )
        if not np.isfinite(values).all():
            raise InvalidInput("a response is not finite", where=member.where)
        yield values


def _whole_samples(tar: Path) -> list[Sample]:
    samples = read_samples(tar, LIMITS)
    for key, sample in samples.items():
        lacking = [name for name in (VOXELS, IMAGE_ID, UNIQUES, TRIAL) if name not in sample]
        if not lacking and not any(name in sample for name in PICTURES):
            lacking = ["jpg or png"]
        if lacking:
            raise InvalidInput(
                f"sample {shown(key.strip('/'))} lacks {lacking[0]}",
                where=str(tar),
                fix="fetch it again",
            )
    if not samples:
        raise InvalidInput("the tar file holds no sample", where=str(tar))
    return list(samples.values())


def _picture(sample: Sample) -> str:
    return next(name for name in PICTURES if name in sample)


def _numbers(samples: list[Sample]) -> list[list[int]]:
    """Image, number of presentations and three trial numbers of every sample."""
    order = [sample[name] for sample in samples for name in (IMAGE_ID, UNIQUES, TRIAL)]
    arrays = [
        from_bytes(data, member.where)
        for member, data in zip(order, read_members(order), strict=True)
    ]
    rows = []
    for place in range(0, len(order), 3):
        image = _whole(arrays[place], order[place], (1,))
        uniques = _whole(arrays[place + 1], order[place + 1], (1,))
        trial = _whole(arrays[place + 2], order[place + 2], (1, ROWS))
        if not 0 <= image[0] <= MAX_IMAGE_ID:
            raise InvalidInput(f"{image[0]} is no image of NSD", where=order[place].where)
        if not 1 <= uniques[0] <= ROWS:
            raise InvalidInput(
                f"{uniques[0]} is no number of presentations from 1 to {ROWS}",
                where=order[place + 1].where,
            )
        rows.append([image[0], uniques[0], *(trial if len(trial) == ROWS else trial * ROWS)])
    return rows


def _whole(values: NDArray[Any], member: Member, sizes: tuple[int, ...]) -> list[int]:
    flat = values.ravel()
    if len(flat) > 1 and len(flat) not in sizes and (flat == flat[0]).all():
        flat = flat[:1]  # one number said several times
    whole = np.isfinite(flat).all() and (flat == np.round(flat)).all()
    if len(flat) not in sizes or not whole or np.abs(flat).max(initial=0) > 2**53:
        raise InvalidInput(
            f"{values.dtype} {values.shape} is not a whole number", where=member.where
        )
    return [int(value) for value in flat]


def _check_totals(samples: Samples, shards: Shards) -> None:
    if shards.totals is None:
        return
    for split, count in samples.counts().items():
        announced = shards.totals.get(split, 0)
        if announced != count:
            raise InvalidInput(
                f"the metadata file counts {announced} {split} samples, the tar files hold {count}",
                where=str(shards.folder / split),
                fix="fetch the tar files that are missing",
            )
