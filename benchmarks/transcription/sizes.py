"""Sizes of one model and of one batch, shared by both sides of the comparison."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Everything that decides how much work a step is; the defaults are the paper's.

    Attributes
    ----------
    batch, voxels, repeats : int
        Images a step, voxels of the subject, repetitions stored of every image.
    hidden, blocks, tokens, width, projector_hidden : int
        Of the backbone, its output and the retrieval head.
    depth, heads, dim_head, ff_mult, timesteps, rotary : int
        Of the prior.
    dropout_in, dropout : float
        Of the backbone.
    drop_condition, drop_image : float
        Of the prior's inputs.
    """

    batch: int = 32
    voxels: int = 15724
    repeats: int = 3
    hidden: int = 4096
    blocks: int = 4
    tokens: int = 257
    width: int = 768
    projector_hidden: int = 2048
    depth: int = 6
    heads: int = 12
    dim_head: int = 64
    ff_mult: int = 4
    timesteps: int = 100
    rotary: int = 32
    dropout_in: float = 0.5
    dropout: float = 0.15
    drop_condition: float = 0.2
    drop_image: float = 0.2

    @property
    def sequence(self) -> int:
        """Tokens of the prior's sequence: brain, time, image."""
        return 2 * self.tokens + 1
