"""The published metrics against the recorded values, plain torchvision, and their bad input."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluate.folders import noisy, recon, save, stimuli
from evaluate.networks import put, put_small_clip, random_network, recorded_alexnet
from PIL import Image
from scipy.spatial.distance import correlation

from mindeye_cli.evaluate.metrics import METRICS
from mindeye_cli.evaluate.metrics.correlation import pearson_rows
from mindeye_cli.evaluate.networks import published
from mindeye_cli.evaluate.networks.extract import features
from mindeye_cli.evaluate.pictures import Pictures

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def home() -> Path:
    return Path(os.environ["TORCH_HOME"])


def resized(pixels: np.ndarray, side: int) -> torch.Tensor:
    """One picture to 256, then to a side, bilinear without antialias."""
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    for size in (256, side):
        x = torch.nn.functional.interpolate(x, (size, size), mode="bilinear")
    return x


def as_documented(pixels: np.ndarray, side: int) -> torch.Tensor:
    """The same less ImageNet's mean, over its deviation."""
    return (resized(pixels, side) - MEAN) / STD


def test_recorded_values_by_the_command(
    shared_dir: Path, tmp_path: Path, call_cli: Callable
) -> None:
    golden = np.load(shared_dir / "golden" / "metrics.npz")
    put(home(), "alexnet", recorded_alexnet())
    sets = [{str(k): p for k, p in enumerate(golden[key])} for key in ("rec", "gt")]
    ours, images = (save(tmp_path / name, s) for name, s in zip("ab", sets, strict=True))
    asked = "pixcorr,ssim,AlexNet(2),alexnet5"
    done = call_cli("evaluate", ours, "--images", images, "--metrics", asked, "--json")
    assert done.code == 0, done.stderr
    document = json.loads((ours / "evaluation.json").read_text())
    order = [int(image) for image in document["ids"]]
    lines = document["metrics"]
    for name in ("pixcorr", "ssim"):
        np.testing.assert_allclose(lines[name]["per_image"], golden[name][order], atol=1e-4)
    for name, node in (("twoway_alexnet2", 4), ("twoway_alexnet5", 11)):
        np.testing.assert_array_equal(
            lines[name]["per_image"], golden[f"twoway_features.{node}"][order]
        )
        card = lines[name]["card"]
        assert len(card["weights_sha256"]) == 64 and card["node"] == f"features.{node}"
        assert card["n"] == 16 and lines[name]["d_prime"]["value"] > 2
    # Both nodes come from one pass, kept on disk: two sets, one folder each.
    kept = list(Path(os.environ["MINDEYE_HOME"]).glob("cache/features/*/facts.json"))
    assert len(kept) == 2
    truth, guess = (
        Pictures(ids=tuple(map(str, range(16))), pixels=golden[k]) for k in ("gt", "rec")
    )
    for node in ("features.4", "features.11"):
        sides = [features(published.ALEXNET, p)[node] for p in (truth, guess)]
        distance = 1 - pearson_rows(*sides)
        np.testing.assert_allclose(distance, golden[f"corrdist_{node}"], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "ours", "metric"),
    [
        ("efficientnet_b1", published.EFFICIENTNET, "corrdist_efficientnet"),
        ("resnet50", published.SWAV, "corrdist_swav"),
        ("inception_v3", published.INCEPTION, "twoway_inception"),
    ],
)
def test_features_are_those_of_plain_torchvision(
    name: str, ours: published.Network, metric: str
) -> None:
    network = random_network(name)
    put(home(), name, network)
    if name == "inception_v3":
        network.transform_input = True
    found: list[torch.Tensor] = []
    network.avgpool.register_forward_hook(lambda m, i, out: found.append(out.flatten(1)))
    pixels = [np.stack(list(stimuli(3, 32).values()))]
    pixels.append(np.stack(list(noisy(stimuli(3, 32), 90).values())))
    sets = [Pictures(ids=("a", "b", "c"), pixels=p) for p in pixels]
    with torch.inference_mode():
        for p in (p for side in pixels for p in side):
            network(as_documented(p, ours.side))
    plain = torch.cat(found).numpy().reshape(2, 3, -1)
    own = [features(ours, pictures)["avgpool"] for pictures in sets]
    for known, ours_now in zip(plain, own, strict=True):
        np.testing.assert_allclose(ours_now, known, rtol=1e-3, atol=1e-3 * np.abs(known).max())
    scores = METRICS[metric].compute(sets[0], sets[1], True)
    if metric.startswith("corrdist"):
        expected = [correlation(a, b) for a, b in zip(*plain, strict=True)]
    else:
        # Correlations of random weights lie too near each other for `plain` to order them.
        r = np.corrcoef(*own)[:3, 3:]
        expected = [np.mean([r[i, j] < r[j, j] for i in range(3) if i != j]) for j in range(3)]
    np.testing.assert_allclose(scores.per_entry, expected, atol=1e-4)


def test_clip_is_read_from_the_cache_and_scores_as_open_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call_cli: Callable
) -> None:
    import huggingface_hub
    import open_clip

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    known = open_clip.factory._MODEL_CONFIGS
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(known))
    plain = put_small_clip(tmp_path / "hub", open_clip.factory._MODEL_CONFIGS)
    truth, guess = stimuli(6, 224), noisy(stimuli(6, 224), 60)
    folder, images = recon(tmp_path / "r", guess), save(tmp_path / "s", truth)
    done = call_cli("evaluate", folder, "--images", images, "--metrics", "clip")
    assert done.code == 0, done.stderr
    document = json.loads((folder / "evaluation.json").read_text())
    sides = []
    mean, std = (torch.tensor(v)[:, None, None] for v in published.CLIP)
    for pictures in (truth, guess):
        pixels = np.stack([pictures[name] for name in document["ids"]])
        shown = torch.cat([resized(p, 224) for p in pixels])
        with torch.inference_mode():
            known = plain.encode_image((shown - mean) / std).numpy()
        ids = tuple(document["ids"])
        sides.append(features(published.CLIP_L14, Pictures(ids=ids, pixels=pixels))["embedding"])
        np.testing.assert_allclose(sides[-1], known, atol=1e-4 * np.abs(known).max())
    r = np.corrcoef(*sides)[:6, 6:]
    expected = [np.mean([r[i, j] < r[j, j] for i in range(6) if i != j]) for j in range(6)]
    line = document["metrics"]["twoway_clip"]
    np.testing.assert_array_equal(line["per_image"], expected)
    assert np.mean(expected) > 0.5 and len(line["card"]["weights_sha256"]) == 64


def test_brain_diffuser_shows_pillows_pictures(tmp_path: Path) -> None:
    pixels = np.stack(list(stimuli(2, 32).values()))
    other = np.stack(list(noisy(stimuli(2, 32), 60).values()))
    one, two = (
        Pictures(ids=("a", "b"), pixels=p, protocol="brain-diffuser") for p in (pixels, other)
    )
    large = [
        [np.asarray(Image.fromarray(p).resize((425, 425))).ravel() / 255 for p in side]
        for side in (pixels, other)
    ]
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(*large, strict=True)]
    np.testing.assert_allclose(
        METRICS["pixcorr"].compute(one, two, False).per_entry, expected, atol=1e-5
    )
    from mindeye_cli.evaluate.resize import network_input

    small = Image.fromarray(other[1]).resize((224, 224), Image.Resampling.BILINEAR)
    shown = network_input(two, 1, 2, 342)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(shown, np.asarray(small) / 255, atol=1e-6)


def test_absent_and_damaged_weights(tmp_path: Path, call_cli: Callable) -> None:
    folder = recon(tmp_path / "r", noisy(stimuli(3), 30))
    command = ("evaluate", folder, "--images", save(tmp_path / "s", stimuli(3)))
    for name, file in (("swav", "swav_800ep_pretrain"), ("clip", "vit_large_patch14_clip_224")):
        done = call_cli(*command, "--metrics", name)
        assert done.code == 4 and file in done.stderr and len(done.stderr.splitlines()) == 1
    result = call_cli(*command, "--json").json
    assert "alexnet-owt" in result["skipped"]["twoway_alexnet2"]
    assert "twoway_clip" in result["skipped"] and "pixcorr" in result["metrics"]
    path = home() / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    path.parent.mkdir(parents=True)
    torch.save({"features.0.weight": torch.zeros(1)}, path)
    done = call_cli(*command, "--metrics", "alexnet2", "--overwrite")
    assert done.code == 3 and "alexnet-owt" in done.stderr


def test_features_of_one_picture_do_not_depend_on_the_others_and_survive_damage(
    tmp_path: Path,
) -> None:
    put(home(), "resnet50", random_network("resnet50"))
    pixels = np.stack(list(stimuli(5, 32).values()))
    ids = tuple("abcde")
    together = features(published.SWAV, Pictures(ids=ids, pixels=pixels, keep=tmp_path))["avgpool"]
    known = np.array(together)
    alone = features(published.SWAV, Pictures(ids=("c",), pixels=pixels[2:3]))["avgpool"]
    turned = features(published.SWAV, Pictures(ids=ids[::-1], pixels=pixels[::-1].copy()))
    scale = np.abs(known).max()
    np.testing.assert_allclose(alone[0], known[2], atol=1e-5 * scale)
    np.testing.assert_allclose(turned["avgpool"][::-1], known, atol=1e-5 * scale)
    (file,) = tmp_path.glob("*/0.npy")
    file.write_bytes(file.read_bytes()[:200])
    again = features(published.SWAV, Pictures(ids=ids, pixels=pixels, keep=tmp_path))["avgpool"]
    np.testing.assert_allclose(again, known, atol=1e-5 * scale)
