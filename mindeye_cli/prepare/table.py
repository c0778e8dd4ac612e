"""The trial table: what was shown when, in the order in which the store keeps the trials.

Shapes: `N` trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRAIN, TEST = 0, 1
SPLITS = ("train", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTable:
    """Trials of one subject.

    Attributes
    ----------
    image : int64 array (N,)
        Position in the list of pictures that comes with the table.
    session, run, repeat : int16 arrays (N,)
        `repeat` counts the presentations of an image from 0.
    split : uint8 array (N,)
        0 train, 1 test.
    """

    image: NDArray[np.int64]
    session: NDArray[np.int16]
    run: NDArray[np.int16]
    repeat: NDArray[np.int16]
    split: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.image)

    @property
    def train(self) -> NDArray[np.bool_]:
        """Which trials are for training, bool (N,)."""
        return self.split == TRAIN

    @property
    def n_images(self) -> int:
        """Number of different images shown."""
        return len(np.unique(self.image))

    def splits(self) -> dict[str, Any]:
        """Trials and images of each split, for reports."""
        return {
            name: {
                "trials": int((self.split == label).sum()),
                "images": len(np.unique(self.image[self.split == label])),
            }
            for label, name in enumerate(SPLITS)
        }


def occurrences(image: NDArray[np.int64]) -> NDArray[np.int16]:
    """How often each trial's image was shown before that trial.

    Parameters
    ----------
    image : int64 array (N,)
        Any image numbers, trials in order.

    Returns
    -------
    int16 array (N,), from 0.
    """
    order = np.argsort(image, kind="stable")
    ordered = image[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(image) else order
    counts = np.diff(np.r_[first, len(image)])
    before = np.arange(len(image)) - np.repeat(first, counts)
    result = np.empty(len(image), dtype=np.int16)
    result[order] = before
    return result
