"""The first of some found rows whose pictures are at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mindeye_cli.core.neighbours.decode import NoPicture, Pixels
from mindeye_cli.core.neighbours.pictures import Pictures

AT_ONCE = 16  # pictures fetched side by side


def first_at_hand(
    records: Sequence[Mapping[str, Any]], count: int, pictures: Pictures, missing: Counter[str]
) -> tuple[list[int], list[Pixels]]:
    """The first pictures at hand.

    Parameters
    ----------
    records : sequence of dict
        Metadata of rows, nearest first.
    count : int
    pictures : Pictures
    missing : Counter
        Takes note of those that are not at hand, by reason.

    Returns
    -------
    places : list of int
        Among the records; fewer than `count` where fewer pictures are at hand.
    found : list of uint8 arrays (H, W, 3), each of its own size
    """
    places: list[int] = []
    found: list[Pixels] = []

    def get(place: int) -> Pixels | NoPicture:
        try:
            return pictures.get(records[place])
        except NoPicture as why:
            return why

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for low in range(0, len(records), AT_ONCE):
            turn = range(low, min(low + AT_ONCE, len(records)))
            for place, answer in zip(turn, pool.map(get, turn), strict=True):
                if len(places) == count:
                    return places, found
                if isinstance(answer, NoPicture):
                    missing[str(answer)] += 1
                else:
                    places.append(place)
                    found.append(answer)
    return places, found
