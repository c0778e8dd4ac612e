"""Quality of the shipped built-in models on held-out scenes.

`python benchmarks/builtin_quality.py [--scenes 100] [--guidance 3.5] [--steps 20] [--sheet FILE]`
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mindeye_cli.builtin import quality
from mindeye_cli.builtin.pool import load_pool
from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_cli.models.scene.clip import load_scene_clip
from mindeye_cli.models.scene.files import weights_folder
from mindeye_cli.models.scene.net import load_scene_net
from mindeye_cli.models.scene.vae import load_scene_vae

# name -> what is demanded
GOALS = {
    "participation ratio": 20.0,
    "category probe AUC": 0.9,
    "main category probe AUC": 0.9,
    "category accuracy": 0.9,
    "PSNR dB": 29.0,
    "scene-clip two-way": 0.97,
    "hard negatives two-way": 0.9,
    "scene-net accuracy ratio": 0.8,
    "PixCorr": 0.5,
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=100, help="scenes to generate")
    parser.add_argument("--guidance", type=float, default=3.5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--generator", type=Path, help="another generator's folder")
    parser.add_argument(
        "--cache", type=Path, help="folder for drawn scenes; default a temporary one"
    )
    parser.add_argument("--first", type=int, default=0, help="first held-out row to generate")
    parser.add_argument("--only-generator", action="store_true")
    parser.add_argument("--sheet", type=Path, help="PNG of true pictures above generated ones")
    return parser.parse_args()


def _write_sheet(path: Path, true: np.ndarray, made: np.ndarray) -> None:
    """Pairs of rows: true pictures, then generated ones, sixteen a row."""
    count = len(true) // 16 * 16
    both = np.stack([x[:count].reshape(-1, 16, 64, 64, 3) for x in (true, made)], axis=1)
    rows = both.transpose(0, 1, 3, 2, 4, 5).reshape(-1, 16 * 64, 3)
    Image.fromarray(rows).save(path)


def main() -> None:
    """Measure and print, one line a figure."""
    options = _options()
    torch.set_num_threads(1)
    clip, net, vae = load_scene_clip(), load_scene_net(), load_scene_vae()
    folder = options.generator or weights_folder("scene-generator")
    sampling = Sampling(steps=options.steps, guidance=options.guidance, strength=1.0)
    decoder = StableDiffusionDecoder(
        name="scene",
        folder=folder,
        space="scene-clip:tokens",
        latent_space="scene-vae",
        tokens=17,
        defaults=sampling,
    )
    with tempfile.TemporaryDirectory() as temporary:
        cache = options.cache or Path(temporary)
        heldout = load_pool(cache, "heldout", 2048)
        numbers = {}
        if not options.only_generator:
            train = load_pool(cache, "train", 4096)
            numbers |= quality.encoder_quality(clip, train, heldout)
            numbers |= quality.judge_quality(net, heldout)
            numbers |= quality.vae_quality(vae, heldout)
        rows = range(options.first, options.first + options.scenes)
        values, made = quality.ceiling(decoder, clip, net, heldout, rows, sampling)
        true = np.array(heldout.pixels[rows.start : rows.stop])
    for name, value in (numbers | values).items():
        goal = f"   demanded {GOALS[name]:g}" if name in GOALS else ""
        print(f"{name:32s} {value:8.3f}{goal}")
    print(json.dumps(numbers | values | {"guidance": options.guidance, "steps": options.steps}))
    if options.sheet:
        _write_sheet(options.sheet, true, made)


if __name__ == "__main__":
    main()
