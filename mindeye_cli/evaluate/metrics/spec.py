"""What a metric is: a name, a direction, a card, and a function of stimuli and reconstructions.

Shapes: `n` entries; in an (n, n) array rows are stimuli and columns are reconstructions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.evaluate.pictures import Pictures

Floats = NDArray[np.float64]
Compute = Callable[[Pictures, Pictures, bool], "Scores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a metric finds.

    Attributes
    ----------
    per_entry : float64 array (n,)
        Score of each reconstruction with its own stimulus; NaN where undefined.
    cross : float64 array (n, n) or None
        Score of reconstruction `j` (column) if its stimulus were `i` (row); only when asked for.
    wins : float64 array (n, n) or None
        For metrics over pairs: 1 where distractor `i` loses against the true stimulus of `j`.
    """

    per_entry: Floats
    cross: Floats | None = None
    wins: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of the registry.

    Attributes
    ----------
    compute : callable
        (stimuli, reconstructions, cross) to Scores; `cross` asks for the (n, n) array.
    chance : float or None
        What guessing scores, where a number follows from the definition.
    card : mapping
        How it is computed: resize, network, formula.
    facts : callable or None
        What the card also says, from the stimuli: a network's weights and the protocol's resize.
    costly : bool
        Reads pictures by a large network: not used to look at every candidate of a choice.
    least : int
        Distinct images below which it is undefined.
    domain : {"any", "scenes"}
        `scenes`: read by networks that know procedural scenes only.
    records : bool
        Needs the stimuli's scene records.
    on_stimuli : bool
        Also worth computing on the stimuli themselves, as the reader's own ceiling.
    """

    name: str
    direction: Literal["higher", "lower"]
    unit: str
    compute: Compute
    chance: float | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    facts: Callable[[Pictures], Mapping[str, Any]] | None = None
    costly: bool = False
    least: int = 1
    domain: Literal["any", "scenes"] = "any"
    records: bool = False
    on_stimuli: bool = False
