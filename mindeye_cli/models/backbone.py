"""Residual MLP from voxels to a set of tokens or a feature map: the trunk of both pipelines.

Shapes: `B` batch, `V` voxels, `H` hidden width. Published as `BrainNetwork` and as the first half
of `Voxel2StableDiffusionModel` (Scotti et al. 2023, section 3.1 and appendix A.3).
"""

from __future__ import annotations

import math

from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "silu": nn.SiLU}


class DenseBlock(nn.Module):
    """Linear, LayerNorm, activation, dropout.

    Parameters
    ----------
    inputs, outputs : int
        Widths.
    dropout : float
        Probability of zeroing an output while training.
    bias : bool
        Whether the linear layer has one (the norm always has).
    activation : {"gelu", "silu"}
        The exact (erf) GELU, or SiLU.
    """

    def __init__(
        self, inputs: int, outputs: int, *, dropout: float, bias: bool, activation: str
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=bias)
        self.norm = nn.LayerNorm(outputs)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        out: Tensor = self.dropout(self.activation(self.norm(self.linear(x))))
        return out


class ResidualMLP(nn.Module):
    """One dense block from voxels, `blocks` residual ones, then a linear layer into `out_shape`.

    Parameters
    ----------
    n_voxels : int
        Voxels of the subject.
    out_shape : tuple of int
        Shape of one sample's output, such as (tokens, width) or (channels, height, width).
    hidden, blocks : int
        Width and number of the residual blocks.
    dropout_in, dropout : float
        After the first block (half the published network's inputs are dropped there), and after
        each residual block.
    bias : bool
        Biases of every linear layer.
    activation : {"gelu", "silu"}
        See `DenseBlock`.
    """

    def __init__(
        self,
        n_voxels: int,
        out_shape: tuple[int, ...],
        *,
        hidden: int,
        blocks: int,
        dropout_in: float,
        dropout: float,
        bias: bool = True,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        self.out_shape = out_shape
        self.stem = DenseBlock(
            n_voxels, hidden, dropout=dropout_in, bias=bias, activation=activation
        )
        self.blocks = nn.ModuleList(
            DenseBlock(hidden, hidden, dropout=dropout, bias=bias, activation=activation)
            for _ in range(blocks)
        )
        self.head = nn.Linear(hidden, math.prod(out_shape), bias=bias)

    def forward(self, voxels: Tensor) -> Tensor:
        """Predict from z-scored voxels.

        Parameters
        ----------
        voxels : Tensor, shape (B, V), float
            z-scored betas.

        Returns
        -------
        Tensor, shape (B, *out_shape)
        """
        x = self.stem(voxels)
        for block in self.blocks:
            x = x + block(x)
        out: Tensor = self.head(x).unflatten(-1, self.out_shape)
        return out
