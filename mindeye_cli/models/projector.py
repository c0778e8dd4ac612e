"""Retrieval head: an MLP shared by all tokens, trained by the contrastive loss alone.

Shapes: `B` batch, `T` tokens, `D` token width. It frees the backbone, which the prior reads, from
the contrastive objective (Scotti et al. 2023, section 3.2).
"""

from __future__ import annotations

from torch import Tensor, nn

from mindeye_cli.models.running import Recomputing


class TokenProjector(Recomputing, nn.Sequential):
    """Three linear layers, each after LayerNorm and GELU; no residual.

    Parameters
    ----------
    width : int
        Token width `D`, in and out.
    hidden : int
        Width between the layers.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Linear(width, hidden),
            nn.LayerNorm(hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.LayerNorm(hidden),
            nn.GELU(),
            nn.Linear(hidden, width),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, T, D) to retrieval tokens (B, T, D)."""
        return self.piece(super().forward, tokens)
