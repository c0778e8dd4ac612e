"""`predict` against the networks themselves, for arrays and for a store's split."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from two_subjects import OTHER, with_another_subject

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.runs import read_run
from mindeye_cli.core.trials import average_voxels, training_trials
from mindeye_cli.models.run_model import load_run
from mindeye_cli.predict.run import PredictRequest, predict
from mindeye_cli.train.networks import train_high_level, train_low_level
from mindeye_cli.train.request import TrainRequest
from mindeye_cli.train.ridge import train_ridge
from mindeye_store import InvalidInput, MissingResource, UsageProblem, open_store

_TINY = Path(__file__).parent.parent / "train" / "conftest.py"
_spec = importlib.util.spec_from_file_location("tiny_stores", _TINY)
assert _spec is not None and _spec.loader is not None
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)

HIGH = (
    "optim.epochs=2",
    "optim.batch=8",
    "model.hidden=16",
    "model.blocks=1",
    "model.projector_hidden=8",
    "model.prior.depth=1",
    "model.prior.heads=2",
    "model.prior.dim_head=8",
    "model.prior.timesteps=10",
)
LOW = (
    "optim.epochs=1",
    "optim.batch=8",
    "model.hidden=16",
    "model.blocks=1",
    "model.map_size=4",
    "model.map_channels=16",
    "model.upsampler_channels=[16]",
    "model.norm_groups=4",
    "losses.contrastive=0",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store and one run of every kind."""
    folder = tmp_path_factory.mktemp("predict")
    store = tiny.build_store(folder / "store.zarr")
    for name, train, space, overrides in (
        ("high", train_high_level, "array:tokens", HIGH),
        ("low", train_low_level, "array:latent", LOW),
        ("ridge", train_ridge, "array:vector", ()),
    ):
        train(
            TrainRequest(
                store=store,
                run=folder / name,
                subjects=("s1",),
                space=space,
                preset="scene",
                overrides=overrides,
            )
        )
    return folder


def run(made, name, out, **options):
    options = options or {"store": made / "store.zarr"}
    outcome = predict(PredictRequest(run=made / name, out=out, **options))
    return outcome, dict(np.load(out))


def test_high_level_outputs(made, tmp_path):
    outcome, arrays = run(made, "high", tmp_path / "y.npz")
    assert set(arrays) == {"backbone", "retrieval", "prior", "image_rows"}
    assert outcome.values["arrays"]["prior"]["shape"] == (6, tiny.TOKENS, tiny.WIDTH)
    voxels, rows = average_voxels(open_store(made / "store.zarr").subject("s1"), "test")
    np.testing.assert_array_equal(arrays["image_rows"], rows)
    model = load_run(made / "high")
    sampled = model.predict(voxels, outputs=("prior",), seed=0)["prior"]
    np.testing.assert_array_equal(sampled, arrays["prior"])
    assert not np.array_equal(model.predict(voxels, outputs=("prior",), seed=1)["prior"], sampled)
    head = load_file(made / "high" / "model.safetensors")
    stem = torch.nn.functional.linear(
        torch.from_numpy(voxels),
        head["backbone.stem.linears.0.weight"],
        head["backbone.stem.linears.0.bias"],
    )
    assert stem.shape == (6, 16)


def test_a_prior_sample_depends_on_its_own_seed_alone(made):
    model = load_run(made / "high")
    voxels = np.random.default_rng(0).standard_normal((3, 20)).astype(np.float32)
    tokens = model.predict(voxels, outputs=("backbone",))["backbone"]
    three = model.sample_prior(tokens, (5, 6, 7))
    np.testing.assert_allclose(model.sample_prior(tokens[1:2], (6,))[0], three[1], atol=1e-5)


def test_prior_samples_may_be_averaged_before_the_norm(made):
    """The mean of the draws as the prior gives them, its first being the lone sample's own."""
    model = load_run(made / "high")
    voxels = np.random.default_rng(0).standard_normal((2, 20)).astype(np.float32)
    tokens = model.predict(voxels, outputs=("backbone",))["backbone"]
    lone = model.sample_prior(tokens, (5, 6), steps=10)
    many = model.sample_prior(tokens, (5, 6), steps=10, samples=40)
    other = model.sample_prior(tokens, (7, 8), steps=10, samples=40)
    assert np.linalg.norm(many - other) < 0.5 * np.linalg.norm(lone - other)
    np.testing.assert_allclose(
        model.sample_prior(tokens[1:], (6,), steps=10, samples=40)[0], many[1], atol=1e-5
    )


def test_the_backbone_runs_once_for_all_outputs(made, monkeypatch):
    model = load_run(made / "high")
    backbone, calls = model._inner.model.backbone, []
    monkeypatch.setattr(
        backbone, "forward", lambda x, f=backbone.forward: (calls.append(1), f(x))[1]
    )
    model.predict(np.zeros((3, 20), np.float32), outputs=("backbone", "retrieval", "prior"))
    assert len(calls) == 1


def test_low_level_and_ridge(made, tmp_path):
    _, low = run(made, "low", tmp_path / "l.npz")
    assert low["latent"].shape == (6, *tiny.LATENT)
    _, ridge = run(made, "ridge", tmp_path / "r.npz")
    weights = load_file(made / "ridge" / "model.safetensors")
    voxels, _ = average_voxels(open_store(made / "store.zarr").subject("s1"), "test")
    want = voxels @ weights["weight"].numpy() + weights["intercept"].numpy()
    np.testing.assert_allclose(ridge["prediction"], want, rtol=1e-5, atol=1e-5)


def test_averaging(made, tmp_path):
    """Ridge is affine: averaging before or after it is the same, trials average to both."""
    store = made / "store.zarr"
    _, before = run(made, "ridge", tmp_path / "a.npz")
    _, after = run(made, "ridge", tmp_path / "b.npz", store=store, average="predictions")
    _, each = run(made, "ridge", tmp_path / "c.npz", store=store, average="none")
    np.testing.assert_allclose(before["prediction"], after["prediction"], atol=1e-5)
    for k, row in enumerate(before["image_rows"]):
        mean = each["prediction"][each["image_rows"] == row].mean(axis=0)
        np.testing.assert_allclose(mean, before["prediction"][k], atol=1e-5)
    shown = open_store(store).subject("s1").image_index[each["trial_rows"]]
    np.testing.assert_array_equal(shown, each["image_rows"])


def test_arrays_given_as_a_file(made, tmp_path):
    voxels = np.random.default_rng(1).standard_normal((4, 20))
    np.save(tmp_path / "x.npy", voxels)
    _, arrays = run(made, "ridge", tmp_path / "y.npz", voxels=tmp_path / "x.npy")
    assert arrays["prediction"].shape == (4, tiny.WIDTH)
    with pytest.raises(UsageProblem, match="exists"):
        run(made, "ridge", tmp_path / "y.npz", voxels=tmp_path / "x.npy")


def test_bad_input(made, tmp_path):
    out = tmp_path / "y.npz"
    with pytest.raises(UsageProblem):
        predict(PredictRequest(run=made / "ridge", out=out))
    with pytest.raises(MissingResource):
        run(made, "ridge", out, voxels=tmp_path / "absent.npy")
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(InvalidInput, match="plain"):
        run(made, "ridge", out, voxels=tmp_path / "text.npy")
    for values, message in (
        (np.zeros((2, 3)), "the run reads"),
        (np.full((2, 20), np.nan), "not finite"),
        (np.zeros((0, 20)), "no rows"),
        (np.array(["a"]), "numbers"),
    ):
        np.save(tmp_path / "x.npy", values)
        with pytest.raises(InvalidInput, match=message):
            run(made, "ridge", out, voxels=tmp_path / "x.npy")
    with pytest.raises(UsageProblem, match="no output"):
        load_run(made / "low").predict(np.zeros((1, 20)), outputs=("prior",))
    with pytest.raises(UsageProblem, match="no prior"):
        load_run(made / "ridge").sample_prior(np.zeros((1, 5, 16)), (0,))
    other = tiny.build_store(tmp_path / "other.zarr", voxels=9)
    with pytest.raises(InvalidInput, match="other voxels"):
        run(made, "ridge", out, store=other)
    assert not out.exists()


@pytest.mark.parametrize("name", ["high", "low", "ridge"])
def test_images_that_trained_the_run_are_no_test_images(made, tmp_path, name):
    """Recorded with those held out for validation; a store that calls one test is refused."""
    store = open_store(made / "store.zarr")
    info = read_run(made / name)
    rows = training_trials(store, store.subject("s1")).image_rows
    assert info.details["trained_images"] == rows.tolist() == list(range(6, 30))
    shutil.copytree(made / name, tmp_path / name)
    assert info.details["trained_ids"] == [store.images.ids[row] for row in rows]
    ids = [store.images.ids[row] for row in (4, 5, 6)]
    stale = replace(info, details={**info.details, "trained_ids": ids})
    write_json(tmp_path / name / "run.json", stale)
    with pytest.raises(InvalidInput, match=r"2 images .* image row 4") as caught:
        run(tmp_path, name, tmp_path / "y.npz", store=made / "store.zarr")
    assert caught.value.where == str(tmp_path / name)
    run(tmp_path, name, tmp_path / "train.npz", store=made / "store.zarr", split="train")
    older = {key: value for key, value in info.details.items() if key != "trained_ids"}
    by_number = replace(info, details={**older, "trained_images": [4, 5, 6]})
    write_json(tmp_path / name / "run.json", by_number)
    with pytest.raises(InvalidInput, match=r"2 images .* image row 4"):
        run(tmp_path, name, tmp_path / "y.npz", store=made / "store.zarr")
    del older["trained_images"]
    write_json(tmp_path / name / "run.json", replace(info, details=older))
    run(tmp_path, name, tmp_path / "y.npz", store=made / "store.zarr")


def test_damaged_and_absent_files_of_a_run_are_named(made, tmp_path):
    shutil.copytree(made / "low", tmp_path / "low")
    (tmp_path / "low" / "config.toml").write_bytes(b"[model\xff")
    with pytest.raises(InvalidInput, match=r"config\.toml"):
        load_run(tmp_path / "low")
    (tmp_path / "low" / "config.toml").write_text("[model")
    with pytest.raises(InvalidInput, match=r"config\.toml"):
        load_run(tmp_path / "low")
    (tmp_path / "low" / "config.toml").unlink()
    with pytest.raises(MissingResource, match=r"config\.toml"):
        load_run(tmp_path / "low")
    shutil.copy(made / "low" / "config.toml", tmp_path / "low")
    (tmp_path / "low" / "model.safetensors").unlink()
    with pytest.raises(MissingResource, match=r"model\.safetensors"):
        load_run(tmp_path / "low")


@pytest.mark.parametrize("name", ["high", "low"])
def test_a_run_of_two_subjects_is_told_which(made, tmp_path, name):
    with_another_subject(made / name, tmp_path / name)
    store, out = made / "store.zarr", tmp_path / "y.npz"
    _, plain = run(made, name, tmp_path / "plain.npz")
    _, both = run(tmp_path, name, tmp_path / "both.npz", store=store, subject="s1")
    assert both.keys() == plain.keys()
    for key, values in plain.items():
        np.testing.assert_allclose(both[key], values, atol=1e-6)
    for subject in (None, "s2"):
        with pytest.raises(UsageProblem, match="subject") as caught:
            run(tmp_path, name, out, store=store, subject=subject)
        assert "--subject one of: other, s1" in caught.value.fix
    with pytest.raises(MissingResource, match="other"):
        run(tmp_path, name, out, store=store, subject="other")
    np.save(tmp_path / "x.npy", np.zeros((2, OTHER)))
    _, arrays = run(tmp_path, name, out, voxels=tmp_path / "x.npy", subject="other")
    assert all(len(values) == 2 for values in arrays.values())
