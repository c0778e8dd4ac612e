"""The two nulls of a set and its coherence, against numpy; responses without signal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explain.conftest import Study, mindeye
from explain.copies import SUBJECT, change_subject, copied, seen

from mindeye_cli.core import trials
from mindeye_cli.explain.encoder import open_encoder
from mindeye_store import open_store

RESPONDS = ("--ask", "responds")
FEW = "where:category=face,background.kind=night"


def _members(study: Study) -> np.ndarray:
    records = open_store(study.store).images.records
    assert records is not None
    return np.array(
        [
            row
            for row, record in enumerate(records)
            if record["background"]["kind"] == "night"
            and any(thing["category"] == "face" for thing in record["objects"])
        ]
    )


def test_random_sets_and_coherence_are_those_of_numpy(study: Study) -> None:
    """The set's score and mean pairwise cosine among sets drawn here, of other images."""
    store = open_store(study.store)
    encoder = open_encoder(store, study.run, None)
    rows = _members(study)
    found = mindeye("explain", "set", study.store, study.run, FEW, *RESPONDS)
    assert found["n"] == len(rows) > 2
    every = encoder.vectors(np.arange(store.images.n))
    test = trials.test_images_any_subject(store)
    others = np.setdiff1d(test, rows)
    pool = others if len(others) >= 2 * len(rows) else np.setdiff1d(np.arange(len(every)), rows)
    unit = every - encoder.refits.model.basis.mean.numpy()
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)

    def coherence(members: np.ndarray) -> float:
        table = unit[members] @ unit[members].T
        return float(table[~np.eye(len(members), dtype=bool)].mean())

    assert found["coherence"]["value"] == pytest.approx(coherence(rows), abs=1e-5)
    draw = np.random.default_rng(0)
    drawn = [draw.choice(pool, len(rows), replace=False) for _ in range(400)]
    null = np.array([coherence(members) for members in drawn])
    assert found["coherence"]["random"] == pytest.approx(null.mean(), abs=5 * null.std() / 15)
    p = (null >= coherence(rows)).mean()
    assert found["coherence"]["p"] == pytest.approx(p, abs=0.08)
    model = encoder.refits.model
    maps = (
        (every - every[others].mean(axis=0)) @ model.weight.numpy() * np.maximum(model.r.numpy(), 0)
    )
    scores = maps @ encoder.areas.means.numpy().T
    own = scores[rows].mean(axis=0)
    for name, value in zip(encoder.areas.names, own, strict=True):
        assert found["rois"][name]["score"] == pytest.approx(value, abs=1e-4)
    means = np.array([scores[members].mean(axis=0) for members in drawn])
    means -= scores[pool].mean(axis=0)
    spread = means.std(axis=0)
    spread[spread == 0] = 1  # an area without a voxel that is predicted
    largest = np.abs(means / spread).max(axis=1)
    for name, value in zip(encoder.areas.names, own / spread, strict=True):
        expected = (largest >= abs(value)).mean()
        assert found["rois"][name]["unusual"] == pytest.approx(expected, abs=0.1)


def test_responses_in_random_order_name_no_area(study: Study, tmp_path: Path) -> None:
    """Coherent sets and images, with the responses' images permuted: no signal, no name."""
    made = copied(study, tmp_path)

    def shuffle(arrays: dict[str, Any]) -> None:
        order = np.random.default_rng(0).permutation(len(arrays["voxels"]))
        arrays["voxels"] = arrays["voxels"][order]

    change_subject(made, shuffle)
    named = 0
    for category in ("face", "body", "house", "word"):
        found = mindeye(
            "explain", "set", made.store, made.run, f"where:category={category}", *RESPONDS
        )
        named += any(line["named"] for line in found["rois"].values())
        # Random sets alone would not have told: the set is as coherent as before.
        assert found["coherence"]["p"] < 0.05
    found = mindeye("explain", "image", made.store, made.run, seen(made), *RESPONDS)
    assert named <= 1 and abs(found["signal"]["encoding_r"]) < 0.05


def test_an_area_that_is_silent_stays_silent(study: Study, tmp_path: Path) -> None:
    """Noise in place of an area's responses: it is named no more, its neighbours still are."""
    made = copied(study, tmp_path)
    area = open_store(study.store).subject(SUBJECT).rois["floc-faces"].labels == 2

    def silence(arrays: dict[str, Any]) -> None:
        noise = np.random.default_rng(0).standard_normal(arrays["voxels"][:, area].shape)
        arrays["voxels"][:, area] = noise

    change_subject(made, silence)
    query = ("where:category=face", *RESPONDS)
    before = mindeye("explain", "set", study.store, study.run, *query)["rois"]
    after = mindeye("explain", "set", made.store, made.run, *query)["rois"]
    assert before["FFA-1"]["named"] and before["FFA-2"]["named"]
    assert not after["FFA-1"]["named"] and after["FFA-2"]["named"]
    assert abs(after["FFA-1"]["score"]) < 0.2 * before["FFA-1"]["score"]
