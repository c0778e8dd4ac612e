"""One clear line and the right exit code for what cannot be reconstructed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from decoders.tiny import save_tiny_generator
from reconstruct.study import Study, build
from safetensors.torch import load_file, save_file

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.runs import read_run


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build(tmp_path_factory.mktemp("study"))


def failure(call_cli: Any, study: Study, out: Path, *more: Any, **runs: Path) -> tuple[int, str]:
    """Exit code and the line of one attempt."""
    given = {"high": study.high, "low": study.low, "weights": study.generator, **runs}
    words = [word for name, path in given.items() for word in (f"--{name}", path)]
    few = ("--candidates", "2", "--steps", "2", "--limit", "2", "--json")
    result = call_cli("reconstruct", study.store, out, *words, *few, *more)
    assert result.stderr.count("error:") == 1 and "Traceback" not in result.stderr
    return result.code, str(result.json["error"])


@pytest.mark.parametrize(("level", "space"), [("high", "pixels:8"), ("low", "sd-vae")])
def test_a_run_of_another_space(
    study: Study, tmp_path: Path, call_cli: Any, level: str, space: str
) -> None:
    run = tmp_path / level
    shutil.copytree(getattr(study, level), run)
    write_json(run / "run.json", replace(read_run(run), space=space))
    code, line = failure(call_cli, study, tmp_path / "out", **{level: run})
    assert code == 3 and space in line and f"mindeye train {level}-level" in line


@pytest.mark.parametrize(
    ("size", "words"),
    [({"width": 128, "latent_side": 8}, "latents of shape"), ({"width": 64}, "(17, 64)")],
)
def test_a_generator_of_another_shape(
    study: Study, tmp_path: Path, call_cli: Any, size: dict[str, int], words: str
) -> None:
    save_tiny_generator(tmp_path / "other", **size)
    code, line = failure(call_cli, study, tmp_path / "out", weights=tmp_path / "other")
    assert code == 3 and words in line
    assert not (tmp_path / "out").exists(), "it is known before anything is computed"


@pytest.mark.parametrize("part", ["vae", "scheduler", "unet/config.json", "unet/*.safetensors"])
def test_a_generator_without_a_part(study: Study, tmp_path: Path, call_cli: Any, part: str) -> None:
    """Before the runs predict: with the part in its place, the same command begins anew."""
    folder = tmp_path / "generator"
    shutil.copytree(study.generator, folder)
    for path in folder.glob(part):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    code, line = failure(call_cli, study, tmp_path / "out", weights=folder)
    assert code == 4 and part.split("/")[0] in line and str(folder) in line
    assert not (tmp_path / "out").exists()


def test_a_generator_without_one_file_of_its_weights(
    study: Study, tmp_path: Path, call_cli: Any
) -> None:
    folder = tmp_path / "generator"
    shutil.copytree(study.generator, folder)
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    write_json(index, {"weight_map": {"conv_in.bias": "part-2.safetensors"}})
    code, line = failure(call_cli, study, tmp_path / "out", weights=folder)
    assert code == 4 and "unet/part-2.safetensors" in line and not (tmp_path / "out").exists()


def test_weights_of_another_architecture(study: Study, tmp_path: Path, call_cli: Any) -> None:
    folder = tmp_path / "generator"
    shutil.copytree(study.generator, folder)
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    save_file({key: value for key, value in tensors.items() if key != "conv_in.bias"}, file)
    code, line = failure(call_cli, study, tmp_path / "out", weights=folder)
    assert code == 3 and "conv_in.bias" in line


@pytest.mark.parametrize(
    ("change", "words"),
    [("prior.steps=7", "do not divide"), ("prior.step=5", "did you mean"), ("prior.samples=0", "")],
)
def test_settings(study: Study, tmp_path: Path, call_cli: Any, change: str, words: str) -> None:
    code, line = failure(call_cli, study, tmp_path / "out", "--set", change)
    assert code == 2 and words in line
    assert not (tmp_path / "out").exists()


def test_the_folder_of_another_reconstruction(study: Study, tmp_path: Path, call_cli: Any) -> None:
    near = ("--decoder", "nearest", "--high", study.ridge)
    base = ("reconstruct", study.store, tmp_path / "out", *near, "--limit", "2")
    assert call_cli(*base, "--quiet").code == 0
    code, line = failure(call_cli, study, tmp_path / "out")
    assert code == 3 and "candidates was 1 and is now 2" in line and "--overwrite" in line
