"""Disjoint seed ranges: simulated experiments below 2**40, built-in models' training above it."""

from __future__ import annotations

SIMULATION_LIMIT = 2**40
SPLITS = ("train", "judge", "heldout")
_SIMULATION_SHIFT = 20
_BUILTIN_SHIFT = 32


def simulation_seed(seed: int, index: int) -> int:
    """Scene seed of picture `index` of the simulated experiment `seed`.

    Parameters
    ----------
    seed, index : int
        Both in [0, 2**20).

    Returns
    -------
    int
        In [0, 2**40); distinct for distinct arguments.
    """
    limit = 2**_SIMULATION_SHIFT
    if not (0 <= seed < limit and 0 <= index < limit):
        raise ValueError(f"seed and index must lie in [0, {limit}), got {seed} and {index}")
    return (seed << _SIMULATION_SHIFT) + index


def builtin_seed(split: str, index: int) -> int:
    """Scene seed of picture `index` of a split that only the built-in models see.

    Parameters
    ----------
    split : str
        `train` (VAE, encoder, generator), `judge` (scene-net) or `heldout` (quality figures).
    index : int
        In [0, 2**32).

    Returns
    -------
    int
        In [2**40, 2**41), which `simulation_seed` cannot reach.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    if not 0 <= index < 2**_BUILTIN_SHIFT:
        raise ValueError(f"index must lie in [0, 2**32), got {index}")
    return SIMULATION_LIMIT + (SPLITS.index(split) << _BUILTIN_SHIFT) + index
