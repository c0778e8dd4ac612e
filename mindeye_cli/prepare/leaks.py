"""Pictures that stand in training and in test trials, found by their pixels, not by their names."""

from __future__ import annotations

import hashlib
import logging

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.progress import track
from mindeye_cli.prepare.pictures import Pictures
from mindeye_cli.prepare.table import TrialTable

logger = logging.getLogger("mindeye")
_AT_ONCE = 32


def same_pixels(pictures: Pictures) -> NDArray[np.int64]:
    """For every picture the first position with the very same pixels, int64 (n,).

    Every picture is decoded, so that a damaged one is found before anything is written.
    """
    seen: dict[bytes, int] = {}
    count = len(pictures.ids)
    first = np.empty(count, dtype=np.int64)
    with track("check images", count, unit="images") as bar:
        for start in range(0, count, _AT_ONCE):
            block = np.arange(start, min(start + _AT_ONCE, count), dtype=np.int64)
            for position, pixels in zip(block.tolist(), pictures.read(block), strict=True):
                digest = hashlib.sha256(pixels.tobytes()).digest()
                first[position] = seen.setdefault(digest, position)
            bar.advance(len(block))
    return first


def warn_of_leaks(pictures: Pictures, table: TrialTable) -> int:
    """Count the pictures shown in training and in test trials, whatever their names."""
    first = same_pixels(pictures)[table.image]
    leaked = np.intersect1d(first[table.train], first[~table.train])
    if len(leaked):
        named = ", ".join(pictures.ids[position] for position in leaked[:5])
        logger.warning(
            "%d of %d test images are also in training trials (%s%s): scores on them measure"
            " memory; the training commands leave them out of training",
            len(leaked),
            len(np.unique(first[~table.train])),
            named,
            ", ..." if len(leaked) > 5 else "",
        )
    return len(leaked)
