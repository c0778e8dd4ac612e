"""Attribute scores and the scene networks' metrics, with readers whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mindeye_cli.core.scenes.vocabulary import CATEGORIES, COLOURS
from mindeye_cli.evaluate import features
from mindeye_cli.evaluate.metrics import METRICS
from mindeye_cli.evaluate.metrics.attributes import truth
from mindeye_cli.evaluate.options import Options
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.run import evaluate
from mindeye_cli.evaluate.scoring import score
from mindeye_cli.evaluate.sources import Stimuli
from mindeye_store.errors import MissingResource

COLOUR_NAMES = list(COLOURS)


class KnownReader:
    """Reads the answers from the first pixels: red is category, green colour, blue place."""

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        corner = (pixels[:, :, 0, 0] * 255).round().long()
        eye = torch.eye(10)
        place = pixels[:, 2, 0, 0]
        return {
            "category": eye[corner[:, 0]],
            "colour": eye[corner[:, 1]],
            "x": place,
            "y": place / 2,
            "size": place / 4,
        }

    def features(self, pixels: Tensor) -> Tensor:
        return pixels.flatten(1)

    def embed(self, pixels: Tensor) -> tuple[Tensor, None]:
        return pixels.flatten(1), None


@pytest.fixture(autouse=True)
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_net", KnownReader)
    monkeypatch.setattr(features, "_clip", KnownReader)


def pictures(answers: list[tuple[int, int, int]], records: Any = None) -> Pictures:
    pixels = np.random.default_rng(0).integers(0, 256, (len(answers), 64, 64, 3), dtype=np.uint8)
    pixels[:, 0, 0] = answers
    ids = tuple(f"i{k}" for k in range(len(answers)))
    return Pictures(ids=ids, pixels=pixels, records=records)


def record(category: int, colour: int, x: float) -> dict[str, Any]:
    main = {"category": CATEGORIES[category], "colour": COLOUR_NAMES[colour]}
    other = {**main, "x": 0.0, "y": 0.0, "size": 0.1}
    return {"objects": [{**main, "x": x, "y": x / 2, "size": x / 4}, other]}


def test_attributes_against_record_and_against_the_reading_of_the_stimulus() -> None:
    records = tuple(record(k, 9 - k, 0.5) for k in range(4))
    # The reader is wrong about the first stimulus, and right about the others.
    stimuli = pictures([(7, 9, 51), (1, 8, 51), (2, 7, 51), (3, 6, 51)], records)
    recons = pictures([(0, 9, 102), (1, 0, 102), (5, 7, 102), (3, 6, 102)])
    found = {
        name: metric.compute(stimuli, recons, False).per_entry.tolist()
        for name, metric in METRICS.items()
        if metric.domain == "scenes" and not name.startswith("twoway")
    }
    assert found["category_accuracy"] == [1, 1, 0, 1]
    assert found["category_agreement"] == [0, 1, 0, 1]
    assert found["colour_accuracy"] == found["colour_agreement"] == [1, 0, 1, 1]
    moved = np.hypot(0.1, 0.05)
    np.testing.assert_allclose(found["position_error"], moved, atol=1e-6)
    np.testing.assert_allclose(found["position_shift"], 2 * moved, atol=1e-6)
    np.testing.assert_allclose(found["size_error"], 0.1 / 4, atol=1e-6)
    np.testing.assert_allclose(found["size_shift"], 0.2 / 4, atol=1e-6)


def test_the_readers_own_accuracy_on_the_stimuli_stands_beside() -> None:
    records = tuple(record(k, 1, 0.5) for k in range(4))
    stimuli = pictures([(7, 1, 51), (1, 1, 51), (2, 1, 51), (3, 1, 51)], records)
    line = score(METRICS["category_accuracy"], stimuli, stimuli, {}, 0)
    assert line["value"] == line["controls"]["stimulus"]["value"] == 0.75
    assert line["controls"]["chance"]["value"] == pytest.approx(0.1)
    other = score(METRICS["category_agreement"], stimuli, stimuli, {}, 0)
    assert "stimulus" not in other["controls"]


def test_two_way_by_the_scene_networks_is_perfect_for_the_stimuli_themselves() -> None:
    stimuli = pictures([(k, k, k) for k in range(6)])
    for name in ("twoway_scene_clip", "twoway_scene_net"):
        line = score(METRICS[name], stimuli, stimuli, {}, 0)
        assert line["value"] == 1.0 and line["ci95"][1] == 1.0
        assert line["controls"]["permuted"]["value"] == pytest.approx(0.5, abs=0.02)


def test_features_are_computed_once_for_a_set(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(features, "_net", lambda: calls.append(1) or KnownReader())
    stimuli = pictures([(k, k, k) for k in range(3)], tuple(record(k, k, 0.5) for k in range(3)))
    for name in ("category_accuracy", "colour_accuracy", "twoway_scene_net"):
        METRICS[name].compute(stimuli, stimuli, True)
    assert len(calls) == 2  # Once for the reading and once for the features of one batch.


def test_truth_takes_the_largest_object() -> None:
    found = truth(pictures([(0, 0, 0)], (record(4, 2, 0.6),)))
    assert found.category[0] == 4 and found.colour[0] == 2
    np.testing.assert_allclose(found.place, [[0.6, 0.3]])


def test_missing_weights_skip_a_default_metric_and_stop_one_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from evaluate.folders import recon, save
    from evaluate.folders import stimuli as drawn

    def gone() -> None:
        raise MissingResource("scene-net is not in this installation")

    monkeypatch.setattr(features, "_net", gone)
    folder, images = recon(tmp_path / "r", drawn(4)), save(tmp_path / "s", drawn(4))
    options = Options(images=images, metrics=("twoway_scene_net",))
    with pytest.raises(MissingResource):
        evaluate(folder, options, Stimuli(None, images))
    loaded = Stimuli(None, images)
    monkeypatch.setattr("mindeye_cli.evaluate.run._why_not", lambda *a, **k: None)
    names = (METRICS["pixcorr"], METRICS["twoway_scene_net"])
    monkeypatch.setattr("mindeye_cli.evaluate.identity.DEFAULT", names)
    result = evaluate(folder, Options(images=images), loaded).values
    assert list(result["metrics"]) == ["pixcorr"]
    assert "not in this installation" in result["skipped"]["twoway_scene_net"]
