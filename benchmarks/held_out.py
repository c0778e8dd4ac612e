"""Images that a run kept for validation: settings are chosen on them, never on the test set."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.runs import read_run
from mindeye_cli.core.trials import training_trials
from mindeye_cli.train.facts import split_items


def validation_rows(store: Any, run: Path) -> NDArray[np.int64]:
    """Global image rows of the training images that a run of one subject was not fitted on."""
    (subject,) = read_run(run).subjects
    rows = training_trials(store, store.subject(subject)).image_rows
    config = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))
    _, held = split_items(len(rows), config["data"]["validation"], config["seed"])
    if not len(held):
        raise SystemExit(f"{run} kept no validation images: --set data.validation=0.05")
    return np.asarray(rows[held])
