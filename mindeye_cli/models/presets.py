"""Sizes of the presets; number of voxels, tokens and widths of targets come from the data.

`paper` repeats the configurations' defaults. `lean` is `paper` with an MLP of a quarter of the
width: the last layer, 85 % of the published weights, shrinks with it. `paper-pooled` is the
published model of the pooled embedding, with DALLE2-pytorch's stock prior as
`nousr/conditioned-prior` configures it; without text that prior reads 256 learned tokens. Its
target is not normalised and is multiplied by sqrt(width) all the same (`scale` 0). `scene` suits
the built-in encoder (17 tokens of width 128, latents of 4x16x16) and two CPU cores.
"""

from __future__ import annotations

from typing import Any

LEAN_WIDTH = 1024

HIGH_LEVEL: dict[str, dict[str, Any]] = {
    "paper": {
        "hidden": 4096,
        "blocks": 4,
        "dropout_in": 0.5,
        "dropout": 0.15,
        "projector_hidden": 2048,
        "prior": {"depth": 6, "heads": 12, "dim_head": 64, "ff_mult": 4, "timesteps": 100},
    },
    "paper-pooled": {
        "hidden": 4096,
        "blocks": 4,
        "dropout_in": 0.5,
        "dropout": 0.15,
        "projector_hidden": 2048,
        "prior": {
            "depth": 12,
            "heads": 12,
            "dim_head": 64,
            "ff_mult": 4,
            "timesteps": 1000,
            "causal": True,
            "query": "token",
            "time": "table",
            "padding": 256,
            "inner_norm": True,
            "drop_condition": 0.1,
            "drop_image": 0.1,
            "dropout": 0.05,
            "scale": 0.0,
        },
    },
    "scene": {
        "hidden": 1024,
        "blocks": 1,
        "dropout_in": 0.5,
        "dropout": 0.15,
        "projector_hidden": 256,
        "prior": {
            "depth": 2,
            "heads": 4,
            "dim_head": 32,
            "ff_mult": 2,
            "timesteps": 100,
            "residual": True,
        },
    },
}

LOW_LEVEL: dict[str, dict[str, Any]] = {
    "paper": {
        "latent_channels": 4,
        "latent_size": 64,
        "hidden": 4096,
        "blocks": 4,
        "dropout_in": 0.5,
        "dropout": 0.25,
        "map_channels": 64,
        "upsampler_width": 64,
        "layers_per_block": 1,
        "norm_groups": 32,
        "maps_width": 512,
    },
    # A 4x4 map has as many positions as the built-in encoder, its teacher, has patch tokens.
    "scene": {
        "latent_channels": 4,
        "latent_size": 16,
        "hidden": 1024,
        "blocks": 1,
        "dropout_in": 0.5,
        "dropout": 0.25,
        "map_channels": 64,
        "upsampler_width": 16,
        "layers_per_block": 1,
        "norm_groups": 8,
        "maps_width": 128,
    },
}

HIGH_LEVEL["lean"] = {**HIGH_LEVEL["paper"], "hidden": LEAN_WIDTH}
LOW_LEVEL["lean"] = {**LOW_LEVEL["paper"], "hidden": LEAN_WIDTH}
