"""BiMixCo: contrastive loss over voxels that are mixed in pairs.

Shapes: `B` batch, `V` voxels, `F` features of a flattened row. Kim et al. 2020 (MixCo), made
symmetric by Scotti et al. 2023, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TEMPERATURE = 0.006


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Who is mixed with whom, and how much.

    Attributes
    ----------
    partner : Tensor, shape (B,), int64
        A permutation of the batch; a sample may be its own partner.
    weight : Tensor, shape (B,), float32
        The sample's own share; 1 where it is not mixed.
    """

    partner: Tensor
    weight: Tensor


def draw_mix(
    batch: int, rng: np.random.Generator, *, beta: float = 0.15, fraction: float = 0.5
) -> Mix:
    """Draw a permutation, shares from Beta(beta, beta), and which samples are mixed at all.

    Parameters
    ----------
    batch : int
        Size of the whole batch, over all processes.
    rng : numpy.random.Generator
        Seeded by the caller for this step.
    beta : float
        Both parameters of the Beta distribution.
    fraction : float
        Chance that a sample is mixed.
    """
    partner = rng.permutation(batch)
    share = rng.beta(beta, beta, size=batch)
    weight = np.where(rng.random(batch) < fraction, share, 1.0)
    return Mix(
        partner=torch.from_numpy(partner.astype(np.int64)),
        weight=torch.from_numpy(weight.astype(np.float32)),
    )


def mix_voxels(voxels: Tensor, mix: Mix) -> Tensor:
    """Convex combination of each sample with its partner, shape (B, V)."""
    weight = mix.weight.to(voxels)[:, None]
    return weight * voxels + (1 - weight) * voxels[mix.partner.to(voxels.device)]


def bimixco(
    predicted: Tensor,
    target: Tensor,
    mix: Mix,
    temperature: float = TEMPERATURE,
    *,
    published: bool = False,
) -> Tensor:
    """Cross-entropy against the mixing shares, brain to image and image to brain, averaged.

    Parameters
    ----------
    predicted, target : Tensor, shape (B, F)
        Unit rows: from mixed voxels, and of the unmixed images.
    mix : Mix
        The mixing that made the voxels.
    temperature : float
        Divides the cosines.
    published : bool
        As released, a sample that is its own partner keeps only the partner's share of its
        target. By default both shares add up to one.

    Returns
    -------
    Tensor, scalar
    """
    weight = mix.weight.to(predicted)
    row = torch.arange(len(predicted), device=predicted.device)
    partner = mix.partner.to(predicted.device)
    shares = torch.diag(weight)
    shares = shares.index_put((row, partner), 1 - weight, accumulate=not published)
    logits = predicted @ target.T / temperature
    forward = -(shares * logits.log_softmax(dim=1)).sum(dim=1).mean()
    backward = -(shares * logits.log_softmax(dim=0)).sum(dim=0).mean()
    return (forward + backward) / 2
