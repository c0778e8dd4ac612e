"""BiMixCo, SoftCLIP, the prior's loss and their sum, as documented and with explicit draws.

Shapes: `B` batch, `V` voxels, `T` tokens, `D` width, `F` = T x D.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from transcription.backbone import BrainNetwork, unit
from transcription.prior import NoiseScheduler, PriorNetwork
from transcription.sizes import Sizes

TEMPERATURE = 0.006
PRIOR_WEIGHT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """The random choices of one step.

    Attributes
    ----------
    partner, share : Tensor, shape (B,)
        MixCo's permutation, and each sample's own share (1 where it is not mixed).
    times : Tensor, shape (B,), int64
    noise : Tensor, shape (B, T, D)
    keep_brain, keep_image : Tensor, shape (B,), bool
    """

    partner: Tensor
    share: Tensor
    times: Tensor
    noise: Tensor
    keep_brain: Tensor
    keep_image: Tensor


def draw(sizes: Sizes, device: torch.device) -> Draws:
    """Draw from torch's global generator."""
    batch = sizes.batch
    share = torch.distributions.Beta(0.15, 0.15).sample((batch,)).to(device)
    mixed = torch.rand(batch, device=device) <= 0.5
    return Draws(
        partner=torch.randperm(batch, device=device),
        share=torch.where(mixed, share, torch.ones_like(share)),
        times=torch.randint(0, sizes.timesteps, (batch,), device=device),
        noise=torch.randn(batch, sizes.tokens, sizes.width, device=device),
        keep_brain=torch.rand(batch, device=device) >= sizes.drop_condition,
        keep_image=torch.rand(batch, device=device) >= sizes.drop_image,
    )


class Transcription(nn.Module):
    """The whole model under the published names, with the loss of one step."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.voxel2clip = BrainNetwork(sizes)
        self.net = PriorNetwork(sizes)
        self.noise_scheduler = NoiseScheduler(sizes.timesteps)

    def forward(
        self, voxels: Tensor, target: Tensor, draws: Draws, temperature: float | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss and its parts.

        Parameters
        ----------
        voxels : Tensor, shape (B, V)
        target : Tensor, shape (B, T, D)
        draws : Draws
        temperature : float or None
            None in the BiMixCo phase, which mixes voxels; SoftCLIP's temperature later.
        """
        if temperature is None:
            share = draws.share[:, None]
            voxels = voxels * share + voxels[draws.partner] * (1 - share)
        tokens, retrieval = self.voxel2clip(voxels)
        predicted, wanted = unit(retrieval), unit(target)
        if temperature is None:
            contrastive = bimixco(predicted, wanted, draws)
        else:
            contrastive = softclip(predicted, wanted, temperature)
        clean = target * math.sqrt(self.sizes.width)
        noisy = self.noise_scheduler.add_noise(clean, draws.times, draws.noise)
        answer = self.net(noisy, draws.times, tokens, draws.keep_brain, draws.keep_image)
        prior = functional.mse_loss(answer, clean)
        return contrastive + PRIOR_WEIGHT * prior, {"contrastive": contrastive, "prior": prior}


def bimixco(predicted: Tensor, target: Tensor, draws: Draws) -> Tensor:
    """Both directions' cross-entropy; as released, the partner's share is assigned, not added."""
    logits = predicted @ target.T / TEMPERATURE
    shares = torch.diag(draws.share)
    shares[torch.arange(len(shares), device=shares.device), draws.partner] = 1 - draws.share
    forward = -(logits.log_softmax(-1) * shares).sum(-1).mean()
    backward = -(logits.T.log_softmax(-1) * shares.T).sum(-1).mean()
    return (forward + backward) / 2


def softclip(predicted: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Both directions' cross-entropy against the softened similarities of the targets."""
    labels = (target @ target.T / temperature).softmax(-1)
    logits = predicted @ target.T / temperature
    forward = -(logits.log_softmax(-1) * labels).sum(-1).mean()
    backward = -(logits.T.log_softmax(-1) * labels).sum(-1).mean()
    return (forward + backward) / 2
