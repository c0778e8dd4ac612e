"""Tiny random generators saved in the layouts of the published ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

SIDE, WORDS = 16, 6


def tiny_unet(**changes: Any) -> Any:
    from diffusers import UNet2DConditionModel

    sizes: dict[str, Any] = {
        "sample_size": SIDE,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "cross_attention_dim": 16,
        "attention_head_dim": 2,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    return UNet2DConditionModel(**{**sizes, **changes})


def tiny_vae(scaling_factor: float = 0.18215) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        scaling_factor=scaling_factor,
    )


def tiny_schedule(kind: str = "DDIMScheduler", **changes: Any) -> Any:
    import diffusers

    betas = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    return getattr(diffusers, kind)(**betas, **changes)


def save_parts(path: Path, pipeline: str, **parts: Any) -> None:
    """Save each part under its name, and the index that names them all."""
    index: dict[str, Any] = {"_class_name": pipeline, "_diffusers_version": "0.42.1"}
    for name, part in parts.items():
        part.save_pretrained(path / name)
        index[name] = [type(part).__module__.partition(".")[0], type(part).__name__]
        index[name] = PUBLISHED_CLASSES.get(type(part).__name__, index[name])
        if name == "text_encoder":
            as_published(path / name / "model.safetensors")
    (path / "model_index.json").write_text(json.dumps(index))


# How published indices name what lies elsewhere today.
PUBLISHED_CLASSES = {
    "TinyTokenizer": ["transformers", "CLIPTokenizer"],
    "StableUnCLIPImageNormalizer": ["stable_diffusion", "StableUnCLIPImageNormalizer"],
    "UNetFlatConditionModel": ["versatile_diffusion", "UNetFlatConditionModel"],
}


def as_published(file: Path) -> None:
    """Keys of the text encoders' files: a prefix and a buffer that transformers has since lost."""
    weights = {f"text_model.{key}": value for key, value in load_file(file).items()}
    weights["text_model.embeddings.position_ids"] = torch.arange(WORDS)[None]
    save_file(weights, file, metadata={"format": "pt"})


def save_versatile_diffusion(path: Path) -> None:
    """`shi-labs/versatile-diffusion`, with the text branch and the encoders that are not read."""
    from diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet import (
        UNetFlatConditionModel,
    )
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    parts = {"image_unet": tiny_unet(), "vae": tiny_vae()}
    flat = UNetFlatConditionModel(
        sample_size=SIDE,
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlockFlat", "DownBlockFlat"),
        up_block_types=("UpBlockFlat", "CrossAttnUpBlockFlat"),
    )
    sizes = {"hidden_size": 8, "intermediate_size": 8, "projection_dim": 16, "image_size": 16}
    depth = {"num_hidden_layers": 1, "num_attention_heads": 1, "patch_size": 8}
    vision = CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes, **depth))
    save_parts(
        path,
        "VersatileDiffusionPipeline",
        **parts,
        scheduler=tiny_schedule(steps_offset=1, clip_sample=False),
        text_unet=flat,
        image_encoder=vision,
        **tiny_text(),
    )


def save_image_variations(path: Path) -> None:
    """`lambdalabs/sd-image-variations-diffusers`."""
    torch.manual_seed(1)
    parts = {"unet": tiny_unet(), "vae": tiny_vae()}
    schedule = tiny_schedule("PNDMScheduler", skip_prk_steps=True, steps_offset=1)
    save_parts(path, "StableDiffusionImageVariationPipeline", **parts, scheduler=schedule)


def save_stable_unclip(path: Path, width: int = 12) -> None:
    """`stable-diffusion-2-1-unclip` without its image encoder."""
    from diffusers import DDPMScheduler
    from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer

    torch.manual_seed(2)
    label = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 2 * width}
    save_parts(
        path,
        "StableUnCLIPImg2ImgPipeline",
        unet=tiny_unet(**label),
        vae=tiny_vae(),
        scheduler=tiny_schedule("PNDMScheduler", skip_prk_steps=True, steps_offset=1),
        image_normalizer=StableUnCLIPImageNormalizer(width),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        **tiny_text(),
    )


def save_kandinsky(path: Path, width: int = 12) -> None:
    """`kandinsky-community/kandinsky-2-2-decoder`, and the VAE of initial latents."""
    from diffusers import VQModel

    torch.manual_seed(3)
    unet = tiny_unet(
        out_channels=8,
        encoder_hid_dim=width,
        encoder_hid_dim_type="image_proj",
        addition_embed_type="image",
        resnet_time_scale_shift="scale_shift",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        attention_head_dim=8,
    )
    movq = VQModel(
        block_out_channels=(32, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        num_vq_embeddings=16,
        vq_embed_dim=4,
        norm_type="spatial",
    )
    schedule = tiny_schedule("DDPMScheduler", clip_sample=True, variance_type="learned_range")
    save_parts(path, "KandinskyV22Pipeline", unet=unet, movq=movq, scheduler=schedule)
    tiny_vae().save_pretrained(path / "vae")


def save_ip_adapter(path: Path, width: int = 12) -> None:
    """Stable Diffusion 1.5 with `models/ip-adapter_sd15.safetensors` of `h94/IP-Adapter`."""
    torch.manual_seed(4)
    unet = tiny_unet()
    schedule = tiny_schedule("PNDMScheduler", skip_prk_steps=True, steps_offset=1)
    parts = {"unet": unet, "vae": tiny_vae(), "scheduler": schedule}
    save_parts(path, "StableDiffusionPipeline", **parts, **tiny_text())
    (path / "models").mkdir()
    save_file(adapter_weights(unet, width), path / "models" / "ip-adapter_sd15.safetensors")


def adapter_weights(unet: Any, width: int) -> dict[str, torch.Tensor]:
    """Keys and shapes as in the published adapter: 4 tokens from one embedding."""
    text = unet.config.cross_attention_dim
    weights = {
        "image_proj.proj.weight": torch.randn(4 * text, width),
        "image_proj.proj.bias": torch.zeros(4 * text),
        "image_proj.norm.weight": torch.ones(text),
        "image_proj.norm.bias": torch.zeros(text),
    }
    crossings = [m for name, m in unet.named_modules() if name.endswith("attn2")]
    for k, attention in enumerate(crossings):
        for what, linear in (("k", attention.to_k), ("v", attention.to_v)):
            weights[f"ip_adapter.{2 * k + 1}.to_{what}_ip.weight"] = torch.randn_like(linear.weight)
    return weights


class TinyTokenizer:
    """The files that published tokenizers have; transformers saves others today."""

    words = ("<|startoftext|>", "<|endoftext|>", "a</w>", "b</w>", "a", "b")

    def save_pretrained(self, path: Path) -> None:
        path.mkdir(parents=True)
        (path / "vocab.json").write_text(json.dumps({w: k for k, w in enumerate(self.words)}))
        (path / "merges.txt").write_text("#version: 0.2\n")
        config = {
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": WORDS,
            "bos_token": self.words[0],
            "eos_token": self.words[1],
            "pad_token": self.words[1],
            "unk_token": self.words[1],
        }
        (path / "tokenizer_config.json").write_text(json.dumps(config))


def tiny_text() -> dict[str, Any]:
    """A CLIP text encoder and its tokenizer, of a handful of words."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(TinyTokenizer.words),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=WORDS,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return {"text_encoder": CLIPTextModel(config), "tokenizer": TinyTokenizer()}


# How a folder is made, by decoder.
SAVE: dict[str, Callable[[Path], None]] = {
    "versatile-diffusion": save_versatile_diffusion,
    "versatile-diffusion-published": save_versatile_diffusion,
    "sd-image-variations": save_image_variations,
    "stable-unclip": save_stable_unclip,
    "kandinsky-2.2": save_kandinsky,
    "ip-adapter": save_ip_adapter,
}
