"""How many pictures are drawn together: what the generator takes, and what is free.

A generator's peak is the decoding of its latents, where the maps are as large as the picture. Its
bytes are counted, not guessed: one picture is decoded on torch's meta device, which computes shapes
alone, while the bytes that are alive are added up.
"""

from __future__ import annotations

import json
import logging
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from mindeye_cli.core.launch import processes_here
from mindeye_cli.models.running import pick_device
from mindeye_store.backends.memory import free_memory

# More pictures at once gain nothing: a CPU core needs 13 ms for a picture's step in the built-in
# generator from 16 pictures on, and decodes 64 at once more slowly than 32.
MOST = 32
# Of the memory that is free, what the pictures may take beside weights, caches and fragments.
SHARE = 0.6
_BYTES = 4  # decoded in float32 at most
_LATENT_DECODERS = {"AutoencoderKL": {}, "VQModel": {"force_not_quantize": True}}
_WEIGHTS = (".safetensors", ".bin")


class _Alive(TorchDispatchMode):
    """Adds up the storage that is alive, and remembers the most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in tree_iter(out):
            if isinstance(value, torch.Tensor):
                self._count(value.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def peak_bytes(work: Callable[[], Any]) -> int:
    """Most bytes of tensors made by `work` that are alive at one time."""
    with torch.no_grad(), _Alive() as alive:
        work()
    return alive.most


def picture_bytes(files: dict[str, Path]) -> int:
    """Peak bytes of one picture's decoding; 0 where nothing is decoded.

    Parameters
    ----------
    files : dict of Path
        A decoder's files by their names in its folder.
    """
    configs = {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in files.items()
        if path.name == "config.json"
    }
    sides = [c["sample_size"] for n, c in configs.items() if "unet" in n and c.get("sample_size")]
    return max((_decoding(config, sides) for config in configs.values()), default=0)


def pictures_a_batch(files: dict[str, Path], device: torch.device | None = None) -> int:
    """Pictures that fit the device's free memory together, at least 1 and at most `MOST`.

    Processes of one launch share the main memory, and each holds the weights; of accelerators, each
    has its own.
    """
    each = picture_bytes(files)
    if each == 0:
        return MOST
    device = device or pick_device()
    weights = sum(p.stat().st_size for p in files.values() if p.suffix in _WEIGHTS)
    free = _free(device)
    fitting = int((SHARE * free - weights) // each)
    chosen = max(1, min(MOST, fitting))
    logging.getLogger("mindeye").info(
        "%d pictures at a time: %.0f MiB each, %.1f GiB free on %s",
        chosen,
        each / 2**20,
        free / 2**30,
        device.type,
    )
    return chosen


def items_a_batch(items: int, candidates: int, pictures: int, parts: int) -> int:
    """Items of a batch.

    Parameters
    ----------
    items, candidates : int
        All of the plan, and pictures for each.
    pictures : int
        That fit the memory together; of one item they may be fewer than its candidates.
    parts : int
        Of the work: no batch is so large that one of them would have nothing to do.
    """
    return max(1, min(pictures // candidates, -(-items // parts)))


def _decoding(config: dict[str, Any], sides: list[int]) -> int:
    kind = config.get("_class_name")
    if kind not in _LATENT_DECODERS:
        return 0
    import diffusers

    with torch.device("meta"):
        model = getattr(diffusers, kind).from_config(config).eval()
        side = sides[0] if sides else max(1, int(config.get("sample_size", 64)) // 8)
        latent = torch.empty(1, int(config["latent_channels"]), side, side)
        return peak_bytes(lambda: model.decode(latent, **_LATENT_DECODERS[kind]))


def _free(device: torch.device) -> int:
    """Bytes that this process may take."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // -(-processes_here() // _accelerators())
    free = min(known for known in (psutil.virtual_memory().available, free_memory()) if known)
    return free // processes_here()


def _accelerators() -> int:
    return max(1, torch.cuda.device_count())
