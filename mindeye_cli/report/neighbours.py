"""Retrieval: the table of both directions, and the images that responses retrieve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mindeye_cli.report.collect import Retrieval
from mindeye_cli.report.gallery import Cell
from mindeye_cli.report.numbers import number, span

TITLES = {
    "image_retrieval": "image retrieval (brain → image)",
    "brain_retrieval": "brain retrieval (image → brain)",
}
SCORES = {
    "top1": "top-1",
    "top5": "top-5",
    "top10": "top-10",
    "mean_rank": "mean rank",
    "median_rank": "median rank",
}
ROWS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One score of one direction as text."""

    score: str
    value: str
    ci95: str
    chance: str
    permuted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """One image: its rank, its picture and the pictures that its response retrieves."""

    id: str
    rank: str
    stimulus: Cell
    found: tuple[tuple[Cell, str, bool], ...]


def score_groups(
    retrieval: Retrieval, whole: bool = False
) -> tuple[tuple[str, tuple[ScoreRow, ...]], ...]:
    """(direction, rows) of the table; `whole` for the pool that is the whole split."""
    source = retrieval.result["whole"] if whole else retrieval.result
    return tuple(
        (title, tuple(_row(name, source[direction]["scores"][key]) for key, name in SCORES.items()))
        for direction, title in TITLES.items()
    )


def _row(name: str, entry: dict[str, Any]) -> ScoreRow:
    unit = "rank" if name.endswith("rank") else ""
    permuted = entry["permuted"]
    return ScoreRow(
        score=name,
        value=number(entry["value"], unit),
        ci95=span(entry["ci95"], unit),
        chance=number(entry["chance"], unit),
        permuted=f"{number(permuted['mean'], unit)} ({span(permuted['range95'], unit)})",
    )


def neighbour_rows(retrieval: Retrieval, stimulus: Callable[[str], str]) -> tuple[Neighbours, ...]:
    """Images from the best to the worst rank in equal steps, with what their responses retrieve.

    Parameters
    ----------
    retrieval : Retrieval
    stimulus : callable
        From image id to data URI.
    """
    table = sorted(
        retrieval.result["images"], key=lambda entry: (entry["rank_image_retrieval"], entry["id"])
    )
    count = min(ROWS, len(table))
    steps = [round(k * (len(table) - 1) / max(1, count - 1)) for k in range(count)]
    return tuple(_neighbours(table[step], stimulus) for step in steps)


def _neighbours(entry: dict[str, Any], stimulus: Callable[[str], str]) -> Neighbours:
    found = []
    for place, other in enumerate(entry["neighbours"], start=1):
        right = other["id"] == entry["id"]
        alt = f"place {place}: {other['id']}" + (", the right image" if right else "")
        cell = Cell(uri=stimulus(other["id"]), alt=alt)
        found.append((cell, number(other["similarity"]), right))
    return Neighbours(
        id=entry["id"],
        rank=number(entry["rank_image_retrieval"], "rank"),
        stimulus=Cell(uri=stimulus(entry["id"]), alt=f"stimulus {entry['id']}"),
        found=tuple(found),
    )
