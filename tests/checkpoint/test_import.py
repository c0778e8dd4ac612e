"""`mindeye checkpoint import` and `show`: published files become runs that predict."""

from __future__ import annotations

import subprocess
import sys

import checkpoint_helpers as helpers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mindeye_cli.models.published import from_published
from mindeye_cli.models.run_model import load_run

TOLERANCE = 1e-4


@pytest.fixture(scope="session")
def _files(tmp_path_factory):
    return tmp_path_factory.mktemp("published")


@pytest.fixture
def published_file(shared_dir, _files):
    """`published_file("high" | "low")`: a file in a published layout, as made from seed 101."""

    def path(kind):
        file = _files / f"{kind}.pth"
        if not file.exists():
            script = shared_dir / "golden" / "make_checkpoint.py"
            subprocess.run([sys.executable, str(script), kind, str(file)], check=True)
        return file

    return path


@pytest.fixture
def golden(shared_dir):
    with np.load(shared_dir / "golden" / "mindeye1.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture
def imported(call_cli, tmp_path):
    """Import a state dict made here; gives (result, RUN)."""

    def run(state, *options, **more):
        file = helpers.save(tmp_path / "file.pth", state, **more)
        result = call_cli(
            "checkpoint", "import", "mindeye1", file, tmp_path / "RUN", "--json", *options
        )
        return result, tmp_path / "RUN"

    return run


def relative_error(ours, wanted):
    return float(np.abs(ours - wanted).max() / np.abs(wanted).max())


def predicted(call_cli, run, tmp_path, voxels):
    np.save(tmp_path / "x.npy", voxels)
    result = call_cli("predict", run, "--voxels", tmp_path / "x.npy", "--out", tmp_path / "y.npz")
    assert result.code == 0, result.stderr
    with np.load(tmp_path / "y.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_high_level_predicts_what_the_published_code_does(
    published_file, golden, call_cli, tmp_path
):
    run = tmp_path / "RUN"
    command = ("checkpoint", "import", "mindeye1", published_file("high"), run)
    result = call_cli(*command, "--kind", "high", "--json")
    assert result.code == 0, result.stderr
    facts = result.json
    assert facts["command"] == "checkpoint import" and facts["outputs"] == [str(run)]
    assert (facts["kind"], facts["space"]) == ("high-level", "clip-vit-l14:tokens")
    assert facts["shape"] == [5, 768] and facts["epoch"] == 239
    assert facts["unused"] == facts["missing"] == [] and len(facts["recomputed"]) == 15
    out = predicted(call_cli, run, tmp_path, helpers.drawn("voxels", (3, 60)))
    assert relative_error(out["backbone"], golden["backbone"]) < TOLERANCE
    assert relative_error(out["retrieval"], golden["projector"]) < TOLERANCE
    assert out["prior"].shape == (3, 5, 768)
    np.testing.assert_allclose(np.linalg.norm(out["prior"][:, 0], axis=-1), 1, atol=1e-5)
    net = load_run(run)._inner.model.prior.net
    noisy = torch.from_numpy(helpers.drawn("noisy", (3, 5, 768)))
    with torch.no_grad():
        clean = net(noisy, torch.tensor([0, 37, 99]), torch.from_numpy(out["backbone"]))
    assert relative_error(clean.numpy(), golden["prior_x0"]) < TOLERANCE
    assert call_cli(*command, "--json").json["status"] == "notneeded"


def test_low_level_predicts_what_the_published_code_does(
    published_file, golden, call_cli, tmp_path
):
    run = tmp_path / "RUN"
    result = call_cli("checkpoint", "import", "mindeye1", published_file("low"), run, "--json")
    facts = result.json
    assert (facts["kind"], facts["space"]) == ("low-level", "sd-vae")
    assert len(facts["used"]) == 114 and facts["unused"] == facts["recomputed"] == []
    out = predicted(call_cli, run, tmp_path, helpers.drawn("voxels", (3, 60)))
    assert relative_error(out["latent"], golden["latent"]) < TOLERANCE
    model = load_run(run)._inner.model
    with torch.no_grad():
        voxels = torch.from_numpy(helpers.drawn("voxels", (3, 60)))
        maps = model([voxels], with_maps=True)[1][:, ::16].numpy()
    assert relative_error(maps, golden["maps"]) < TOLERANCE


@pytest.mark.parametrize("kind", ["high", "low", "pooled"])
def test_every_key_is_accounted_for_and_the_round_trip_is_exact(kind, request, call_cli, tmp_path):
    if kind == "pooled":
        file = helpers.save(tmp_path / "pooled.pth", helpers.pooled())
    else:
        file = request.getfixturevalue("published_file")(kind)
    state = torch.load(file, weights_only=True)["model_state_dict"]
    facts = call_cli("checkpoint", "import", "mindeye1", file, tmp_path / "RUN", "--json").json
    accounted = [*facts["used"], *facts["recomputed"], *facts["unused"]]
    assert sorted(accounted) == sorted(state)
    saved = load_file(tmp_path / "RUN" / "model.safetensors")
    wanted = from_published(state).tensors
    assert saved.keys() == wanted.keys()
    for name, value in saved.items():
        assert value.numpy().tobytes() == wanted[name].numpy().tobytes(), name
    held = sorted(state[key].numpy().tobytes() for key in facts["used"])
    assert held == sorted(value.numpy().tobytes() for value in saved.values())
    assert facts["parameters"] == sum(state[key].numel() for key in facts["used"])


@pytest.mark.parametrize(
    ("voxels", "tokens", "width", "hidden", "blocks", "inner"),
    [(7, 4, 12, 10, 1, 6), (15724, 1, 8, 3, 3, 5)],
)
def test_sizes_come_from_the_tensors(
    imported, call_cli, tmp_path, voxels, tokens, width, hidden, blocks, inner
):
    state = helpers.backbone(voxels, tokens, width, hidden, blocks, inner)
    result, run = imported(state)
    facts = result.json
    assert facts["shape"] == ([tokens, width] if tokens > 1 else [width])
    assert facts["n_voxels"] == [voxels]
    # The published subjects are told apart by their voxels.
    assert facts["subjects"] == (["subj01"] if voxels == 15724 else [])
    model = load_run(run)
    assert (model.config["model"]["hidden"], model.config["model"]["blocks"]) == (hidden, blocks)
    out = predicted(call_cli, run, tmp_path, helpers.drawn("v", (2, voxels)))
    assert set(out) == {"backbone", "retrieval"}


def test_the_pooled_file_samples_its_own_prior(imported, call_cli, tmp_path):
    result, run = imported(helpers.pooled(), optimizer_state_dict={"x": torch.zeros(1)}, lrs=[1.0])
    facts = result.json
    assert facts["layout"] == "prior_1x768" and facts["space"] == "clip-vit-l14:pooled"
    assert facts["ignored"] == ["lrs", "optimizer_state_dict"]
    assert facts["shape"] == [48] and facts["epoch"] == 3
    model = load_run(run)
    assert model.target_norm == "raw"
    out = predicted(call_cli, run, tmp_path, helpers.drawn("v", (2, 30)))
    assert out["prior"].shape == out["retrieval"].shape == (2, 48)


def test_a_pooled_prior_of_unknown_layout_is_listed_and_said(imported):
    state = helpers.pooled()
    state["net.other"] = state.pop("net.null_text_encodings")
    result, run = imported(state)
    assert result.code == 0 and "unknown layout" in result.stderr
    assert "net.other" in result.json["unused"] and "unknown layout" in result.json["note"]
    assert load_run(run).outputs == ("backbone", "retrieval")


def test_show_describes_an_imported_run(imported, call_cli):
    state = helpers.pooled()
    result, run = imported(state, "--subject", "subj05")
    facts = call_cli("checkpoint", "show", run, "--json").json
    for key in ("kind", "space", "n_voxels", "parameters", "recomputed", "unused", "sha256"):
        assert facts[key] == result.json[key], key
    assert facts["missing"] == [] and facts["subjects"] == ["subj05"]
    assert facts["state"] == "finished" and facts["epoch"] == 3
    (run / "model.safetensors").write_bytes(b"cut")
    assert call_cli("checkpoint", "show", run).code == 3
    (run / "model.safetensors").unlink()
    assert call_cli("checkpoint", "show", run).code == 4
    assert call_cli("checkpoint", "show", run / "none").code == 4


def test_an_imported_run_is_replaced_on_request_alone(imported, call_cli, tmp_path):
    first, run = imported(helpers.pooled())
    again, _ = imported(helpers.pooled(voxels=31))
    assert first.code == 0 and again.code == 2 and "--overwrite" in again.stderr + again.stdout
    assert load_run(run).n_voxels == 30
    forced, _ = imported(helpers.pooled(voxels=31), "--overwrite")
    assert forced.code == 0 and load_run(run).n_voxels == 31
    assert not [path for path in tmp_path.iterdir() if "tmp-" in path.name]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    command = ("checkpoint", "import", "mindeye1", tmp_path / "file.pth", tmp_path / "mine")
    assert call_cli(*command, "--overwrite").code == 2
    assert (tmp_path / "mine" / "notes.txt").read_text() == "kept"
