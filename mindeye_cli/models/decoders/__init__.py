"""Generators that turn embeddings of a SPACE into pictures, behind one small interface.

A decoder is chosen by name with :func:`load_decoder`; :mod:`.base` says what each must offer.
"""

from __future__ import annotations

from mindeye_cli.models.decoders.base import Decoder, to_pixels
from mindeye_cli.models.decoders.load import load_decoder
from mindeye_cli.models.decoders.registry import DECODERS

__all__ = ["DECODERS", "Decoder", "load_decoder", "to_pixels"]
