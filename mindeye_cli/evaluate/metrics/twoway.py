"""Two-way identification by correlated features (Scotti et al. 2023; Ozcelik & VanRullen 2023).

For each reconstruction, the share of the other stimuli whose features correlate less with it than
those of its own stimulus, by strict inequality: a tie is not a win.

Shapes: `n` entries, `F` features; rows are stimuli, columns are reconstructions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.evaluate.metrics.correlation import Floats, pearson_matrix
from mindeye_cli.evaluate.metrics.identification import beaten
from mindeye_cli.evaluate.metrics.spec import Scores

FORMULA = "share of other stimuli with a lower Pearson r than the own one (strict), mean"


def two_way(
    stimuli: NDArray[np.floating],
    recons: NDArray[np.floating],
    groups: NDArray[np.int64],
    *,
    cross: bool = False,
) -> Scores:
    """Two-way identification from features.

    Parameters
    ----------
    stimuli, recons : float arrays (n, F)
    groups : int64 array (n,)
        The image of each entry; entries of one image are never each other's distractors.
    cross : bool
        Also score every reconstruction as if it belonged to every other stimulus.

    Returns
    -------
    Scores
    """
    return two_way_of(pearson_matrix(stimuli, recons), groups, cross=cross)


def two_way_of(r: Floats, groups: NDArray[np.int64], *, cross: bool) -> Scores:
    """The same from the correlations, float64 (n, n)."""
    counts = beaten(r, groups, cross=cross)
    wins = (r < np.diagonal(r)[None, :]).astype(np.float64)
    wins[:, np.isnan(np.diagonal(r))] = np.nan  # Constant features have no correlation.
    table = counts.cross
    return Scores(
        per_entry=counts.own / counts.among,
        cross=None if table is None else table / counts.among[:, None],
        wins=wins,
    )
