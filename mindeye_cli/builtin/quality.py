"""Held-out quality of the built-in models, on scenes that no training saw.

Shape legend: N scenes; D feature width; K categories.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from mindeye_cli.builtin.clip import participation_ratio, to_unit
from mindeye_cli.builtin.conditions import cls_normalised
from mindeye_cli.builtin.pool import Pool
from mindeye_cli.builtin.vae import psnr_of
from mindeye_cli.core.scenes import CATEGORIES, other_category, render
from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_cli.models.scene.clip import SceneClip
from mindeye_cli.models.scene.net import SceneNet

Floats = NDArray[np.float32]
_CHUNK = 128


@torch.inference_mode()
def features(pixels: NDArray[np.uint8], read: Callable[[Tensor], Tensor]) -> Tensor:
    """`read` of all pictures (N, 64, 64, 3), in chunks."""
    parts = [
        read(to_unit(pixels[start : start + _CHUNK])) for start in range(0, len(pixels), _CHUNK)
    ]
    return torch.cat(parts)


def probe_auc(
    train: Floats, train_labels: Floats, test: Floats, test_labels: Floats, ridge: float = 1e-2
) -> float:
    """Mean over labels of a ridge probe's area under the ROC curve.

    Parameters
    ----------
    train, test : float32 (N, D)
    train_labels, test_labels : (N, K)
        Zeros and ones.
    ridge : float
        Penalty as a share of the features' mean variance.

    Returns
    -------
    float
    """
    mean = train.mean(0)
    x, y = (train - mean).astype(np.float64), train_labels - train_labels.mean(0)
    gram = x.T @ x
    penalty = ridge * np.trace(gram) / len(gram)
    scores = (test - mean) @ np.linalg.solve(gram + penalty * np.eye(len(gram)), x.T @ y)
    areas = []
    for column in range(test_labels.shape[1]):
        positive = test_labels[:, column] > 0
        ranks = rankdata(scores[:, column])
        count, other = positive.sum(), (~positive).sum()
        areas.append((ranks[positive].sum() - count * (count + 1) / 2) / (count * other))
    return float(np.mean(areas))


def encoder_quality(
    clip: SceneClip, train: Pool, heldout: Pool, rows: int = 4096
) -> dict[str, float]:
    """Participation ratio and category probes of the pooled embedding on held-out scenes.

    The first probe asks for every category whether any object of the scene has it, the second
    whether the largest object has it.
    """
    fitted = features(train.pixels[:rows], lambda x: clip.embed(x)[0]).numpy()
    unseen = features(heldout.pixels, lambda x: clip.embed(x)[0])
    one_hot = np.eye(len(CATEGORIES), dtype=np.float32)
    return {
        "participation ratio": participation_ratio(unseen),
        "category probe AUC": probe_auc(
            fitted,
            train.present[: len(fitted)].astype(np.float32),
            unseen.numpy(),
            heldout.present.astype(np.float32),
        ),
        "main category probe AUC": probe_auc(
            fitted,
            one_hot[train.main[: len(fitted), 0]],
            unseen.numpy(),
            one_hot[heldout.main[:, 0]],
        ),
    }


def judge_quality(net: SceneNet, heldout: Pool) -> dict[str, float]:
    """Accuracy of scene-net on the largest object of held-out scenes."""
    read = judge(net, heldout.pixels)
    found = torch.stack([read["x"], read["y"], read["size"]], 1).numpy()
    return {
        "category accuracy": _accuracy(read["category"], heldout.main[:, 0]),
        "colour accuracy": _accuracy(read["colour"], heldout.main[:, 1]),
        "place error": float(np.abs(found - heldout.place).mean()),
    }


def judge(net: SceneNet, pixels: NDArray[np.uint8]) -> dict[str, Tensor]:
    """scene-net's read-outs of uint8 pictures."""
    with torch.inference_mode():
        parts = [
            net.read(to_unit(pixels[start : start + _CHUNK]))
            for start in range(0, len(pixels), _CHUNK)
        ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _accuracy(logits: Tensor, labels: NDArray[np.int64]) -> float:
    return float((logits.argmax(1).numpy() == labels).mean())


def vae_quality(vae: AutoencoderKL, heldout: Pool, rows: int = 512) -> dict[str, float]:
    """Round trip of held-out scenes."""
    return {"PSNR dB": psnr_of(vae, heldout.pixels[:rows])}


def _correlations(first: Tensor, second: Tensor) -> Tensor:
    """Pearson correlation of every row of one with every row of the other, (N, M)."""

    def unit(x: Tensor) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        return centred / centred.norm(dim=1, keepdim=True)

    return unit(first) @ unit(second).T


def two_way(made: Tensor, true: Tensor) -> float:
    """Share of comparisons in which a picture's features are nearer its own than another's."""
    table = _correlations(made, true)
    own = table.diagonal()[:, None]
    count = len(table)
    return float(((own > table).sum() / (count * (count - 1))).item())


def ceiling(
    decoder: StableDiffusionDecoder,
    clip: SceneClip,
    net: SceneNet,
    heldout: Pool,
    rows: Sequence[int],
    sampling: Sampling,
    negatives: int = 3,
) -> tuple[dict[str, float], NDArray[np.uint8]]:
    """What the generator makes of the true tokens of held-out scenes.

    Parameters
    ----------
    decoder : StableDiffusionDecoder
    clip : SceneClip
    net : SceneNet
    heldout : Pool
    rows : sequence of int
        Which scenes; the row is also the sampling seed.
    sampling : Sampling
        Steps and guidance.
    negatives : int
        Hard negatives a scene: same backdrop and layout, another category.

    Returns
    -------
    dict
        Two-way among the scenes and among hard negatives, the judge's accuracy on generated and
        on real pictures and their ratio, PixCorr.
    uint8 (N, 64, 64, 3)
        The generated pictures.
    """
    index = np.asarray(rows)
    true = np.array(heldout.pixels[index])
    pooled, tokens = (torch.cat(x) for x in zip(*_embedded(clip, true), strict=True))
    made = decoder.generate(cls_normalised(tokens).numpy(), list(rows), sampling, None)
    pixels = np.rint(made * 255).astype(np.uint8)
    found = features(pixels, lambda x: clip.embed(x)[0])
    wins = []
    for place, row in enumerate(rows):
        scenes = [other_category(heldout.scene(row), seed) for seed in range(negatives)]
        hard = features(np.stack([render(s) for s in scenes]), lambda x: clip.embed(x)[0])
        table = _correlations(
            found[place : place + 1], torch.cat([pooled[place : place + 1], hard])
        )
        wins.append((table[0, 0] > table[0, 1:]).float().mean().item())
    labels = heldout.main[index, 0]
    on_made = _accuracy(judge(net, pixels)["category"], labels)
    on_real = _accuracy(judge(net, true)["category"], labels)
    flat = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(pixels, true, strict=True)]
    values = {
        "scene-clip two-way": two_way(found, pooled),
        "hard negatives two-way": float(np.mean(wins)),
        "scene-net accuracy generated": on_made,
        "scene-net accuracy real": on_real,
        "scene-net accuracy ratio": on_made / on_real,
        "PixCorr": float(np.mean(flat)),
    }
    return values, pixels


@torch.inference_mode()
def _embedded(clip: SceneClip, pixels: NDArray[np.uint8]) -> list[tuple[Tensor, Tensor]]:
    """Pooled embeddings and tokens, chunk by chunk."""
    return [
        clip.embed(to_unit(pixels[start : start + _CHUNK]))
        for start in range(0, len(pixels), _CHUNK)
    ]
