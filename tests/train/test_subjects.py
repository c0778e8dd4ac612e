"""Several subjects in one run, and a run that starts from another one's weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from small_runs import high, weights

from mindeye_cli.core.runs import read_run
from mindeye_cli.core.trials import training_trials
from mindeye_cli.models.run_model import load_run
from mindeye_cli.train.config import DataConfig
from mindeye_cli.train.data import load_training_data
from mindeye_cli.train.facts import measure
from mindeye_cli.train.networks import train_high_level
from mindeye_store import InvalidInput, UsageProblem, open_store

INPUT = "backbone.stem.linears."


def test_two_subjects_train_one_trunk(make_store, tmp_path):
    store, run = make_store(third=11), tmp_path / "run"
    train_high_level(high(store, run, subjects=("s1", "s3")))
    info = read_run(run)
    assert info.subjects == ("s1", "s3")
    assert info.n_voxels == (20, 10)
    assert weights(run)[f"{INPUT}1.weight"].shape == (16, 10)
    for name, voxels in (("s1", 20), ("s3", 10)):
        model = load_run(run, name)
        assert model.predict(np.zeros((2, voxels), np.float32))["prior"].shape == (2, 5, 16)


def test_subjects_who_saw_the_same_images_validate_on_the_same(make_store, tmp_path):
    store = open_store(make_store(third=24))
    data = load_training_data(store, ("s1", "s3"), "array:tokens", DataConfig())
    train, held, ids = data.split(0.2, 0)
    assert not set(train.image_rows) & set(held.image_rows)
    assert len(held) == 2 * 5
    assert ids == [store.images.ids[row] for row in train.image_rows]
    sizes = measure(store, ("s1", "s3"), "array:tokens", DataConfig(validation=0.2), 0)
    assert sizes.items == train.sizes == (19, 19)
    with pytest.raises(UsageProblem, match="held out"):
        # The one image of s3 is the first to be held out, whatever the seed.
        for seed in range(9):
            setting = ("data.validation=0.9", "optim.batch=2", f"seed={seed}")
            path = tmp_path / "few.zarr"
            few = path if path.exists() else make_store("few.zarr", third=1)
            train_high_level(
                high(few, tmp_path / "x", *setting, subjects=("s1", "s3"), dry_run=True)
            )


def test_a_new_subject_takes_over_all_but_its_input_layer(make_store, tmp_path):
    store = make_store(third=11)
    train_high_level(high(store, tmp_path / "first", subjects=("s1",)))
    start = f"init.run={tmp_path / 'first'}"
    frozen = (start, "optim.lr=1e-30", "optim.weight_decay=0")
    train_high_level(high(store, tmp_path / "new", *frozen, subjects=("s3",)))
    before, after = weights(tmp_path / "first"), weights(tmp_path / "new")
    assert after[f"{INPUT}0.weight"].shape == (16, 10)
    for name in before:
        if not name.startswith(INPUT):
            assert torch.equal(before[name], after[name]), name
    # A subject that the other run knows keeps its input layer.
    train_high_level(high(store, tmp_path / "same", *frozen, subjects=("s3", "s1")))
    kept = weights(tmp_path / "same")[f"{INPUT}1.weight"]
    assert torch.equal(kept, before[f"{INPUT}0.weight"])
    # Other weights to start from make another run.
    train_high_level(high(store, tmp_path / "first", "seed=1", overwrite=True))
    with pytest.raises(UsageProblem, match="details differ"):
        train_high_level(high(store, tmp_path / "new", *frozen, subjects=("s3",)))


def test_what_cannot_be_taken_over_is_refused(make_store, tmp_path):
    store = make_store(third=11)
    first, start = tmp_path / "first", f"init.run={tmp_path / 'first'}"
    train_high_level(high(store, first))
    with pytest.raises(InvalidInput, match="lacks it|of shape"):
        train_high_level(high(store, tmp_path / "a", start, "model.hidden=24"))
    with pytest.raises(InvalidInput, match="more than this model"):
        train_high_level(high(store, tmp_path / "b", start, "losses.prior=0"))
    info = json.loads((first / "run.json").read_text())
    info["details"]["trained_images"] = [0, 1, 7]
    (first / "run.json").write_text(json.dumps(info))
    with pytest.raises(InvalidInput, match="2 images that are test images"):
        train_high_level(high(store, tmp_path / "c", start))


def test_sessions_are_the_first_ones(make_store):
    store = open_store(make_store(sessions=3))
    subject = store.subject("s1")
    trials = training_trials(store, subject, sessions=2)
    assert set(np.asarray(subject.session)[trials.trial_rows]) == {1, 2}
    assert len(trials.trial_rows) == np.sum(
        (np.asarray(subject.session) <= 2) & (np.asarray(subject.split) == 0)
    )
    with pytest.raises(InvalidInput, match="subject has 3"):
        training_trials(store, subject, sessions=4)
