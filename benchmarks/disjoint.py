"""Where the outputs of a high-level run lie, compared with the image embeddings they stand for.

    python benchmarks/disjoint.py RUN... --store STORE [--store STORE ...]

One store for all runs, or one a run. Test images, repeats averaged. For backbone, projector and
one prior sample: mean norm over the targets' mean norm; mean cosine with the own target, plain and
after subtracting each side's mean; mean distance to the own target, distance of the two means
(centroid gap) and spread around the mean, each over the targets' own; and how well a linear
classifier tells outputs from targets on images it has not seen (area under the curve; .5 where it
cannot). `rescaled` brings an output to the targets' mean norm first, as the scale of backbone and
projector is free. Several runs are averaged, with the 95 % interval over them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from learning import shown
from numpy.typing import NDArray

from mindeye_cli.core.sampler import rng
from mindeye_cli.core.trials import average_voxels
from mindeye_cli.models.run_model import load_run
from mindeye_store import open_store

Doubles = NDArray[np.float64]
FOLDS = 5
# Ridge penalty of the classifier over the mean squared singular value.
PENALTY = 1.0


def cosine(a: Doubles, b: Doubles) -> float:
    """Mean cosine of paired rows."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / lengths).mean())


def norm(rows: Doubles) -> float:
    """Mean length of the rows."""
    return float(np.linalg.norm(rows, axis=1).mean())


def rescaled(rows: Doubles, targets: Doubles) -> Doubles:
    """Rows at the targets' mean norm."""
    return rows * (norm(targets) / norm(rows))


def gap(rows: Doubles, targets: Doubles) -> float:
    """Distance of the two means over the targets' mean norm."""
    return float(np.linalg.norm(rows.mean(axis=0) - targets.mean(axis=0)) / norm(targets))


def spread(rows: Doubles) -> float:
    """Root mean squared distance from the mean."""
    return float(np.sqrt(((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean()))


def told_apart(rows: Doubles, targets: Doubles) -> float:
    """Cross-validated area under the curve; an image's output and target share a fold."""
    fold_of_image = rng(0, "folds").permutation(len(rows)) % FOLDS
    features, fold = np.concatenate([rows, targets]), np.tile(fold_of_image, 2)
    label = np.repeat([1.0, -1.0], len(rows))
    areas = []
    for held in range(FOLDS):
        fitted = fold != held
        centre = features[fitted].mean(axis=0)
        x, y = features[fitted] - centre, label[fitted]
        kernel = x @ x.T
        penalty = PENALTY * np.trace(kernel) / len(x)
        weight = x.T @ np.linalg.solve(kernel + penalty * np.eye(len(x)), y)
        score = (features[~fitted] - centre) @ weight
        ours, other = score[label[~fitted] > 0], score[label[~fitted] < 0]
        wins = (ours[:, None] > other) + 0.5 * (ours[:, None] == other)
        areas.append(float(wins.mean()))
    return float(np.mean(areas))


MEASURES: dict[str, Callable[[Doubles, Doubles], float]] = {
    "norm ratio": lambda rows, targets: norm(rows) / norm(targets),
    "cosine": cosine,
    "cosine, centred": lambda rows, targets: cosine(
        rows - rows.mean(axis=0), targets - targets.mean(axis=0)
    ),
    "distance": lambda rows, targets: norm(rows - targets) / norm(targets),
    "centroid gap": gap,
    "distance, rescaled": lambda rows, targets: (
        norm(rescaled(rows, targets) - targets) / norm(targets)
    ),
    "centroid gap, rescaled": lambda rows, targets: gap(rescaled(rows, targets), targets),
    "spread, rescaled": lambda rows, targets: spread(rescaled(rows, targets)) / spread(targets),
    "told apart, rescaled": lambda rows, targets: told_apart(rescaled(rows, targets), targets),
}


def measure(run: Path, store: Path) -> dict[str, dict[str, float]]:
    """All measures of every output of one run."""
    opened, model = open_store(store), load_run(run)
    voxels, image_rows = average_voxels(opened.subject(model.info.subjects[0]), "test")
    targets = opened.target(model.space).read(image_rows).astype(np.float64)
    flat = targets.reshape(len(targets), -1)
    outputs = {
        name: rows.astype(np.float64).reshape(len(rows), -1)
        for name, rows in model.predict(voxels).items()
    }
    return {
        name: {title: compute(rows, flat) for title, compute in MEASURES.items()}
        for name, rows in outputs.items()
    }


def main() -> None:
    """Print one row an output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--store", type=Path, action="append", required=True)
    options = parser.parse_args()
    stores = options.store * (len(options.runs) if len(options.store) == 1 else 1)
    found = [measure(run, store) for run, store in zip(options.runs, stores, strict=True)]
    print("| output | " + " | ".join(MEASURES) + " |")
    print("|---" * (len(MEASURES) + 1) + "|")
    for output in found[0]:
        cells = [shown([one[output][title] for one in found]) for title in MEASURES]
        print(f"| {output} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
