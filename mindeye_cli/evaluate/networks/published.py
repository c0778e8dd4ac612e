"""The five networks of the published metrics: input side, normalisation, and nodes.

MindEye 2023's evaluation, as its code computes it (Scotti et al. 2023, appendix; after Ozcelik &
VanRullen 2023). All run in evaluation mode and single precision.

Shapes: `B` batch, `S` input side, `F` features of a node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mindeye_cli.evaluate.networks.weights import (
    Weights,
    clip_weights,
    load_strictly,
    torch_weights,
)
from mindeye_cli.models.encoders.clip import CLIP_VIT_L14

Forward = Callable[[Tensor], tuple[Tensor, ...]]
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
SWAV_URL = "https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A frozen network whose features are compared.

    Attributes
    ----------
    name : str
    told : str
        Architecture and weights, for the metric's card.
    side : int
        S under the protocol `mindeye`; `brain-diffuser` shows all of them 224.
    mean, std : tuple of float
    nodes : tuple of str
        In the order in which the forward function returns them.
    find : callable
        Its weights file; raises MissingResource.
    build : callable
        Module and forward function, (B, 3, S, S) normalised to one (B, F) a node.
    """

    name: str
    told: str
    side: int
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    nodes: tuple[str, ...]
    find: Callable[[], Weights]
    build: Callable[[Weights], tuple[nn.Module, Forward]]


def _alexnet(weights: Weights) -> tuple[nn.Module, Forward]:
    from torchvision.models import alexnet

    whole = alexnet(weights=None)
    load_strictly(whole, weights.path)
    second, fifth = whole.features[:5], whole.features[5:12]
    both = nn.ModuleList([second, fifth])

    def forward(pictures: Tensor) -> tuple[Tensor, ...]:
        early = second(pictures)
        return early.flatten(1), fifth(early).flatten(1)

    return both, forward


def _inception(weights: Weights) -> tuple[nn.Module, Forward]:
    from torchvision.models import inception_v3

    # With published weights torchvision rescales the input to the range they were trained on.
    network = inception_v3(weights=None, aux_logits=True, transform_input=True, init_weights=False)
    load_strictly(network, weights.path)
    network.AuxLogits = None
    return _headless(network, "fc")


def _efficientnet(weights: Weights) -> tuple[nn.Module, Forward]:
    from torchvision.models import efficientnet_b1

    network = efficientnet_b1(weights=None)
    load_strictly(network, weights.path)
    return _headless(network, "classifier")


def _swav(weights: Weights) -> tuple[nn.Module, Forward]:
    from torchvision.models import resnet50

    network = resnet50(weights=None)
    network.fc = nn.Identity()
    # The published file also holds the heads of the self-supervised task.
    load_strictly(network, weights.path, without=("projection_head.", "prototypes.", "fc."))
    return network, lambda pictures: (network(pictures),)


def _headless(network: nn.Module, head: str) -> tuple[nn.Module, Forward]:
    """A classifier without its last layer: what remains ends in `avgpool`, flattened."""
    setattr(network, head, nn.Identity())
    return network, lambda pictures: (network(pictures),)


def _clip(weights: Weights) -> tuple[nn.Module, Forward]:
    from mindeye_cli.models.encoders.clip_files import load_clip

    visual = load_clip(*CLIP_VIT_L14, weights.path).visual

    def forward(pictures: Tensor) -> tuple[Tensor, ...]:
        result = visual(pictures)
        return (result[0] if isinstance(result, tuple) else result,)

    return visual, forward


def _torchvision(enum: str, member: str) -> Callable[[], Weights]:
    def find() -> Weights:
        from torchvision import models

        return torch_weights(str(getattr(models, enum)[member].url))

    return find


ALEXNET = Network(
    name="alexnet",
    told="torchvision AlexNet, IMAGENET1K_V1",
    side=256,
    nodes=("features.4", "features.11"),
    find=_torchvision("AlexNet_Weights", "IMAGENET1K_V1"),
    build=_alexnet,
)
INCEPTION = Network(
    name="inception",
    told="torchvision Inception v3, IMAGENET1K_V1, input rescaled",
    side=342,
    nodes=("avgpool",),
    find=_torchvision("Inception_V3_Weights", "IMAGENET1K_V1"),
    build=_inception,
)
CLIP_L14 = Network(
    name="clip",
    told="OpenAI CLIP ViT-L/14 image embedding, quick GELU",
    side=224,
    mean=CLIP[0],
    std=CLIP[1],
    nodes=("embedding",),
    find=lambda: clip_weights(*CLIP_VIT_L14),
    build=_clip,
)
EFFICIENTNET = Network(
    name="efficientnet",
    told="torchvision EfficientNet-B1, IMAGENET1K_V2",
    side=255,
    nodes=("avgpool",),
    find=_torchvision("EfficientNet_B1_Weights", "IMAGENET1K_V2"),
    build=_efficientnet,
)
SWAV = Network(
    name="swav",
    told="ResNet-50 trained by SwAV, 800 epochs, in torchvision's ResNet-50",
    side=224,
    nodes=("avgpool",),
    find=lambda: torch_weights(SWAV_URL),
    build=_swav,
)


def normalised(network: Network, pictures: Tensor) -> Tensor:
    """(B, 3, S, S) in [0, 1], less the network's mean, over its deviation."""
    mean, std = (torch.tensor(v, device=pictures.device) for v in (network.mean, network.std))
    return (pictures - mean[:, None, None]) / std[:, None, None]
