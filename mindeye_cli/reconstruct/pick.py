"""From candidates on disk to the chosen pictures.

Nothing here is handed the store, so no stimulus can be reached from the choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.reconstruct.choose import Choice, choose
from mindeye_cli.reconstruct.plan import Batch, Item
from mindeye_cli.reconstruct.save import (
    Done,
    blurry_file,
    candidate_file,
    finite,
    record,
    write_png,
)
from mindeye_cli.reconstruct.stage_files import read_batch, read_one, stage_file

FAILED = "the generator gave values that are not finite"
NOT_TO_CHOOSE = "the embedding to choose by has values that are not finite"
NOT_TO_START = "the low-level picture has values that are not finite"


def pick_best(
    space: str | None,
    out: Path,
    batches: list[Batch],
    *,
    keep: bool,
    together: int,
    control: str,
) -> Iterator[Done]:
    """Choose among each item's candidates and write the winners.

    Parameters
    ----------
    space : str or None
        SPACE in which candidates are compared with the brain; None where there is one candidate.
    out : Path
    batches : list of Batch
    keep : bool
        Write the other candidates too.
    together : int
        Pictures embedded at a time.
    control : str
        What the pictures are when they are no reconstructions.

    Yields
    ------
    int, list of dict, dict of str
        A batch's number, one line of the manifest for each of its pictures, and the reason for each
        item that has none.
    """
    encoder = None if space is None else load_encoder(space)
    for number, items in batches:
        drawn = read_batch(stage_file(out, "drawn", number))
        brain = read_one(stage_file(out, "semantic", number), "brain")
        failed = _failures(out, number, items, drawn["fine"], brain if encoder else None)
        fine = np.array([item.name not in failed for item in items])
        chosen, pictures = list(compress(items, fine)), drawn["pictures"][fine]
        records = []
        choices = _choices(encoder, pictures, brain[fine], together)
        for item, choice, row in zip(chosen, choices, pictures, strict=True):
            for k, picture in enumerate(row if keep else ()):
                write_png(candidate_file(out, item.name, k), picture, control)
            line = record(item, out, row[choice.best], control)
            records.append(
                {
                    **line,
                    "chosen": choice.best,
                    "scores": list(choice.scores),
                    "agreement": choice.agreement,
                }
            )
        yield number, records, failed


def _failures(
    out: Path, number: int, items: tuple[Item, ...], fine: Any, brain: Any
) -> dict[str, str]:
    """Why items have no picture: the first reason of those that hold; `brain` None is not used."""
    found = {}
    begun = stage_file(out, "latent", number).exists()
    usable = np.ones(len(items), bool) if brain is None else finite(brain)
    for item, good, comparable in zip(items, fine, usable, strict=True):
        if begun and not blurry_file(out, item.name).exists():
            found[item.name] = NOT_TO_START
        elif not good:
            found[item.name] = FAILED
        elif not comparable:
            found[item.name] = NOT_TO_CHOOSE
    return found


def _choices(encoder: Any, pictures: Any, brain: Any, together: int) -> list[Choice]:
    """Choices for pictures uint8 (N, K, H, W, 3) and embeddings (N, ...)."""
    if encoder is None or not len(pictures):
        return [Choice(0, (), None) for _ in pictures]
    flat = np.concatenate(pictures)
    parts = [encoder.encode(flat[k : k + together]) for k in range(0, len(flat), together)]
    embedded = np.concatenate(parts)
    return choose(embedded.reshape(*pictures.shape[:2], *embedded.shape[1:]), brain)
