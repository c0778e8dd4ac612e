"""Several subjects in one model: the shared trunk, the affine trunk, and runs of two subjects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindeye_cli.core.config import from_toml, load_config, to_toml
from mindeye_cli.core.runs import RunInfo, create_run, finish_run
from mindeye_cli.models.backbone import ResidualMLP
from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.models.lowlevel import LowLevelConfig, LowLevelModel
from mindeye_cli.models.prior import PriorConfig
from mindeye_cli.models.run_model import load_run
from mindeye_store.errors import InvalidInput, UsageProblem

VOXELS = (7, 9)
PRIOR = PriorConfig(depth=1, heads=2, dim_head=8, ff_mult=1, timesteps=4)
HIGH = {"tokens": 3, "width": 8, "hidden": 6, "blocks": 1, "projector_hidden": 4, "prior": PRIOR}
LOW = {
    "latent_size": 4,
    "map_size": 4,
    "map_channels": 6,
    "upsampler_channels": (8,),
    "norm_groups": 4,
    "maps_width": 10,
    "hidden": 6,
    "blocks": 1,
}
TRUNKS = pytest.mark.parametrize("trunk", ["residual", "affine"])


def backbone(n_voxels=VOXELS, trunk="residual", hidden=4):
    torch.manual_seed(0)
    sizes = {"hidden": hidden, "blocks": 2, "dropout_in": 0.5, "dropout": 0.1}
    return ResidualMLP(n_voxels, (3, 5), **sizes, trunk=trunk).eval()


def of_one_subject(state, place):
    """The weights of a model of several subjects, cut down to those that one of them uses."""
    kept = {key: value for key, value in state.items() if "stem.linears." not in key}
    for key in state.keys() - kept.keys():
        if f"stem.linears.{place}." in key:
            kept[key.replace(f"linears.{place}.", "linears.0.")] = state[key]
    return kept


@TRUNKS
@pytest.mark.parametrize("counts", [(4, 3), (4, 0), (0, 3)])
def test_every_subject_has_the_outputs_of_a_model_of_its_own(trunk, counts):
    both = backbone(trunk=trunk)
    parts = [torch.randn(rows, size) for rows, size in zip(counts, VOXELS, strict=True)]
    out = both(parts)
    assert out.shape == (sum(counts), 3, 5)
    for place, (part, rows) in enumerate(zip(parts, out.split(list(counts)), strict=True)):
        alone = backbone((VOXELS[place],), trunk)
        alone.load_state_dict(of_one_subject(both.state_dict(), place))
        torch.testing.assert_close(rows, alone([part]))


@TRUNKS
@pytest.mark.parametrize("absent", [0, 1])
def test_an_absent_subject_has_gradients_and_they_are_zero(trunk, absent):
    net = backbone(trunk=trunk).train()
    parts = [torch.randn(0 if k == absent else 5, size) for k, size in enumerate(VOXELS)]
    net(parts).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()) == (f"linears.{absent}." not in name), name


def test_rows_of_one_subject_do_not_move_the_other():
    """Not even through the shared norm: every row is normalised by itself."""
    net = backbone()
    first, second = torch.randn(2, 7), torch.randn(3, 9)
    torch.testing.assert_close(net([first, second])[:2], net([first, 100 * second])[:2])


def test_parts_must_be_one_a_subject():
    net = backbone((7,))
    with pytest.raises(TypeError, match="one a subject"):
        net(torch.randn(1, 7))
    with pytest.raises(ValueError, match="zip"):
        net([torch.randn(1, 7), torch.randn(1, 9)])


@pytest.mark.parametrize("place", [0, 1])
def test_the_affine_trunk_is_affine_and_of_the_rank_of_its_width(place):
    net = backbone((40, 50), "affine", hidden=4).double()
    size = (40, 50)[place]

    def apply(x):
        parts = [torch.zeros(0, n, dtype=torch.float64) for n in (40, 50)]
        parts[place] = torch.from_numpy(x)
        return net(parts).detach().numpy().reshape(len(x), 15)

    offset = apply(np.zeros((1, size)))
    weight = apply(np.eye(size)) - offset
    assert np.linalg.matrix_rank(weight) == 4
    random = np.random.default_rng(0)
    x, y = random.standard_normal((2, 6, size))
    np.testing.assert_allclose(apply(2 * x - 3 * y), (2 * x - 3 * y) @ weight + offset, atol=1e-12)
    assert {name.split(".")[0] for name in net.state_dict()} == {"stem", "head"}
    assert not any("norm" in name for name in net.state_dict())


def test_the_affine_trunk_drops_out_its_input_only_while_training():
    net, x = backbone((7,), "affine"), [torch.randn(3, 7)]
    assert torch.equal(net(x), net(x))
    net.train()
    assert not torch.equal(net(x), net(x))


def test_models_take_two_subjects():
    voxels = [torch.randn(2, 7), torch.randn(1, 9)]
    high = HighLevelModel(HighLevelConfig(n_voxels=VOXELS, trunk="affine", **HIGH))
    sources = [torch.Generator().manual_seed(k) for k in range(3)]
    out = high(voxels, torch.randn(3, 3, 8), sources)
    assert out.retrieval.shape == (3, 3, 8) and out.prior_loss.ndim == 0
    low = LowLevelModel(LowLevelConfig(n_voxels=VOXELS, **LOW))
    latents, maps = low(voxels, with_maps=True)
    assert latents.shape == (3, 4, 4, 4) and maps.shape == (3, 16, 10)


def test_configuration_lists_the_subjects():
    config = load_config(
        HighLevelConfig, preset={"n_voxels": [5], **HIGH, "prior": {}}, overrides=["n_voxels=[1,2]"]
    )
    assert config.n_voxels == (1, 2)
    assert from_toml(HighLevelConfig, to_toml(config)) == config
    with pytest.raises(UsageProblem, match="n_voxels"):
        load_config(HighLevelConfig, preset=HIGH | {"prior": {}}, overrides=["n_voxels=5"])
    with pytest.raises(UsageProblem, match="one of 'residual', 'affine'"):
        load_config(HighLevelConfig, preset=HIGH | {"prior": {}}, overrides=["trunk=linear"])


def make_run(path, model, kind, subjects=("s1", "s2")):
    info = RunInfo(
        kind=kind,
        space="array:a",
        subjects=subjects,
        n_voxels=model.config.n_voxels,
        seed=0,
        voxels=tuple(f"responses of {name}" for name in subjects),
        targets="encoder",
        details={
            "masks": [f"mask of {name}" for name in subjects],
            "target_norm": "raw",
            "target_shape": [3, 8] if kind == "high-level" else [4, 4, 4],
        },
        versions={},
    )
    model_toml = to_toml(model.config).replace("[prior]", "[model.prior]")
    create_run(path, info, "[model]\n" + model_toml)
    finish_run(path, model.state_dict(), steps=1, metrics={})
    return path


@pytest.mark.parametrize("kind", ["high-level", "low-level"])
def test_a_run_of_two_subjects_predicts_for_each(tmp_path, kind):
    torch.manual_seed(0)
    if kind == "high-level":
        model = HighLevelModel(HighLevelConfig(n_voxels=VOXELS, **HIGH))
    else:
        model = LowLevelModel(LowLevelConfig(n_voxels=VOXELS, **LOW))
    run = make_run(tmp_path / "run", model.eval(), kind)
    for place, name in enumerate(("s1", "s2")):
        loaded = load_run(run, name)
        assert (loaded.subject, loaded.n_voxels) == (name, VOXELS[place])
        voxels = torch.randn(4, VOXELS[place])
        sizes = HIGH if kind == "high-level" else LOW
        alone = type(model)(type(model.config)(n_voxels=(VOXELS[place],), **sizes)).eval()
        alone.load_state_dict(of_one_subject(model.state_dict(), place))
        with torch.no_grad():
            expected = alone([voxels])
        found = loaded.predict(voxels)
        if kind == "high-level":
            assert found["prior"].shape == (4, 3, 8)
            expected, found = expected.retrieval, {"latent": found["retrieval"]}
        np.testing.assert_allclose(found["latent"], expected.numpy(), atol=1e-6)
        with pytest.raises(InvalidInput, match=rf"the run reads \(n, {VOXELS[place]}\)"):
            loaded.predict(torch.randn(4, VOXELS[1 - place]))


def test_which_subject_must_be_clear(tmp_path):
    model = LowLevelModel(LowLevelConfig(n_voxels=VOXELS, **LOW))
    run = make_run(tmp_path / "two", model, "low-level")
    for name, words in ((None, "2 subjects, and none is named"), ("s3", "subject 's3'")):
        with pytest.raises(UsageProblem, match=words) as caught:
            load_run(run, name)
        assert "--subject" in caught.value.fix and "s1, s2" in caught.value.fix
    one = LowLevelModel(LowLevelConfig(n_voxels=(7,), **LOW))
    run = make_run(tmp_path / "one", one, "low-level", ("s1",))
    assert load_run(run).subject == load_run(run, "s1").subject == "s1"
    with pytest.raises(UsageProblem, match="'s2'"):
        load_run(run, "s2")
