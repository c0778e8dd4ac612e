"""Seconds an image with networks of the paper's sizes and random weights: 16 candidates each.

Backbone, prior, low-level network, a UNet of Stable Diffusion 1's size that attends to 257 tokens,
its VAE, and a CLIP ViT-L/14 that reads the candidates. What is learned does not change the time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.models.lowlevel import LowLevelConfig, LowLevelModel
from mindeye_cli.models.running import use_fast_products

VOXELS, CANDIDATES = 15724, 16
SAMPLING = Sampling(steps=20, guidance=3.5, strength=0.85)
SIZES: dict[str, dict[str, Any]] = {
    "paper": {
        "tokens": 257,
        "width": 768,
        "hidden": 4096,
        "unet": {"block_out_channels": (320, 640, 1280, 1280), "attention_head_dim": 8},
        "vae": {"block_out_channels": (128, 256, 512, 512)},
        "latent": 64,
        "clip": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
    },
    "tiny": {
        "tokens": 17,
        "width": 64,
        "hidden": 16,
        "unet": {"block_out_channels": (32, 32, 32, 32), "attention_head_dim": 2},
        "vae": {"block_out_channels": (32, 32, 32, 32)},
        "latent": 16,
        "clip": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2},
    },
}


def save_generator(folder: Path, size: dict[str, Any]) -> None:
    """Random weights in the layout that decoders read."""
    from diffusers import (
        AutoencoderKL,
        StableDiffusionPipeline,
        UNet2DConditionModel,
        UniPCMultistepScheduler,
    )

    levels = 4
    unet = UNet2DConditionModel(
        sample_size=size["latent"], cross_attention_dim=size["width"], **size["unet"]
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=2,
        latent_channels=4,
        sample_size=8 * size["latent"],
        **size["vae"],
    )
    schedule = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    empty = ("text_encoder", "tokenizer", "safety_checker", "feature_extractor")
    StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        scheduler=UniPCMultistepScheduler(**schedule, steps_offset=1),
        requires_safety_checker=False,
        **dict.fromkeys(empty),
    ).save_pretrained(folder)


def parts(size: dict[str, Any], device: torch.device) -> dict[str, Callable[[], Any]]:
    """One image's work by stage; every stage loads its own networks when it is first called."""
    shape = (size["tokens"], size["width"])
    voxels = torch.randn(1, VOXELS, device=device)
    seeds = list(range(CANDIDATES))
    noise = np.random.default_rng(0)
    embeddings = noise.standard_normal((CANDIDATES, *shape)).astype(np.float32)
    start = noise.standard_normal((CANDIDATES, 4, size["latent"], size["latent"]))

    def high() -> Callable[[], Any]:
        config = HighLevelConfig(
            n_voxels=(VOXELS,), tokens=shape[0], width=shape[1], hidden=size["hidden"]
        )
        model = HighLevelModel(config).eval().to(device)
        assert model.prior is not None
        sample = model.prior.sample

        def work() -> Any:
            tokens = model.backbone([voxels])
            sources = [torch.Generator().manual_seed(seed) for seed in seeds]
            return sample(tokens.repeat(CANDIDATES, 1, 1), sources), model.projector(tokens)

        return work

    def low() -> Callable[[], Any]:
        config = LowLevelConfig(n_voxels=(VOXELS,), hidden=size["hidden"])
        model = LowLevelModel(config).eval().to(device)
        return lambda: model([voxels])

    def generator() -> Callable[[], Any]:
        with tempfile.TemporaryDirectory() as folder:
            save_generator(Path(folder), size)
            decoder = StableDiffusionDecoder(
                name="paper",
                folder=Path(folder),
                space="clip-vit-l14:tokens",
                latent_space="sd-vae",
                tokens=shape[0],
                defaults=SAMPLING,
                half=True,
            )
        latents = start.astype(np.float32)
        return lambda: decoder.generate(embeddings, seeds, SAMPLING, latents)

    def choice() -> Callable[[], Any]:
        from transformers import CLIPVisionConfig, CLIPVisionModel

        config = CLIPVisionConfig(image_size=224, patch_size=14, **size["clip"])
        model = CLIPVisionModel(config).eval().to(device)
        pixels = torch.randn(CANDIDATES, 3, 224, 224, device=device)
        return lambda: model(pixels)

    return {"high-level": high, "low-level": low, "generator": generator, "choice": choice}


@torch.inference_mode()
def measure(device_name: str, sizes: str, rounds: int) -> None:
    """Print seconds and peak memory of every stage, and of one image."""
    device, total = torch.device(device_name), 0.0
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device")
    use_fast_products(device)
    print(f"{sizes} sizes on {device_name}, one image, {CANDIDATES} candidates")
    for name, load in parts(SIZES[sizes], device).items():
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        work, taken = load(), []
        for _ in range(rounds + 1):
            started = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - started)
        total += median(taken[1:])
        peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else float("nan")
        print(f"{name:<12}{median(taken[1:]):>9.3f} s{peak:>8.1f} GiB at most", flush=True)
        del work
        if device.type == "cuda":
            torch.cuda.empty_cache()
    print(f"{'one image':<12}{total:>9.3f} s")


if __name__ == "__main__":
    measure("cuda", "paper", rounds=3)
