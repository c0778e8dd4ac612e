"""`scene-clip:tokens`, `scene-clip:pooled`, `scene-vae`: the built-in encoders at 64 pixels.

Shapes: `B` batch, `T` tokens, `D` width.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from mindeye_cli.core.fingerprint import of_state_dict
from mindeye_cli.models.encoders.autoencoder import posterior_mode
from mindeye_cli.models.encoders.base import (
    Encoder,
    Norm,
    by_norm,
    on_device,
    resize_crop,
)
from mindeye_cli.models.running import pick_device
from mindeye_store.errors import MissingResource

SIDE = 64
# `T` and `D` of the tokens, `D` of the pooled vector, and the latent.
SHAPES: dict[str, tuple[int, ...]] = {
    "scene-clip:tokens": (17, 128),
    "scene-clip:pooled": (128,),
    "scene-vae": (4, 16, 16),
}
TRANSFORM = f"bicubic {SIDE} no antialias, centre crop"


def load_scene_clip_space(space: str, weights: Path | None) -> Encoder:
    """Tokens divided by the norm of the first, or the pooled vector at norm 1."""
    from mindeye_cli.models.scene.clip import load_scene_clip

    _need_config(weights)
    device = pick_device()
    model = load_scene_clip(weights).to(device)
    tokens = space.endswith(":tokens")
    norm: Norm = "cls" if tokens else "unit"

    def compute(pixels: Tensor) -> Tensor:
        # Overshoot is cut off: the encoder was trained on pictures inside [0, 1].
        pooled_bd, tokens_btd = model.embed(resize_crop(pixels, SIDE).clamp(0, 1))
        return by_norm(tokens_btd if tokens else pooled_bd, norm)

    return Encoder(
        space=space,
        shape=SHAPES[space],
        norm=norm,
        dtype="float16" if tokens else "float32",
        description={"weights": of_state_dict(model.state_dict()), "transform": TRANSFORM},
        encode=on_device(compute, device),
    )


def load_scene_vae_space(weights: Path | None) -> Encoder:
    """Mode of the posterior times the scaling factor."""
    from mindeye_cli.models.scene.vae import load_scene_vae

    _need_config(weights)
    device = pick_device()
    vae = load_scene_vae(weights).to(device)

    def compute(pixels: Tensor) -> Tensor:
        return posterior_mode(vae, resize_crop(pixels, SIDE).clamp(0, 1))

    return Encoder(
        space="scene-vae",
        shape=SHAPES["scene-vae"],
        norm="raw",
        dtype="float32",
        description={
            "weights": of_state_dict(vae.state_dict()),
            "transform": f"{TRANSFORM}, posterior mode x {vae.config.scaling_factor}",
        },
        encode=on_device(compute, device),
    )


def _need_config(folder: Path | None) -> None:
    if folder is not None and not (folder / "config.json").is_file():
        raise MissingResource(
            "no model there",
            where=str(folder / "config.json"),
            fix="give --weights a folder with config.json and its safetensors file",
        )
