"""Clusters held out of training, and responses beside other images' targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mindeye_cli.core.clusters import assign, fit, parse_held_out
from mindeye_cli.core.runs import read_run
from mindeye_cli.core.trials import training_trials
from mindeye_cli.train.config import DataConfig
from mindeye_cli.train.data import load_training_data
from mindeye_cli.train.selection import Selection
from mindeye_store import InvalidInput, open_store

SPACE = "array:tokens"


class Rows:
    """A target space in memory that remembers which rows were read."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.seen = values, set[int]()

    def read(self, rows: np.ndarray) -> np.ndarray:
        self.seen |= set(rows.tolist())
        return self.values[rows]


def test_clusters_are_those_of_the_data_and_made_of_training_images_alone() -> None:
    draw = np.random.default_rng(0)
    kinds = draw.integers(0, 4, 120)
    centres = 5 * draw.standard_normal((4, 1, 8))
    target: Any = Rows(centres[kinds] + 0.1 * draw.standard_normal((120, 3, 8)))
    found = fit(target, np.arange(100), 4)
    assert target.seen == set(range(100))
    groups = assign(target, np.arange(120), found)
    assert {len(set(kinds[groups == k])) for k in range(4)} == {1}
    np.testing.assert_array_equal(found, fit(target, np.arange(100), 4))
    with pytest.raises(InvalidInput, match="fewer clusters"):
        fit(target, np.arange(3), 4)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/1", "a/4", "3", "1/4/2", "-1/4"])
def test_what_is_no_cluster(text: str) -> None:
    with pytest.raises(ValueError, match="not a cluster"):
        parse_held_out(text, SPACE)
    with pytest.raises(ValueError, match="not a cluster"):
        DataConfig(hold_out=text)


def test_a_cluster_is_held_out_whole_and_recorded(make_store: Any, call_cli: Any, tmp_path: Any):
    path = make_store()
    store = open_store(path)
    subject = store.subject("s1")
    every = training_trials(store, subject)
    parts = [
        Selection(hold_out=f"{k}/3", hold_out_space=SPACE).trials(store, [subject])[0]
        for k in (1, 2, 3)
    ]
    left_out = [np.setdiff1d(every.image_rows, part.image_rows) for part in parts]
    np.testing.assert_array_equal(np.sort(np.concatenate(left_out)), every.image_rows)
    assert all(len(rows) for rows in left_out)
    few = ("--subject", "s1", "--space", SPACE, "--set", "hold_out=2/3")
    assert call_cli("train", "ridge", path, tmp_path / "run", *few).code == 0
    details = read_run(tmp_path / "run").details
    assert details["trained_images"] == parts[1].image_rows.tolist()
    assert details["held_out"] == ["2/3", SPACE] and details["shuffled"] is False


def test_shuffled_rows_keep_all_targets_and_responses_but_not_their_pairs(make_store: Any) -> None:
    store = open_store(make_store())
    true = load_training_data(store, ("s1",), SPACE, DataConfig(), (), 3)
    mixed = load_training_data(store, ("s1",), SPACE, DataConfig(shuffle_rows=True), (), 3)
    rows = np.arange(len(true.parts[0]))
    one, two = (data.parts[0].targets.read(rows).numpy() for data in (true, mixed))
    np.testing.assert_array_equal(true.parts[0].voxels.numpy(), mixed.parts[0].voxels.numpy())
    order = [
        int(np.flatnonzero((one == row).all(axis=tuple(range(1, one.ndim))))[0]) for row in two
    ]
    assert sorted(order) == rows.tolist() and (order != rows).mean() > 0.7
    assert mixed.identity.shuffled and mixed.identity.image_rows == true.identity.image_rows


def test_an_image_of_two_subjects_has_one_shuffled_target() -> None:
    shown = [np.array([1, 4, 6, 9]), np.array([4, 9, 12])]
    first, second = Selection(shuffle_rows=True, seed=1).target_rows(shown)
    assert first[1] == second[0] and first[3] == second[1]
    assert set(first) | set(second) <= {1, 4, 6, 9, 12}
    assert Selection().target_rows(shown) == shown
