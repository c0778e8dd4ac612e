"""Retrieval among look-alikes: pools of ten that differ in one attribute, and the ten nearest.

    python benchmarks/similar.py --seeds 0,1,2

For each seed a brain is simulated whose test set holds 40 groups of ten scenes: one, and nine that
differ from it in the colour, place, texture or size of its main object or in the backdrop's tint.
A high-level run (preset `scene`) answers, repeats averaged. Pools of `one attribute` are those
groups, and pools of `nearest` are every test image with its nine nearest in the space of the
targets; each pool is asked for the image that it was made around. `category` is the top-1 of an
oracle that knows the stimulus' category and nothing else. p is one-sided, over 10,000 draws: of
answers at random in the pool, and of the oracle's.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from command import mindeye
from numpy.typing import NDArray

from mindeye_cli.core import retrieval_scores
from mindeye_cli.core.sampler import rng
from mindeye_cli.core.stats import mean_interval
from mindeye_cli.core.trials import average_voxels
from mindeye_cli.models.run_model import load_run
from mindeye_store import open_store

SPACE = "scene-clip:tokens"
POOL, GROUPS, DRAWS = 10, 40, 10_000
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def study(folder: Path, seed: int) -> tuple[Floats, Floats, list[dict[str, Any]]]:
    """Cosines of responses (rows) with images, of images with images, and the scenes' records."""
    store, run = folder / "store.zarr", folder / "high"
    mindeye("simulate", folder / "nsd", "--seed", seed, "--near-duplicates", GROUPS)
    mindeye("prepare", "nsd", folder / "nsd", store, "--subject", "subj01")
    mindeye("prepare", "targets", store, "--space", SPACE)
    train = ("train", "high-level", store, run, "--subject", "subj01", "--space", SPACE)
    mindeye(*train, "--preset", "scene", "--set", f"seed={seed}")
    opened, model = open_store(store), load_run(run)
    voxels, rows = average_voxels(opened.subject(model.subject), "test")
    brain = model.predict(voxels, outputs=("retrieval",))["retrieval"]
    images = np.asarray(opened.target(SPACE).read(rows))
    records = opened.images.records
    assert records is not None
    told = [records[row] for row in rows]
    cosine = retrieval_scores.cosine
    return cosine(brain, images), cosine(images, images), told  # type: ignore[return-value]


def attribute_pools(records: list[dict[str, Any]]) -> Ints:
    """The groups of ten, the scene that the others were made from first."""
    group = np.array([record.get("group", -1) for record in records])
    pools = [np.flatnonzero(group == number) for number in range(GROUPS)]
    return np.stack([pool[:POOL] for pool in pools])


def nearest_pools(likeness: Floats) -> Ints:
    """Every image and its nine nearest, itself first."""
    others = likeness - 10 * np.eye(len(likeness))
    nearest = np.argsort(-others, axis=1, kind="stable")[:, : POOL - 1]
    return np.c_[np.arange(len(likeness)), nearest]


def hits(similarity: Floats, pools: Ints) -> Floats:
    """Top-1 of every pool's first member, ties shared; rows ask, columns answer."""
    found = np.stack([similarity[pool[0], pool] for pool in pools])
    above, tied = retrieval_scores.places(found, np.zeros(len(pools), np.int64))
    return retrieval_scores.expected_top(above, tied, 1)


def oracle(pools: Ints, categories: NDArray[np.str_]) -> Floats:
    """Top-1 of one that knows the category: one over how many of the pool share it."""
    return np.array([1 / (categories[pool] == categories[pool[0]]).sum() for pool in pools])


def p_value(found: Floats, chance: Floats, name: str) -> float:
    """Share of draws, each pool right with its own chance, that do as well."""
    drawn = rng(0, "similar", name).random((DRAWS, len(found))) < chance
    return float((1 + (drawn.mean(axis=1) >= found.mean()).sum()) / (1 + DRAWS))


def main() -> None:
    """Print Markdown: a row a kind of pool, direction and seed, then all seeds together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--work", type=Path, default=Path("similar-study"))
    options = parser.parse_args()
    kept: dict[tuple[str, str], list[tuple[Floats, Floats]]] = {}
    print("| pools | direction | seed | n | top-1 (95 %) | chance | p | category | p |")
    print("|---|---|---|---|---|---|---|---|---|")
    for seed in options.seeds.split(","):
        brain, likeness, records = study(options.work / f"seed-{seed}", int(seed))
        categories = np.array([record["objects"][0]["category"] for record in records])
        kinds = {"one attribute": attribute_pools(records), "nearest": nearest_pools(likeness)}
        for kind, pools in kinds.items():
            known = oracle(pools, categories)
            for direction, asked in (("brain -> image", brain), ("image -> brain", brain.T)):
                found = hits(asked, pools)
                kept.setdefault((kind, direction), []).append((found, known))
                print(line(kind, direction, seed, found, known), flush=True)
    for (kind, direction), parts in kept.items():
        found, known = (np.concatenate(x) for x in zip(*parts, strict=True))
        print(line(kind, direction, "all", found, known))


def line(kind: str, direction: str, seed: str, found: Floats, known: Floats) -> str:
    """One row of the table."""
    low, high = mean_interval(found, np.arange(len(found)), seed=0)
    chance = np.full(len(found), 1 / POOL)
    by_chance, by_category = p_value(found, chance, "chance"), p_value(found, known, "category")
    return (
        f"| {kind} | {direction} | {seed} | {len(found)} | {found.mean():.3f} ({low:.3f} to"
        f" {high:.3f}) | {1 / POOL:.2f} | {by_chance:.4f} | {known.mean():.3f} |"
        f" {by_category:.4f} |"
    )


if __name__ == "__main__":
    main()
