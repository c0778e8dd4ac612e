"""From voxels to a set of tokens or a feature map: an input layer a subject, one shared trunk.

Shapes: `B` batch, `B_s` its rows of subject `s`, `V_s` that subject's voxels, `H` hidden width.
The residual trunk is published as `BrainNetwork` and as the first half of
`Voxel2StableDiffusionModel` (Scotti et al. 2023, section 3.1 and appendix A.3); an input layer a
subject, as in MindEye2 (Scotti et al. 2024, section 2.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "silu": nn.SiLU}
Trunk = Literal["residual", "affine"]


class SubjectLayers(nn.Module):
    """One linear layer a subject into a shared width, then what follows for all alike.

    Parameters
    ----------
    inputs : tuple of int
        Voxels of every subject.
    outputs : int
        The shared width.
    dropout : float
        Probability of zeroing an output while training.
    bias : bool
        Whether the linear layers have one.
    activation : {"gelu", "silu"}, optional
        It and a LayerNorm before it; None leaves both out.
    """

    def __init__(
        self,
        inputs: tuple[int, ...],
        outputs: int,
        *,
        dropout: float,
        bias: bool,
        activation: str | None,
    ) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(size, outputs, bias=bias) for size in inputs)
        self.norm: nn.Module = nn.Identity() if activation is None else nn.LayerNorm(outputs)
        self.activation = nn.Identity() if activation is None else ACTIVATIONS[activation]()
        self.dropout = nn.Dropout(dropout)

    def forward(self, voxels: Sequence[Tensor]) -> Tensor:
        """Map one (B_s, V_s) a subject to (B, H), the subjects' rows one after the other."""
        if isinstance(voxels, Tensor):
            raise TypeError("give a sequence of tensors, one a subject")  # It would iterate rows.
        # A subject without rows multiplies all the same: its gradients are zeros, never None.
        parts = [linear(part) for linear, part in zip(self.linears, voxels, strict=True)]
        out: Tensor = self.dropout(self.activation(self.norm(torch.cat(parts))))
        return out


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
    """An input layer a subject, `blocks` residual ones, then a linear layer into `out_shape`.

    Everything after the input layers is shared. `trunk="affine"` leaves out norm, activation and
    blocks: input layer, dropout, output layer. That is an affine map of rank `hidden` at most, a
    ridge regression with a bottleneck, and what the released MindEye2 trunk amounts to. It is the
    choice for little data, or where a subject's map is to be cut down by its singular values.

    Parameters
    ----------
    n_voxels : tuple of int
        Voxels of every subject.
    out_shape : tuple of int
        Shape of one sample's output, such as (tokens, width) or (channels, height, width).
    hidden, blocks : int
        Width, and number of the residual blocks; the affine trunk has none.
    dropout_in, dropout : float
        After the first block (half the published network's inputs are dropped there), and after
        each residual block.
    bias : bool
        Biases of every linear layer.
    activation : {"gelu", "silu"}
        See `DenseBlock`.
    trunk : {"residual", "affine"}
    """

    def __init__(
        self,
        n_voxels: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        hidden: int,
        blocks: int,
        dropout_in: float,
        dropout: float,
        bias: bool = True,
        activation: str = "gelu",
        trunk: Trunk = "residual",
    ) -> None:
        super().__init__()
        self.out_shape = out_shape
        residual = trunk == "residual"
        self.stem = SubjectLayers(
            n_voxels,
            hidden,
            dropout=dropout_in,
            bias=bias,
            activation=activation if residual else None,
        )
        self.blocks = nn.ModuleList(
            DenseBlock(hidden, hidden, dropout=dropout, bias=bias, activation=activation)
            for _ in range(blocks if residual else 0)
        )
        self.head = nn.Linear(hidden, math.prod(out_shape), bias=bias)

    def forward(self, voxels: Sequence[Tensor]) -> Tensor:
        """Predict from z-scored voxels.

        Parameters
        ----------
        voxels : sequence of Tensor, each (B_s, V_s), float
            z-scored betas, one tensor a subject in the order of `n_voxels`; it may have no rows.

        Returns
        -------
        Tensor, shape (B, *out_shape)
            The subjects' rows one after the other, in the same order.
        """
        x = self.stem(voxels)
        for block in self.blocks:
            x = x + block(x)
        out: Tensor = self.head(x).unflatten(-1, self.out_shape)
        return out
