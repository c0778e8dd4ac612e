"""scene-clip's training: contrastive to captions, plus attributes read from pooled and patches.

With the contrastive loss alone a short training reads little more than colour and layout. The
attribute losses are linear read-outs, dense over the token grid, so that the tokens carry content
and place linearly, which is what a linear or shallow brain decoder can reach.

Shape legend: B batch; N pool size; 64 patches; 16 cells of 16x16 pixels; D=128.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from mindeye_cli.builtin.loop import Loop, LoopConfig, batch_rows
from mindeye_cli.builtin.pool import Pool
from mindeye_cli.core.scenes import BACKGROUNDS, CATEGORIES, COLOURS, TEXTURES
from mindeye_cli.models.scene.clip import SceneClip, pool_grid
from mindeye_cli.models.scene.words import CONTEXT

WIDTH = 128
_WORDS = (
    *("a", "and", "on", "background", "top", "middle", "bottom", "left", "centre", "right"),
    *("small", "medium", "large", "plain", "striped", "dotted", "checked"),
)


def clip_config() -> dict[str, Any]:
    """Architecture and vocabulary, as `config.json` keeps them."""
    words = sorted({*_WORDS, *CATEGORIES, *COLOURS, *BACKGROUNDS})
    return {
        "words": words,
        "open_clip": {
            "embed_dim": WIDTH,
            "vision_cfg": {
                "image_size": 64,
                "patch_size": 8,
                "width": WIDTH,
                "layers": 4,
                "head_width": 32,
                "output_tokens": True,
            },
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": len(words) + 3,
                "width": WIDTH,
                "heads": 4,
                "layers": 2,
            },
        },
    }


def to_unit(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 (B, 64, 64, 3) to float32 (B, 3, 64, 64) in [0, 1]."""
    return torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 255


class Readouts(nn.Module):
    """Linear heads used in training only."""

    def __init__(self) -> None:
        super().__init__()
        sizes = {
            "category": len(CATEGORIES),
            "colour": len(COLOURS),
            "texture": len(TEXTURES),
            "kind": len(BACKGROUNDS),
            "tint": len(COLOURS),
            "place": 3,
            "present": len(CATEGORIES),
        }
        self.pooled = nn.ModuleDict({name: nn.Linear(WIDTH, n) for name, n in sizes.items()})
        self.patch = nn.Linear(WIDTH, len(CATEGORIES) + 1)
        self.cell = nn.Linear(WIDTH, len(CATEGORIES) + 1)
        self.colours = nn.Linear(WIDTH, 48)
        self.edges = nn.Linear(WIDTH, 2)


class Trainee(nn.Module):
    """The encoder and the heads that only training uses."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = SceneClip(clip_config())
        self.readouts = Readouts()


def participation_ratio(features: Tensor) -> float:
    """(sum of eigenvalues)^2 / sum of squared eigenvalues of the features' covariance (N, D)."""
    covariance = torch.cov(features.T)
    return (covariance.trace().square() / covariance.square().sum()).item()


def _cell_targets(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Per cell: colours of its sixteen 4x4-pixel blocks (B, 16, 48); edge energies (B, 16, 2)."""
    blocks = functional.avg_pool2d(pixels, 4)
    colours = functional.unfold(blocks, 4, stride=4).transpose(1, 2) * 2 - 1
    grey = functional.pad(pixels.mean(1, keepdim=True), (0, 1, 0, 1), mode="replicate")
    across = (grey[..., :-1, 1:] - grey[..., :-1, :-1]).abs()
    down = (grey[..., 1:, :-1] - grey[..., :-1, :-1]).abs()
    energy = functional.avg_pool2d(torch.cat([across, down], 1), 16)
    return colours, energy.flatten(2).transpose(1, 2) * 20


def _spread(pooled: Tensor) -> Tensor:
    """Share of the batch's variance that is off the diagonal, or unequal along it."""
    unit = functional.normalize(pooled, dim=-1)
    covariance = torch.cov(unit.T)
    # 1 / participation ratio: smallest when the variance is spread evenly over all directions.
    return covariance.square().sum() / covariance.trace().square()


def _dense_loss(heads: Readouts, patches: Tensor, pixels: Tensor, occupancy: Tensor) -> Tensor:
    """Losses of the token grid: category, colours and edges at their place."""
    cells = pool_grid(patches)
    colours, edges = _cell_targets(pixels)
    patch_logits = heads.patch(patches).flatten(0, 1)
    cell_share = pool_grid(occupancy)
    loss = functional.cross_entropy(patch_logits, occupancy.flatten(0, 1))
    loss = loss + functional.cross_entropy(
        heads.cell(cells).flatten(0, 1), cell_share.flatten(0, 1)
    )
    loss = loss + 10 * functional.mse_loss(heads.colours(cells), colours)
    return loss + 0.5 * functional.mse_loss(heads.edges(cells), edges)


def _pooled_loss(
    heads: Readouts, pooled: Tensor, pool: Pool, rows: NDArray[np.int64]
) -> tuple[Tensor, float]:
    """Losses of the global token, and the batch's accuracy on the main category."""
    labels = torch.from_numpy(np.concatenate([pool.main[rows], pool.backdrop[rows]], axis=1))
    names = ("category", "colour", "texture", "kind", "tint")
    loss = torch.zeros(())
    for column, name in enumerate(names):
        loss = loss + functional.cross_entropy(heads.pooled[name](pooled), labels[:, column])
    place = torch.from_numpy(pool.place[rows])
    present = torch.from_numpy(pool.present[rows]).float()
    loss = loss + 10 * functional.mse_loss(heads.pooled["place"](pooled), place)
    logits = heads.pooled["present"](pooled)
    loss = loss + 2 * functional.binary_cross_entropy_with_logits(logits, present)
    hits = (heads.pooled["category"](pooled).argmax(1) == labels[:, 0]).float()
    return loss, hits.mean().item()


def train_clip(pool: Pool, heldout: Pool, config: LoopConfig, folder: Path) -> tuple[Trainee, Loop]:
    """Train, or resume; the held-out scenes are only logged."""
    torch.manual_seed(config.seed)
    model = Trainee()
    loop = Loop(model, config, folder)
    probe = to_unit(heldout.pixels[:512])

    def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
        rows = batch_rows(len(pool), config.batch, config.seed, step)
        pixels = to_unit(pool.pixels[rows])
        captions = [pool.scene(int(row)).caption() for row in rows]
        occupancy = torch.from_numpy(pool.occupancy[rows]).float().flatten(1, 2) / 64
        # torch's fused attention is slow in bf16 on CPU, hence the plain one.
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            pooled, patches = model.encoder.patches(pixels)
            text = model.encoder.embed_text(captions)
        pooled, patches, text = pooled.float(), patches.float(), text.float()
        scale = model.encoder.clip.logit_scale.clamp(max=4.6).exp()
        unit, words = (functional.normalize(x, dim=-1) for x in (pooled, text))
        logits = scale * unit @ words.T
        match = torch.arange(len(rows))
        contrast = functional.cross_entropy(logits, match) + functional.cross_entropy(
            logits.T, match
        )
        attributes, accuracy = _pooled_loss(model.readouts, pooled, pool, rows)
        dense = _dense_loss(model.readouts, patches, pixels, occupancy)
        spread = _spread(pooled)
        numbers = {
            "contrast": contrast.item(),
            "attributes": attributes.item(),
            "dense": dense.item(),
            "accuracy": accuracy,
            "ratio_batch": 1 / spread.item(),
        }
        if (step + 1) % config.log_every == 0:
            with torch.no_grad():
                ratio = participation_ratio(model.encoder.embed(probe)[0])
            numbers["ratio_heldout"] = ratio * config.log_every
        return 0.5 * contrast + attributes + 2 * dense + 10 * spread, numbers

    loop.run(loss_of)
    return model, loop
