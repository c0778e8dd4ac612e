"""What one simulation is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from mindeye_store.errors import UsageProblem

Layout = Literal["nsd", "arrays", "webdataset", "mindeye2"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
MIN_VOXELS = 100
# Scene seeds hold 20 bits of the simulation's seed and 20 of the picture's number.
SEED_LIMIT = 2**20
IMAGE_LIMIT = 100_000
DUPLICATES_PER_GROUP = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateConfig:
    """Parameters that fix every byte of a simulation.

    Parameters
    ----------
    layout : {"nsd", "arrays", "webdataset", "mindeye2"}
        NSD's own files, the plain layout that `prepare arrays` reads, or the packed files of
        MindEye (2023) or MindEye2.
    subjects : tuple of int
        Subject numbers, 1 to 8 as in NSD, ascending.
    images : int
        Training images of each subject, seen by nobody else.
    test : int
        Test images, shown to every subject.
    repeats : int
        Planned presentations of an image, 1 to 3 as NSD's tables can hold.
    voxels : int
        Voxels in `nsdgeneral`.
    snr : float
        Multiple of the calibrated signal-to-noise ratio; 0 gives noise alone.
    seed : int
        Seed of everything random.
    cooccurrence : bool
        Make some categories appear together.
    near_duplicates : int
        Test images that get near-duplicates, each differing in one attribute.
    """

    layout: Layout = "nsd"
    subjects: tuple[int, ...] = (1,)
    images: int = 1000
    test: int = 100
    repeats: int = 3
    voxels: int = 3000
    snr: float = 1.0
    seed: int = 0
    cooccurrence: bool = False
    near_duplicates: int = 0

    def __post_init__(self) -> None:
        ordered = tuple(sorted(set(self.subjects)))
        checks = (
            (self.layout in LAYOUTS, "--layout", f"is one of {', '.join(LAYOUTS)}"),
            (
                bool(ordered) and ordered == self.subjects and 1 <= ordered[0] <= ordered[-1] <= 8,
                "--subjects",
                "is a list of different numbers from 1 to 8 in ascending order, such as 1,2",
            ),
            (2 <= self.images <= IMAGE_LIMIT, "--images", f"is between 2 and {IMAGE_LIMIT}"),
            (1 <= self.test <= IMAGE_LIMIT // 4, "--test", f"is between 1 and {IMAGE_LIMIT // 4}"),
            (1 <= self.repeats <= 3, "--repeats", "is 1, 2 or 3"),
            (self.voxels >= MIN_VOXELS, "--voxels", f"is at least {MIN_VOXELS}"),
            (0.0 <= self.snr <= 100.0, "--snr", "is between 0 and 100"),
            (0 <= self.seed < SEED_LIMIT, "--seed", f"is between 0 and {SEED_LIMIT - 1}"),
            (
                0 <= self.near_duplicates <= self.test,
                "--near-duplicates",
                "is between 0 and the number of test images",
            ),
        )
        for holds, option, rule in checks:
            if not holds:
                raise UsageProblem(f"{option} {rule}", where=option)

    @property
    def shared(self) -> int:
        """Images shown to every subject: the test images and their near-duplicates."""
        return self.test + DUPLICATES_PER_GROUP * self.near_duplicates
