"""Argument parsing of `python -m mindeye_cli.builtin`: train one model, then export it."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from mindeye_cli.builtin.loop import LoopConfig
from mindeye_cli.builtin.pool import Pool, load_pool
from mindeye_store.errors import Requeue

CONFIGS: dict[str, LoopConfig] = {
    "vae": LoopConfig(steps=2050, batch=16, lr=2e-3, seed=11),
    "clip": LoopConfig(steps=1750, batch=128, lr=1e-3, seed=12, warmup=200, weight_decay=0.05),
    "net": LoopConfig(steps=1750, batch=64, lr=2e-3, seed=1013),
    "generator": LoopConfig(steps=5500, batch=32, lr=1e-3, seed=14, ema=0.999, decay_from=0.35),
}
POOLS = {
    "vae": ("train", 98_304),
    "clip": ("train", 98_304),
    "net": ("judge", 49_152),
    "generator": ("train", 36_864),
}
HELDOUT_POOL = 2_048


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mindeye_cli.builtin", description=__doc__)
    parser.add_argument("model", choices=CONFIGS)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint and log")
    parser.add_argument("--cache", type=Path, help="folder for drawn scenes; default OUT/../cache")
    parser.add_argument("--export", type=Path, help="where models are written; default OUT/export")
    parser.add_argument(
        "--steps", type=int, help="length of the training and of its schedule; 0 only exports"
    )
    parser.add_argument("--batch", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--pool", type=int, help="how many scenes to train on")
    parser.add_argument("--heldout", type=int, default=HELDOUT_POOL, help="scenes for the figures")
    parser.add_argument("--save-seconds", type=float, help="time between checkpoints")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--vae", type=Path, help="exported scene-vae; default the shipped one")
    parser.add_argument("--clip", type=Path, help="exported scene-clip; default the shipped one")
    return parser.parse_args(argv)


def _generator(
    options: argparse.Namespace, config: LoopConfig, pool: Pool, heldout: Pool, export: Path
) -> None:
    """Encode the scenes with the finished VAE and encoder, train the UNet, export all."""
    from mindeye_cli.builtin.conditions import load_conditions
    from mindeye_cli.builtin.generator import train_generator
    from mindeye_cli.builtin.publish import publish_generator
    from mindeye_cli.models.scene.clip import load_scene_clip
    from mindeye_cli.models.scene.files import weights_folder
    from mindeye_cli.models.scene.vae import load_scene_vae

    vae_folder = options.vae or weights_folder("scene-generator") / "vae"
    clip, vae = load_scene_clip(options.clip), load_scene_vae(vae_folder)
    data = load_conditions(options.out / "conditions", pool.pixels, clip, vae)
    unet, loop = train_generator(data, config, options.out)
    publish_generator(unet, loop, pool, heldout, vae_folder, export)


def main(argv: Sequence[str] | None = None) -> None:
    """Train the named model up to `--steps` from its last checkpoint and export it.

    Raises
    ------
    SystemExit
        With 75 after a stop signal: the same command goes on.
    """
    options = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        _train(options)
    except Requeue as problem:
        logging.getLogger("mindeye.builtin").warning("%s", problem)
        raise SystemExit(75) from None


def _train(options: argparse.Namespace) -> None:
    """Open the scenes, train, export."""
    torch.set_num_threads(options.threads)
    given = {name: getattr(options, name) for name in ("steps", "batch", "lr", "save_seconds")}
    config = replace(
        CONFIGS[options.model],
        **{name: value for name, value in given.items() if value is not None},
    )
    cache = options.cache or options.out.parent / "cache"
    export = options.export or options.out / "export"
    split, size = POOLS[options.model]
    pool = load_pool(cache, split, options.pool or size)
    heldout = load_pool(cache, "heldout", options.heldout)
    if options.model == "generator":
        _generator(options, config, pool, heldout, export)
    elif options.model == "vae":
        from mindeye_cli.builtin.publish import publish_vae
        from mindeye_cli.builtin.vae import train_vae

        publish_vae(*train_vae(pool, config, options.out), pool, heldout, export)
    elif options.model == "clip":
        from mindeye_cli.builtin.clip import train_clip
        from mindeye_cli.builtin.publish import publish_clip

        publish_clip(*train_clip(pool, heldout, config, options.out), pool, heldout, export)
    else:
        from mindeye_cli.builtin.net import train_net
        from mindeye_cli.builtin.publish import publish_net

        publish_net(*train_net(pool, config, options.out), pool, heldout, export)
