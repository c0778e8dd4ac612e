"""Voxels to tokens: `voxel2clip` of the published checkpoints, with the retrieval head.

Shapes: `B` batch, `V` voxels, `T` tokens, `D` token width, `H` hidden width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transcription.sizes import Sizes


class BrainNetwork(nn.Module):
    """Linear block, residual blocks, one wide linear layer; then the projector on every token."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        hidden, width, inner = sizes.hidden, sizes.width, sizes.projector_hidden
        self.lin0 = self._block(sizes.voxels, hidden, sizes.dropout_in)
        self.mlp = nn.ModuleList(
            self._block(hidden, hidden, sizes.dropout) for _ in range(sizes.blocks)
        )
        self.lin1 = nn.Linear(hidden, sizes.tokens * width)
        self.projector = nn.Sequential(
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Linear(width, inner),
            nn.LayerNorm(inner),
            nn.GELU(),
            nn.Linear(inner, inner),
            nn.LayerNorm(inner),
            nn.GELU(),
            nn.Linear(inner, width),
        )

    @staticmethod
    def _block(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.GELU(), nn.Dropout(dropout)
        )

    def forward(self, voxels: Tensor) -> tuple[Tensor, Tensor]:
        """Backbone tokens and retrieval tokens, each (B, T, D), of voxels (B, V)."""
        x = self.lin0(voxels)
        for block in self.mlp:
            x = block(x) + x
        x = self.lin1(x)
        tokens: Tensor = x.reshape(len(x), self.sizes.tokens, self.sizes.width)
        retrieval: Tensor = self.projector(tokens)
        return tokens, retrieval


def unit(x: Tensor) -> Tensor:
    """Flatten each sample and divide it by its norm."""
    return torch.nn.functional.normalize(x.flatten(1), dim=-1)
