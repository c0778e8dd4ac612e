"""Do 95 % intervals hold the truth in 95 % of simulated experiments, and are p values uniform?

    python benchmarks/coverage.py
    python benchmarks/coverage.py --held-out

Scores are drawn with a known truth, 1,000 experiments a line. A truth of exactly 1 is in every
interval that reaches 1; the lines just below it show what the interval is worth there. `p` lines
compare two systems of equal quality that differ in their noise alone, 200 pairs a line. In
`uneven` lines some images are much harder than others: the noise of an image is lognormal.
`--held-out` draws other decoders than those on which the numbers in `core/shares.py` were fitted,
and NSD's 982 images (a fifth of the experiments). It tells how often the truth was below and
above.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats as theory

from mindeye_cli.core import paired, stats
from mindeye_cli.core.shares import pseudo_values

Draw = np.random.Generator
NOISE = (20.0, 4.0, 2.5, 1.5, 1.0, 0.8, 0.5, 0.0)
UNEVEN, UNEVEN_NOISE = 0.8, (2.5, 1.2, 0.8, 0.5, 0.2)
MEANS: dict[str, tuple[Callable[[Draw, int], np.ndarray], stats.Interval | None]] = {
    "normal": (lambda draw, n: draw.standard_normal(n), None),
    "skewed, gamma(4)": (lambda draw, n: draw.gamma(4.0, size=n), None),
    "correlations, tanh N(.3, .3)": (lambda draw, n: np.tanh(draw.normal(0.3, 0.3, n)), (-1, 1)),
    "hits of .5": (lambda draw, n: (draw.random(n) < 0.5).astype(float), stats.SHARE),
    "hits of .9": (lambda draw, n: (draw.random(n) < 0.9).astype(float), stats.SHARE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """A decoder that sees noisy features.

    Attributes
    ----------
    noise : float
        Standard deviation, in those of a feature.
    uneven : float
        Spread of the logarithm of the noise over images.
    lost : float
        Share of images of which nothing is decoded.
    features : int
    """

    noise: float
    uneven: float = 0.0
    lost: float = 0.0
    features: int = 12

    def wins(self, draw: Draw, n: int, truth: np.ndarray | None = None) -> np.ndarray:
        """Wins (n, n) by Pearson correlation."""
        shape = (n, self.features)
        truth = draw.standard_normal(shape) if truth is None else truth
        spread = np.exp(self.uneven * draw.standard_normal((n, 1))) if self.uneven else 1.0
        guess = truth + self.noise * spread * draw.standard_normal(shape)
        if self.lost:
            guess = np.where(draw.random((n, 1)) < self.lost, draw.standard_normal(shape), guess)
        sides = [side - side.mean(axis=1, keepdims=True) for side in (truth, guess)]
        unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides]
        r = unit[0] @ unit[1].T
        return (r < np.diagonal(r)[None, :]).astype(float)


HELD_OUT = (
    *(Decoder(noise=k, features=5) for k in (4.0, 1.5, 1.0, 0.7, 0.4)),
    *(Decoder(noise=k, features=5, uneven=0.5) for k in (1.2, 0.8, 0.5)),
    *(Decoder(noise=k, features=5, uneven=1.2) for k in (1.2, 0.5, 0.2)),
    *(Decoder(noise=k, features=40) for k in (7.2, 2.7, 1.8, 1.3)),
    *(Decoder(noise=k, features=40, uneven=0.5) for k in (2.2, 1.4, 0.9)),
    *(Decoder(noise=k, features=40, uneven=1.2) for k in (2.2, 0.9, 0.4)),
    *(Decoder(noise=0.1, lost=share) for share in (0.4, 0.2, 0.1, 0.05, 0.02)),
)


def cover_mean(name: str, n: int, runs: int) -> tuple[float, float]:
    """(truth, coverage) of the interval of a mean."""
    sample, bounds = MEANS[name]
    truth = float(sample(np.random.default_rng(0), 4_000_000).mean())
    draw, hits = np.random.default_rng(n), 0
    for _ in range(runs):
        low, high = stats.mean_interval(sample(draw, n), np.arange(n), 0, bounds)
        hits += low <= truth <= high
    return truth, hits / runs


def cover_pairs(decoder: Decoder, n: int, runs: int) -> tuple[float, float, float]:
    """Of the interval of a two-way score: truth, how often it is below, how often above."""
    # A truth as uncertain as the intervals of 982 images are would be missed by them.
    large, draws = 1500, 60
    known = [decoder.wins(np.random.default_rng(1000 + k), large).sum() for k in range(draws)]
    truth = float(np.mean(known) / (large * (large - 1)))
    draw, below, above = np.random.default_rng(n), 0, 0
    for _ in range(runs):
        low, high = stats.pair_interval(decoder.wins(draw, n), np.arange(n))
        below, above = below + (truth < low), above + (truth > high)
    return truth, below / runs, above / runs


def p_values(n: int, noise: float, pairs: int, *, two: bool) -> np.ndarray:
    """p of `compare` for systems of the same images and quality."""
    draw, found = np.random.default_rng(n), []
    for _ in range(pairs):
        decoder = Decoder(noise=noise)
        truth = draw.standard_normal((n, decoder.features))
        wins = [decoder.wins(draw, n, truth) for _ in range(2)]
        if two:
            scores = [pseudo_values(w, np.arange(n)) for w in wins]
        else:
            scores = [w.mean(axis=0) + draw.normal(0, 0.1, n) for w in wins]
        found.append(paired.compare_means(scores[0] - scores[1], 0).p)
    return np.array(found)


def held_out(runs: int) -> None:
    """Print the lines of other decoders, and how many of them are within 93 to 97 %."""
    heads = ("features", "spread", "lost", "noise", "n", "truth", "coverage", "below", "above")
    print(" ".join(f"{head:>8}" for head in heads))
    for n in (15, 50, 982):
        shares = []
        for decoder in HELD_OUT:
            truth, below, above = cover_pairs(decoder, n, runs if n < 100 else max(20, runs // 5))
            shares.append(1 - below - above)
            told = (decoder.features, decoder.uneven, decoder.lost, decoder.noise, n)
            values = (truth, shares[-1], below, above)
            line = [*(f"{v:8g}" for v in told), *(f"{v:8.4f}" for v in values)]
            print(" ".join(line), flush=True)
        within = sum(0.93 <= share <= 0.97 for share in shares)
        ends = f"{min(shares):.3f} to {max(shares):.3f}"
        print(f"n = {n}: {within} of {len(shares)} within .93 to .97, all {ends}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--held-out", action="store_true", help="other decoders, not fitted to")
    options = parser.parse_args()
    runs = options.runs
    if options.held_out:
        held_out(runs)
        return
    print(f"{'score':34} {'n':>4} {'truth':>8} {'coverage':>9}")
    for n in (20, 100):
        for name in MEANS:
            truth, share = cover_mean(name, n, runs)
            print(f"{'mean: ' + name:34} {n:4d} {truth:8.4f} {share:9.3f}", flush=True)
        for noise in NOISE:
            truth, *missed = cover_pairs(Decoder(noise=noise), n, runs)
            share = 1 - sum(missed)
            print(f"{f'two-way, noise {noise:g}':34} {n:4d} {truth:8.4f} {share:9.3f}", flush=True)
        for noise in UNEVEN_NOISE:
            truth, *missed = cover_pairs(Decoder(noise=noise, uneven=UNEVEN), n, runs)
            share = 1 - sum(missed)
            name = f"two-way, uneven, noise {noise:g}"
            print(f"{name:34} {n:4d} {truth:8.4f} {share:9.3f}", flush=True)
    print(f"{'p of two seeds':34} {'n':>4} {'below .05':>9} {'KS p':>8}")
    for n in (20, 100):
        for two in (False, True):
            p = p_values(n, 1.5, max(20, runs // 5), two=two)
            name = "two-way" if two else "mean of an image's scores"
            uniform = theory.kstest(p, "uniform").pvalue
            print(f"{name:34} {n:4d} {(p <= 0.05).mean():9.3f} {uniform:8.3f}", flush=True)


if __name__ == "__main__":
    main()
