"""Several subjects in one run, and a run that starts from another one's weights."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_runs import high, weights

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.runs import read_run
from mindeye_cli.core.trials import trained_rows, training_trials
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
    # Of 24 images 22 are held out; the one that s3 saw is among them for one of these seeds.
    few = make_store("few.zarr", third=1)
    with pytest.raises(UsageProblem, match="held out"):
        for seed in range(9):
            settings = ("data.validation=0.9", "optim.batch=2", f"seed={seed}")
            train_high_level(
                high(few, tmp_path / "x", *settings, subjects=("s1", "s3"), dry_run=True)
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
    info["details"]["trained_ids"] = ["img000", "img001", "img007"]
    (first / "run.json").write_text(json.dumps(info))
    with pytest.raises(InvalidInput, match="2 images that are test images"):
        train_high_level(high(store, tmp_path / "c", start))


def test_trained_images_are_known_by_their_ids(make_store, tmp_path, caplog, monkeypatch):
    """Another store numbers the images in another order, or holds other images."""
    store, first = make_store(third=11), tmp_path / "first"
    train_high_level(high(store, first, subjects=("s3",)))
    info = read_run(first)
    names = open_store(store).images.ids
    rows = training_trials(open_store(store), open_store(store).subject("s3")).image_rows
    assert info.details["trained_ids"] == [names[row] for row in rows]
    # The same numbers there are other images: nothing speaks against starting from the run.
    other = make_store("other.zarr", train=10, test=20, prefix="other")
    start = (f"init.run={first}", "optim.batch=4", "optim.epochs=1")
    train_high_level(high(other, tmp_path / "a", *start))
    # The same images under other numbers are found: here they are counted from the end.
    turned = make_store("turned.zarr", train=10, test=20, turned=True)
    with pytest.raises(InvalidInput, match="images that are test images"):
        train_high_level(high(turned, tmp_path / "b", *start))
    # A run that knows numbers only is compared in its own store alone.
    older = {key: value for key, value in info.details.items() if key != "trained_ids"}
    write_json(first / "run.json", replace(info, details={**older, "trained_images": [0, 1]}))
    with pytest.raises(InvalidInput, match="2 images that are test images"):
        train_high_level(high(store, tmp_path / "c", *start))
    monkeypatch.setattr(logging.getLogger("mindeye"), "propagate", True)
    train_high_level(high(turned, tmp_path / "d", *start))
    assert "another store" in caplog.text
    # Fewer masks than subjects tell nothing of the subjects without one.
    details = {**older, "trained_images": [0, 1]}
    known = trained_rows(replace(info, details=details), open_store(store))
    assert known.tolist() == [0, 1]
    unknown = replace(info, details={**details, "masks": []})
    assert trained_rows(unknown, open_store(store)).tolist() == []


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
