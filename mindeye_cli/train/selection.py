"""Which images train, and beside which targets: the settings behind two controls.

`hold_out` leaves a whole cluster of images out, to see what a model makes of kinds of images that
it never saw. `shuffle_rows` puts every image's responses beside another training image's target:
a model fitted so has learned the targets' distribution and nothing of the brain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.clusters import parse_held_out
from mindeye_cli.core.sampler import rng
from mindeye_cli.core.trials import ImageTrials, training_trials
from mindeye_cli.train.targets import open_targets
from mindeye_store import Store, Subject

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How the training images of a run are chosen.

    Attributes
    ----------
    sessions : int
        Only the first so many; 0 takes all.
    hold_out : str
        "3/8" leaves cluster 3 of 8 out; empty leaves nothing out.
    hold_out_space : str
        SPACE of the clusters.
    shuffle_rows : bool
    seed : int
        Of the shuffle.
    """

    sessions: int = 0
    hold_out: str = ""
    hold_out_space: str = ""
    shuffle_rows: bool = False
    seed: int = 0

    @property
    def held_out(self) -> tuple[str, str]:
        """The cluster and its SPACE; empty for none."""
        return (self.hold_out, self.hold_out_space) if self.hold_out else ("", "")

    def trials(self, store: Store, subjects: Sequence[Subject]) -> list[ImageTrials]:
        """Every subject's training trials, less those of the cluster that is held out.

        Raises
        ------
        InvalidInput, MissingResource
            The store has no such space, or too few images for the clusters.
        """
        found = [training_trials(store, subject, self.sessions) for subject in subjects]
        if not self.hold_out:
            return found
        cluster = parse_held_out(self.hold_out, self.hold_out_space)
        target = open_targets(store, cluster.space)
        # All sessions: which images are held out must not depend on how many sessions train.
        every = [training_trials(store, subject).image_rows for subject in subjects]
        union = np.unique(np.concatenate(every))
        held = cluster.rows(target, union, union)
        return [trials.take(np.flatnonzero(~np.isin(trials.image_rows, held))) for trials in found]

    def target_rows(self, shown: Sequence[Rows]) -> list[Rows]:
        """Whose target stands beside each subject's images: their own, or shuffled ones.

        One shuffle for all subjects: an image that two of them saw has one target for both.
        """
        if not self.shuffle_rows:
            return list(shown)
        union = np.unique(np.concatenate(shown))
        shuffled = rng(self.seed, "shuffled rows").permutation(union)
        return [shuffled[np.searchsorted(union, rows)] for rows in shown]
