"""Metrics over a network's features: two-way identification, its harder forms, and distances.

A judge is a network's node. Features are computed once for a set of pictures (`features.py`,
`networks/`), and correlations once for a pair of sets.

Shapes: `n` entries, `F` features; rows are stimuli, columns are reconstructions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.evaluate import features as builtin
from mindeye_cli.evaluate.metrics import identification as ways
from mindeye_cli.evaluate.metrics.correlation import Floats, pearson_matrix, pearson_rows
from mindeye_cli.evaluate.metrics.spec import Compute, Metric, Scores
from mindeye_cli.evaluate.metrics.twoway import FORMULA, two_way_of
from mindeye_cli.evaluate.networks import published
from mindeye_cli.evaluate.networks.extract import card, features
from mindeye_cli.evaluate.networks.published import Network
from mindeye_cli.evaluate.pictures import Pictures

TWO_PAPERS = "Scotti et al. 2023; Ozcelik & VanRullen 2023"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Features by which pictures are told apart.

    Attributes
    ----------
    name : str
    read : callable
        Pictures to float array (n, F).
    facts : callable
        Pictures to what a metric's card says of them.
    published : bool
        Weights that the user must have.
    """

    name: str
    read: Callable[[Pictures], NDArray[np.floating]]
    facts: Callable[[Pictures], dict[str, Any]]
    published: bool = True

    @property
    def domain(self) -> Literal["any", "scenes"]:
        """The built-in networks know procedural scenes only."""
        return "any" if self.published else "scenes"

    def correlations(self, stimuli: Pictures, recons: Pictures) -> Floats:
        """Of all pairs, (n, n); kept with the reconstructions for the next metric."""
        key = f"correlations {self.name} {stimuli.fingerprint}"
        return recons.cached(key, lambda: pearson_matrix(self.read(stimuli), self.read(recons)))


def _node(network: Network, node: str, name: str) -> Judge:
    def facts(pictures: Pictures) -> dict[str, Any]:
        return {**card(network, pictures), "node": node, "source": TWO_PAPERS}

    return Judge(name=name, read=lambda pictures: features(network, pictures)[node], facts=facts)


def _builtin(name: str, told: str, read: Callable[[Pictures], Floats], **more: str) -> Judge:
    facts = {"network": told, "resize": builtin.RESIZE, **more}
    return Judge(name=name, read=read, facts=lambda _: facts, published=False)


SCENE_CLIP = _builtin(
    "scene_clip",
    "scene-clip, pooled embedding (128)",
    builtin.scene_clip,
    caution="the same network gives the targets that the brain models learn",
)
SCENE_NET = _builtin(
    "scene_net",
    "scene-net, an independent judge that is no target of any model",
    lambda pictures: builtin.scene_net(pictures).features,
)
ALEXNET2 = _node(published.ALEXNET, "features.4", "alexnet2")
ALEXNET5 = _node(published.ALEXNET, "features.11", "alexnet5")
INCEPTION = _node(published.INCEPTION, "avgpool", "inception")
CLIP = _node(published.CLIP_L14, "embedding", "clip")
EFFICIENTNET = _node(published.EFFICIENTNET, "avgpool", "efficientnet")
SWAV = _node(published.SWAV, "avgpool", "swav")


def two_way_metric(judge: Judge) -> Metric:
    """Two-way identification by a judge."""

    def compute(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
        return two_way_of(judge.correlations(stimuli, recons), stimuli.groups, cross=cross)

    return _metric(judge, f"twoway_{judge.name}", compute, FORMULA, chance=0.5, least=2)


def distance_metric(judge: Judge) -> Metric:
    """Correlation distance of every reconstruction from its stimulus."""

    def compute(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
        if not cross:
            r = pearson_rows(judge.read(stimuli), judge.read(recons))
            return Scores(per_entry=1 - r)
        table = 1 - judge.correlations(stimuli, recons)
        return Scores(per_entry=np.diagonal(table).copy(), cross=table)

    return _metric(
        judge,
        f"corrdist_{judge.name}",
        compute,
        "1 - Pearson r over features, mean",
        direction="lower",
        unit="1 - r",
    )


def identification_metrics(judge: Judge) -> tuple[Metric, ...]:
    """10-way, 50-way, first of all, mean rank, and two-way against the nearest stimuli."""

    def counted(score: Callable[[ways.Beaten], Scores]) -> Compute:
        def compute(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
            r = judge.correlations(stimuli, recons)
            return score(ways.beaten(r, stimuli.groups, cross=cross))

        return compute

    def hard(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
        r = judge.correlations(stimuli, recons)
        return ways.hard_two_way(judge.read(stimuli), r, stimuli.groups, cross=cross)

    drawn = "chance of the highest Pearson r among {} stimuli, over all draws of the others"
    several = [
        _metric(
            judge,
            f"{n}way_{judge.name}",
            counted(ways.n_way(n)),
            drawn.format(n),
            chance=1 / n,
            least=n,
        )
        for n in (10, 50)
    ]
    return (
        *several,
        _metric(
            judge,
            f"top1_{judge.name}",
            counted(ways.first_of_all),
            "share whose own stimulus has the highest Pearson r of all",
            least=2,
        ),
        _metric(
            judge,
            f"rank_{judge.name}",
            counted(ways.rank),
            "mean place of the own stimulus among all by Pearson r, from 1; ties count against it",
            direction="lower",
            unit="rank",
            least=2,
        ),
        _metric(
            judge,
            f"hard_twoway_{judge.name}",
            hard,
            f"two-way identification against the {ways.NEAREST} stimuli nearest to the own one",
            chance=0.5,
            least=3,
        ),
    )


def _metric(
    judge: Judge,
    name: str,
    compute: Compute,
    formula: str,
    *,
    direction: Literal["higher", "lower"] = "higher",
    unit: str = "share",
    chance: float | None = None,
    least: int = 1,
) -> Metric:
    return Metric(
        name=name,
        direction=direction,
        unit=unit,
        compute=compute,
        chance=chance,
        least=least,
        domain=judge.domain,
        costly=judge.published,
        facts=judge.facts,
        card={"formula": formula},
    )
