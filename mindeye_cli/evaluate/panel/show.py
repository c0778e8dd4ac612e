"""The panel as small tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Table = tuple[str, tuple[str, ...], list[tuple[object, ...]]]
INTERVAL = ("ci low", "ci high")


def tables(panel: Mapping[str, Any]) -> Iterator[Table]:
    """Title, header and rows of every part that is there."""
    yield _quartiles(panel)
    if "copy_rate" in panel:
        yield _copies(panel["copy_rate"])
    if "single_trial" in panel:
        rows = [(row["repeats"], *_scored(row)) for row in panel["single_trial"]["rows"]]
        yield "Two-way identification by repeats that are averaged", _head("repeats"), rows
    if "effective_rank" in panel:
        yield _rank(panel["effective_rank"])
    if "bottleneck" in panel:
        yield _bottleneck(panel["bottleneck"])
    if "runs" in panel and len(panel["runs"]) > 1:
        yield _runs(panel.get("sessions", panel["runs"]), panel["runs"])
    for cluster in panel.get("held_out_cluster", ()):
        yield _cluster(cluster)


def _quartiles(panel: Mapping[str, Any]) -> Table:
    quartiles = panel["novelty"]["quartiles"]
    names = list(quartiles[0]["metrics"])
    title = f"Scores by likeness to the nearest training image ({panel['space']}; 1 is nearest)"
    rows = [
        (q["quartile"], q["low"], q["high"], q["images"])
        + tuple(q["metrics"][name]["value"] for name in names)
        for q in quartiles
    ]
    return title, ("quartile", "from", "to", "images", *names), rows


def _copies(rate: Mapping[str, Any]) -> Table:
    title = "Copy rate: nearer to a training image than to its own stimulus"
    rows = [("reconstruction", rate["value"], *rate["ci95"], rate["n"])]
    rows += [(name, c["value"], *c["ci95"], c["n"]) for name, c in rate["controls"].items()]
    return title, ("pictures", "value", *INTERVAL, "n"), rows


def _rank(rank: Mapping[str, Any]) -> Table:
    rows: list[tuple[object, ...]] = [
        (name, rank[name]["effective_rank"], rank[name]["participation_ratio"], rank["n"])
        for name in ("predicted", "true")
    ]
    title = f"Dimensions of the embeddings (predicted / true {rank['ratio']:.2f})"
    return title, ("embeddings", "effective rank", "participation", "n"), rows


def _bottleneck(curve: Mapping[str, Any]) -> Table:
    enough = curve["dimensions90"]
    told = enough.get("note")
    if told is None:
        low, high = enough["ci95"]
        told = (
            f"{enough['value']:.0f} dimensions ({low:.0f} to {high:.0f}) give 90 % of the score"
            " above chance"
        )
    rows = [(row["dimensions"], *_scored(row)) for row in curve["rows"]]
    return f"Bottleneck: {told}", _head("dimensions"), rows


def _runs(first: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> Table:
    """Runs of the curve over sessions first."""
    order = [*first, *(row for row in runs if row not in first)]
    rows = [
        (row["run"], row["sessions"], row["images"], _kind(row))
        + (row["mean"]["value"], *row["mean"]["ci95"], row["single_trial"]["value"])
        for row in order
    ]
    title = "Two-way identification by what trained the run"
    return title, ("run", "sessions", "images", "kind", "mean", *INTERVAL, "single trial"), rows


def _kind(row: Mapping[str, Any]) -> str:
    more = "shuffled rows" if row["shuffled"] else ""
    held = f"without cluster {row['held_out']}" if row["held_out"] else ""
    return ", ".join(part for part in (row["kind"], more, held) if part)


def _cluster(found: Mapping[str, Any]) -> Table:
    title = (
        f"Cluster {found['cluster']} of {found['space']}: {found['images']} of the images,"
        " two-way identification"
    )
    rows: list[tuple[object, ...]] = []
    for row in found["rows"]:
        for side in ("inside", "outside"):
            if side in row:
                seen = "yes" if row["seen"] else "no"
                rows.append((row["run"], seen, side, *_scored(row[side])))
    return title, ("run", "cluster trained on", *_head("images")), rows


def _head(first: str) -> tuple[str, ...]:
    return (first, "value", *INTERVAL, "n")


def _scored(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (row["value"], *row["ci95"], row["n"])
