"""Do the pictures stand beside their own stimuli? What misaligned rows of brain and images leave.

Rows that were shifted, reversed or sorted differently give pictures that look like stimuli and
score like random pairings. Three signs are told apart:

- `rows-shifted`: pairing the pictures with a shifted, reversed or re-sorted list of stimuli scores
  better than their own, by more than luck among all such lists.
- `rows-scrambled`: the pictures match stimuli one to one, and not their own. Pictures that know
  nothing match some stimuli several times and others never.
- `permuted-level`: no metric tells the pictures from random pairings. A brain without signal, a
  model that did not learn and rows in an unknown order all look so.

Shapes: `G` distinct images; in a (G, G) array rows are stimuli and columns are reconstructions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Warnings = list[dict[str, str]]

# Chance of a false alarm for one evaluation, of each sign that accuses.
ALARM = 1e-3
# The level of random pairings: no metric below this, corrected for their number.
LEVEL = 0.05
LEAST_IMAGES = 8


@dataclass(slots=True)
class Alignment:
    """Collects the scores of all pairs, metric by metric.

    Attributes
    ----------
    ids : tuple of str
        The image of each entry.
    scores : dict of name to float64 array (G, G)
        Higher is better in all of them.
    """

    ids: Sequence[str]
    scores: dict[str, Floats] = field(default_factory=dict)

    def add(self, name: str, cross: Floats, groups: Ints, *, higher: bool) -> None:
        """Keep one metric's scores (n, n) of every reconstruction beside every stimulus."""
        if not np.isfinite(cross).all():
            return
        first = np.unique(groups, return_index=True)[1]
        means = np.stack([cross[:, groups == image].mean(axis=1) for image in range(len(first))], 1)
        self.scores[name] = means[first] * (1 if higher else -1)

    def warnings(self) -> Warnings:
        """What the scores say, as `code` and `message`."""
        images = list(dict.fromkeys(self.ids))
        if len(images) < LEAST_IMAGES or not self.scores:
            return []
        # Scores are ordered by sorted id, as `Pictures.groups` numbers them.
        order = np.argsort(np.argsort(np.asarray(images)))
        shifted = self._shifted(images, order.astype(np.int64))
        if shifted is not None:
            return [shifted]
        if not self._at_permuted_level():
            return []
        return [self._scrambled() or PERMUTED_LEVEL]

    def _shifted(self, images: list[str], order: Ints) -> dict[str, str] | None:
        """The list of stimuli that fits best, if it is another than the true one."""
        best: tuple[float, str, str] | None = None
        own = np.arange(len(images), dtype=np.int64)
        others = list(_lists(images, order))
        for name, scores in self.scores.items():
            mean, error = permutation_moments(scores)
            truth = (scores[own, own].mean() - mean) / error
            for told, stimuli in others:
                z = (scores[stimuli, own].mean() - mean) / error
                alarm = special.ndtr(-z) * len(others) * len(self.scores)
                if z > truth and alarm < ALARM and (best is None or z > best[0]):
                    best = (z, told, name)
        if best is None:
            return None
        return {
            "code": "rows-shifted",
            "message": f"{best[1]} scores higher than the true pairing by {best[2]}:"
            " the rows of brain and images are probably misaligned",
        }

    def _scrambled(self) -> dict[str, str] | None:
        """Whether the best stimuli of the reconstructions are too many different ones."""
        for name, scores in self.scores.items():
            n = len(scores)
            if ((scores == scores.max(axis=0)).sum(axis=0) > 1).any():
                continue  # Hits and misses name no one stimulus.
            matched = len(np.unique(scores.argmax(axis=0)))
            empty, pairs = (1 - 1 / n) ** n, (1 - 2 / n) ** n
            error = np.sqrt(n * empty + n * (n - 1) * pairs - (n * empty) ** 2)
            z = (matched - n * (1 - empty)) / error
            if special.ndtr(-z) * len(self.scores) < ALARM:
                return {
                    "code": "rows-scrambled",
                    "message": f"the pictures are most like {matched} different stimuli of {n} by"
                    f" {name}, but not like their own: rows are probably in another order",
                }
        return None

    def _at_permuted_level(self) -> bool:
        found = []
        for scores in self.scores.values():
            mean, error = permutation_moments(scores)
            found.append(special.ndtr(-(np.diagonal(scores).mean() - mean) / error))
        return min(found) * len(found) > LEVEL


PERMUTED_LEVEL = {
    "code": "permuted-level",
    "message": "no metric tells these pictures from random pairings: the brain carries no signal"
    " here, the model has not learned, or rows of brain and images are misaligned",
}


def permutation_moments(scores: Floats) -> tuple[float, float]:
    """Mean and standard deviation of the mean score over all permuted pairings (Hoeffding 1951)."""
    n = len(scores)
    rest = scores - scores.mean(axis=0) - scores.mean(axis=1)[:, None] + scores.mean()
    deviation = float(np.sqrt((rest**2).sum() / (n - 1)) / n)
    return float(scores.mean()), max(deviation, float(np.finfo(float).tiny))


def _lists(images: list[str], order: Ints) -> Iterator[tuple[str, Ints]]:
    """Other lists of stimuli that mistakes make, with what each is called.

    Yields the stimulus of the reconstruction of each image, both as places in sorted order.
    """
    numeric = sorted(range(len(images)), key=lambda k: _natural(images[k]))
    listings = {"as listed": order, "by id": np.sort(order), "by number": order[numeric]}
    seen = {np.arange(len(images), dtype=np.int64).tobytes()}
    for told, pairing in _mistakes(listings):
        if pairing.tobytes() not in seen:
            seen.add(pairing.tobytes())
            yield told, pairing


def _mistakes(listings: dict[str, Ints]) -> Iterator[tuple[str, Ints]]:
    for told, listing in listings.items():
        for shift in range(1, len(listing)):
            by = shift if shift <= len(listing) // 2 else shift - len(listing)
            yield f"a shift of the stimuli by {by} ({told})", _pair(listing, np.roll(listing, -by))
        yield f"the reversed list of stimuli ({told})", _pair(listing, listing[::-1])
    for first, one in listings.items():
        for second, two in listings.items():
            yield f"reconstructions {first} beside stimuli {second}", _pair(one, two)


def _pair(reconstructions: Ints, stimuli: Ints) -> Ints:
    """Stimulus of each reconstruction when two lists are put side by side."""
    found = np.empty(len(stimuli), dtype=np.int64)
    found[reconstructions] = stimuli
    return found


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key by which img2 comes before img10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]
