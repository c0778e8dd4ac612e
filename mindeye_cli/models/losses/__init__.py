"""Losses of both pipelines; contrastive ones take rows already brought to unit length."""

from __future__ import annotations

from mindeye_cli.models.losses.latent import latent_loss
from mindeye_cli.models.losses.mixco import Mix, bimixco, draw_mix, mix_voxels
from mindeye_cli.models.losses.rows import token_rows, unit_rows
from mindeye_cli.models.losses.soft_contrastive import soft_contrastive
from mindeye_cli.models.losses.softclip import softclip, softclip_temperature

__all__ = [
    "Mix",
    "bimixco",
    "draw_mix",
    "latent_loss",
    "mix_voxels",
    "soft_contrastive",
    "softclip",
    "softclip_temperature",
    "token_rows",
    "unit_rows",
]
