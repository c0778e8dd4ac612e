"""What is refused before anything is drawn: absent, foreign or damaged weights."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from decoders import layouts
from decoders.layouts import SAVE
from safetensors.torch import load_file, save_file

from mindeye_cli.errors import exit_code
from mindeye_cli.models.decoders import DECODERS, load_decoder
from mindeye_cli.models.decoders.latents import LatentDecoder
from mindeye_cli.models.decoders.load import decoder_files, load_latent_decoder
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "generator"
    path.mkdir()
    layouts.save_versatile_diffusion(path)
    return path


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "generator"))


UNET = Path("image_unet") / "diffusion_pytorch_model.safetensors"


def change(file: Path, what: Any) -> None:
    weights = load_file(file)
    what(weights)
    save_file(weights, file)


def test_weights_are_all_there_and_no_others(folder: Path) -> None:
    change(folder / UNET, lambda weights: weights.pop("conv_in.weight"))
    with pytest.raises(InvalidInput, match=r"1 weights are missing: conv_in\.weight"):
        load_decoder("versatile-diffusion", folder)
    change(folder / UNET, lambda w: w.update({"conv_in.weight": torch.zeros(16, 4, 3, 3)}))
    change(folder / UNET, lambda w: w.update({"text.weight": torch.zeros(1)}))
    with pytest.raises(InvalidInput, match=r"1 weights do not belong: text\.weight"):
        load_decoder("versatile-diffusion", folder)


def test_weights_of_another_size(folder: Path) -> None:
    change(folder / UNET, lambda w: w.update({"conv_in.weight": torch.zeros(16, 9, 3, 3)}))
    with pytest.raises(InvalidInput, match="conv_in"):
        load_decoder("versatile-diffusion", folder)


@pytest.mark.parametrize("name", [name for name in SAVE if not name.endswith("-published")])
def test_every_network_of_every_generator_is_strict(name: str, tmp_path: Path) -> None:
    SAVE[name](tmp_path)
    read = [file for file in decoder_files(name, tmp_path).values() if file.suffix != ".json"]
    files = [file for file in read if file.suffix == ".safetensors"]
    assert len(files) >= 2
    for file in files:
        whole = load_file(file)
        key = max(whole, key=lambda key: whole[key].numel())
        save_file({k: v for k, v in whole.items() if k != key}, file, metadata={"format": "pt"})
        with pytest.raises(InvalidInput, match=re.escape(key.removeprefix("text_model."))):
            use(name, tmp_path)
        save_file(whole, file, metadata={"format": "pt"})
    use(name, tmp_path)


def use(name: str, folder: Path) -> None:
    """Load a decoder and the VAE of its low-level pictures."""
    load_decoder(name, folder)
    if DECODERS[name].latent_space is not None:
        load_latent_decoder(name, "sd-vae", folder)


@pytest.mark.parametrize("pickled", [False, True])
def test_attention_under_its_old_names_is_not_left_random(folder: Path, pickled: bool) -> None:
    """diffusers below 0.17 wrote query, key, value and proj_attn, and at first torch files."""
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    given = load_file(file)
    names = {
        ".to_q.": ".query.",
        ".to_k.": ".key.",
        ".to_v.": ".value.",
        ".to_out.0.": ".proj_attn.",
    }
    renamed = {}
    for key, value in given.items():
        for new, old in names.items():
            key = key.replace(new, old) if "mid_block.attentions" in key else key
        renamed[key] = value
    assert set(renamed) != set(given)
    save_file(renamed, file)
    if pickled:
        file.unlink()
        torch.save(renamed, file.with_suffix(".bin"))
    landed = LatentDecoder("sd-vae", folder).vae.state_dict()
    assert all(torch.equal(landed[key], value) for key, value in given.items())


def test_a_part_of_another_class(folder: Path) -> None:
    file = folder / "image_unet" / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "_class_name": "UNetFlatConditionModel"}))
    with pytest.raises(InvalidInput, match="UNetFlatConditionModel, not a UNet2DConditionModel"):
        load_decoder("versatile-diffusion", folder)
    file.write_text("{")
    with pytest.raises(InvalidInput, match="not a configuration"):
        load_decoder("versatile-diffusion", folder)


@pytest.mark.parametrize("part", ["model_index.json", "image_unet", "vae", "scheduler", str(UNET)])
def test_absent_parts_are_named(folder: Path, part: str) -> None:
    path = folder / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(MissingResource) as caught:
        load_decoder("versatile-diffusion", folder)
    assert Path(part).parts[0] in str(caught.value) and exit_code(caught.value) == 4


def test_damaged_files(folder: Path) -> None:
    (folder / UNET).write_bytes(b"x" * 100)
    with pytest.raises(InvalidInput, match="image_unet"):
        load_decoder("versatile-diffusion", folder)
    (folder / "scheduler" / "scheduler_config.json").write_text("{")
    shutil.copy(folder / "vae" / "config.json", folder / "scheduler" / "config.json")
    with pytest.raises(InvalidInput):
        load_decoder("versatile-diffusion", folder)


@pytest.mark.parametrize("name", [name for name in DECODERS if DECODERS[name].repositories])
def test_offline_and_absent_names_repository_and_size(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINDEYE_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    repository = DECODERS[name].repositories[0]
    for look in (load_decoder, decoder_files):
        with pytest.raises(MissingResource) as caught:
            look(name)
        assert exit_code(caught.value) == 4
        assert repository.name in str(caught.value) and repository.size in str(caught.value)
        assert "GB" in repository.size and "--weights" in str(caught.value)


def test_names(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"unknown decoder .*kandinsky-2\.2.*nearest"):
        load_decoder("magic")
    for name, words in (("nearest", "reads no weights"), ("latent-rgb", "reads no weights")):
        with pytest.raises(UsageProblem, match=words):
            decoder_files(name, tmp_path)
        assert decoder_files(name) == {}


def test_unets_without_the_decoders_condition(tmp_path: Path) -> None:
    layouts.save_image_variations(tmp_path)
    with pytest.raises(InvalidInput, match="class_embed_type is None, not projection"):
        load_decoder("stable-unclip", tmp_path)
    layouts.tiny_vae().save_pretrained(tmp_path / "movq")
    with pytest.raises(InvalidInput, match="AutoencoderKL, not a VQModel"):
        load_decoder("kandinsky-2.2", tmp_path)


def test_files_that_a_decoder_is_read_from(good: Path) -> None:
    assert {"text_unet", "image_encoder", "text_encoder"} < {part.name for part in good.iterdir()}
    named = set(decoder_files("versatile-diffusion", good))
    assert named == {
        "image_unet/config.json",
        UNET.as_posix(),
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "scheduler/scheduler_config.json",
    }
    assert len(decoder_files("low-level", good, "sd-vae")) == 2
    assert decoder_files("low-level", good / "vae", "sd-vae").keys() == {
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    }


def test_which_vae_decodes_the_low_level_picture(good: Path, tmp_path: Path) -> None:
    """The generator's own where it has one, as the published reconstructions did."""
    own = load_latent_decoder("versatile-diffusion", "sd-vae", good).vae.state_dict()
    expected = load_file(good / "vae" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(own[key], value) for key, value in expected.items())
    layouts.save_kandinsky(tmp_path)
    shutil.rmtree(tmp_path / "vae")
    with pytest.raises(MissingResource, match="sd-image-variations"):
        load_latent_decoder("kandinsky-2.2", "sd-vae", tmp_path)
