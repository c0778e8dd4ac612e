"""The panel's numbers against loops and decompositions written here."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mindeye_cli.core.trials import ImageTrials
from mindeye_cli.evaluate.panel import novelty, predictions
from mindeye_cli.evaluate.panel.run import panel_warnings
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.models.bottleneck import Bottleneck

DRAW = np.random.default_rng(0)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b)))


def two_way(predicted: np.ndarray, true: np.ndarray, images: np.ndarray) -> float:
    """Each prediction's own image against every other entry's, one comparison at a time."""
    scores = []
    for j, row in enumerate(predicted):
        own = cosine(true[images[j]], row)
        for i in range(len(predicted)):
            if images[i] != images[j]:
                other = cosine(true[images[i]], row)
                scores.append(1.0 if other < own else 0.5 if other == own else 0.0)
    return float(np.mean(scores))


def test_quartiles_split_the_images_by_their_likeness_to_training() -> None:
    training, points = unit(DRAW.normal(size=(5000, 6))), unit(DRAW.normal(size=(10, 6)))
    likeness = novelty.nearest(points, training)
    known = [max(cosine(p, t) for t in training[::1]) for p in points[:2]]
    np.testing.assert_allclose(likeness[:2], known)
    groups = np.repeat(np.arange(10), 2)  # two pictures of each image
    values = DRAW.normal(size=20)
    values[3] = np.nan
    lines = {"psnr": {"per_image": values.tolist()}}
    found = novelty.quartiles(likeness[groups], groups, lines, 0)
    order = np.argsort(-likeness)
    places = [order[:3], order[3:5], order[5:8], order[8:]]
    assert [q["images"] for q in found] == [3, 2, 3, 2]
    for quartile, images in zip(found, places, strict=True):
        mine = np.nanmean(values[np.isin(groups, images)])
        assert quartile["metrics"]["psnr"]["value"] == pytest.approx(mine)
        assert quartile["low"] == pytest.approx(likeness[images].min())
        assert quartile["high"] == pytest.approx(likeness[images].max())


def test_a_copy_is_nearer_to_a_training_image_than_to_its_stimulus() -> None:
    training, true = unit(DRAW.normal(size=(30, 8))), unit(DRAW.normal(size=(12, 8)))
    made = {"": unit(true + 0.4 * DRAW.normal(size=true.shape)), "copy": training[:12]}
    ids = tuple(f"{k}" for k in range(12))
    tables = {
        name: Pictures(ids=ids, pixels=np.full((12, 1, 1, 3), k, dtype=np.uint8))
        for k, name in enumerate(made)
    }
    rows = list(made.values())
    found = novelty.copy_rate(
        lambda pictures: rows[pictures.pixels.flat[0]], tables, true, training, np.arange(12)
    )
    copied = [
        max(cosine(p, t) for t in training) > cosine(p, own)
        for p, own in zip(made[""], true, strict=True)
    ]
    assert found["value"] == pytest.approx(np.mean(copied)) and found["n"] == 12
    assert found["controls"]["copy"]["value"] == 1.0


def test_effective_rank_is_that_of_the_singular_values() -> None:
    predicted = DRAW.normal(size=(40, 3)) @ DRAW.normal(size=(3, 7, 5)).reshape(3, 35)
    predicted = predicted.reshape(40, 7, 5) + 4.0
    true = DRAW.normal(size=(40, 7, 5))
    found = predictions.ranks(predicted, true)
    for name, rows in (("predicted", predicted), ("true", true)):
        flat = rows.reshape(40, -1)
        share = np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False) ** 2
        share = share[share > 1e-9] / share.sum()
        assert found[name]["effective_rank"] == pytest.approx(np.exp(-(share @ np.log(share))))
        assert found[name]["participation_ratio"] == pytest.approx(1 / (share**2).sum())
    assert found["predicted"]["effective_rank"] <= 3 < found["true"]["effective_rank"]
    assert [w["code"] for w in panel_warnings({"effective_rank": found})] == ["rank-collapsed"]
    assert panel_warnings({"effective_rank": found | {"ratio": 0.5}}) == []


class Affine:
    """A model that is one map, as ridge is; `target` shapes its output."""

    kind, trunk = "ridge", None

    def __init__(self, weight: np.ndarray, offset: float, target: tuple[int, ...]) -> None:
        self.weight, self.offset, self.target = weight, offset, target

    def predict(self, voxels: np.ndarray, outputs: tuple[str, ...]) -> dict[str, np.ndarray]:
        flat = (voxels @ self.weight + self.offset).astype(np.float32)
        return {outputs[0]: flat.reshape(len(flat), *self.target)}


class TwoLayers:
    """A linear trunk and something that is not linear."""

    kind = "high-level"

    def __init__(self, inputs: int, hidden: int) -> None:
        torch.manual_seed(0)
        self.trunk, self.rest = torch.nn.Linear(inputs, hidden), torch.nn.Linear(hidden, 5)

    def predict(self, voxels: np.ndarray, outputs: tuple[str, ...]) -> dict[str, np.ndarray]:
        with torch.no_grad():
            found = self.rest(torch.tanh(self.trunk(torch.from_numpy(voxels))))
        return {outputs[0]: found.numpy()}


def test_repeats_are_averaged_before_the_model_for_the_same_images() -> None:
    counts = np.array([3, 2, 3, 3, 3])
    starts = np.concatenate([[0], np.cumsum(counts)])
    trials = ImageTrials(
        image_rows=np.arange(5), trial_rows=np.arange(14)[::-1].copy(), starts=starts
    )
    responses = DRAW.normal(size=(14, 6)).astype(np.float32)
    subject = SimpleNamespace(voxels=SimpleNamespace(read=lambda rows: responses[rows]))
    model = Affine(DRAW.normal(size=(6, 8)), 0.3, (2, 4))
    true = DRAW.normal(size=(5, 2, 4)).astype(np.float32)
    found = predictions.by_repeats(model, subject, trials, true)
    kept, flat = [0, 2, 3, 4], true.reshape(5, -1)
    own = [responses[trials.trial_rows[starts[k] : starts[k + 1]]] for k in kept]
    assert [row["repeats"] for row in found["rows"]] == [1, 2, 3]
    assert [row["rows"] for row in found["rows"]] == [12, 4, 4]
    for row in found["rows"]:
        r = row["repeats"]
        shown = np.concatenate(own) if r == 1 else np.stack([o[:r].mean(axis=0) for o in own])
        images = np.repeat(np.arange(4), 3) if r == 1 else np.arange(4)
        guess = model.predict(shown, ("x",))["x"].reshape(len(shown), -1)
        assert row["value"] == pytest.approx(two_way(guess, flat[kept], images))


def test_a_bottleneck_keeps_the_first_principal_components_of_the_map() -> None:
    voxels = DRAW.normal(size=(50, 9)).astype(np.float32)
    spread = np.diag([9.0, 5, 3, 2, 1, 0.5, 0.4, 0.3, 0.2])
    ridge = Affine(spread @ DRAW.normal(size=(9, 12)), 2.0, (3, 4))
    narrow = Bottleneck(ridge, voxels)
    outputs = voxels @ ridge.weight + ridge.offset
    mean = outputs.mean(axis=0)
    _, _, axes = np.linalg.svd(outputs - mean, full_matrices=False)
    fresh = DRAW.normal(size=(7, 9)).astype(np.float32)
    for k in (1, 3, 9):
        known = mean + (fresh @ ridge.weight + ridge.offset - mean) @ axes[:k].T @ axes[:k]
        made = narrow.predict(fresh, "prediction", k)
        np.testing.assert_allclose(made.reshape(7, -1), known, atol=2e-3)
    assert narrow.rank == 9

    deep = TwoLayers(9, 6)
    narrow = Bottleneck(deep, voxels)
    with torch.no_grad():
        hidden = deep.trunk(torch.from_numpy(voxels)).numpy()
        ours = deep.trunk(torch.from_numpy(fresh)).numpy()
        centre = hidden.mean(axis=0)
        _, _, axes = np.linalg.svd(hidden - centre, full_matrices=False)
        cut = centre + (ours - centre) @ axes[:2].T @ axes[:2]
        known = deep.rest(torch.tanh(torch.from_numpy(cut))).numpy()
    np.testing.assert_allclose(narrow.predict(fresh, "x", 2), known, atol=1e-4)
    whole = narrow.predict(fresh, "x", None)
    np.testing.assert_allclose(narrow.predict(fresh, "x", narrow.rank), whole, atol=1e-4)


def test_the_curve_says_how_many_dimensions_are_enough() -> None:
    """Two strong directions tell the images apart, the others are weak."""
    latent = DRAW.normal(size=(60, 12)) * np.array([5.0, 5.0] + [0.05] * 10)
    mix = np.linalg.qr(DRAW.normal(size=(12, 12)))[0]
    voxels = (latent + 0.02 * DRAW.normal(size=latent.shape)).astype(np.float32)
    found = predictions.bottleneck(Affine(mix, 0.0, (12,)), voxels, voxels, latent @ mix, seed=0)
    assert [row["dimensions"] for row in found["rows"]] == [1, 2, 5, 10, 12]
    for row, k in zip(found["rows"][:2], (1, 2), strict=True):
        guess = np.pad(voxels[:, :k], ((0, 0), (0, 12 - k))) @ mix
        assert row["value"] == pytest.approx(two_way(guess, latent @ mix, np.arange(60)), abs=0.02)
    enough = found["dimensions90"]
    assert enough["value"] == 2 and enough["ci95"] == (2, 2)
    noise = DRAW.normal(size=(60, 12))
    blind = predictions.bottleneck(Affine(mix, 0.0, (12,)), voxels, voxels, noise, seed=0)
    assert np.isnan(blind["dimensions90"]["value"]) and "above chance" in str(blind)
