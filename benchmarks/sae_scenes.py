"""Autoencoders on the simulated brain: categories, naming, reading, asking, making, clamping.

    python benchmarks/sae_scenes.py --seeds 0,1,2

For each seed: simulate, prepare, train a ridge decoder and an autoencoder on `scene-clip:pooled`,
then print the rows of docs/sae.md. A picture's category is that of its largest object, which is
what `scene-clip` was trained to tell; `any` counts every object in it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from command import mindeye
from PIL import Image
from scipy.stats import rankdata

from mindeye_cli.core.sampler import rng
from mindeye_cli.core.scenes import CATEGORIES
from mindeye_cli.sae.clamp import clamped, retrieved
from mindeye_cli.sae.concept import find_concept
from mindeye_cli.sae.decoded import open_brain
from mindeye_cli.sae.encoder import fit_encoder
from mindeye_cli.sae.opened import open_sae, space_vectors
from mindeye_cli.sae.query import likeness
from mindeye_store import open_store

SPACE = "scene-clip:pooled"
TOP, EXAMPLES = 10, 10


def auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half."""
    ranks, n = rankdata(scores), int(truth.sum())
    return float((ranks[truth].sum() - n * (n + 1) / 2) / (n * (len(truth) - n)))


def prepare(folder: Path, seed: int, images: int, test: int) -> None:
    """A store with targets, a ridge run and an autoencoder of one seed."""
    store = folder / "store.zarr"
    mindeye("simulate", folder / "sim", "--images", images, "--test", test, "--seed", seed)
    mindeye("prepare", "nsd", folder / "sim", store, "--subject", 1)
    mindeye("prepare", "targets", store, "--space", SPACE)
    space = ("--space", SPACE, "--set", f"seed={seed}")
    folds = ("--set", "inner_folds=10")
    mindeye("train", "ridge", store, folder / "ridge", "--subject", "subj01", *space, *folds)
    trained = mindeye("sae", "train", store, folder / "sae", *space)
    print({key: trained[key] for key in ("r2", "pca_r2", "cosine", "l0", "dead", "stability")})
    print({key: trained[key] for key in ("n_images", "n_atoms", "k", "stable", "named", "seconds")})


def one_seed(folder: Path, seed: int) -> None:
    """Print every row of one seed."""
    store, sae = open_store(folder / "store.zarr"), open_sae(folder / "sae")
    reader = open_brain(store, sae, folder / "ridge", "test", None)
    rows = reader.trials.image_rows
    kinds = categories(store, rows)
    pool = space_vectors(store, sae, rows)
    atoms = recovery(sae, pool, kinds["main"], seed)
    clamping(sae, reader, pool, kinds["main"], atoms)
    read = mindeye("sae", "read", store.path, folder / "sae", "--brain", folder / "ridge")
    print("read", {k: read["agreement"][k] for k in ("value", "permuted")}, read["atoms_r"])
    asking(folder, store, sae, reader, kinds)
    made = mindeye("sae", "synth", store.path, folder / "sae", "--brain", folder / "ridge")
    print("synth", {k: made[k] for k in ("top1", "pool", "mean_rank", "rank", "distance")})
    codes, dense = (
        fit_encoder(store, sae, "subj01", of).model.r.mean() for of in ("codes", "space")
    )
    print(f"S5 mean r: codes {codes:.4f}, dense {dense:.4f}, ratio {codes / dense:.3f}")


def categories(store: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Which category each image shows: of its largest object, and of any; bool (n, 10)."""
    table = store.images.records
    objects = [[item["category"] for item in table[row]["objects"]] for row in rows]
    return {
        "main": np.array([[line[0] == kind for kind in CATEGORIES] for line in objects]),
        "any": np.array([[kind in line for kind in CATEGORIES] for line in objects]),
    }


def recovery(sae: Any, pool: np.ndarray, kinds: np.ndarray, seed: int) -> list[int]:
    """Match an atom to each category on one half of the test images; AUC on the other half."""
    codes = sae.model.codes(pool)
    order = rng(seed, "halves").permutation(len(pool))
    one, other = np.array_split(order, 2)
    atoms, found = [], []
    for k in range(len(CATEGORIES)):
        on_one = [auc(column[one], kinds[one, k]) for column in codes.T]
        atoms.append(int(np.argmax(on_one)))
        found.append(auc(codes[other, atoms[-1]], kinds[other, k]))
    line = "  ".join(f"{kind} {value:.3f}" for kind, value in zip(CATEGORIES, found, strict=True))
    print(f"recovery: {sum(value >= 0.95 for value in found)} of 10 at AUC >= .95: {line}")
    named = [[word for word, _ in sae.atoms[atom]["words"][:1]] for atom in atoms]
    print("nearest word of each category's atom:", dict(zip(CATEGORIES, named, strict=True)))
    return atoms


def clamping(sae: Any, reader: Any, pool: np.ndarray, kinds: np.ndarray, atoms: list[int]) -> None:
    """Share of a category among the 5 retrieved images before and after its atom is clamped."""
    before = reader.vectors(reader.measured())
    plain = retrieved(sae, before, pool, 5)
    rises = []
    for k, atom in enumerate(atoms):
        after = retrieved(sae, clamped(sae, before, atom, sae.atoms[atom]["peak"]), pool, 5)
        rises.append((kinds[plain, k].mean(), kinds[after, k].mean()))
    line = "  ".join(
        f"{kind} {a:.2f}->{b:.2f}" for kind, (a, b) in zip(CATEGORIES, rises, strict=True)
    )
    print(f"clamp: {sum(b > a for a, b in rises)} of 10 categories rise: {line}")


def asking(folder: Path, store: Any, sae: Any, reader: Any, kinds: dict[str, np.ndarray]) -> None:
    """Precision of the first ten by a category's word and by ten training pictures of it."""
    directions = reader.directions(reader.measured())
    rows = reader.training.image_rows
    known = categories(store, rows)["main"]
    for how in ("word", "pictures"):
        values: dict[str, list[float]] = {"main": [], "any": []}
        for k, kind in enumerate(CATEGORIES):
            asked = kind
            if how == "pictures":
                asked = str(examples(folder / kind, store, rows[known[:, k]][:EXAMPLES]))
            concept = find_concept(asked, store, sae)
            first = np.argsort(-likeness(sae, concept, directions)[0])[:TOP]
            for name in values:
                values[name].append(float(kinds[name][first, k].mean()))
        for name, found in values.items():
            line = " ".join(f"{value:.1f}" for value in found)
            rate = kinds[name].mean()
            print(
                f"query by {how} ({name}): {sum(v >= 0.8 for v in found)} of 10 at"
                f" precision@10 >= .8: {line}; base rate {rate:.3f},"
                f" permuted {permuted(sae, directions, kinds[name], store, how, folder):.3f}"
            )


def permuted(
    sae: Any, directions: np.ndarray, kinds: np.ndarray, store: Any, how: str, folder: Path
) -> float:
    """Mean precision@10 when responses are paired with images at random, 100 times."""
    found = []
    for k, kind in enumerate(CATEGORIES):
        asked = kind if how == "word" else str(folder / kind)
        first = np.argsort(-likeness(sae, find_concept(asked, store, sae), directions)[0])[:TOP]
        for draw in range(100):
            order = rng(draw, "pairing", k).permutation(len(kinds))
            found.append(kinds[order][first, k].mean())
    return float(np.mean(found))


def examples(folder: Path, store: Any, rows: np.ndarray) -> Path:
    """Write some pictures of the store as PNG files."""
    folder.mkdir(exist_ok=True)
    for row, pixels in zip(rows, store.images.read(rows), strict=True):
        Image.fromarray(pixels).save(folder / f"{row}.png")
    return folder


def main() -> None:
    """Print the rows of every seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--test", type=int, default=300)
    options = parser.parse_args()
    for seed in map(int, options.seeds.split(",")):
        print(f"seed {seed}")
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), seed, options.images, options.test)
            one_seed(Path(folder), seed)


if __name__ == "__main__":
    main()
