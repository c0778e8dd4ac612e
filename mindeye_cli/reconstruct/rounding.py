"""How a reconstruction is computed: what does not change a picture but for its last bits.

It follows from the machine of the first start, and a resume or a replay does the same again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mindeye_store.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Rounding:
    """What the last bits of a picture depend on: sums are added up in another order.

    Attributes
    ----------
    batch_items : int
        Of every file that a stage leaves.
    batch_pictures : int
        Drawn together, by the generator and by the encoder of the choice; the candidates of one
        item may take several goes.
    """

    batch_items: int
    batch_pictures: int


def recorded_rounding(stored: dict[str, Any], path: Path) -> Rounding:
    """Read how a plan was computed from its record, or from a manifest.

    Raises
    ------
    InvalidInput
        A number is missing, or is none.
    """
    found: dict[str, Any] = {field.name: stored.get(field.name) for field in fields(Rounding)}
    for name, size in found.items():
        if not isinstance(size, int) or size < 1:
            raise InvalidInput(f"{name} is no positive whole number", where=str(path))
    return Rounding(**found)
