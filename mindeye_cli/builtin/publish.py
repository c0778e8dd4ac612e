"""From trained models to the shipped folders: quality on held-out scenes, card, weights."""

from __future__ import annotations

import shutil
from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel, UniPCMultistepScheduler

from mindeye_cli.builtin import quality
from mindeye_cli.builtin.clip import Trainee
from mindeye_cli.builtin.export import card, export_diffusers, export_plain
from mindeye_cli.builtin.generator import SCHEDULE, take_in_scale
from mindeye_cli.builtin.loop import Loop
from mindeye_cli.builtin.pool import Pool
from mindeye_cli.builtin.vae import latent_std
from mindeye_cli.core.atomic import write_json, write_text
from mindeye_cli.models.decoders.base import Sampling
from mindeye_cli.models.decoders.stable_diffusion import StableDiffusionDecoder
from mindeye_cli.models.scene.clip import load_scene_clip
from mindeye_cli.models.scene.net import SceneNet, load_scene_net

GENERATOR = "scene-generator"
# Guidance was chosen among 2, 3.5 and 5 on other held-out scenes than the card's.
SAMPLING = Sampling(steps=20, guidance=3.5, strength=1.0)
_PIPELINE = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "UniPCMultistepScheduler"],
    "text_encoder": [None, None],
    "tokenizer": [None, None],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def _command(loop: Loop, model: str) -> str:
    return f"python -m mindeye_cli.builtin {model} --out DIR --steps {loop.step}"


def _facts(pool: Pool, numbers: dict[str, float], losses: str) -> dict[str, str]:
    data = f"{len(pool)} scenes, seeds builtin_seed('{pool.split}', 0..{len(pool) - 1})"
    held = {f"held-out {name}": f"{value:.3f}" for name, value in numbers.items()}
    return {"data": data, "losses": losses, **held}


def publish_vae(vae: AutoencoderKL, loop: Loop, pool: Pool, heldout: Pool, folder: Path) -> None:
    """Export the VAE with the scale that brings its latents to a root mean square of one."""
    vae.eval()
    vae.register_to_config(scaling_factor=round(1 / latent_std(vae, pool.pixels[:1024]), 5))
    text = card(
        "scene-vae",
        "diffusers AutoencoderKL for 64x64 scenes, latent 4x16x16.",
        loop.config,
        loop.step,
        _command(loop, "vae"),
        _facts(
            pool,
            quality.vae_quality(vae, heldout),
            "first the PCA coefficients of 4x4 patches (encoder) and their decoding (decoder), "
            "then both together: L1, logarithm of each picture's squared error, weak latent prior",
        ),
    )
    export_diffusers(folder / GENERATOR / "vae", vae, text)


def publish_clip(model: Trainee, loop: Loop, pool: Pool, heldout: Pool, folder: Path) -> None:
    """Export the encoder without the heads that only training uses."""
    encoder = model.encoder.eval()
    text = card(
        "scene-clip",
        "open_clip model: 64-px ViT (patch 8, width 128, 4 layers) and a text tower over the "
        "captions' own words. Outputs: pooled (128) and 17 tokens (CLS and a 4x4 grid) x 128.",
        loop.config,
        loop.step,
        _command(loop, "clip"),
        _facts(
            pool,
            quality.encoder_quality(encoder, pool, heldout),
            "contrastive to captions; linear read-outs of attributes from the pooled embedding and "
            "of category, colours and edges from the token grid; inverse participation ratio",
        ),
    )
    export_plain(folder / "scene-clip", encoder, encoder.config, text)


def publish_net(model: SceneNet, loop: Loop, pool: Pool, heldout: Pool, folder: Path) -> None:
    """Export the judge."""
    text = card(
        "scene-net",
        "Independent judge: a residual CNN that reads the largest object's category, colour, "
        "position and size. Never a target, and never used in a choice.",
        loop.config,
        loop.step,
        _command(loop, "net"),
        _facts(
            pool,
            quality.judge_quality(model.eval(), heldout),
            "cross-entropy of category and colour, squared error of place; noise and blur added",
        ),
    )
    config = {"widths": list(model.widths), "features": model.penultimate.out_features}
    export_plain(folder / "scene-net", model, config, text)


def publish_generator(
    unet: UNet2DConditionModel,
    loop: Loop,
    pool: Pool,
    heldout: Pool,
    vae: Path,
    folder: Path,
    scenes: int = 100,
) -> None:
    """Export the averaged UNet, its sampler and the pipeline's index beside a copy of the VAE.

    The card's figures are those of the exported folder: `scenes` held-out scenes drawn from their
    true tokens, judged by the shipped scene-clip and scene-net.
    """
    loop.use_average()
    take_in_scale(unet.eval())
    root = folder / GENERATOR
    if not (root / "vae").exists():
        shutil.copytree(vae, root / "vae")
    export_diffusers(root / "unet", unet, "The UNet of scene-generator; see ../README.md.\n")
    sampler = UniPCMultistepScheduler(**SCHEDULE, steps_offset=1)
    sampler.save_pretrained(str(root / "scheduler"))
    write_json(root / "model_index.json", _PIPELINE)
    numbers = _ceiling(root, heldout, scenes)
    text = card(
        GENERATOR,
        "diffusers UNet2DConditionModel over scene-vae latents, conditioned on the 17 tokens of "
        "`scene-clip:tokens` (divided by the norm of the CLS token); the null condition is zeros. "
        f"Figures: {scenes} held-out scenes from their true tokens, {SAMPLING.steps} UniPC steps, "
        f"guidance {SAMPLING.guidance:g}.",
        loop.config,
        loop.step,
        _command(loop, "generator") + " --clip scene-clip --vae scene-generator/vae",
        _facts(
            pool,
            numbers,
            "v-prediction, tokens slightly noisy, dropped in 10 %; averaged weights",
        ),
    )
    write_text(root / "README.md", text)


def _ceiling(root: Path, heldout: Pool, scenes: int) -> dict[str, float]:
    decoder = StableDiffusionDecoder(
        name=GENERATOR,
        folder=root,
        space="scene-clip:tokens",
        latent_space="scene-vae",
        tokens=17,
        defaults=SAMPLING,
    )
    clip, net = load_scene_clip(), load_scene_net()
    return quality.ceiling(decoder, clip, net, heldout, range(scenes), SAMPLING)[0]
