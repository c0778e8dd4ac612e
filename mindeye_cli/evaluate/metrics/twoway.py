"""Two-way identification by correlated features (Scotti et al. 2023; Ozcelik & VanRullen 2023).

For each reconstruction, the share of the other stimuli whose features correlate less with it than
those of its own stimulus, by strict inequality: a tie is not a win.

Shapes: `n` entries, `F` features; rows are stimuli, columns are reconstructions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.evaluate import features
from mindeye_cli.evaluate.metrics.correlation import pearson_matrix
from mindeye_cli.evaluate.metrics.spec import Floats, Metric, Scores
from mindeye_cli.evaluate.pictures import Pictures

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
    r = pearson_matrix(stimuli, recons)
    distractor = (groups[:, None] != groups[None, :]).astype(np.float64)
    wins = (r < np.diagonal(r)[None, :]).astype(np.float64)
    wins[:, np.isnan(np.diagonal(r))] = np.nan  # Constant features have no correlation.
    per_entry = (wins * distractor).sum(axis=0) / distractor.sum(axis=0)
    return Scores(
        per_entry=per_entry, cross=_if_it_were(r, distractor) if cross else None, wins=wins
    )


def _if_it_were(r: Floats, distractor: Floats) -> Floats:
    """Share of distractors beaten by stimulus i for reconstruction j, for every i and j."""
    n = len(r)
    result = np.empty((n, n))
    for j in range(n):
        below = r[:, j][:, None] < r[:, j][None, :]  # [k, i]: k loses against i
        result[:, j] = (below * distractor).sum(axis=0) / distractor.sum(axis=0)
    return result


def scene_clip(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
    """Two-way identification by the pooled embedding of scene-clip."""
    sides = [features.scene_clip(pictures) for pictures in (stimuli, recons)]
    return two_way(sides[0], sides[1], stimuli.groups, cross=cross)


def scene_net(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
    """Two-way identification by the features of scene-net."""
    sides = [features.scene_net(pictures).features for pictures in (stimuli, recons)]
    return two_way(sides[0], sides[1], stimuli.groups, cross=cross)


TWOWAY_SCENE_CLIP = Metric(
    name="twoway_scene_clip",
    direction="higher",
    unit="share",
    compute=scene_clip,
    chance=0.5,
    least=2,
    domain="scenes",
    card={
        "network": "scene-clip, pooled embedding (128)",
        "resize": features.RESIZE,
        "formula": FORMULA,
        "caution": "the same network gives the targets that the brain models learn",
    },
)
TWOWAY_SCENE_NET = Metric(
    name="twoway_scene_net",
    direction="higher",
    unit="share",
    compute=scene_net,
    chance=0.5,
    least=2,
    domain="scenes",
    card={
        "network": "scene-net, an independent judge that is no target of any model",
        "resize": features.RESIZE,
        "formula": FORMULA,
    },
)
