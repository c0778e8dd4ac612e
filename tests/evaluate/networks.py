"""Random weights in the places and layouts of the published files."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

FILES = {
    "alexnet": "alexnet-owt-7be5be79.pth",
    "inception_v3": "inception_v3_google-0cc3c7bd.pth",
    "efficientnet_b1": "efficientnet_b1-c27df63c.pth",
    "resnet50": "swav_800ep_pretrain.pth.tar",
}


def recorded_alexnet() -> torch.nn.Module:
    """AlexNet with the weights of the recorded values, as their README says."""
    from torchvision.models import alexnet

    # The classifier is not read by any metric, so its 58 M values are not drawn.
    network = alexnet(weights=None).eval()
    state = network.state_dict()
    for key, tensor in state.items():
        if key.startswith("features."):
            draw = np.random.default_rng([101, zlib.crc32(key.encode())])
            values = draw.standard_normal(tuple(tensor.shape)).astype(np.float32)
            fan_in = int(np.prod(tensor.shape[1:]))
            values = values / np.sqrt(fan_in) if tensor.ndim > 1 else 0.1 * values
            state[key] = torch.from_numpy(values.astype(np.float32))
    network.load_state_dict(state)
    return network


def random_network(name: str) -> torch.nn.Module:
    """A torchvision network whose batch norms have statistics, in evaluation mode."""
    from torchvision import models

    torch.manual_seed(5)
    more = {"init_weights": False} if name == "inception_v3" else {}
    network = getattr(models, name)(weights=None, **more)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def put(home: Path, name: str, network: torch.nn.Module) -> Path:
    """Save a network where torch's cache has the published one."""
    state = network.state_dict()
    if name == "resnet50":  # as SwAV's authors published it
        state = {f"module.{k}": v for k, v in state.items() if not k.startswith("fc.")}
        state["module.prototypes.weight"] = torch.zeros(3, 128)
    path = home / "hub" / "checkpoints" / FILES[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state} if name == "resnet50" else state, path)
    return path


def put_small_clip(cache: Path, known: dict[str, Any]) -> Any:
    """A small CLIP under the published one's name, in Hugging Face's cache; open_clip's model.

    `known` is open_clip's table of configurations, which gets the small one.
    """
    import open_clip

    name, tag = "ViT-L-14-quickgelu", "openai"
    tower = {"image_size": 224, "layers": 2, "width": 32, "head_width": 16, "patch_size": 56}
    text = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
    known[name] = {
        "embed_dim": 24, "quick_gelu": True, "vision_cfg": tower, "text_cfg": text,
    }  # fmt: skip
    torch.manual_seed(6)
    model = open_clip.create_model(name).eval()
    for parameter in model.visual.parameters():
        parameter.data.normal_(0, 0.2)
    hub = open_clip.get_pretrained_cfg(name, tag)["hf_hub"]
    repository, _, file = hub.rpartition("/")
    home = cache / f"models--{repository.replace('/', '--')}"
    snapshot = home / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0" * 40)
    state = {key: value.contiguous().clone() for key, value in model.state_dict().items()}
    save_file(state, snapshot / (file or "open_clip_model.safetensors"))
    return model
