"""What the stages are given and give on, worked out again from the runs and the responses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reconstruct.study import LATENTS, TOKENS, Study, arguments, build
from safetensors.numpy import load_file

from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.models.run_model import load_run
from mindeye_store import open_store


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build(tmp_path_factory.mktemp("study"))


def responses(study: Study, split: int) -> dict[int, np.ndarray]:
    """Voxels of every image's trials, float32 (repeats, V), by image row."""
    subject = open_store(study.store).subject("s1")
    every = subject.voxels.read(np.arange(len(subject.voxels)))
    rows = np.unique(subject.image_index[subject.split == split])
    return {int(row): every[subject.image_index == row] for row in rows}


def stages(study: Study, out: Path, call_cli: Any, *more: str) -> dict[str, np.ndarray]:
    """What a reconstruction that stopped before the first picture had worked out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mindeye_cli.reconstruct.pick.record", lambda *_: 1 / 0)
        assert call_cli(*arguments(study, out, *more)).code == 1
    files = (out / "stages" / f"{name}-00000.safetensors" for name in ("semantic", "latent"))
    return {key: array for file in files for key, array in load_file(file).items()}


def test_scores_are_those_of_the_images_own_response(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mindeye_cli.reconstruct.setting.pictures_a_batch", lambda files: 4)
    out = tmp_path / "out"
    assert call_cli(*arguments(study, out, "--keep-candidates")).code == 0
    run, encoder, trials = load_run(study.high), load_encoder(TOKENS), responses(study, 1)
    lines = json.loads((out / "manifest.json").read_text())["images"]
    for line in lines:
        files = sorted((out / "candidates" / line["name"]).iterdir())
        drawn = encoder.encode(np.stack([np.asarray(Image.open(file)) for file in files]))
        scores = {}
        for row, voxels in trials.items():
            mean = voxels.mean(axis=0, keepdims=True)
            brain = run.predict(mean, outputs=("retrieval",))["retrieval"].ravel()
            wide = drawn.reshape(len(drawn), -1).astype(float)
            scores[row] = wide @ brain / np.linalg.norm(wide, axis=1) / np.linalg.norm(brain)
        own = scores.pop(line["image_row"])
        np.testing.assert_allclose(line["scores"], own, atol=1e-6)
        assert line["chosen"] == own.argmax()
        assert all(np.abs(own - other).max() > 1e-5 for other in scores.values()), "no power"


def test_what_is_averaged(study: Study, tmp_path: Path, call_cli: Any) -> None:
    high, low = load_run(study.high), load_run(study.low)
    trials = responses(study, 1)

    def predicted(voxels: Any) -> dict[str, np.ndarray]:
        rows = np.stack(list(voxels))
        return {
            "brain": high.predict(rows, outputs=("retrieval",))["retrieval"],
            "latent": low.predict(rows, outputs=("latent",))["latent"],
        }

    single = predicted(np.concatenate(list(trials.values())))
    expected = {
        "voxels": predicted(voxels.mean(axis=0) for voxels in trials.values()),
        "predictions": {
            key: rows.reshape(len(trials), 2, *rows.shape[1:]).mean(axis=1)
            for key, rows in single.items()
        },
        "none": single,
    }
    for average, wanted in expected.items():
        found = stages(study, tmp_path / average, call_cli, "--average", average)
        for key, rows in wanted.items():
            np.testing.assert_allclose(found[key], rows, atol=1e-5)
    for key, rows in expected["voxels"].items():
        assert np.abs(rows - expected["predictions"][key]).max() > 1e-3, "no power"


def test_the_mean_brain_is_the_mean_training_pattern(
    study: Study, tmp_path: Path, call_cli: Any
) -> None:
    mean = np.mean([voxels.mean(axis=0) for voxels in responses(study, 0).values()], axis=0)
    brain = load_run(study.high).predict(mean[None], outputs=("retrieval",))["retrieval"]
    latent = load_run(study.low).predict(mean[None], outputs=("latent",))["latent"]
    found = stages(study, tmp_path / "out", call_cli, "--control", "mean-brain")
    assert len(found["brain"]) == len(study.ids)
    np.testing.assert_allclose(found["brain"], np.repeat(brain, 5, axis=0), atol=1e-5)
    np.testing.assert_allclose(found["latent"], np.repeat(latent, 5, axis=0), atol=1e-5)


def test_the_ceiling_is_given_the_true_targets_and_says_so_everywhere(
    study: Study, tmp_path: Path, call_cli: Any
) -> None:
    store, out, more = open_store(study.store), tmp_path / "out", ("--control", "ceiling")
    words = [w for w in arguments(study, out, *more) if w not in ("prior.steps=5",)]
    words.remove("--set")
    rows = np.array([store.images.rows[name] for name in study.ids])
    true = {"brain": store.target(TOKENS).read(rows), "latent": store.target(LATENTS).read(rows)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mindeye_cli.reconstruct.pick.record", lambda *_: 1 / 0)
        assert call_cli(*words).code == 1
    files = (out / "stages" / f"{name}-00000.safetensors" for name in ("semantic", "latent"))
    found = {key: array for file in files for key, array in load_file(file).items()}
    for key, values in true.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-6)
    norm = np.linalg.norm(true["brain"][:, :1], axis=-1, keepdims=True)
    np.testing.assert_allclose(found["embedding"][::2], true["brain"] / norm, rtol=1e-4)
    assert call_cli(*words).code == 0
    record = json.loads((out / "manifest.json").read_text())
    assert record["control"] == "ceiling" and record["prior"] is None
    assert list(load_file(out / "images.safetensors")) == ["ceiling"]
    pictures = [*(out / "images").iterdir(), *(out / "blurry").iterdir(), out / "grid.png"]
    for file in pictures:
        with Image.open(file) as picture:
            assert picture.info["mindeye-control"] == "ceiling"
    done = call_cli("evaluate", out, "--store", study.store, "--metrics", "psnr")
    assert done.code == 2 and "ceiling" in done.stderr
    moved = out / "images"  # without its manifest
    assert call_cli("evaluate", moved, "--store", study.store, "--metrics", "psnr").code == 2
    assert call_cli(*arguments(study, tmp_path / "p", *more)).code == 2, "no prior is sampled"
    assert call_cli(*words, "--average", "none").code == 2
