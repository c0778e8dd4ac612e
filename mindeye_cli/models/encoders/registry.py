"""From the name of a SPACE to its encoder."""

from __future__ import annotations

from pathlib import Path

from mindeye_cli.models.encoders import pixels, scene
from mindeye_cli.models.encoders.base import Encoder
from mindeye_store.errors import UsageProblem

KNOWN = (
    *scene.SHAPES,
    "pixels:N",
    "clip-vit-l14:tokens",
    "clip-vit-l14:pooled",
    "open_clip:MODEL:PRETRAINED[:tokens|:pooled]",
    "sd-vae[:SIDE]",
    "vicregl-convnext-xl:maps[:SIDE]",
    "array:NAME",
)


def load_encoder(space: str, weights: Path | None = None) -> Encoder:
    """Load the encoder of a space.

    Parameters
    ----------
    space : str
        Such as `scene-clip:tokens`; `array:NAME` has none.
    weights : Path, optional
        Local weights in place of the shipped or cached ones.

    Returns
    -------
    Encoder

    Raises
    ------
    UsageProblem
        No such space.
    MissingResource
        Weights are absent and may not or cannot be downloaded.
    """
    family = space.partition(":")[0]
    if family == "pixels":
        return pixels.load_pixels(space)
    if space in scene.SHAPES and family == "scene-clip":
        return scene.load_scene_clip_space(space, weights)
    if space == "scene-vae":
        return scene.load_scene_vae_space(weights)
    if family == "sd-vae":
        from mindeye_cli.models.encoders.autoencoder import load_sd_vae

        return load_sd_vae(weights, space)
    if family == "vicregl-convnext-xl":
        from mindeye_cli.models.encoders.vicregl import load_maps_space

        return load_maps_space(space, weights)
    if family in ("clip-vit-l14", "open_clip"):
        from mindeye_cli.models.encoders.clip import load_clip_space

        return load_clip_space(space, weights)
    raise UsageProblem(
        f"no encoder for the space {space!r}", where="--space", fix=f"spaces: {', '.join(KNOWN)}"
    )


def space_shape(space: str) -> tuple[int, ...] | None:
    """Shape of one row where the name alone says it; None where weights or a file do."""
    if space.startswith("pixels:"):
        return (pixels.side_of(space) ** 2 * 3,)
    published = {"clip-vit-l14:tokens": (257, 768), "clip-vit-l14:pooled": (768,)}
    published |= {"clip-vit-l14": (768,), "sd-vae": (4, 64, 64)}
    published |= {"vicregl-convnext-xl:maps": (256, 512)}
    return {**scene.SHAPES, **published}.get(space)
