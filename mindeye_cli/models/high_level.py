"""The high-level model: voxels to tokens, with a retrieval head and a diffusion prior.

Shapes: `B` batch, `B_s` its rows of subject `s`, `V_s` that subject's voxels, `T` tokens, `D` token
width (Scotti et al. 2023, figure 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor, nn

from mindeye_cli.models.backbone import ResidualMLP, Trunk
from mindeye_cli.models.prior import DiffusionPrior, Generators, PriorConfig
from mindeye_cli.models.projector import TokenProjector


@dataclass(frozen=True, slots=True, kw_only=True)
class HighLevelConfig:
    """Sizes of the high-level model; the defaults are the paper's.

    Attributes
    ----------
    n_voxels : tuple of int
        Voxels of every subject.
    tokens, width : int
        Number and width of the target's tokens.
    hidden, blocks : int
        Width and number of residual blocks.
    trunk : {"residual", "affine"}
        The published residual MLP, or a map of rank `hidden` without blocks (see `ResidualMLP`).
    dropout_in, dropout : float
        After the first layer, and after each block.
    projector_hidden : int
        Width inside the retrieval head.
    with_projector, with_prior : bool
        Without the head the backbone's tokens serve retrieval; without the prior nothing is
        sampled. Both off in turn make the paper's ablations.
    prior : PriorConfig
        The diffusion prior.
    """

    n_voxels: tuple[int, ...]
    tokens: int
    width: int
    hidden: int = 4096
    blocks: int = 4
    trunk: Trunk = "residual"
    dropout_in: float = 0.5
    dropout: float = 0.15
    projector_hidden: int = 2048
    with_projector: bool = True
    with_prior: bool = True
    prior: PriorConfig = field(default_factory=PriorConfig)


class HighLevelOutput(NamedTuple):
    """What one training pass gives.

    Attributes
    ----------
    backbone, retrieval : Tensor, shape (B, T, D)
        The backbone's tokens and the retrieval head's.
    prior_loss : Tensor or None
        Scalar; None when no target was given or the model has no prior.
    """

    backbone: Tensor
    retrieval: Tensor
    prior_loss: Tensor | None


class HighLevelModel(nn.Module):
    """Backbone, projector and prior; each may also be called alone.

    Parameters
    ----------
    config : HighLevelConfig
        Sizes.
    """

    compiled = ("backbone", "projector", "prior.net")

    def __init__(self, config: HighLevelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = ResidualMLP(
            config.n_voxels,
            (config.tokens, config.width),
            hidden=config.hidden,
            blocks=config.blocks,
            dropout_in=config.dropout_in,
            dropout=config.dropout,
            trunk=config.trunk,
        )
        self.projector: nn.Module = nn.Identity()
        if config.with_projector:
            self.projector = TokenProjector(config.width, config.projector_hidden)
        self.prior: DiffusionPrior | None = None
        if config.with_prior:
            self.prior = DiffusionPrior(config.tokens, config.width, config.prior)

    def forward(
        self,
        voxels: Sequence[Tensor],
        target: Tensor | None = None,
        generator: Generators | None = None,
    ) -> HighLevelOutput:
        """One pass through all parts, so that wrappers such as DDP see every parameter's use.

        Parameters
        ----------
        voxels : sequence of Tensor, each (B_s, V_s)
            z-scored betas, mixed or not: one tensor a subject, in the order of `config.n_voxels`.
            Rows of all else follow the subjects' rows one after the other.
        target : Tensor, shape (B, T, D), optional
            Image tokens for the prior's loss.
        generator : torch.Generator or list of them, one a sample, optional
            Source of the prior's draws; needed with `target`.
        """
        tokens = self.backbone(voxels)
        loss = None
        if target is not None and self.prior is not None:
            if generator is None:
                raise ValueError("the prior's loss needs a generator")
            loss = self.prior.loss(target, tokens, generator)
        return HighLevelOutput(tokens, self.projector(tokens), loss)
