"""The low-level model: voxels to the latents of a variational autoencoder.

Shapes: `B` batch, `B_s` its rows of subject `s`, `V_s` that subject's voxels, `C` map channels,
`h`/`w` map side, `P` = h*w positions, `H`/`W` latent side, `M` width of the maps (Scotti et al.
2023, section 3.4 and appendix A.3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diffusers.models.autoencoders.vae import Decoder
from torch import Tensor, nn

from mindeye_cli.models.backbone import ResidualMLP
from mindeye_store.errors import UsageProblem

# Of the published upsampler: two doublings.
LEVELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LowLevelConfig:
    """Sizes of the low-level model; the defaults are the paper's.

    Attributes
    ----------
    n_voxels : tuple of int
        Voxels of every subject.
    latent_channels, latent_size : int
        Channels and side of the latent.
    hidden, blocks : int
        Width and number of residual blocks.
    dropout_in, dropout : float
        After the first layer, and after each block.
    map_channels, map_size : int
        The feature map between MLP and upsampler. A `map_size` of 0 follows from the latent's side
        and the upsampler's levels.
    upsampler_channels : tuple of int
        Channels of the upsampler's levels, finest first; each level but one doubles the side. An
        empty one follows: as many levels as lie between map and latent, three where `map_size` is
        0 too.
    upsampler_width : int
        Channels of the finest of levels that follow; each coarser one doubles them.
    layers_per_block, norm_groups : int
        Residual layers a level has (plus one), and the groups of its GroupNorms.
    maps_width : int
        Width of the maps for the auxiliary contrastive loss, that of the teacher's features.
    with_maps : bool
        Whether the maps projector exists; it serves training only.
    """

    n_voxels: tuple[int, ...]
    latent_channels: int = 4
    latent_size: int = 64
    hidden: int = 4096
    blocks: int = 4
    dropout_in: float = 0.5
    dropout: float = 0.25
    map_channels: int = 64
    map_size: int = 0
    upsampler_channels: tuple[int, ...] = ()
    upsampler_width: int = 64
    layers_per_block: int = 1
    norm_groups: int = 32
    maps_width: int = 512
    with_maps: bool = True

    def __post_init__(self) -> None:
        """Fill in the sizes that follow, and refuse sizes that do not meet."""
        levels = len(self.upsampler_channels) or _levels(self.map_size, self.latent_size)
        if not self.upsampler_channels:
            widths = tuple(self.upsampler_width * 2**level for level in range(levels))
            object.__setattr__(self, "upsampler_channels", widths)
        if not self.map_size:
            object.__setattr__(self, "map_size", _map_size(self.latent_size, levels))
        reached = self.map_size * 2 ** (levels - 1)
        if reached != self.latent_size:
            raise UsageProblem(
                f"a {self.map_size}x{self.map_size} map and {levels} levels reach a latent side "
                f"of {reached}, not {self.latent_size}",
                fix="leave out map_size or upsampler_channels, which then follows from the other",
            )
        if any(channels % self.norm_groups for channels in self.upsampler_channels):
            raise UsageProblem(
                f"upsampler_channels {self.upsampler_channels} must be multiples of "
                f"norm_groups {self.norm_groups}"
            )


def _levels(map_size: int, latent_size: int) -> int:
    """Levels of an upsampler from `map_size` to `latent_size`; three where the map follows."""
    if not map_size:
        return LEVELS
    doublings = (latent_size // map_size).bit_length() - 1
    if map_size * 2 ** max(doublings, 0) != latent_size:
        raise UsageProblem(
            f"doubling the side of a {map_size}x{map_size} map never gives a latent side of "
            f"{latent_size}",
            where="map_size",
            fix="choose a map_size that is the latent side halved once or more, or leave it out",
        )
    return doublings + 1


def _map_size(latent_size: int, levels: int) -> int:
    """Side of the map below `levels` levels."""
    halved, rest = divmod(latent_size, 2 ** (levels - 1))
    if rest or not halved:
        raise UsageProblem(
            f"a latent side of {latent_size} does not divide by {2 ** (levels - 1)}, that is by "
            f"{levels - 1} upsamplings",
            where="latent_size",
            fix="set map_size to the latent side halved as often as it divides",
        )
    return halved


class MapsProjector(nn.Sequential):
    """Three 1x1 convolutions with GroupNorm over the whole map and ReLU between them."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.GroupNorm(1, width),
            nn.ReLU(),
            nn.Conv2d(width, width, 1, bias=False),
            nn.GroupNorm(1, width),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, feature_map: Tensor) -> Tensor:
        """Map (B, C, h, w) to positions in reading order, (B, P, M)."""
        maps: Tensor = super().forward(feature_map)
        return maps.flatten(2).transpose(1, 2)


class LowLevelModel(nn.Module):
    """Residual MLP to a small map, convolutional upsampler to the latent, maps for a teacher.

    Parameters
    ----------
    config : LowLevelConfig
        Sizes.
    """

    compiled = ("backbone", "upsampler")

    def __init__(self, config: LowLevelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = ResidualMLP(
            config.n_voxels,
            (config.map_channels, config.map_size, config.map_size),
            hidden=config.hidden,
            blocks=config.blocks,
            dropout_in=config.dropout_in,
            dropout=config.dropout,
            bias=False,
            activation="silu",
        )
        self.norm = nn.GroupNorm(1, config.map_channels)
        levels = len(config.upsampler_channels)
        self.upsampler = Decoder(
            in_channels=config.map_channels,
            out_channels=config.latent_channels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=config.upsampler_channels,
            layers_per_block=config.layers_per_block,
            norm_num_groups=config.norm_groups,
        )
        self.maps_projector: MapsProjector | None = None
        if config.with_maps:
            self.maps_projector = MapsProjector(config.map_channels, config.maps_width)

    def feature_map(self, voxels: Sequence[Tensor]) -> Tensor:
        """The normalised map (B, C, h, w) that upsampler and projector share."""
        out: Tensor = self.norm(self.backbone(voxels))
        return out

    def maps(self, feature_map: Tensor) -> Tensor:
        """Positions (B, P, M) of the auxiliary contrastive loss, in reading order.

        Raises
        ------
        ValueError
            When the model was built without the projector.
        """
        if self.maps_projector is None:
            raise ValueError("this low-level model has no maps projector (with_maps is false)")
        out: Tensor = self.maps_projector(feature_map)
        return out

    def forward(
        self, voxels: Sequence[Tensor], with_maps: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Predict latents, and the maps too when asked (one pass, as wrappers such as DDP need).

        Parameters
        ----------
        voxels : sequence of Tensor, each (B_s, V_s)
            z-scored betas, one tensor a subject in the order of `config.n_voxels`.
        with_maps : bool
            Return (latents, maps).

        Returns
        -------
        Tensor, shape (B, latent channels, H, W)
            In the scaled latent space, that is posterior mode times the scaling factor.
        Tensor, shape (B, P, M)
            Only with `with_maps`.
        """
        feature_map = self.feature_map(voxels)
        latents: Tensor = self.upsampler(feature_map)
        if with_maps:
            return latents, self.maps(feature_map)
        return latents
