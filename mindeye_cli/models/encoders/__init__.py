"""Frozen image encoders: one function per family, found by the name of the SPACE."""

from mindeye_cli.models.encoders.augment import augmented, view_encoder
from mindeye_cli.models.encoders.base import Encoder, array_encoder
from mindeye_cli.models.encoders.policies import find_policy
from mindeye_cli.models.encoders.registry import load_encoder, space_shape

__all__ = [
    "Encoder",
    "array_encoder",
    "augmented",
    "find_policy",
    "load_encoder",
    "space_shape",
    "view_encoder",
]
