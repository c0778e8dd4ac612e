"""The log's numbers in TensorBoard or Weights & Biases, where the configuration asks for them.

Only numbers are handed over: no configuration, no paths, no pictures, no data. Weights & Biases
stays offline unless `WANDB_MODE` says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mindeye_store.errors import MissingResource

PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}


class Trackers:
    """Open trackers of one run; made on the main process only.

    Parameters
    ----------
    names : sequence of {"tensorboard", "wandb"}
    run : Path
        Their files go below it.

    """

    def __init__(self, names: Sequence[str], run: Path) -> None:
        self._open = [_start(name, run) for name in names]

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Hand over the numbers among `values`."""
        numbers = {
            name: float(value)
            for name, value in values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        for tracker in self._open:
            tracker.log(numbers, step=step)

    def close(self) -> None:
        """Write what is still held back."""
        for tracker in self._open:
            tracker.finish()


def refuse_absent(names: Sequence[str]) -> None:
    """Refuse trackers that cannot be opened.

    Raises
    ------
    MissingResource
        A tracker's package is not installed.
    """
    for name in names:
        if find_spec(PACKAGES[name]) is None:
            raise MissingResource(
                f"the package {PACKAGES[name]} is not installed",
                where="loop.trackers",
                fix="pip install 'mindeye[track]', or --set 'loop.trackers=[]'",
            )


def _start(name: str, run: Path) -> Any:
    from accelerate import tracking

    if name == "tensorboard":
        made = tracking.TensorBoardTracker("tensorboard", logging_dir=str(run))
    else:
        import wandb

        made = tracking.WandBTracker(
            "mindeye",
            dir=str(run),
            mode=os.environ.get("WANDB_MODE", "offline"),
            settings=wandb.Settings(disable_git=True, disable_code=True, console="off"),
        )
    made.start()
    return made
