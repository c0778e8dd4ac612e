"""How a reconstruction is computed: what does not change a picture but for its last bits.

It follows from the machine of the first start, and a resume or a replay does the same again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from mindeye_cli.core.threads import threads
from mindeye_cli.models.running import pick_device
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
    threads : int
        Torch's, on a CPU.
    device : str
        Its kind, such as `cpu` or `cuda`.
    """

    batch_items: int
    batch_pictures: int
    threads: int
    device: str

    @property
    def threads_here(self) -> int | None:
        """Threads to compute with; None leaves torch's own, where another device computes."""
        return self.threads if self.device == pick_device().type == "cpu" else None


def rounding_here(batch_items: int, batch_pictures: int) -> Rounding:
    """How this process computes, if it is not told otherwise."""
    with threads():
        return Rounding(batch_items, batch_pictures, **in_force())


def in_force() -> dict[str, Any]:
    """Threads and device that compute at this moment."""
    return {"threads": torch.get_num_threads(), "device": pick_device().type}


def recorded_rounding(stored: dict[str, Any], path: Path) -> Rounding:
    """Read how a plan was computed from its record, or from a manifest.

    Raises
    ------
    InvalidInput
        One of them is missing, or of another type.
    """
    found: dict[str, Any] = {field.name: stored.get(field.name) for field in fields(Rounding)}
    device = found.pop("device")
    if not isinstance(device, str):
        raise InvalidInput("device is no name", where=str(path))
    for name, size in found.items():
        if not isinstance(size, int) or size < 1:
            raise InvalidInput(f"{name} is no positive whole number", where=str(path))
    return Rounding(**found, device=device)
