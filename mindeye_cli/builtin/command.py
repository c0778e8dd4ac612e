"""Argument parsing of `python -m mindeye_cli.builtin`: train one model, then export it."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from mindeye_cli.builtin.loop import LoopConfig
from mindeye_cli.builtin.pool import load_pool

CONFIGS: dict[str, LoopConfig] = {
    "vae": LoopConfig(steps=2300, batch=16, lr=2e-3, seed=11),
    "clip": LoopConfig(steps=3000, batch=128, lr=1e-3, seed=12, warmup=200, weight_decay=0.05),
    "net": LoopConfig(steps=2500, batch=64, lr=2e-3, seed=1013),
    "generator": LoopConfig(steps=12000, batch=64, lr=1e-3, seed=14, ema=0.999),
}
POOL = 98_304
JUDGE_POOL = 49_152
HELDOUT_POOL = 2_048


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mindeye_cli.builtin", description=__doc__)
    parser.add_argument("model", choices=CONFIGS)
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and export")
    parser.add_argument("--cache", type=Path, help="folder for drawn scenes; default OUT/../cache")
    parser.add_argument("--steps", type=int, help="length of the training and of its schedule")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--pool", type=int, help="how many scenes to train on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--vae", type=Path, help="exported scene-vae, for the generator")
    parser.add_argument("--clip", type=Path, help="exported scene-clip, for the generator")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Train the named model up to `--steps` from its last checkpoint and export it."""
    options = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    given = {name: getattr(options, name) for name in ("steps", "batch", "lr")}
    config = replace(
        CONFIGS[options.model], **{name: value for name, value in given.items() if value}
    )
    cache = options.cache or options.out.parent / "cache"
    split, size = ("judge", JUDGE_POOL) if options.model == "net" else ("train", POOL)
    pool = load_pool(cache, split, options.pool or size)
    if options.model == "vae":
        from mindeye_cli.builtin.vae import train_vae

        train_vae(pool, config, options.out)
    elif options.model == "clip":
        from mindeye_cli.builtin.clip import train_clip

        train_clip(pool, load_pool(cache, "heldout", HELDOUT_POOL), config, options.out)


if __name__ == "__main__":
    main()
