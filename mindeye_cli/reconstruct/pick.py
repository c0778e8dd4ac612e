"""From candidates on disk to the chosen pictures.

Nothing here is handed the store, so no stimulus can be reached from the choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.reconstruct.choose import Choice, choose
from mindeye_cli.reconstruct.draw import Records, candidate_file, read_brain, record
from mindeye_cli.reconstruct.plan import Batch, Item
from mindeye_cli.reconstruct.save import read_png


def pick_best(
    space: str | None, out: Path, batches: list[Batch], errors: dict[str, str]
) -> Iterator[Records]:
    """Choose among each item's candidates and write the winners.

    Parameters
    ----------
    space : str or None
        SPACE in which candidates are compared with the brain; None where there is one candidate.
    out : Path
    batches : list of Batch
    errors : dict
        Items without candidates; they are left out.

    Yields
    ------
    int, list of dict
        A batch's number and one line of the manifest for each of its pictures.
    """
    encoder = None if space is None else load_encoder(space)
    for number, items in batches:
        kept = [k for k, item in enumerate(items) if item.name not in errors]
        chosen = [items[k] for k in kept]
        records = []
        choices = _choices(encoder, out, chosen, read_brain(out, number)[kept])
        for item, choice in zip(chosen, choices, strict=True):
            line = record(item, out, read_png(candidate_file(out, item, choice.best)))
            records.append(
                {
                    **line,
                    "chosen": choice.best,
                    "scores": list(choice.scores),
                    "agreement": choice.agreement,
                }
            )
        yield number, records


def _choices(encoder: Any, out: Path, items: list[Item], brain: Any) -> list[Choice]:
    if encoder is None or not items:
        return [Choice(0, (), None) for _ in items]
    pictures = np.stack(
        [read_png(candidate_file(out, item, k)) for item in items for k in range(len(item.seeds))]
    )
    embedded = encoder.encode(pictures)
    return choose(embedded.reshape(len(items), -1, *embedded.shape[1:]), brain)
