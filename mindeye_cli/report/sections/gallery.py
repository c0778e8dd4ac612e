"""Picture grids, whose rows are chosen by a rule that the caption states, never by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mindeye_cli.report.blocks import Picture, PictureRow, PictureTable
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Evaluation
from mindeye_cli.report.names import areas
from mindeye_cli.report.names import metric as metric_name
from mindeye_cli.report.numbers import number
from mindeye_cli.report.pictures import SUFFIXES, find_picture

# Rows of each kind; the metric that orders them is the first of these which was computed.
EXTREMES = 2
ORDER = ("pixcorr", "ssim", "alexnet5", "twoway_scene_net", "twoway_scene_clip")
CONTROL_COLUMNS = 3
SYSTEM_COLUMNS = 8
PARTS = ("low-level", "high-level")
HAND = "No row was picked by hand."


def choose_rows(values: Sequence[float | None], first: int) -> list[tuple[int, str]]:
    """Choose rows by rule, never by hand.

    Parameters
    ----------
    values : sequence of float or None
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
    order = [k for _, k in sorted((-v, k) for k, v in enumerate(values) if v is not None)]
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


def gallery(item: Evaluation, context: Context) -> PictureTable:
    """The pictures of one evaluated reconstruction: stimulus, parts, itself, controls."""
    ids, names = item.scores["ids"], item.scores["names"]
    order, values, chosen, rule = _choice(item, context.options.rows)
    columns = _columns(item, names)
    stimulus = _stimulus(item, context)
    rows = []
    for position, reason in chosen:
        k = order[position]
        pictures: list[Picture | None] = [stimulus(ids[k])]
        for title, folder in columns:
            file = find_picture(folder, names[k])
            pictures.append(context.picture(file, f"{title} picture of {ids[k]}"))
        score = "" if values[k] is None else f", {number(values[k])}"
        rows.append(PictureRow(ids[k], tuple(pictures), sub=reason + score))
    return PictureTable(
        label=f"pictures: {item.name}",
        caption=f"{rule} {HAND}",
        columns=("image", "stimulus", *(title for title, _ in columns)),
        rows=tuple(rows),
    )


def candidates(item: Evaluation, context: Context) -> PictureTable | None:
    """The candidates of the best, median and worst image, where they were kept."""
    ids, names = item.scores["ids"], item.scores["names"]
    order, _, chosen, _ = _choice(item, 0)
    lines = {line["name"]: line for line in (item.manifest or {}).get("images", [])}
    rows = []
    for position, reason in chosen:
        name = names[order[position]]
        folder = item.path / "candidates" / name
        files = sorted(folder.glob("*.png")) if folder.is_dir() else []
        if not files:
            continue
        line = lines.get(name, {})
        pictures = tuple(_candidate(context, file, k, line) for k, file in enumerate(files))
        rows.append(PictureRow(ids[order[position]], pictures, sub=reason))
    if not rows:
        return None
    most = max(len(row.pictures) for row in rows)
    full = tuple(
        PictureRow(r.head, r.pictures + (None,) * (most - len(r.pictures)), sub=r.sub) for r in rows
    )
    return PictureTable(
        label=f"candidates: {item.name}",
        caption="Candidates of the best, median and worst images. The outlined one, marked ✓, was"
        " chosen by its agreement with the brain's own embedding, without the true image.",
        columns=("image", *(f"{k + 1}" for k in range(most))),
        rows=full,
    )


def _candidate(context: Context, file: Path, k: int, line: dict[str, Any]) -> Picture:
    scores, chosen = line.get("scores") or [], line.get("chosen") == k
    below = number(scores[k]) if k < len(scores) else ""
    alt = f"candidate {k + 1} of {line.get('id', file.parent.name)}"
    return context.picture(file, alt + (", chosen" if chosen else ""), below=below, marked=chosen)


def side_by_side(items: Sequence[Evaluation], context: Context) -> PictureTable | None:
    """The same images by every system, first ids first."""
    most = items[:SYSTEM_COLUMNS]
    first = most[0]
    common = set.intersection(*(set(_by_id(item)) for item in most))
    shown = sorted(common)[: context.options.rows]
    if not shown:
        return None
    stimulus = _stimulus(first, context)
    rows = []
    for image_id in shown:
        pictures: list[Picture | None] = [stimulus(image_id)]
        for item in most:
            file = find_picture(item.path, _by_id(item)[image_id])
            pictures.append(context.picture(file, f"{item.name}: picture of {image_id}"))
        rows.append(PictureRow(image_id, tuple(pictures)))
    left = (
        f" {len(items) - len(most)} more systems are not shown." if len(items) > len(most) else ""
    )
    return PictureTable(
        label="pictures by all systems",
        caption=f"The first {len(shown)} images by id, the same for every system. {HAND}{left}",
        columns=("image", "stimulus", *(_title(item) for item in most)),
        rows=tuple(rows),
    )


def _title(item: Evaluation) -> str:
    told = areas(item.manifest or {})
    return f"{item.name}: {told}" if told else item.name


def _by_id(item: Evaluation) -> dict[str, str]:
    """The first picture of each image id."""
    pairs = sorted(zip(item.scores["ids"], item.scores["names"], strict=True), reverse=True)
    return dict(pairs)


def _stimulus(item: Evaluation, context: Context) -> Any:
    source = item.scores["stimuli"]
    return context.stimulus(source["kind"], source["path"])


def _choice(
    item: Evaluation, first: int
) -> tuple[list[int], list[float | None], list[tuple[int, str]], str]:
    """Entries by id, their scores, the rows chosen among them, and the rule in words."""
    metrics, ids, names = item.scores["metrics"], item.scores["ids"], item.scores["names"]
    name = next((key for key in ORDER if key in metrics), None)
    order = sorted(range(len(ids)), key=lambda k: (ids[k], names[k]))
    values = metrics[name]["per_image"] if name else [None] * len(ids)
    chosen = choose_rows([values[k] for k in order], first)
    parts = [f"the first {min(first, len(ids))} by id"] if first else []
    parts += [f"best, median and worst ({EXTREMES} each) by {metric_name(name)}"] if name else []
    rule = "; ".join(parts) or "nothing to choose by"
    return order, values, chosen, rule[0].upper() + rule[1:] + "."


def _columns(item: Evaluation, names: Iterable[str]) -> list[tuple[str, Path]]:
    """Titles and folders: the two parts, the reconstruction itself, then controls."""
    recorded = item.scores.get("control_folders", {})
    folders = {name: Path(path) for name, path in recorded.items()}
    blurry = item.path / "blurry"
    if "low-level" not in folders and all(_has(blurry, name) for name in names):
        folders = {"low-level": blurry, **folders}
    parts = [(name, folders[name]) for name in PARTS if name in folders]
    controls = [(name, path) for name, path in folders.items() if name not in PARTS]
    told = areas(item.manifest or {}) or "reconstruction"
    title = "both" if len(parts) == len(PARTS) else told
    return [*parts, (title, item.path), *controls[:CONTROL_COLUMNS]]


def _has(folder: Path, name: str) -> bool:
    return any((folder / f"{name}{suffix}").is_file() for suffix in SUFFIXES)
