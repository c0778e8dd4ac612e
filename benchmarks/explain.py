"""Which map of voxels is true? Goals A1 to A8 on a brain of which everything is known.

    python benchmarks/explain.py --seeds 0,1,2

For signal shares of 23, 11 and 2 % (the last with 8 noise factors common to all voxels, where maps
of what responds are expected to lose): areas under the ROC curve of voxels and areas for single
images and for sets that share a concept, of the encoding model, its shuffled refit, raw decoder
weights and expected gradients; how suppressors score; completeness, Shapley sums, deletion curves
and retraining. docs/explain.md holds the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata, spearmanr
from torch import Tensor
from torch.nn.functional import cosine_similarity
from truth.brain import AREAS, CONCEPTS, SIZE, SUPPRESSORS, TUNED, WIDTH, make_brain

from mindeye_cli.models.attribution.gradients import expected_gradients
from mindeye_cli.models.attribution.shapley import shapley
from mindeye_cli.models.backbone import ResidualMLP
from mindeye_cli.models.encoding import fit_encoding
from mindeye_cli.models.ridge_model import RidgeModel
from mindeye_cli.models.ridge_model import fit as fit_ridge

TRAIN, TEST, IMAGES = 4000, 300, 40
CONDITIONS = {"23 %": (0.23, 2), "11 %": (0.11, 2), "2 %": (0.02, 8)}
DROPOUT = {"dropout_in": 0.5, "dropout": 0.15}
Score = Callable[[Tensor], Tensor]


def auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half."""
    ranks, n = rankdata(scores), int(truth.sum())
    return float((ranks[truth].sum() - n * (n + 1) / 2) / (n * (len(truth) - n)))


def mean_auc(maps: np.ndarray, truth: np.ndarray) -> float:
    """Mean over images that have both kinds."""
    return float(
        np.mean([auc(m, t > 0) for m, t in zip(maps, truth, strict=True) if 0 < (t > 0).mean() < 1])
    )


class Study:
    """One seed at one signal: data, encoding model, decoders."""

    def __init__(self, seed: int, signal: float, factors: int) -> None:
        self.brain = make_brain(seed, signal, factors)
        held, self.embeddings = self.brain.images(TRAIN, 100 + seed)
        self.responses = self.brain.responses(held, 200 + seed)
        self.held, self.targets = self.brain.images(TEST, 300 + seed)
        self.trials = self.brain.responses(self.held, 400 + seed)
        self.truth = self.brain.truth(self.held)
        counts = np.ones(TRAIN, dtype=np.int64)
        self.encoding = fit_encoding(self.embeddings, self.responses, counts, seed=seed)
        order = np.random.default_rng(seed).permutation(TRAIN)
        self.shuffled = fit_encoding(self.embeddings, self.responses[order], counts, seed=seed)
        self.ridge = fit_ridge(
            self.responses,
            counts,
            self.embeddings,
            alphas=(0.1, 1.0, 10.0, 100.0),
            per_target=False,
            folds=5,
            whiten=False,
            seed=seed,
        )
        self.network = train_network(self.responses, self.embeddings, seed)

    def encoded(self, model: Any, directions: np.ndarray, weigh: bool = True) -> np.ndarray:
        """Size of the encoding map, times cross-validated r, (n, V)."""
        change = model.contrast(directions).numpy()
        return np.abs(change * np.maximum(model.r.numpy(), 0) if weigh else change)


def train_network(responses: np.ndarray, embeddings: np.ndarray, seed: int) -> ResidualMLP:
    """A decoder with layer norms, GELU and dropout, fitted by mean squared error."""
    torch.manual_seed(seed)
    model = ResidualMLP((responses.shape[1],), (1, WIDTH), hidden=256, blocks=2, **DROPOUT)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    x, y = torch.from_numpy(responses), torch.from_numpy(embeddings - embeddings.mean(0))
    for _ in range(400):
        rows = torch.randint(len(x), (256,))
        loss = (model([x[rows]]).flatten(1) - y[rows]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def linear_score(ridge: RidgeModel, target: np.ndarray) -> Score:
    """Cosine of the ridge decoder's embedding with a target."""
    weight, intercept = torch.from_numpy(ridge.weight), torch.from_numpy(ridge.intercept)
    wanted = torch.from_numpy(target)[None]
    return lambda rows: cosine_similarity(rows @ weight + intercept, wanted)


def network_score(network: ResidualMLP, target: np.ndarray) -> Score:
    """Cosine of the network's embedding with a target."""
    wanted = torch.from_numpy(target)[None]
    return lambda rows: cosine_similarity(network([rows]).flatten(1), wanted)


def single_images(study: Study, out: dict[str, float]) -> None:
    """Maps of single images."""
    brain, directions = study.brain, study.targets - study.embeddings.mean(0)
    maps = {
        "encoder x r": study.encoded(study.encoding, directions),
        "encoder": study.encoded(study.encoding, directions, weigh=False),
        "shuffled encoder x r": study.encoded(study.shuffled, directions),
        "shuffled encoder": study.encoded(study.shuffled, directions, weigh=False),
        "raw decoder weights": np.abs(directions @ study.ridge.weight.T),
    }
    for name, values in maps.items():
        out[f"image voxel, {name}"] = mean_auc(values, study.truth)
        out[f"image area, {name}"] = mean_auc(brain.by_area(values), brain.by_area(study.truth))
    areas = brain.by_area(maps["encoder x r"]).mean(0)
    suppressors, alone = areas[TUNED : TUNED + SUPPRESSORS], areas[TUNED + SUPPRESSORS :]
    out["suppressors over uncoupled"] = float(suppressors.mean() / max(alone.mean(), 1e-12))


def sets(study: Study, out: dict[str, float]) -> None:
    """Maps of what images that hold one concept share."""
    held, embeddings = study.brain.images(2000, 7)
    truth = np.abs(study.brain.gains)
    use = np.flatnonzero(truth.any(1))
    difference = np.stack(
        [embeddings[held[:, c]].mean(0) - embeddings[~held[:, c]].mean(0) for c in use]
    )
    for name, model in (("encoder x r", study.encoding), ("shuffled", study.shuffled)):
        out[f"set voxel, {name}"] = mean_auc(study.encoded(model, difference), truth[use])
    raw = np.abs(difference @ study.ridge.weight.T)
    out["set voxel, raw decoder weights"] = mean_auc(raw, truth[use])


def decoders(study: Study, out: dict[str, float]) -> None:
    """Gates of the decoder's parts, on the network."""
    draw = np.random.default_rng(0)
    baselines = torch.from_numpy(study.responses[draw.choice(TRAIN, 8, replace=False)])
    groups = torch.from_numpy(study.brain.area)
    torch.manual_seed(1)
    random_network = ResidualMLP(
        (AREAS * SIZE,), (1, WIDTH), hidden=256, blocks=2, **DROPOUT
    ).eval()
    shares, random, missing, sums, lower = [], [], [], [], []
    for i in range(IMAGES):
        row = torch.from_numpy(study.trials[i])
        score = network_score(study.network, study.targets[i])
        found = expected_gradients(score, row, baselines)
        missing.append(found.missing)
        shares.append(found.values.mean(0).numpy())
        other = network_score(random_network, study.targets[i])
        random.append(expected_gradients(other, row, baselines).values.mean(0).numpy())
        parts = shapley(score, row, groups).mean(0)
        with torch.no_grad():
            whole = float(score(row[None]) - score(torch.zeros_like(row)[None]))
        sums.append(abs(float(parts.sum()) - whole) / max(abs(whole), 1e-6))
        lower.append(deletion(score, row, shares[-1], study.responses, i))
    values = np.abs(np.array(shares))
    out["image voxel, expected gradients"] = mean_auc(values, study.truth[:IMAGES])
    by_area = study.brain.by_area
    out["image area, expected gradients"] = mean_auc(by_area(values), by_area(study.truth[:IMAGES]))
    out["completeness within 1 %"] = float(np.mean(np.array(missing) <= 0.01))
    out["Shapley: largest gap"] = float(np.max(sums))
    out["random weights: Spearman"] = float(
        np.mean([spearmanr(a, b).statistic for a, b in zip(shares, random, strict=True)])
    )
    for k, fill in enumerate(("mean", "other trial")):
        out[f"deletion below random, {fill}"] = float(np.mean([pair[k] for pair in lower]))


def deletion(
    score: Score, row: Tensor, share: np.ndarray, responses: np.ndarray, seed: int
) -> tuple[bool, bool]:
    """Whether the score falls faster in the map's order than in random order, for two fills."""
    draw = np.random.default_rng(seed)
    other = torch.from_numpy(responses[draw.integers(len(responses))])
    steps = np.linspace(0, len(share), 21).astype(int)
    results = []
    for fill in (torch.zeros_like(row), other):
        areas = []
        orders = [np.argsort(-share), *(draw.permutation(len(share)) for _ in range(5))]
        for order in orders:
            rank = torch.from_numpy(np.argsort(order))
            rows = torch.stack([torch.where(rank < step, fill, row) for step in steps])
            with torch.no_grad():
                areas.append(float(score(rows).mean()))
        results.append(areas[0] < float(np.mean(areas[1:])))
    return results[0], results[1]


def retraining(study: Study, out: dict[str, float], seed: int) -> None:
    """What a ridge decoder loses when it is refitted without a tenth of the voxels."""
    directions = study.embeddings - study.embeddings.mean(0)
    order = np.argsort(-study.encoded(study.encoding, directions).mean(0))
    tenth = len(order) // 10
    draw = np.random.default_rng(seed)
    everything = np.arange(len(order))
    without = {
        "map": np.setdiff1d(everything, order[:tenth]),
        "random": np.setdiff1d(everything, draw.choice(len(order), tenth, replace=False)),
    }
    for name, kept in without.items():
        model = fit_ridge(
            study.responses[:, kept],
            np.ones(TRAIN, dtype=np.int64),
            study.embeddings,
            alphas=(0.1, 1.0, 10.0, 100.0),
            per_target=False,
            folds=5,
            whiten=False,
            seed=seed,
        )
        decoded = torch.from_numpy(model.predict(study.trials[:, kept]))
        mean = torch.from_numpy(study.embeddings.mean(0))
        cosines = cosine_similarity(decoded - mean, torch.from_numpy(study.targets) - mean)
        out[f"refitted without a tenth: {name}"] = float(cosines.mean())


def main() -> None:
    """Print the mean of all seeds for every condition."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    options = parser.parse_args()
    table: dict[str, dict[str, list[float]]] = {}
    for condition, (signal, factors) in CONDITIONS.items():
        for seed in map(int, options.seeds.split(",")):
            study = Study(seed, signal, factors)
            found: dict[str, float] = {}
            single_images(study, found)
            sets(study, found)
            decoders(study, found)
            retraining(study, found, seed)
            for name, value in found.items():
                table.setdefault(name, {}).setdefault(condition, []).append(value)
    print(f"{TRAIN} training trials, {CONCEPTS} concepts; mean of the seeds (least, most)")
    print(f"{'':38}" + "".join(f"{c:>24}" for c in CONDITIONS))
    for name, columns in table.items():
        cells = [f"{np.mean(v):.3f} ({min(v):.3f}, {max(v):.3f})" for v in columns.values()]
        print(f"{name:38}" + "".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    main()
