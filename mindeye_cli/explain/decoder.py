"""The decoder's parts: which areas a decoder *uses* for an image, and which it *needs*.

The score is the cosine of what is decoded from a response and the image's own embedding. Used:
expected gradients of it against other measured responses, and Shapley values of the areas; needed:
its loss without an area, beside the loss without as many random voxels of the same noise-ceiling
SNR. Neither says where the image is represented: a decoder gives weight to voxels without signal
that cancel noise of others.

Shapes: `n` responses, `V` voxels, `A` areas, `G` parts without overlap, `K` baselines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cosine_similarity

from mindeye_cli.core.kept_voxels import matched_voxels
from mindeye_cli.core.sampler import rng
from mindeye_cli.core.significance import fdr
from mindeye_cli.core.trials import average_trials, training_trials
from mindeye_cli.explain.encoder import Encoder
from mindeye_cli.models.attribution.gradients import expected_gradients, identity
from mindeye_cli.models.attribution.occlusion import losses
from mindeye_cli.models.attribution.shapley import shapley
from mindeye_cli.models.run_model import RunModel

Floats = NDArray[np.float32]
USED, NEEDED = "used by decoder", "needed by decoder"
BASELINES, CONTROLS, BATCH = 8, 20, 64
# Responses of a set that are attributed: each costs thousands of passes through the decoder.
MOST_RESPONSES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is scored: responses against one embedding.

    Attributes
    ----------
    score : callable
        (B, D) to (B,): cosine of the decoded embedding and the target.
    through : callable
        (B, V) to (B, D): the affine part of the decoder, which comes before; a network has none.
    voxels : float32 Tensor (n, V)
    """

    score: Callable[[Tensor], Tensor]
    through: Callable[[Tensor], Tensor]
    voxels: Tensor

    def whole(self, rows: Tensor) -> Tensor:
        """Score of responses, (B, V) to (B,)."""
        return self.score(self.through(rows))


def ask(model: RunModel, target: Floats, voxels: Floats) -> Question:
    """Make the score of one target embedding (Q,)."""
    inner = model.embedding
    wanted = torch.from_numpy(np.ascontiguousarray(target)).to(inner.device)

    def likeness(embeddings: Tensor) -> Tensor:
        return cosine_similarity(embeddings, wanted[None], dim=1)

    def decoded(rows: Tensor) -> Tensor:
        return torch.cat([likeness(inner.embed(part)) for part in rows.split(BATCH)])

    return Question(
        score=likeness if inner.affine else decoded,
        through=inner.embed if inner.affine else identity,
        voxels=torch.from_numpy(voxels).to(inner.device),
    )


def used(encoder: Encoder, question: Question, seed: int = 0) -> dict[str, Any]:
    """Expected gradients and Shapley values of the areas.

    Returns
    -------
    dict
        `question`, `difference` (of the score from the baselines'), `steps`, `missing` (largest gap
        that the shares leave), `map` (mean share of every voxel, float32 (V,)) and `rois`: `share`
        of the difference, its `ci95` over responses and baselines, and `shapley` of the part of the
        area that no earlier one holds.

    Raises
    ------
    InvalidInput
        The shares do not add up, whatever the number of steps.
    """
    baselines = _baselines(encoder, seed).to(question.voxels)
    found = [
        expected_gradients(question.score, row, baselines, through=question.through)
        for row in question.voxels[:MOST_RESPONSES]
    ]
    values = torch.cat([one.values for one in found]).cpu()
    difference = float(np.mean([one.difference for one in found]))
    by_area = (values @ torch.from_numpy(encoder.areas.masks).float().T).double().numpy()
    shares = by_area.reshape(len(found), len(baselines), -1)
    interval = _interval(shares, seed)
    parts, names, whole = _shapley(encoder, question, seed)
    lines: dict[str, Any] = {
        name: {
            "share": float(shares[..., number].mean()),
            "ci95": [float(v) for v in interval[:, number]],
            "shapley": parts.get(name),
        }
        for number, name in enumerate(encoder.areas.names)
    }
    return {
        "question": USED,
        "difference": difference,
        "steps": max(one.steps for one in found),
        "missing": max(one.missing for one in found),
        "shapley_difference": whole,
        "elsewhere": {name: parts[name] for name in names if name not in lines},
        "map": values.mean(dim=0).numpy(),
        "rois": dict(sorted(lines.items(), key=lambda item: -item[1]["share"])),
    }


def needed(encoder: Encoder, question: Question, seed: int = 0) -> dict[str, Any]:
    """What the score loses without each area, beside matched random voxels.

    Returns
    -------
    dict
        `question`, `score` (of the whole response) and `rois`: `loss`, its `ci95` over responses
        (null for one), `control` (its mean over random voxels), `range95` of the controls, `p`, the
        share of controls that lose as much, and `q`, its false discovery rate over areas.
    """
    with torch.no_grad():
        whole = question.whole(question.voxels)
    lines: dict[str, dict[str, Any]] = {}
    for name, mask in zip(encoder.areas.names, encoder.areas.masks, strict=True):
        controls = matched_voxels(encoder.subject, mask, CONTROLS, seed)
        each = losses(question.whole, question.voxels, [mask, *controls]).numpy()
        own, random = float(each[0].mean()), each[1:].mean(axis=1)
        lines[name] = {
            "loss": own,
            "ci95": _over_responses(each[0], seed),
            "control": float(random.mean()),
            "range95": [float(v) for v in np.quantile(random, [0.025, 0.975])],
            "p": float((1 + (random >= own).sum()) / (1 + len(random))),
        }
    for line, q in zip(
        lines.values(), fdr(np.array([v["p"] for v in lines.values()])), strict=True
    ):
        line["q"] = float(q)
    order = sorted(lines.items(), key=lambda item: item[1]["control"] - item[1]["loss"])
    return {"question": NEEDED, "score": float(whole.mean()), "rois": dict(order)}


def _baselines(encoder: Encoder, seed: int) -> Tensor:
    """Measured responses to training images that the score is compared from, (K, V)."""
    trials = training_trials(encoder.store, encoder.subject)
    count = min(BASELINES, len(trials.image_rows))
    chosen = rng(seed, "baselines").choice(len(trials.image_rows), count, replace=False)
    rows = average_trials(encoder.subject, trials.take(np.sort(chosen).astype(np.int64)))
    return torch.from_numpy(rows)


def _interval(shares: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """95 % interval of the mean share, responses and baselines resampled; (n, K, A) to (2, A)."""
    random = rng(seed, "shares")
    n, k, _ = shares.shape
    draws = [
        shares[random.integers(0, n, n)][:, random.integers(0, k, k)].mean(axis=(0, 1))
        for _ in range(1000)
    ]
    return np.asarray(np.quantile(draws, [0.025, 0.975], axis=0))


def _over_responses(values: NDArray[np.float64], seed: int) -> list[float] | None:
    """95 % interval of the mean over responses, resampled; None where there is one."""
    if len(values) < 2:
        return None
    chosen = rng(seed, "losses").integers(0, len(values), (1000, len(values)))
    return [float(v) for v in np.quantile(values[chosen].mean(axis=1), [0.025, 0.975])]


def _shapley(
    encoder: Encoder, question: Question, seed: int
) -> tuple[dict[str, dict[str, Any]], tuple[str, ...], float]:
    """Mean Shapley value of every part with its standard error, and the change they add up to."""
    group, names = encoder.areas.parts
    groups = torch.from_numpy(group).to(question.voxels.device)
    found = [
        shapley(question.score, row, groups, through=question.through, seed=seed)
        for row in question.voxels[:MOST_RESPONSES]
    ]
    draws = torch.stack(found).mean(dim=0)
    errors = draws.std(dim=0) / len(draws) ** 0.5
    values = {
        name: {"value": float(draws[:, g].mean()), "error": float(errors[g])}
        for g, name in enumerate(names)
    }
    return values, names, float(draws.mean(dim=0).sum())
