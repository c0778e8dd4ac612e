"""The prior's denoiser: brain tokens and a noisy image embedding in, the clean embedding out.

Shapes: `B` batch, `T` tokens, `D` token width. Sequence: learned padding if any, T brain tokens,
one time token, T noisy image tokens, and T query tokens unless a table added to the noisy ones asks
instead. The last T positions are the output, or with `residual` what is added to the brain tokens
(Scotti et al. 2023, section 3.3 and appendix A.3.1; Ramesh et al. 2022, section 2.2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mindeye_cli.models.prior.config import PriorConfig
from mindeye_cli.models.prior.transformer import PriorTransformer


class TimeToken(nn.Sequential):
    """MLP over a sinusoid of the raw step number, with two hidden layers of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.Linear(width, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, width),
        )
        self.width = width

    def forward(self, times: Tensor) -> Tensor:
        """Map integer steps (B,) to tokens (B, D)."""
        # Any space may be odd or narrow: the last cosine is left out, one frequency stands alone.
        half = (self.width + 1) // 2
        steps = torch.arange(half, device=times.device, dtype=torch.float32)
        rates = torch.exp(steps * -(math.log(10000.0) / max(half - 1, 1)))
        angles = times[:, None].float() * rates
        waves = torch.cat((angles.sin(), angles.cos()), dim=-1)[:, : self.width]
        out: Tensor = super().forward(waves)
        return out


class PriorNetwork(nn.Module):
    """Transformer that predicts the clean, scaled image tokens.

    Parameters
    ----------
    tokens, width : int
        Number and width of the tokens of one image.
    config : PriorConfig
        Depth, heads, position settings, and how time and answer are asked for.
    """

    def __init__(self, tokens: int, width: int, config: PriorConfig) -> None:
        super().__init__()
        self.time: nn.Module = TimeToken(width)
        if config.time == "table":
            self.time = nn.Embedding(config.timesteps, width)
        self.position: nn.Parameter | None = None
        self.query: nn.Parameter | None = None
        if config.query == "added":
            self.position = nn.Parameter(torch.randn(tokens, width) * width**-0.5)
        else:
            self.query = nn.Parameter(torch.randn(tokens, width))
        self.padding: nn.Parameter | None = None
        if config.padding:
            self.padding = nn.Parameter(torch.randn(config.padding, width))
        self.null_condition = nn.Parameter(torch.randn(tokens, width))
        self.null_image = nn.Parameter(torch.randn(tokens, width))
        self.transformer = PriorTransformer(width, config)
        self.residual = config.residual
        if config.residual:
            nn.init.zeros_(self.transformer.to_out.weight)

    def forward(
        self,
        noisy: Tensor,
        times: Tensor,
        condition: Tensor,
        drop_condition: Tensor | None = None,
        drop_image: Tensor | None = None,
    ) -> Tensor:
        """Predict the clean embedding in the scaled space.

        Parameters
        ----------
        noisy : Tensor, shape (B, T, D)
            Noised, scaled image tokens.
        times : Tensor, shape (B,), int64
            Step of the noise schedule of each sample.
        condition : Tensor, shape (B, T, D)
            Brain tokens, neither scaled nor normalised; with `residual` they are a first guess of
            the answer.
        drop_condition, drop_image : Tensor, shape (B,), bool, optional
            Samples whose brain or noisy tokens give way to the learned null tables.

        Returns
        -------
        Tensor, shape (B, T, D)
        """
        if drop_condition is not None:
            condition = torch.where(drop_condition[:, None, None], self.null_condition, condition)
        if drop_image is not None:
            noisy = torch.where(drop_image[:, None, None], self.null_image, noisy)
        sequence = torch.cat(self._parts(noisy, self.time(times), condition), dim=1)
        out: Tensor = self.transformer(sequence)[:, -noisy.shape[1] :]
        return condition + out if self.residual else out

    def _parts(self, noisy: Tensor, time: Tensor, condition: Tensor) -> list[Tensor]:
        """The sequence in order, each part (B, its length, D)."""
        if self.position is not None:
            noisy = noisy + self.position
        parts = [condition, time[:, None], noisy]
        if self.padding is not None:
            parts.insert(0, self.padding.expand(len(noisy), -1, -1))
        if self.query is not None:
            parts.append(self.query.expand(len(noisy), -1, -1))
        return parts
