"""How many trials and images NSD's subjects have, in each of its two releases.

The first release left out each subject's last three sessions; MindEye (2023) was trained on it,
and its test set has 982 images. Later work uses all sessions and 1,000. Scores on one do not
compare with scores on the other, so the readers say which one they found.
"""

from __future__ import annotations

from dataclasses import dataclass

# Voxels of `nsdgeneral` in func1pt8mm, subjects 1 to 8.
NSDGENERAL = (15724, 14278, 15226, 13153, 13039, 17907, 12682, 14386)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What one subject has in one release."""

    name: str
    sessions: int
    train_trials: int
    train_images: int
    test_trials: int
    test_images: int


def _release(name: str, sessions: int, train: tuple[int, int], test: tuple[int, int]) -> Release:
    return Release(
        name=name,
        sessions=sessions,
        train_trials=train[0],
        train_images=train[1],
        test_trials=test[0],
        test_images=test[1],
    )


ALL, FIRST = "all sessions", "first release"
_GROUPS = {
    (1, 2, 5, 7): (
        _release(ALL, 40, (27_000, 9_000), (3_000, 1_000)),
        _release(FIRST, 37, (24_980, 8_859), (2_770, 982)),
    ),
    (3, 6): (
        _release(ALL, 32, (21_629, 8_481), (2_371, 930)),
        _release(FIRST, 29, (19_637, 8_188), (2_113, 894)),
    ),
    (4, 8): (
        _release(ALL, 30, (20_312, 8_302), (2_188, 907)),
        _release(FIRST, 27, (18_265, 7_907), (1_985, 872)),
    ),
}
RELEASES: dict[int, tuple[Release, Release]] = {
    subject: both for group, both in _GROUPS.items() for subject in group
}


def release_of(subject: int, *, train_images: int, test_images: int) -> Release | None:
    """The release that has these numbers of images, or None for data of another size."""
    for release in RELEASES[subject]:
        if (train_images, test_images) == (release.train_images, release.test_images):
            return release
    return None


def owner_of_voxels(count: int) -> int | None:
    """The subject whose `nsdgeneral` has so many voxels, counted from 1."""
    return NSDGENERAL.index(count) + 1 if count in NSDGENERAL else None
