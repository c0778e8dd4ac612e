"""Commands that read a store accept an imported run, and say what they cannot check."""

from __future__ import annotations

import checkpoint_helpers as helpers
import numpy as np
import pytest
from retrieve.study import VOXELS, _bundle, build

from mindeye_cli.models.run_model import load_run
from mindeye_store import open_store

SPACE = "clip-vit-l14:pooled"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    study = build(tmp_path_factory.mktemp("study"))
    opened = open_store(study.store)
    rows = np.random.default_rng(0).standard_normal((72, 48)).astype(np.float32)
    attrs = {"space": SPACE, "norm": "raw", "fingerprint": "some encoder"}
    _bundle(opened, f"targets/{SPACE}/0000", {"rows": rows}, attrs)
    return study.store


@pytest.fixture
def run(call_cli, tmp_path):
    file = helpers.save(tmp_path / "file.pth", helpers.pooled(VOXELS))
    assert call_cli("checkpoint", "import", "mindeye1", file, tmp_path / "RUN").code == 0
    return tmp_path / "RUN"


def test_retrieval_scores_an_imported_run(store, run, call_cli):
    done = call_cli("retrieve", "pool", store, run, "--subject", "s1", "--json")
    assert done.code == 0, done.stderr
    assert "does not record its voxels" in done.stderr
    assert "does not record its encoder" in done.stderr
    opened = open_store(store)
    voxels = opened.subject("s1").voxels.read(np.arange(36)).reshape(12, 3, -1).mean(axis=1)
    brain = load_run(run).predict(voxels, outputs=("retrieval",))["retrieval"]
    images = opened.target(SPACE).read(np.arange(12))
    square = brain @ images.T
    square = square / np.linalg.norm(brain, axis=1)[:, None] / np.linalg.norm(images, axis=1)
    ranks = 1 + (square > np.diagonal(square)[:, None]).sum(axis=1)
    assert done.json["image_retrieval"]["mean_rank"] == pytest.approx(ranks.mean())


def test_prediction_and_reconstruction_from_a_store(store, run, call_cli, tmp_path):
    done = call_cli(
        "predict", run, "--store", store, "--subject", "s1", "--out", tmp_path / "y.npz"
    )
    assert done.code == 0 and "not checked" in done.stderr
    given = ("--high", run, "--decoder", "nearest", "--subject", "s1")
    done = call_cli("reconstruct", store, tmp_path / "OUT", *given)
    assert done.code == 0, done.stderr
    assert "not checked" in done.stderr
    assert len(list((tmp_path / "OUT" / "images").glob("*.png"))) == 12


@pytest.mark.parametrize("command", ["predict", "retrieve", "reconstruct"])
def test_the_subject_is_asked_for(store, run, call_cli, tmp_path, command):
    words = {
        "predict": ("predict", run, "--store", store, "--out", tmp_path / "y.npz"),
        "retrieve": ("retrieve", "pool", store, run),
        "reconstruct": (
            *("reconstruct", store, tmp_path / "OUT"),
            *("--high", run, "--decoder", "nearest"),
        ),
    }
    done = call_cli(*words[command])
    assert done.code == 2 and "give --subject one of: s1" in done.stderr


def test_what_can_be_seen_to_differ_is_refused(store, call_cli, tmp_path):
    file = helpers.save(tmp_path / "v.pth", helpers.pooled(VOXELS + 1))
    assert call_cli("checkpoint", "import", "mindeye1", file, tmp_path / "V").code == 0
    done = call_cli("retrieve", "pool", store, tmp_path / "V", "--subject", "s1")
    assert done.code == 3 and "voxels" in done.stderr
    state = helpers.backbone(VOXELS, 1, 40, 20, 1, 8)
    file = helpers.save(tmp_path / "w.pth", state)
    assert call_cli("checkpoint", "import", "mindeye1", file, tmp_path / "W").code == 0
    done = call_cli("retrieve", "pool", store, tmp_path / "W", "--subject", "s1")
    assert done.code == 3 and "shape (48,)" in done.stderr
