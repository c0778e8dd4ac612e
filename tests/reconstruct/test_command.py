"""`mindeye reconstruct` from end to end on a tiny study."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoders.tiny import save_tiny_generator
from PIL import Image
from reconstruct.study import Study, build, build_store
from safetensors.numpy import load_file
from two_subjects import with_another_subject

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.runs import read_run


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build(tmp_path_factory.mktemp("study"))


def arguments(study: Study, out: Path, *more: str | Path, store: Path | None = None) -> list[Any]:
    both = ("--high", study.high, "--low", study.low, "--weights", study.generator)
    return [
        "reconstruct",
        store or study.store,
        out,
        *both,
        "--candidates",
        "2",
        "--steps",
        "2",
    ] + [
        *more,
        "--json",
    ]


def files(folder: Path) -> dict[str, bytes]:
    """Every picture below a folder, and the tensors."""
    kept = [*folder.rglob("*.png"), *folder.rglob("*.safetensors")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


@pytest.fixture(scope="module")
def whole(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted reconstruction with its candidates."""
    from mindeye_cli.app import main

    out = tmp_path_factory.mktemp("whole") / "out"
    given = arguments(study, out, "--keep-candidates", "--quiet")[:-1]
    assert main([str(a) for a in given]) == 0
    return out


def test_what_is_left_behind(study: Study, whole: Path) -> None:
    manifest = json.loads((whole / "manifest.json").read_text())
    assert manifest["ids"] == study.ids and manifest["image_rows"] == list(range(5))
    assert not (whole / "stages").exists() and not (whole / "batches").exists()
    tensors = load_file(whole / "images.safetensors")["images"]
    for line, tensor in zip(manifest["images"], tensors, strict=True):
        picture = np.asarray(Image.open(whole / line["file"]))
        assert picture.shape == (64, 64, 3)
        np.testing.assert_array_equal(tensor, picture.transpose(2, 0, 1))
        chosen = whole / "candidates" / line["name"] / f"{line['chosen']:02d}.png"
        assert chosen.read_bytes() == (whole / line["file"]).read_bytes()
        assert line["chosen"] == int(np.argmax(line["scores"]))
        assert len(set(line["seeds"])) == 2
        assert (whole / "blurry" / f"{line['name']}.png").exists()
    assert manifest["environment"]["torch"] and manifest["runs"]["high"]["model_sha256"]


def test_the_true_pictures_cannot_reach_the_choice(
    study: Study, whole: Path, tmp_path: Path, call_cli: Any
) -> None:
    """Other test stimuli and poisoned test targets change nothing but the grid's first column."""
    poisoned = build_store(tmp_path / "poisoned.zarr", stimuli=7)
    given = arguments(study, tmp_path / "out", "--keep-candidates", store=poisoned)
    assert call_cli(*given).code == 0
    clean, dirty = files(whole), files(tmp_path / "out")
    changed = {name for name in clean if clean[name] != dirty[name]}
    assert changed == {"grid.png"} and clean.keys() == dirty.keys()


def test_an_interrupted_run_leaves_the_same_bytes(
    study: Study, whole: Path, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped among the low-level pictures, and again while choosing."""
    from mindeye_cli.reconstruct import save

    written = save.write_bytes
    calls = 0

    def stop_twice(path: Path, data: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls in (3, 12):
            raise KeyboardInterrupt
        written(path, data)

    monkeypatch.setattr(save, "write_bytes", stop_twice)
    given = arguments(study, tmp_path / "out", "--keep-candidates")
    codes = [call_cli(*given).code for _ in range(3)]
    assert codes == [130, 130, 0]
    left = {path.name for path in (tmp_path / "out").iterdir()} - {"plan.json"}
    listed = call_cli(*given).json["outputs"]
    assert listed[0] == str(tmp_path / "out") and {Path(name).name for name in listed[1:]} == left
    assert files(tmp_path / "out") == files(whole)
    assert call_cli(*given).json["status"] == "notneeded"


def test_shards_equal_the_whole(study: Study, whole: Path, tmp_path: Path, call_cli: Any) -> None:
    out = tmp_path / "out"
    first = call_cli(*arguments(study, out, "--shard", "0/2")).json
    second = call_cli(*arguments(study, out, "--shard", "1/2")).json
    assert json.loads((out / "plan.json").read_text())["batch_items"] == 3
    assert (first["complete"], second["complete"], second["n"]) == (False, True, 5)
    for name in study.ids:
        ours = np.asarray(Image.open(out / "images" / f"{name}.png"), dtype=int)
        theirs = np.asarray(Image.open(whole / "images" / f"{name}.png"), dtype=int)
        assert np.abs(ours - theirs).max() <= 1


def test_other_ways_to_a_picture(study: Study, tmp_path: Path, call_cli: Any) -> None:
    low = ("reconstruct", study.store, tmp_path / "low", "--decoder", "low-level")
    result = call_cli(*low, "--low", study.low, "--weights", study.generator, "--json").json
    assert (result["n"], result["decoder"]) == (5, "low-level")

    near = ("reconstruct", study.store, tmp_path / "near", "--decoder", "nearest")
    assert call_cli(*near, "--high", study.ridge, "--json").json["n"] == 5
    lines = json.loads((tmp_path / "near/manifest.json").read_text())["images"]
    assert all(line["source_row"] >= 5 for line in lines), "a test image was copied"

    ridge = ("reconstruct", study.store, tmp_path / "ridge", "--high", study.ridge, "--steps", "2")
    many = ("--candidates", "1", "--weights", study.generator, "--json")
    assert call_cli(*ridge, *many).json["strength"] == 1.0

    mean = ("reconstruct", study.store, tmp_path / "mean", "--high", study.high, "--steps", "2")
    assert call_cli(*mean, *many, "--control", "mean-brain", "--limit", "2").json["n"] == 2


def test_single_trials_are_pictures_of_their_own(
    study: Study, tmp_path: Path, call_cli: Any
) -> None:
    given = arguments(study, tmp_path / "out", "--average", "none", "--limit", "2")
    assert call_cli(*given).json["n"] == 4
    names = {path.stem for path in (tmp_path / "out/images").iterdir()}
    assert names == {f"img{i:03d}-trial{2 * i + r:05d}" for i in range(2) for r in range(2)}


def test_pictures_that_are_not_finite_are_reported(
    study: Study, tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder

    plain = StableDiffusionDecoder.generate

    def broken(self: Any, *given: Any) -> Any:
        pictures = plain(self, *given).copy()
        pictures[2:4] = np.nan
        return pictures

    monkeypatch.setattr(StableDiffusionDecoder, "generate", broken)
    result = call_cli(*arguments(study, tmp_path / "out"))
    assert (result.code, result.json["status"], result.json["n"]) == (5, "partial", 4)
    assert list(result.json["errors"]) == ["img001"]
    assert call_cli(*arguments(study, tmp_path / "out")).code == 5, "it is still not whole"


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--strength", "1.2"), 2, "outside [0, 1]"),
        (("--decoder", "magic"), 2, "unknown decoder"),
        (("--subject", "s9"), 2, "s9"),
        (("--weights", "nowhere"), 4, "nowhere"),
    ],
)
def test_bad_requests(
    study: Study, tmp_path: Path, call_cli: Any, more: Any, code: int, words: str
) -> None:
    result = call_cli(*arguments(study, tmp_path / "out", *more))
    assert (result.code, result.json["error"]["code"]) == (code, code)
    assert words in str(result.json["error"])


def test_bad_runs_and_ids(study: Study, tmp_path: Path, call_cli: Any) -> None:
    base = ("reconstruct", study.store, tmp_path / "out", "--json", "--high")
    assert "takes a run of kind" in call_cli(*base, study.low).json["error"]["message"]
    (tmp_path / "ids").write_text("img001\nimg020\n")
    result = call_cli(*base, study.high, "--ids-from", tmp_path / "ids")
    assert result.code == 3 and "img020" in result.json["error"]["message"]
    assert call_cli(*base, tmp_path / "none").code == 4


@pytest.mark.parametrize("ids", [True, False])
def test_a_run_trained_on_the_images_is_refused(
    study: Study, tmp_path: Path, call_cli: Any, ids: bool
) -> None:
    """Of the images asked for alone; older runs recorded no ids but rows."""
    stale = tmp_path / "low"
    shutil.copytree(study.low, stale)
    info = read_run(study.low)
    details = {**info.details, "trained_images": [2, 9]}
    if ids:
        details |= {"trained_images": [], "trained_ids": ["img002", "img009"]}
    else:
        del details["trained_ids"]
    write_json(stale / "run.json", replace(info, details=details))
    low = ("reconstruct", study.store, tmp_path / "out", "--decoder", "low-level", "--json")
    low = (*low, "--weights", study.generator, "--low", stale)
    both = (*arguments(study, tmp_path / "out"), "--low", stale)
    for words in (low, both):
        result = call_cli(*words)
        assert result.code == 3 and result.json["error"]["where"] == str(stale)
        assert not (tmp_path / "out").exists()
    assert call_cli(*low, "--limit", "2").code == 0


def test_overwrite_deletes_reconstructions_only(
    study: Study, tmp_path: Path, call_cli: Any
) -> None:
    near = ("reconstruct", study.store, tmp_path / "out", "--decoder", "nearest", "--json")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    result = call_cli(*near, "--high", study.ridge, "--overwrite")
    assert result.code == 2 and "reconstructions only" in result.json["error"]["message"]
    assert (tmp_path / "out" / "thesis.txt").exists()
    (tmp_path / "out" / "thesis.txt").unlink()
    for limit in ("2", "3"):
        given = (*near, "--high", study.ridge, "--overwrite", "--limit", limit)
        assert call_cli(*given).json["n"] == int(limit)


def test_a_run_of_another_encoder_is_refused(study: Study, tmp_path: Path, call_cli: Any) -> None:
    other = build_store(tmp_path / "other.zarr", encoder="another")
    near = ("reconstruct", other, tmp_path / "out", "--decoder", "nearest", "--json")
    result = call_cli(*near, "--high", study.ridge)
    assert result.code == 3 and "another encoder" in result.json["error"]["message"]
    assert not (tmp_path / "out").exists()


def test_other_weights_are_another_reconstruction(
    study: Study, tmp_path: Path, call_cli: Any
) -> None:
    def low(weights: Path) -> Any:
        low = ("reconstruct", study.store, tmp_path / "out", "--decoder", "low-level", "--json")
        return call_cli(*low, "--low", study.low, "--weights", weights)

    save_tiny_generator(tmp_path / "other", width=128, latent_side=16, seed=1)
    assert low(study.generator).json["status"] == "ok"
    assert low(study.generator).json["status"] == "notneeded"
    result = low(tmp_path / "other")
    assert result.code == 3 and "weights was" in result.json["error"]["message"]


def test_a_damaged_record_is_named(study: Study, tmp_path: Path, call_cli: Any) -> None:
    near = ("reconstruct", study.store, tmp_path / "out", "--decoder", "nearest", "--json")
    assert call_cli(*near, "--high", study.ridge).code == 0
    for name in ("manifest.json", "plan.json"):
        (tmp_path / "out" / name).write_text("{")
        result = call_cli(*near, "--high", study.ridge)
        assert result.code == 3 and result.json["error"]["where"].endswith(name)


def test_the_stimuli_are_found_from_the_manifest(
    study: Study, tmp_path: Path, call_cli: Any
) -> None:
    near = ("reconstruct", study.store, tmp_path / "out", "--decoder", "nearest", "--json")
    assert call_cli(*near, "--high", study.ridge).code == 0
    assert call_cli("evaluate", tmp_path / "out", "--metrics", "pixcorr", "--json").code == 0


def test_runs_of_several_subjects_reconstruct_for_one(
    study: Study, tmp_path: Path, call_cli: Any
) -> None:
    """The subject is named, or it is the only one of the other run."""
    both = with_another_subject(study.low, tmp_path / "both")
    low = ("--decoder", "low-level", "--weights", study.generator, "--json", "--low")
    plain = call_cli("reconstruct", study.store, tmp_path / "plain", *low, study.low)
    assert plain.code == 0
    result = call_cli("reconstruct", study.store, tmp_path / "out", *low, both)
    assert result.code == 2 and "--subject one of: other, s1" in result.json["error"]["fix"]
    one = ("reconstruct", study.store, tmp_path / "out", *low, both, "--subject", "s1")
    assert call_cli(*one).code == 0
    named = (tmp_path / "out" / "images.safetensors").read_bytes()
    assert named == (tmp_path / "plain" / "images.safetensors").read_bytes()
    assert call_cli(*arguments(study, tmp_path / "two", "--low", both)).code == 0
    assert call_cli(*arguments(study, tmp_path / "plain two")).code == 0
    implied, single = (tmp_path / name / "images.safetensors" for name in ("two", "plain two"))
    assert implied.read_bytes() == single.read_bytes()
