"""A training that has diverged stops with its step and its images, and with what to do next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mindeye_cli.core.checkpoint import latest_step
from mindeye_store.errors import MindeyeError

# Ids named in the message of a failed batch; all of them go to the log.
NAMED_IDS = 8


class Watch:
    """Notes the first loss that is not finite.

    Asking a GPU for a value makes it wait, so the note stays on the device until it is looked at.

    Parameters
    ----------
    run : Path
    device : torch.device
    """

    def __init__(self, run: Path, device: torch.device) -> None:
        self._run = run
        self._step = torch.full((), -1, device=device)

    def note(self, loss: Tensor, step: int) -> None:
        """Remember the step if its loss is the first that is not finite."""
        bad = (self._step < 0) & ~torch.isfinite(loss)
        self._step = torch.where(bad, step, self._step)

    def refuse(self, images: Callable[[int], list[str]]) -> None:
        """Stop where a loss was not finite; `images` tells a step's image ids, and logs them.

        Raises
        ------
        MindeyeError
        """
        step = int(self._step)
        if step < 0:
            return
        ids = images(step)
        more = f" and {len(ids) - NAMED_IDS} more" if len(ids) > NAMED_IDS else ""
        raise MindeyeError(
            "the loss is not finite",
            where=f"step {step}, images {', '.join(ids[:NAMED_IDS])}{more}",
            fix=self._way_on(),
        )

    def refuse_weights(self, finite: bool, step: int) -> None:
        """Stop where a weight is not finite.

        Raises
        ------
        MindeyeError
        """
        if not finite:
            raise MindeyeError(
                "a weight is not finite", where=f"{self._run}, step {step}", fix=self._way_on()
            )

    def _way_on(self) -> str:
        """Another configuration is another run: start it from what this one has saved."""
        step = latest_step(self._run)
        if not step:
            return "no checkpoint is there: add --overwrite, lower optim.lr or set optim.clip=1"
        return (
            f"give a new RUN --set init.run={self._run}, which goes on from the weights of step"
            f" {step}, and a lower optim.lr or optim.clip=1"
        )
