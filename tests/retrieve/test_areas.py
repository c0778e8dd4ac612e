"""`mindeye retrieve pool --keep-rois, --drop-rois`: areas alone, against plain numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from retrieve.study import REPEATS, SPACE, VOXELS, Study, build

from mindeye_cli.core.kept_voxels import matched_voxels
from mindeye_cli.models.run_model import load_run
from mindeye_store import open_store


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build(tmp_path_factory.mktemp("study"))


def _reference_top1(study: Study, kept: np.ndarray) -> float:
    store = open_store(study.store)
    voxels = store.subject("s1").voxels.read(np.arange(12 * REPEATS)).reshape(12, REPEATS, -1)
    predicted = load_run(study.run).predict(voxels.mean(axis=1) * kept)["prediction"]
    targets = store.target(SPACE).read(np.arange(72))
    a, b = predicted - targets[12:].mean(axis=0), targets[:12] - targets[12:].mean(axis=0)
    similarity = (a / np.linalg.norm(a, axis=1)[:, None]) @ (
        b / np.linalg.norm(b, axis=1)[:, None]
    ).T
    return float((similarity.argmax(axis=1) == np.arange(12)).mean())


@pytest.mark.parametrize(
    ("option", "expression", "first"),
    [("--keep-rois", "A", 0), ("--drop-rois", "B | C", 0), ("--keep-rois", "C", 20)],
)
def test_areas_alone(
    study: Study, call_cli: Callable, option: str, expression: str, first: int
) -> None:
    done = call_cli("retrieve", "pool", study.store, study.run, option, expression, "--json")
    assert done.code == 0, done.stderr
    kept = np.isin(np.arange(VOXELS), np.arange(first, first + 10))
    assert done.json["image_retrieval"]["top1"] == pytest.approx(_reference_top1(study, kept))
    readout = done.json["readout"]
    assert readout["question"] == "needed by decoder"
    assert (readout["voxels"], readout["of"]) == (10, VOXELS)
    assert expression in (readout["keep"], readout["drop"])
    low, high = readout["controls"]["image_retrieval"]["range95"]
    assert low <= readout["controls"]["image_retrieval"]["top1"] <= high


def test_all_areas_change_nothing(study: Study, call_cli: Callable) -> None:
    plain = call_cli("retrieve", "pool", study.store, study.run, "--json").json
    every = call_cli(
        "retrieve", "pool", study.store, study.run, "--keep-rois", "areas", "--json"
    ).json
    assert "readout" not in plain
    assert every["image_retrieval"] == plain["image_retrieval"]
    assert every["readout"]["controls"]["image_retrieval"]["top1"] == pytest.approx(
        plain["image_retrieval"]["top1"]
    )


def test_controls_match_in_number_and_signal(study: Study) -> None:
    subject = open_store(study.store).subject("s1")
    kept = np.isin(np.arange(VOXELS), [0, 1, 2, 15, 29])
    sets = matched_voxels(subject, kept, 50, seed=3)
    tenths = np.arange(VOXELS) // 3
    expected = np.bincount(tenths[kept], minlength=10)
    for chosen in sets:
        np.testing.assert_array_equal(np.bincount(tenths[chosen], minlength=10), expected)
    assert len({chosen.tobytes() for chosen in sets}) > 3
    again = matched_voxels(subject, kept, 50, seed=3)
    np.testing.assert_array_equal(sets, again)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--keep-rois", "FFA"), 3, "no area 'FFA'"),
        (("--drop-rois", "areas"), 3, "no voxel is left"),
        (("--keep-rois", "A |"), 2, "missing"),
    ],
)
def test_bad_areas(
    study: Study, call_cli: Callable, options: tuple[str, str], code: int, said: str
) -> None:
    done = call_cli("retrieve", "pool", study.store, study.run, *options)
    assert done.code == code and said in done.stderr
