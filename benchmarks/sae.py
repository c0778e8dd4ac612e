"""Autoencoders on rows made of known atoms: are the atoms and their codes found?

    python benchmarks/sae.py --seeds 0,1,2
    python benchmarks/sae.py --seeds 0 --rows 9000 --form batchtopk

128 dimensions, 256 atoms, 6 of them in each row (the k-th with probability ~ 1/sqrt(k)), codes from
.5 to 1.5, noise .03. `mcc` is the mean cosine of the true atoms with their one-to-one matches,
`codes` the mean correlation of matched codes on fresh rows, `seeds` the mean matched cosine between
the autoencoders of different seeds.
"""

from __future__ import annotations

import argparse
import time
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from mindeye_cli.models.sae import SaeConfig
from mindeye_cli.sae import scores
from mindeye_cli.sae.fit import FitConfig, fit_sae

WIDTH, ATOMS, ACTIVE, NOISE, FRESH = 128, 256, 6, 0.03, 5000


def planted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (n, D), their codes (n, F), and the atoms (F, D), which are the same for every seed."""
    atoms = np.random.default_rng(99).standard_normal((ATOMS, WIDTH))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    draw = np.random.default_rng(seed)
    # The Gumbel trick: the largest keys are a draw without replacement by these weights.
    keys = -0.5 * np.log(np.arange(1, ATOMS + 1)) + draw.gumbel(size=(n, ATOMS))
    chosen = np.argpartition(-keys, ACTIVE, axis=1)[:, :ACTIVE]
    codes = np.zeros((n, ATOMS), np.float32)
    np.put_along_axis(codes, chosen, draw.uniform(0.5, 1.5, (n, ACTIVE)).astype(np.float32), 1)
    rows = codes @ atoms + NOISE * draw.standard_normal((n, WIDTH))
    return rows.astype(np.float32), codes, atoms


def main() -> None:
    """Print one line a seed, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--atoms", type=int, default=ATOMS)
    parser.add_argument("--form", default="topk", choices=("topk", "batchtopk"))
    parser.add_argument("--steps", type=int, default=3000)
    options = parser.parse_args()
    rows, _, atoms = planted(options.rows, 1000)
    fresh, truth, _ = planted(FRESH, 1001)
    config = SaeConfig(atoms=options.atoms, k=ACTIVE, form=options.form)
    lines, dictionaries = [], []
    print("seed   r2    mcc   >.9   dead  codes  l0   seconds")
    for seed in map(int, options.seeds.split(",")):
        start = time.perf_counter()
        model = fit_sae(rows, config, FitConfig(steps=options.steps), seed)
        seconds = time.perf_counter() - start
        found = scores.reconstruction(model, rows, fresh)
        cosine = atoms @ model.dictionary.numpy().T
        a, b = linear_sum_assignment(-cosine)
        codes = model.codes(fresh)[:, b]
        alive = codes.std(axis=0) > 0
        r = [np.corrcoef(codes[:, j], truth[:, a[j]])[0, 1] for j in np.flatnonzero(alive)]
        matched = cosine[a, b]
        line = (found["r2"], matched.mean(), (matched > 0.9).mean(), found["dead"])
        lines.append((*line, sum(r) / len(a), found["l0"], seconds))
        dictionaries.append(scores.living_atoms(model, rows))
        print(f"{seed:<5}" + " ".join(f"{value:6.3f}" for value in lines[-1]), flush=True)
    print("mean " + " ".join(f"{value:6.3f}" for value in np.mean(lines, axis=0)))
    pairs = [scores.matched_cosines(a, b).mean() for a, b in combinations(dictionaries, 2)]
    if pairs:
        print(f"seeds: mean matched cosine {np.mean(pairs):.3f}, least {np.min(pairs):.3f}")


if __name__ == "__main__":
    main()
