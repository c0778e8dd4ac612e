"""scene-net's training: supervised, on its own scenes, apart from every other built-in model.

Pictures are lightly degraded (noise, blur), so that the judge reads reconstructions, too.

Shape legend: B batch; pixels (B, 3, 64, 64) in [0, 1].
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from mindeye_cli.builtin.clip import to_unit
from mindeye_cli.builtin.loop import Loop, LoopConfig, batch_rows
from mindeye_cli.builtin.pool import Pool
from mindeye_cli.models.scene.net import SceneNet

_NOISE = 0.06


def degrade(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Blur every second picture and add noise of a random strength to each."""
    blurred = functional.avg_pool2d(functional.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, 1)
    pixels = torch.cat([pixels[::2], blurred[1::2]])[_interleave(len(pixels))]
    strength = torch.rand(len(pixels), 1, 1, 1, generator=generator) * _NOISE
    noise = torch.randn(pixels.shape, generator=generator)
    return (pixels + strength * noise).clamp(0, 1)


def _interleave(count: int) -> Tensor:
    """Positions that put a list of even rows followed by odd rows back into order."""
    rows = torch.arange(count)
    return torch.where(rows % 2 == 0, rows // 2, (count + 1) // 2 + rows // 2)


def train_net(pool: Pool, config: LoopConfig, folder: Path) -> tuple[SceneNet, Loop]:
    """Train, or resume; a pure function of the pool and the configuration."""
    torch.manual_seed(config.seed)
    model = SceneNet().to(memory_format=torch.channels_last)
    loop = Loop(model, config, folder)

    def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
        rows = batch_rows(len(pool), config.batch, config.seed, step)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        pixels = degrade(to_unit(pool.pixels[rows]), generator)
        labels, place = torch.from_numpy(pool.main[rows]), torch.from_numpy(pool.place[rows])
        with torch.autocast("cpu", torch.bfloat16):
            read = {name: value.float() for name, value in model.read(pixels).items()}
        category = functional.cross_entropy(read["category"], labels[:, 0], label_smoothing=0.05)
        colour = functional.cross_entropy(read["colour"], labels[:, 1], label_smoothing=0.05)
        found = torch.stack([read["x"], read["y"], read["size"]], dim=1)
        where = functional.mse_loss(found, place)
        hits = (read["category"].argmax(1) == labels[:, 0]).float().mean().item()
        return category + 0.5 * colour + 10 * where, {"accuracy": hits, "place": where.item()}

    model.train()
    loop.run(loss_of)
    model.eval()
    return model, loop
