"""What each stage may see, holds in memory, leaves when it fails, and can draw again."""

from __future__ import annotations

import json
import shutil
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reconstruct.study import Study, arguments, build

from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_cli.models.run_model import RunModel
from mindeye_store.images import Images


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build(tmp_path_factory.mktemp("study"))


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {
        path.name: np.asarray(Image.open(path), dtype=int)
        for path in sorted((folder / "images").iterdir())
    }


def break_rows(monkeypatch: pytest.MonkeyPatch, rows: slice) -> list[int]:
    """Let the generator fail on some rows; the list grows by the pictures of every call."""
    plain, calls = StableDiffusionDecoder.generate, []

    def broken(self: Any, *given: Any) -> Any:
        drawn = plain(self, *given).copy()
        calls.append(len(drawn))
        drawn[rows] = np.nan
        return drawn

    monkeypatch.setattr(StableDiffusionDecoder, "generate", broken)
    return calls


@pytest.fixture(scope="module")
def recorded(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reconstruction in batches of two items."""
    from mindeye_cli.app import main

    out = tmp_path_factory.mktemp("recorded") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mindeye_cli.reconstruct.setting.pictures_a_batch", lambda files: 4)
        given = [str(word) for word in arguments(study, out, "--seed", "3")]
        assert main([word for word in given if word != "--json"]) == 0
    return out


def test_no_picture_of_the_store_is_read_before_the_choice_is_made(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures that cannot be read stop the run at the grid, when all images are chosen."""

    def poisoned(self: Any, rows: Any) -> Any:
        raise RuntimeError("a stimulus was looked at")

    monkeypatch.setattr(Images, "read", poisoned)
    assert call_cli(*arguments(study, tmp_path / "out")).code == 1
    lines = json.loads((tmp_path / "out/batches/00000.json").read_text())["images"]
    assert len(lines) == 5 and all(len(line["scores"]) == 2 for line in lines)


def test_one_stages_model_is_gone_before_the_next_is_loaded(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mindeye_cli.reconstruct import draw, pick

    loaded: list[tuple[str, int]] = []
    models: weakref.WeakSet[Any] = weakref.WeakSet()

    def watched(module: Any, name: str) -> None:
        load = getattr(module, name)

        def loading(*given: Any) -> Any:
            loaded.append((name, len(models)))
            model = load(*given)
            if name != "load_encoder":  # the last, and without weak references
                models.add(model)
            return model

        monkeypatch.setattr(module, name, loading)

    for module, name in (
        (draw, "load_run"),
        (draw, "latent_decoder"),
        (draw, "load_decoder"),
        (pick, "load_encoder"),
    ):
        watched(module, name)
    assert call_cli(*arguments(study, tmp_path / "out")).code == 0
    order = ["load_run", "load_run", "latent_decoder", "load_decoder", "load_encoder"]
    assert loaded == [(name, 0) for name in order]


def test_the_prior_and_the_generator_draw_noise_of_their_own(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the seeds shared, the picture's noise would begin with the embedding's."""
    seeds: dict[str, list[int]] = {}
    for owner, name in ((RunModel, "sample_prior"), (StableDiffusionDecoder, "generate")):
        plain = getattr(owner, name)

        def seen(self: Any, rows: Any, own: Any, *more: Any, name=name, plain=plain) -> Any:
            seeds[name] = list(own)
            return plain(self, rows, own, *more)

        monkeypatch.setattr(owner, name, seen)
    assert call_cli(*arguments(study, tmp_path / "out")).code == 0
    both = seeds["sample_prior"] + seeds["generate"]
    assert len(both) == 20 and len(set(both)) == 20


def test_a_rerun_after_failures_draws_what_is_missing(
    study: Study, recorded: Path, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, given = tmp_path / "out", ("--seed", "3")
    monkeypatch.setattr("mindeye_cli.reconstruct.setting.pictures_a_batch", lambda files: 4)
    with pytest.MonkeyPatch.context() as patch:
        break_rows(patch, slice(3, 4))
        result = call_cli(*arguments(study, out, *given))
    assert (result.code, result.json["status"], result.json["n"]) == (5, "partial", 3)
    assert list(result.json["errors"]) == ["img001", "img003"]
    assert json.loads((out / "manifest.json").read_text())["failed"] == ["img001", "img003"]
    before = {path.name: path.stat().st_mtime_ns for path in (out / "blurry").iterdir()}
    calls = break_rows(monkeypatch, slice(0, 0))
    result = call_cli(*arguments(study, out, *given))
    assert (result.code, result.json["n"], result.json["errors"]) == (0, 5, {})
    assert calls == [4, 4], "the third batch was whole"
    assert {path.name: path.stat().st_mtime_ns for path in (out / "blurry").iterdir()} == before
    for name in ("images.safetensors", "grid.png"):
        assert (out / name).read_bytes() == (recorded / name).read_bytes()
    assert call_cli(*arguments(study, out, *given)).json["status"] == "notneeded"


def test_no_more_pictures_are_drawn_at_once_than_fit(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one image's candidates neither, by the generator and by the encoder of the choice."""
    from mindeye_cli.reconstruct import pick

    embedded: list[int] = []
    load = pick.load_encoder

    def loading(space: str) -> Any:
        encoder = load(space)

        def encode(images: Any) -> Any:
            embedded.append(len(images))
            return encoder.encode(images)

        return replace(encoder, encode=encode)

    monkeypatch.setattr(pick, "load_encoder", loading)
    few = ("--candidates", "5", "--limit", "2")
    assert call_cli(*arguments(study, tmp_path / "whole", *few)).code == 0
    calls = break_rows(monkeypatch, slice(0, 0))
    monkeypatch.setattr("mindeye_cli.reconstruct.setting.pictures_a_batch", lambda files: 3)
    assert call_cli(*arguments(study, tmp_path / "out", *few)).code == 0
    assert calls == [3, 2, 3, 2] and embedded == [10, 3, 2, 3, 2]
    plan = json.loads((tmp_path / "out/plan.json").read_text())
    assert (plan["batch_items"], plan["batch_pictures"]) == (1, 3)
    ours, theirs = pictures(tmp_path / "out"), pictures(tmp_path / "whole")
    assert all(np.abs(ours[name] - theirs[name]).max() <= 1 for name in theirs)


def test_candidates_are_kept_when_asked_and_recorded(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, more in (("plain", ()), ("kept", ("--keep-candidates",))):
        out = tmp_path / name
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mindeye_cli.reconstruct.pick.record", lambda *_: 1 / 0)
            assert call_cli(*arguments(study, out, *more)).code == 1
        result = call_cli(*arguments(study, out, *more)).json
        manifest = json.loads((out / "manifest.json").read_text())
        assert manifest["keep_candidates"] is bool(more)
        assert manifest["prior"] == {"steps": 5, "samples": 1}
        assert manifest["average"] == "voxels"
        agreements = [line["agreement"] for line in manifest["images"]]
        assert all(-1 <= value <= 1 for value in agreements)
        assert result["agreement"] == pytest.approx(np.mean(agreements))
        assert len(list(out.glob("candidates/*/*.png"))) == (10 if more else 0)
    refused = call_cli(*arguments(study, tmp_path / "plain", "--keep-candidates"))
    assert refused.code == 3 and "keep_candidates was" in refused.json["error"]["message"]


def test_a_recorded_batch_is_drawn_again(
    study: Study, recorded: Path, tmp_path: Path, call_cli: Any
) -> None:
    """All of it bit for bit, settings from the record alone; one picture within a grey level."""
    base = ("reconstruct", study.store)
    again = ("--replay", recorded / "manifest.json", "--json")
    result = call_cli(*base, tmp_path / "all", *again)
    assert result.code == 0
    found = result.json["replay"]
    assert found == {"pictures": 5, "identical": 5, "grey_levels": 0, "environment": []}
    name = "images.safetensors"
    assert (tmp_path / "all" / name).read_bytes() == (recorded / name).read_bytes()
    (tmp_path / "ids").write_text("img003\n")
    result = call_cli(*base, tmp_path / "one", *again, "--ids-from", tmp_path / "ids")
    assert result.json["replay"]["pictures"] == 1
    assert result.json["replay"]["grey_levels"] <= 1


def test_what_was_not_recorded_is_not_replayed(
    study: Study, recorded: Path, tmp_path: Path, call_cli: Any
) -> None:
    base = ("reconstruct", study.store, tmp_path / "out", "--json", "--replay")
    good = recorded / "manifest.json"
    result = call_cli(*base, good, "--strength", "0.5")
    assert result.code == 2 and result.json["error"]["where"] == "--strength"
    result = call_cli(*base, good, "--high", study.ridge)
    assert result.code == 2 and "no prior" in result.json["error"]["message"]
    assert call_cli(*base, tmp_path / "absent.json").code == 4
    (tmp_path / "other.json").write_text("{}")
    assert call_cli(*base, tmp_path / "other.json").code == 3
    record = json.loads(good.read_text())
    record["images"][0]["seeds"][0] += 1
    (tmp_path / "other.json").write_text(json.dumps(record))
    result = call_cli(*base, tmp_path / "other.json")
    assert result.code == 3 and "not what was recorded" in result.json["error"]["message"]
    assert not (tmp_path / "out").exists()


def test_slicing_changes_no_picture_and_offloading_needs_an_accelerator(
    study: Study, recorded: Path, tmp_path: Path, call_cli: Any
) -> None:
    shutil.copytree(recorded, tmp_path / "out")
    (tmp_path / "out" / "manifest.json").unlink()
    (tmp_path / "out" / "images" / "img002.png").unlink()
    more = ("--seed", "3", "--set", "memory.slicing=true")
    assert call_cli(*arguments(study, tmp_path / "out", *more)).code == 0
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["memory"]["slicing"]
    ours, theirs = pictures(tmp_path / "out"), pictures(recorded)
    assert all(np.abs(ours[name] - theirs[name]).max() <= 1 for name in theirs)
    offload = arguments(study, tmp_path / "off", "--set", "memory.offload=true")
    result = call_cli(*offload)
    assert result.code == 2 and "no accelerator" in result.json["error"]["message"]
