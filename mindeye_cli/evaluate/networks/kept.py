"""Features kept on disk: one folder for each set of pictures, network, weights and protocol.

A folder appears whole or not at all, and is read by mapping it into memory. The folders that were
not used for longest are removed beyond `MOST_BYTES`.

Shapes: `n` entries, `F` features.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.atomic import remove_abandoned, staged_dir, write_json

Features = dict[str, NDArray[np.float32]]
Fill = Callable[[Callable[[int, Sequence[NDArray[np.float32]]], None]], None]
LOG = logging.getLogger("mindeye.evaluate")
MOST_BYTES = 20 * 2**30
FACTS = "facts.json"


def kept(
    folder: Path, key: str, facts: Mapping[str, Any], nodes: Sequence[str], n: int, fill: Fill
) -> Features:
    """Features of every node, read from the folder or computed into it.

    Parameters
    ----------
    folder : Path
        Of all kept features.
    key : str
        What they depend on, as a fingerprint; the folder's name.
    facts : mapping
        The same, in words; kept beside them.
    nodes : sequence of str
    n : int
    fill : callable
        Calls what it is given with a first row and one array a node, until all rows are there.

    Returns
    -------
    dict of node to float32 array (n, F), mapped from the disk
    """
    place = folder / key
    found = _read(place, nodes, n)
    if found is None:
        with staged_dir(place, overwrite=True) as beside:
            files: list[np.memmap[Any, Any]] = []

            def put(start: int, parts: Sequence[NDArray[np.float32]]) -> None:
                if not files:
                    for index, part in enumerate(parts):
                        shape = (n, part.shape[1])
                        file = beside / f"{index}.npy"
                        files.append(
                            np.lib.format.open_memmap(file, mode="w+", dtype="<f4", shape=shape)
                        )
                for mapped, part in zip(files, parts, strict=True):
                    mapped[start : start + len(part)] = part

            fill(put)
            for mapped in files:
                mapped.flush()
            write_json(beside / FACTS, facts)
        _forget(folder, place)
        found = _read(place, nodes, n)
    if found is None:
        raise OSError(f"features cannot be read back from {place}")
    return found


def _read(place: Path, nodes: Sequence[str], n: int) -> Features | None:
    if not (place / FACTS).is_file():
        return None
    try:
        arrays = [
            np.load(place / f"{k}.npy", mmap_mode="r", allow_pickle=False)
            for k in range(len(nodes))
        ]
        if any(array.ndim != 2 or len(array) != n or array.dtype != "<f4" for array in arrays):
            raise ValueError("of another shape")
    except (OSError, ValueError, EOFError) as problem:
        LOG.warning("%s: kept features are damaged and computed again: %s", place, problem)
        return None
    os.utime(place)
    return dict(zip(nodes, arrays, strict=True))


def _forget(folder: Path, new: Path) -> None:
    """Remove the folders that were not used for longest, beyond the limit."""
    remove_abandoned(folder)
    places = [place for place in folder.iterdir() if (place / FACTS).is_file()]
    sizes = {place: sum(f.stat().st_size for f in place.iterdir()) for place in places}
    total = sum(sizes.values())
    for place in sorted(places, key=lambda place: place.stat().st_mtime):
        if total <= MOST_BYTES or place == new:
            break
        shutil.rmtree(place, ignore_errors=True)
        total -= sizes[place]
