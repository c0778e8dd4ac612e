"""The picture grid: stimulus | low-level | high-level | both | controls, rows chosen by a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mindeye_cli.report.collect import Evaluation
from mindeye_cli.report.embed import from_file

# Rows of each kind; the metric that orders them is the first of these which was computed.
EXTREMES = 2
ORDER = ("pixcorr", "ssim", "twoway_scene_net", "twoway_scene_clip")
CONTROL_COLUMNS = 3
PARTS = ("low-level", "high-level")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A picture: its data URI and what it shows, in words."""

    uri: str
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One image: its id, why it is shown, its score and its pictures."""

    id: str
    reason: str
    score: float | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """A grid with its column names and the rule that chose the rows."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    rule: str


def choose_rows(values: list[float | None], first: int) -> list[tuple[int, str]]:
    """Choose rows by rule, never by hand.

    Parameters
    ----------
    values : list of float or None
        Per-entry scores, better ones larger.
    first : int
        How many to take from the front.

    Returns
    -------
    list of (position, reason)
        The first entries in order, then the best, middle and worst `EXTREMES` by score that are
        not among them.
    """
    chosen = dict.fromkeys(range(min(first, len(values))), "by id")
    scored = sorted((-v, k) for k, v in enumerate(values) if v is not None)
    order = [k for _, k in scored]
    start = max(0, (len(order) - EXTREMES) // 2)
    kinds = (
        ("best", order[:EXTREMES]),
        ("median", order[start : start + EXTREMES]),
        ("worst", order[-EXTREMES:]),
    )
    for reason, positions in kinds:
        for position in positions:
            known = chosen.get(position)
            chosen[position] = reason if known is None else f"{known}, {reason}"
    return list(chosen.items())


def gallery(evaluation: Evaluation, stimulus: Callable[[str], str], first: int) -> Gallery:
    """Lay out the pictures of one evaluated reconstruction.

    Parameters
    ----------
    evaluation : Evaluation
    stimulus : callable
        From image id to data URI.
    first : int
        Rows taken in order of id.
    """
    scores = evaluation.scores
    names, ids = scores["names"], scores["ids"]
    metric = next((name for name in ORDER if name in scores["metrics"]), None)
    by_id = sorted(range(len(ids)), key=lambda k: (ids[k], names[k]))
    per_image = scores["metrics"][metric]["per_image"] if metric else [None] * len(ids)
    chosen = choose_rows([per_image[k] for k in by_id], first)
    columns = _columns(evaluation, names)
    rows = []
    for position, reason in chosen:
        k = by_id[position]
        cells = [Cell(uri=stimulus(ids[k]), alt=f"stimulus {ids[k]}")]
        for title, folder in columns:
            uri = from_file(_picture(folder, names[k]))
            cells.append(Cell(uri=uri, alt=f"{title} picture of {ids[k]}"))
        rows.append(Row(id=ids[k], reason=reason, score=per_image[k], cells=tuple(cells)))
    ordered = f"; best, median and worst ({EXTREMES} each) by {metric}" if metric else ""
    return Gallery(
        columns=("stimulus", *(title for title, _ in columns)),
        rows=tuple(rows),
        rule=f"The first {min(first, len(ids))} by id{ordered}. No row was picked by hand.",
    )


def _columns(evaluation: Evaluation, names: list[str]) -> list[tuple[str, Path]]:
    """Titles and folders: the two parts, the reconstruction itself, then controls."""
    folders = {name: Path(p) for name, p in evaluation.scores["control_folders"].items()}
    blurry = evaluation.path / "blurry"
    if "low-level" not in folders and all((blurry / f"{name}.png").is_file() for name in names):
        folders = {"low-level": blurry, **folders}
    parts = [(name, folders[name]) for name in PARTS if name in folders]
    controls = [(name, path) for name, path in folders.items() if name not in PARTS]
    title = "both" if len(parts) == len(PARTS) else "reconstruction"
    return [*parts, (title, evaluation.path), *controls[:CONTROL_COLUMNS]]


def _picture(folder: Path, name: str) -> Path:
    inner = folder / "images" if (folder / "images").is_dir() else folder
    for suffix in (".png", ".jpg", ".jpeg"):
        if (inner / f"{name}{suffix}").is_file():
            return inner / f"{name}{suffix}"
    return inner / f"{name}.png"
