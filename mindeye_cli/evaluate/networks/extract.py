"""Features of the published networks: in batches, once for each set of pictures and network.

Shapes: `n` entries, `B` batch, `F` features of a node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mindeye_cli.core.fingerprint import of_json
from mindeye_cli.evaluate.networks.kept import Features, kept
from mindeye_cli.evaluate.networks.published import Forward, Network, normalised
from mindeye_cli.evaluate.networks.weights import Weights
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.resize import network_input
from mindeye_cli.models.running import pick_device

BATCH = {"cpu": 8, "cuda": 128}
Put = Callable[[int, Sequence[NDArray[np.float32]]], None]


def features(network: Network, pictures: Pictures) -> Features:
    """What every node says of every picture.

    Parameters
    ----------
    network : Network
    pictures : Pictures
        With `keep`, features are read from there or computed into it; otherwise they stay in
        memory.

    Returns
    -------
    dict of node to float32 array (n, F)

    Raises
    ------
    MissingResource
        The network's weights are not in the user's caches.
    InvalidInput
        They are damaged, or of another network.
    """
    weights = network.find()
    key = f"{network.name} {weights.sha256}"
    return pictures.cached(key, lambda: _features(network, weights, pictures))


def card(network: Network, pictures: Pictures) -> dict[str, Any]:
    """What the numbers depend on: weights, their SHA-256, and the resize."""
    weights = network.find()
    return {
        "network": network.told,
        "weights": weights.path.name,
        "weights_sha256": weights.sha256,
        "resize": _resize(network, pictures.protocol),
        "mean": network.mean,
        "std": network.std,
    }


def _resize(network: Network, protocol: str) -> str:
    if protocol == "brain-diffuser":
        return "224 from 8-bit RGB, bilinear with antialias"
    return f"256 then {network.side}, bilinear, antialias off"


def _features(network: Network, weights: Weights, pictures: Pictures) -> Features:
    def fill(put: Put) -> None:
        _run(network, weights, pictures, put)

    if pictures.keep is None:
        parts: list[Sequence[NDArray[np.float32]]] = []
        fill(lambda start, arrays: parts.append(arrays))
        columns = zip(*parts, strict=True)
        return {n: np.concatenate(c) for n, c in zip(network.nodes, columns, strict=True)}
    facts = {
        "schema": "mindeye-features",
        "schema_version": 1,
        "pictures": pictures.fingerprint,
        "protocol": pictures.protocol,
        "nodes": network.nodes,
        **card(network, pictures),
    }
    return kept(pictures.keep, of_json(facts), facts, network.nodes, len(pictures), fill)


@torch.inference_mode()
def _run(network: Network, weights: Weights, pictures: Pictures, put: Put) -> None:
    forward, device = _loaded(network, weights)
    size = BATCH[device.type]
    for start in range(0, len(pictures), size):
        batch = network_input(pictures, start, start + size, network.side, device)
        shown = normalised(network, batch).to(memory_format=torch.channels_last)
        put(start, [node.float().cpu().numpy() for node in forward(shown)])


# One network is held at a time: CLIP alone takes 1.2 GB.
@lru_cache(maxsize=1)
def _loaded(network: Network, weights: Weights) -> tuple[Forward, torch.device]:
    device = pick_device()
    module, forward = network.build(weights)
    module.eval().requires_grad_(False)
    fuse(module)
    module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return forward, device


def fuse(module: nn.Module) -> None:
    """Fold each batch norm into the convolution before it, in place; outputs stay the same."""
    for child in module.children():
        fuse(child)
    for first, second in pairwise(list(module._modules)):
        before, after = module._modules[first], module._modules[second]
        if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
            if before.out_channels == after.num_features:
                module._modules[first] = fuse_conv_bn_eval(before, after)
                module._modules[second] = nn.Identity()
