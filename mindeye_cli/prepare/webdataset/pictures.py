"""Pictures of MindEye's tar files: one per image, read from the first sample that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.prepare.decode import pixels_of
from mindeye_cli.prepare.tar import Member, read_members
from mindeye_cli.prepare.webdataset.samples import Samples, read_rows
from mindeye_store.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class TarPictures:
    """Encoded pictures inside tar files.

    Attributes
    ----------
    rows : int64 array (n,)
        NSD's number of every picture, from 0.
    members : list of Member
    size : tuple of int
        Height and width of every picture.
    captions, records : list, optional
    """

    rows: NDArray[np.int64]
    members: list[Member]
    size: tuple[int, int]
    captions: list[str] | None
    records: list[dict[str, Any]] | None

    @property
    def ids(self) -> list[str]:
        """Names of the pictures, the same as `prepare nsd` gives."""
        return [f"nsd{row:05d}" for row in self.rows]

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pixels, uint8 (k, H, W, 3)."""
        members = [self.members[i] for i in positions]
        pixels = np.empty((len(members), *self.size, 3), dtype=np.uint8)
        for place, data in enumerate(read_members(members)):
            pixels[place] = pixels_of(data, members[place].where, self.size)
        return pixels


def size_of(member: Member) -> tuple[int, int]:
    """Height and width of a picture."""
    (data,) = read_members([member])
    height, width = pixels_of(data, member.where).shape[:2]
    return int(height), int(width)


def merge_duplicates(samples: Samples) -> Samples:
    """Leave out samples that say again what another said.

    Samples of one image must show the same pixels and stand in one split. One whose responses are
    the same too is a copy and is left out; one with other responses has more presentations.

    Raises
    ------
    InvalidInput
        Two samples of one image differ in their pixels, or stand in training and in test.
    """
    seen: dict[int, list[int]] = {}
    kept = []
    for number, image in enumerate(samples.image.tolist()):
        others = seen.setdefault(image, [])
        if others:
            _must_agree(samples, others[0], number)
        if not any(_same_responses(samples, other, number) for other in others):
            others.append(number)
            kept.append(number)
    return samples if len(kept) == len(samples) else samples.take(kept)


def _must_agree(samples: Samples, first: int, second: int) -> None:
    members = [samples.pictures[first], samples.pictures[second]]
    image, places = samples.image[first], " and ".join(member.where for member in members)
    if (samples.split[first] == "test") != (samples.split[second] == "test"):
        raise InvalidInput(f"image {image} stands in training and in test", where=places)
    one, other = (
        pixels_of(data, member.where)
        for member, data in zip(members, read_members(members), strict=True)
    )
    if not np.array_equal(one, other):
        raise InvalidInput(f"image {image} has two different pictures", where=places)


def _same_responses(samples: Samples, first: int, second: int) -> bool:
    one, other = read_rows([samples.voxels[first], samples.voxels[second]])
    return np.array_equal(one, other)
