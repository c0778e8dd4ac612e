"""The transcription's side of `train_step.py`: one documented training step after the other.

Shapes: `B` batch, `V` voxels, `T` tokens, `D` token width.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from transcription import loader
from transcription.losses import Transcription, draw
from transcription.optimizer import make_optimizer
from transcription.sizes import Sizes


class Theirs:
    """Model, optimiser and loader of the transcription on a CPU."""

    def __init__(self, sizes: Sizes, shards: list[Path]) -> None:
        self.sizes = sizes
        self.model = Transcription(sizes).train()
        self.optimizer = make_optimizer(self.model)
        self.source = loader.batches(shards, sizes.batch, seed=0)
        self.step_number = 0

    def fetch(self) -> tuple[Tensor, Tensor]:
        """One repetition of a batch's voxels (B, V), the same for all, and targets (B, T, D)."""
        voxels, target = next(self.source)
        return voxels[:, self.step_number % self.sizes.repeats], target

    def step(self) -> None:
        """Load, loss, gradients and update, in the phase that mixes voxels."""
        voxels, target = self.fetch()
        loss, _ = self.model(voxels, target, draw(self.sizes, target.device), None)
        self.optimizer.zero_grad()
        loss.backward()
        self.update()
        self.step_number += 1

    def update(self) -> None:
        """The optimiser's part of a step."""
        self.optimizer.step()

    def attention(self, x: Tensor, grad: Tensor) -> None:
        """Forward and backward of the position bias and of every attention layer, alone."""
        transformer = self.model.net.causal_transformer
        bias = transformer.rel_pos_bias(x.shape[1], x.shape[1] + 1)
        out = torch.zeros_like(x)
        for attention, _ in transformer.layers:
            out = out + attention(x, bias)
        out.backward(grad)
