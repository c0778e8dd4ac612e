"""Do faces, places, bodies and words name their own areas, and does noise name none?

    python benchmarks/explain_areas.py --seeds 0,1,2 --subjects 1,2
    python benchmarks/explain_areas.py --seeds 0,1,2 --snr 0

Simulates, prepares, trains a ridge decoder on `scene-clip:pooled`, and asks the encoding part of
`explain` about test images. A picture's category is its largest object's. With signal: which area
comes first for the set of a category and for each single image, among the four category areas
(largest of each kind) and among all eleven that respond to categories. Without: how often an image
or a set, drawn at random or coherent, names any area.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from command import mindeye

from mindeye_cli.core.sampler import rng
from mindeye_cli.explain.asked import Asked
from mindeye_cli.explain.encoder import Encoder, open_encoder
from mindeye_cli.explain.image import image_areas, image_response
from mindeye_cli.explain.sets import contrast, set_areas
from mindeye_cli.simulate.areas import AREAS
from mindeye_store import open_store

SPACE = "scene-clip:pooled"
ATLAS = {"face": "floc-faces", "house": "floc-places", "body": "floc-bodies", "word": "floc-words"}
CATEGORY = {a.name: a.atlas for a in AREAS if a.drive == "category"}
SET, PERMUTED = 20, 10


def prepare(folder: Path, seed: int, subject: int, snr: float, images: int, test: int) -> Encoder:
    """A simulated subject with a ridge run, and its encoding model."""
    store = folder / "store.zarr"
    sizes = ("--images", images, "--test", test, "--seed", seed, "--snr", snr)
    mindeye("simulate", folder / "sim", *sizes, "--subjects", subject)
    mindeye("prepare", "nsd", folder / "sim", store, "--subject", subject)
    mindeye("prepare", "targets", store, "--space", SPACE)
    run = folder / "ridge"
    ridge = ("--subject", f"subj0{subject}", "--space", SPACE, "--set", "alpha=shared")
    mindeye("train", "ridge", store, run, *ridge, "--set", "inner_folds=5")
    return open_encoder(open_store(store), run, None)


def asked(encoder: Encoder, rows: np.ndarray) -> Asked:
    """Images of the store as if they were asked about."""
    vectors = encoder.vectors(rows)
    names = tuple(map(str, rows))
    return Asked(text="", names=names, vectors=vectors, targets=vectors, rows=rows, pixels=())


def largest(encoder: Encoder) -> dict[str, str]:
    """The largest category area of each atlas that the subject has."""
    best: dict[str, tuple[int, str]] = {}
    for name, mask in zip(encoder.areas.names, encoder.areas.masks, strict=True):
        if name in CATEGORY:
            key = str(CATEGORY[name])
            best[key] = max(best.get(key, (0, "")), (int(mask.sum()), name))
    return {atlas: name for atlas, (_, name) in best.items()}


def first(lines: dict[str, Any], among: set[str]) -> str:
    """The first area of the result that is one of these."""
    return next(name for name in lines if name in among)


def signal(encoder: Encoder, kinds: np.ndarray, totals: dict[str, list[bool]]) -> None:
    """Count whether sets and single images rank their own area first."""
    four, eleven = set(largest(encoder).values()), set(CATEGORY) & set(encoder.areas.names)
    draw = rng(0, "permuted labels")
    every = [("", kinds), *(("permuted ", draw.permutation(kinds)) for _ in range(PERMUTED))]
    for k, (name, labels) in enumerate(every):
        for kind, atlas in ATLAS.items():
            rows = encoder.references[labels == kind]
            lines = set_areas(encoder, contrast(encoder, asked(encoder, rows[:SET]), None))
            count(totals, f"{name}set", lines, four, eleven, atlas)
            for row in rows[: SET if k <= 1 else 0]:
                one = asked(encoder, np.array([row]))
                lines = image_areas(encoder, one, image_response(encoder, one))
                count(totals, f"{name}image", lines, four, eleven, atlas)


def count(
    totals: dict[str, list[bool]],
    what: str,
    lines: dict[str, Any],
    four: set[str],
    eleven: set[str],
    atlas: str,
) -> None:
    """Add one result to the totals."""
    for label, among in (("4", four), ("11", eleven)):
        hit = CATEGORY[first(lines, among)] == atlas
        totals.setdefault(f"{what}, among {label}", []).append(hit)
    top = next(iter(lines))
    totals.setdefault(f"{what}, named any", []).append(any(v["named"] for v in lines.values()))
    totals.setdefault(f"{what}, first of all is its kind", []).append(CATEGORY.get(top) == atlas)


def silence(encoder: Encoder, kinds: np.ndarray, runs: int, totals: dict[str, list[bool]]) -> None:
    """Count how often anything is named."""
    draw = rng(0, "false alarms")
    for k in range(runs):
        rows = draw.choice(encoder.references, SET, replace=False)
        one = asked(encoder, rows[:1])
        lines = image_areas(encoder, one, image_response(encoder, one, seed=k))
        totals.setdefault("image", []).append(any(v["named"] for v in lines.values()))
        totals.setdefault("image, p alone", []).append(any(v["p"] <= 0.05 for v in lines.values()))
        kind = list(ATLAS)[k % len(ATLAS)]
        same = draw.permutation(encoder.references[kinds == kind])[: int(draw.integers(5, SET))]
        for what, members in (("random set", rows), ("coherent set", same)):
            found = set_areas(encoder, contrast(encoder, asked(encoder, members), None, seed=k))
            totals.setdefault(what, []).append(any(v["named"] for v in found.values()))
            totals.setdefault(f"{what}, q alone", []).append(
                any(v["q"] <= 0.05 for v in found.values())
            )
            totals.setdefault(f"{what}, unusual alone", []).append(
                any(v["unusual"] is not None and v["unusual"] <= 0.05 for v in found.values())
            )


def main() -> None:
    """Print the shares over all subjects and seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--subjects", default="1")
    parser.add_argument("--snr", type=float, default=1.0)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    totals: dict[str, list[bool]] = {}
    for seed in map(int, options.seeds.split(",")):
        for subject in map(int, options.subjects.split(",")):
            with tempfile.TemporaryDirectory() as folder:
                sizes = (options.images, options.test)
                encoder = prepare(Path(folder), seed, subject, options.snr, *sizes)
                records = encoder.store.images.records or []
                kinds = np.array(
                    [(records[row] or {})["objects"][0]["category"] for row in encoder.references]
                )
                if options.snr:
                    signal(encoder, kinds, totals)
                else:
                    silence(encoder, kinds, options.runs, totals)
            shares = {what: (round(float(np.mean(v)), 3), len(v)) for what, v in totals.items()}
            print(f"seed {seed} subject {subject}, so far:", flush=True)
            for what, (share, n) in shares.items():
                print(f"  {what}: {share} of {n}", flush=True)


if __name__ == "__main__":
    main()
