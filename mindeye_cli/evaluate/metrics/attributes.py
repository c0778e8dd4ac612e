"""Attributes of the largest object, as scene-net reads them from the reconstruction.

Two references: the stimulus' record in the store (what was drawn), and scene-net's own reading of
the stimulus (which leaves the reader's mistakes on true pictures out of the score).

Shapes: `n` entries; rows are stimuli, columns are reconstructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mindeye_cli.core.scenes.vocabulary import CATEGORIES, COLOURS
from mindeye_cli.evaluate.features import RESIZE, Reading, scene_net
from mindeye_cli.evaluate.metrics.spec import Floats, Metric, Scores
from mindeye_cli.evaluate.pictures import Pictures

Compare = Callable[[Reading, Reading], Floats]


def truth(stimuli: Pictures) -> Reading:
    """The largest object of every stimulus' record, in the form of a reading.

    Raises
    ------
    ValueError
        The stimuli have no records.
    """
    if stimuli.records is None:
        raise ValueError("stimuli without scene records")
    main: list[dict[str, Any]] = [record["objects"][0] for record in stimuli.records]
    colours = list(COLOURS)
    return Reading(
        category=np.array([CATEGORIES.index(item["category"]) for item in main]),
        colour=np.array([colours.index(item["colour"]) for item in main]),
        place=np.array([[item["x"], item["y"]] for item in main], dtype=np.float64),
        size=np.array([item["size"] for item in main], dtype=np.float64),
        features=np.empty((len(main), 0)),
    )


def same_category(true: Reading, read: Reading) -> Floats:
    """1 where the category is the same, float64 (n, n)."""
    return (true.category[:, None] == read.category[None, :]).astype(np.float64)


def same_colour(true: Reading, read: Reading) -> Floats:
    """1 where the colour is the same, float64 (n, n)."""
    return (true.colour[:, None] == read.colour[None, :]).astype(np.float64)


def distance(true: Reading, read: Reading) -> Floats:
    """Distance of the centres in picture widths, float64 (n, n)."""
    return np.asarray(np.linalg.norm(true.place[:, None] - read.place[None, :], axis=2))


def size_difference(true: Reading, read: Reading) -> Floats:
    """Absolute difference of the sizes in picture widths, float64 (n, n)."""
    return np.asarray(np.abs(true.size[:, None] - read.size[None, :]))


def _compute(compare: Compare, reference: Callable[[Pictures], Reading]) -> Any:
    def compute(stimuli: Pictures, recons: Pictures, cross: bool) -> Scores:
        values = compare(reference(stimuli), scene_net(recons))
        return Scores(per_entry=np.diagonal(values).copy(), cross=values if cross else None)

    return compute


def _metric(name: str, compare: Compare, *, record: bool, chance: float | None) -> Metric:
    against = "the stimulus' record" if record else "scene-net's reading of the stimulus"
    return Metric(
        name=name,
        direction="lower" if chance is None else "higher",
        unit="picture widths" if chance is None else "share",
        compute=_compute(compare, truth if record else scene_net),
        chance=chance,
        domain="scenes",
        records=record,
        on_stimuli=record,
        card={
            "network": "scene-net, reading the largest object",
            "resize": RESIZE,
            "formula": f"{compare.__doc__.split(',')[0] if compare.__doc__ else name};"
            f" reconstruction against {against}",
        },
    )


_CATEGORY, _COLOUR = 1 / len(CATEGORIES), 1 / len(COLOURS)
ATTRIBUTES = (
    _metric("category_accuracy", same_category, record=True, chance=_CATEGORY),
    _metric("colour_accuracy", same_colour, record=True, chance=_COLOUR),
    _metric("position_error", distance, record=True, chance=None),
    _metric("size_error", size_difference, record=True, chance=None),
    _metric("category_agreement", same_category, record=False, chance=_CATEGORY),
    _metric("colour_agreement", same_colour, record=False, chance=_COLOUR),
    _metric("position_shift", distance, record=False, chance=None),
    _metric("size_shift", size_difference, record=False, chance=None),
)
