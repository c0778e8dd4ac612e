"""Schedules of the presets; the networks' sizes are in `models/presets.py`.

`paper` is every configuration's default, in bf16 where the paper had fp16: the same speed without
a loss scaler, and with 5 % of the training images held out to choose models by, on which the paper
trained too (`data.validation=0` gives them back). `paper-pooled` weighs its prior by the published
.03: the loss is of a target whose elements have the embedding's norm as their root mean square, not
1. `lean` fits a card of 12 GB: a narrower MLP (`models/presets.py`), activations of the prior
computed twice, and data in main memory where the card has no room for them. `scene` is tuned for
one CPU core, a thousand training images and single-trial noise ceilings near .2, on held-out
training images of simulated brains.
"""

from __future__ import annotations

from typing import Any

HIGH_LEVEL: dict[str, dict[str, Any]] = {
    "paper": {"optim": {"precision": "bf16"}},
    "paper-pooled": {"losses": {"prior": 0.03}, "optim": {"precision": "bf16"}},
    "lean": {"optim": {"precision": "bf16", "checkpointing": True}},
    "scene": {
        "data": {"repeats": "random-convex", "validation": 0.05},
        "optim": {"epochs": 50, "batch": 128, "lr": 5e-3, "weight_decay": 1.0, "warmup": 0.1},
        "losses": {
            "mixco_beta": 1.0,
            "mixco_fraction": 1.0,
            "mixco_temperature": 0.02,
            "softclip_start": 0.02,
            "softclip_end": 0.02,
            "regression": 30.0,
        },
    },
}

LOW_LEVEL: dict[str, dict[str, Any]] = {
    "paper": {
        "data": {"repeats": "random-convex"},
        "optim": {"epochs": 120, "batch": 8, "lr": 5e-4, "warmup": 2 / 120},
    },
    "lean": {
        "data": {"repeats": "random-convex"},
        "optim": {
            "epochs": 120,
            "batch": 8,
            "lr": 5e-4,
            "warmup": 2 / 120,
            "precision": "bf16",
        },
    },
    "scene": {
        "data": {"repeats": "random-convex", "validation": 0.05},
        "optim": {"epochs": 24, "batch": 64, "lr": 3e-3, "weight_decay": 1.0, "warmup": 0.1},
        "losses": {
            "error": "mse",
            "scaling_factor": 1.0,
            "form": "softclip",
            "teacher": "scene-clip:tokens",
        },
    },
}
