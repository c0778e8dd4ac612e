"""`vicregl-convnext-xl:maps` from a tiny random file in the layout of VICRegL's full checkpoint."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F

from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.models.encoders.vicregl import MapsTeacher, TeacherSizes
from mindeye_store import InvalidInput, MissingResource, UsageProblem, create_store, open_store

SPACE, SIDE = "vicregl-convnext-xl:maps:64", 64
DEPTHS, DIMS, WIDTHS = (1, 2, 3, 1), (4, 6, 8, 10), (12, 14, 16)
State = dict[str, torch.Tensor]


def tensors() -> State:
    """VICRegL's keys and shapes, as its published training code makes them."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = shape
        if bias:
            shapes[f"{name}.bias"] = shape[:1]

    layer("backbone.downsample_layers.0.0", DIMS[0], 3, 4, 4)
    layer("backbone.downsample_layers.0.1", DIMS[0])
    for i, (depth, width) in enumerate(zip(DEPTHS, DIMS, strict=True)):
        if i:
            layer(f"backbone.downsample_layers.{i}.0", DIMS[i - 1])
            layer(f"backbone.downsample_layers.{i}.1", width, DIMS[i - 1], 2, 2)
        for j in range(depth):
            stem = f"backbone.stages.{i}.{j}"
            layer(f"{stem}.dwconv", width, 1, 7, 7)
            layer(f"{stem}.norm", width)
            layer(f"{stem}.pwconv1", 4 * width, width)
            layer(f"{stem}.pwconv2", width, 4 * width)
    layer("backbone.norm", DIMS[-1])
    for head, widths in (("maps_projector", WIDTHS), ("projector", (20, 20, 20))):
        layer(f"{head}.0", widths[0], DIMS[-1])
        layer(f"{head}.1", widths[0])
        layer(f"{head}.3", widths[1], widths[0])
        layer(f"{head}.4", widths[1])
        layer(f"{head}.6", widths[2], widths[1], bias=False)
    layer("classifier", 5, DIMS[-1])
    draw = np.random.default_rng(0)
    return {
        f"module.{key}": torch.from_numpy(
            (draw.standard_normal(shape) / math.sqrt(math.prod(shape[1:]) or 1)).astype(np.float32)
        )
        for key, shape in shapes.items()
    }


def saved(path: Path, state: State, **others: Any) -> Path:
    torch.save({"epoch": 90, "model": state, "optimizer": {"state": {}}, **others}, path)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return saved(tmp_path / "convnext_xlarge_alpha0.75_fullckpt.pth", tensors())


def features(state: State, images: np.ndarray) -> np.ndarray:
    """The published forward pass, written out: bilinear, normalised, four stages, projector."""
    w = {key.removeprefix("module."): value for key, value in state.items()}

    def norm(x: torch.Tensor, name: str, eps: float) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", torch.zeros(()))

    def conv(x: torch.Tensor, name: str, **options: int) -> torch.Tensor:
        given = x.permute(0, 3, 1, 2)
        return F.conv2d(given, w[f"{name}.weight"], w[f"{name}.bias"], **options).permute(
            0, 2, 3, 1
        )

    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    pixels = F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear")
    x = pixels.permute(0, 2, 3, 1) - torch.tensor([0.485, 0.456, 0.406])
    x = x / torch.tensor([0.228, 0.224, 0.225])
    for i, depth in enumerate(DEPTHS):
        stem = f"backbone.downsample_layers.{i}"
        if i == 0:
            x = norm(conv(x, f"{stem}.0", stride=4), f"{stem}.1", 1e-6)
        else:
            x = conv(norm(x, f"{stem}.0", 1e-6), f"{stem}.1", stride=2)
        for j in range(depth):
            block = f"backbone.stages.{i}.{j}"
            y = conv(x, f"{block}.dwconv", padding=3, groups=DIMS[i])
            y = linear(norm(y, f"{block}.norm", 1e-6), f"{block}.pwconv1")
            y = y * (1 + torch.erf(y / math.sqrt(2))) / 2
            x = x + linear(y, f"{block}.pwconv2")
    tokens = norm(x.flatten(1, 2), "backbone.norm", 1e-6)
    tokens = norm(linear(tokens, "maps_projector.0"), "maps_projector.1", 1e-5).clamp_min(0)
    tokens = norm(linear(tokens, "maps_projector.3"), "maps_projector.4", 1e-5).clamp_min(0)
    return linear(tokens, "maps_projector.6").numpy()


def test_features_equal_the_published_forward_pass(file: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8)
    encoder = load_encoder(SPACE, file)
    rows = encoder.encode(images)
    assert encoder.shape == rows.shape[1:] == (4, WIDTHS[-1])
    assert encoder.norm == "raw"
    expected = features(tensors(), images)
    np.testing.assert_allclose(rows, expected, atol=1e-5 * abs(expected).max())
    # The folder of the file is the same, and so is a file that was saved without a wrapper.
    bare = {key.removeprefix("module."): value for key, value in tensors().items()}
    for other in (file.parent, saved(file.parent / "bare.pth", bare)):
        assert load_encoder(SPACE, other).fingerprint == encoder.fingerprint


def test_published_sizes_are_those_of_convnext_xlarge() -> None:
    """Without layer scale and classifier: 350 M less 2 M, which its authors round to."""
    with torch.device("meta"):
        network = MapsTeacher(
            TeacherSizes(depths=(3, 3, 27, 3), dims=(256, 512, 1024, 2048), widths=(512,) * 3)
        )
        published = timm.create_model("convnext_xlarge", num_classes=0)
    ours = {name: p.numel() for name, p in network.named_parameters()}
    theirs = {n: p.numel() for n, p in published.named_parameters() if not n.endswith("gamma")}
    head = sum(count for name, count in ours.items() if name.startswith("projector."))
    assert sum(ours.values()) - head == sum(theirs.values()) == 348_111_872
    assert head == 2048 * 512 + 2 * 512 * 512 + 6 * 512


def test_side_of_the_picture_is_in_the_name(file: Path) -> None:
    assert load_encoder("vicregl-convnext-xl:maps:96", file).shape == (9, WIDTHS[-1])
    assert load_encoder("vicregl-convnext-xl:maps", file).shape == (256, WIDTHS[-1])
    for name in ("vicregl-convnext-xl", "vicregl-convnext-xl:maps:100", "vicregl-convnext-xl:cls"):
        with pytest.raises(UsageProblem, match="multiple of 32"):
            load_encoder(name, file)


CONV = "module.backbone.stages.2.1.dwconv.weight"
GAMMA = "module.backbone.stages.0.0.gamma"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop(CONV), r"missing .*stages\.2\.blocks\.1\.conv_dw\.weight"),
        (lambda s: s.pop("module.maps_projector.6.weight"), r"maps_projector\.6\.weight"),
        (lambda s: s.update({GAMMA: torch.ones(4)}), r"unknown .*stages\.0\.0\.gamma"),
        (lambda s: s.update({"module.maps_projector.1.running_mean": torch.ones(12)}), "running"),
        (lambda s: s.update({CONV: torch.zeros(8, 1, 5, 5)}), r"shape \(8, 1, 5, 5\)"),
        (lambda s: s[CONV].fill_(torch.nan), r"stages\.2\.1\.dwconv\.weight"),
    ],
    ids=["missing", "no projector", "layer scale", "batch norm", "shape", "nan"],
)
def test_weights_that_do_not_fit_are_named(
    tmp_path: Path, change: Callable[[State], Any], message: str
) -> None:
    state = tensors()
    change(state)
    with pytest.raises(InvalidInput) as refused:
        load_encoder(SPACE, saved(tmp_path / "wrong.pth", state))
    assert re.search(message, f"{refused.value} {refused.value.where}")


def test_other_files(tmp_path: Path) -> None:
    for given in (None, tmp_path / "absent.pth", tmp_path):
        with pytest.raises(MissingResource) as missing:
            load_encoder(SPACE, given)
        assert "convnext_xlarge_alpha0.75_fullckpt.pth" in missing.value.fix
    torch.save(tensors(), tmp_path / "backbone.pth")
    with pytest.raises(InvalidInput, match="no 'model'"):
        load_encoder(SPACE, tmp_path / "backbone.pth")


def test_targets_and_the_teachers_view(
    file: Path, tmp_path: Path, call_cli: Callable[..., Any]
) -> None:
    store = tmp_path / "s.zarr"
    pixels = np.random.default_rng(2).integers(0, 256, (3, 20, 20, 3), dtype=np.uint8)
    create_store(store).add_images(["a", "b", "c"], lambda k: pixels[k], (20, 20, 3), plan={})
    given = ("prepare", "targets", store, "--space", SPACE, "--weights", file, "--views", 1)
    result = call_cli(*map(str, given), "--json")
    assert result.code == 0, result.stderr
    targets = open_store(store)
    assert targets.target(SPACE).shape[1:] == (4, WIDTHS[-1])
    view = targets.target(f"{SPACE}@view1")
    said = view.attrs["encoder"]["view"]["augmentation"]
    assert (said["solarize"], said["crop_area"], said["side"]) == (0.2, [0.5, 1.0], 512)
    plain = targets.target(SPACE).read(np.arange(3))
    assert not np.allclose(plain, view.read(np.arange(3)))
