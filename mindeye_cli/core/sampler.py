"""Randomness as a pure function of names: the same seed and keys give the same draw in any process.

Nothing is carried from one draw to the next, so a run resumed in the middle, or split over several
processes, draws what the uninterrupted run would have drawn.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Key = int | str


def derived_seed(seed: int, *keys: Key) -> int:
    """A 63-bit seed that depends on `seed` and on every key, and on their order.

    Parameters
    ----------
    seed : int
        The recorded seed of the run.
    *keys : int or str
        What the draw is for, such as `("mixco", step)`.

    Returns
    -------
    int
        In [0, 2**63), from SHA-256 of the JSON list `[seed, *keys]`.
    """
    plain = [int(seed), *(key if isinstance(key, str) else int(key) for key in keys)]
    digest = hashlib.sha256(json.dumps(plain).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def rng(seed: int, *keys: Key) -> np.random.Generator:
    """A numpy generator (PCG64) for one named draw."""
    return np.random.Generator(np.random.PCG64(derived_seed(seed, *keys)))


def torch_generator(seed: int, *keys: Key, device: str = "cpu") -> torch.Generator:
    """A torch generator for one named draw; on CPU its stream does not depend on thread count."""
    import torch

    return torch.Generator(device=device).manual_seed(derived_seed(seed, *keys))


def epoch_order(n: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The order in which epoch `epoch` visits `n` items, each once.

    Parameters
    ----------
    n : int
        Number of items.
    seed, epoch : int
        The order is a function of these two alone.

    Returns
    -------
    ndarray of int64, shape (n,)
        A permutation of 0..n-1.
    """
    return rng(seed, "epoch", epoch).permutation(n).astype(np.int64)
