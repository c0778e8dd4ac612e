"""`mindeye compare`: paired differences of every metric, for the same images of the same subjects.

The first system is compared with each of the others. Differences are the first's score less the
other's, whichever direction is better.

Shapes: `G` distinct images, `R` rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.compare.read import Row, System, read_system
from mindeye_cli.core import paired
from mindeye_cli.core.atomic import refuse_existing, write_json
from mindeye_cli.core.outcome import Outcome
from mindeye_store.errors import InvalidInput, UsageProblem

Floats = NDArray[np.float64]
Lines = dict[str, dict[str, Any]]
SIGNIFICANT = 0.05
FEW_SUBJECTS = (
    f"fewer than {paired.LEAST_SUBJECTS} subjects say too little about others: see the rows"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of `mindeye compare`, as on its command line."""

    metrics: tuple[str, ...] | None = None
    seed: int = 0
    out: Path | None = None
    overwrite: bool = False


def compare(paths: Sequence[Path], options: Options) -> Outcome:
    """Compare the first system with each of the others.

    Parameters
    ----------
    paths : sequence of Path
        Evaluated folders, or folders of them with one row (subject or seed) each.
    options : Options

    Returns
    -------
    Outcome
        `metrics` (of the first comparison), `comparisons`.

    Raises
    ------
    UsageProblem
        Fewer than two systems.
    InvalidInput
        Other images, stimuli or rows; no common metric.
    MissingResource
        A system that has not been evaluated.
    """
    if len(paths) < 2:
        raise UsageProblem("a comparison needs two systems", where="A B", fix="name another")
    if options.out is not None:
        refuse_existing(options.out, options.overwrite)
    first, *others = (read_system(path) for path in paths)
    comparisons = [_comparison(first, other, options) for other in others]
    _correct([c["metrics"] for c in comparisons])
    _correct([row["metrics"] for c in comparisons for row in c["rows"].values()])
    values = {"metrics": comparisons[0]["metrics"], "comparisons": comparisons}
    if options.out is not None:
        head = {"schema": "mindeye-comparison", "schema_version": 1}
        head |= {"systems": [str(path.resolve()) for path in paths]}
        asked = {"metrics": ",".join(options.metrics or ()) or None, "seed": options.seed}
        write_json(options.out, {**head, "asked": asked, **values})
    return Outcome(outputs=() if options.out is None else (options.out,), values=values)


def _comparison(first: System, second: System, options: Options) -> dict[str, Any]:
    pairs = _matched(first, second)
    names, skipped = _common(list(pairs.values()), options.metrics)
    rows, subjects = dict[str, Any](), dict[str, list[str]]()
    for name, (one, two) in pairs.items():
        lines = {m: _line(one, two, m, options.seed) for m in names}
        rows[name] = {"subject": one.subject, "images": len(one.images), "metrics": lines}
        subjects.setdefault(one.subject or "", []).append(name)
    metrics = (
        {m: dict(line) for m, line in rows[""]["metrics"].items()}
        if list(rows) == [""]
        else {m: _over_rows(pairs, subjects, m, options.seed) for m in names}
    )
    return {
        "first": first.name,
        "second": second.name,
        "difference_of": "first - second",
        "metrics": metrics,
        "rows": {} if list(rows) == [""] else rows,
        "skipped": skipped,
    }


def _matched(first: System, second: System) -> dict[str, tuple[Row, Row]]:
    """Rows of both systems, checked to be of the same images."""
    if first.rows.keys() != second.rows.keys():
        alone = sorted(first.rows.keys() ^ second.rows.keys())[0]
        raise InvalidInput(
            f"only one of {first.name} and {second.name} has the row {alone!r}",
            where=second.name,
            fix="give systems with the same subjects or seeds, in folders of the same names",
        )
    pairs = {name: (first.rows[name], second.rows[name]) for name in first.rows}
    for one, two in pairs.values():
        _refuse_other_images(one, two)
    return pairs


def _refuse_other_images(one: Row, two: Row) -> None:
    if one.subject != two.subject and None not in (one.subject, two.subject):
        raise InvalidInput(
            f"of subject {two.subject}, the other of {one.subject}",
            where=str(two.path),
            fix="compare reconstructions from the same brain",
        )
    differ = sorted(set(one.images) ^ set(two.images))
    if differ:
        lacking = one if differ[0] in two.images else two
        raise InvalidInput(
            f"{len(differ)} images are in one of the two only, first {differ[0]!r}",
            where=str(lacking.path),
            fix="reconstruct and evaluate the same images: mindeye reconstruct --ids-from FILE",
        )
    if one.stimuli != two.stimuli:
        raise InvalidInput(
            f"scored against other stimuli than {one.path}",
            where=str(two.path),
            fix="evaluate both against the same STORE or folder",
        )


def _common(
    pairs: Sequence[tuple[Row, Row]], wanted: tuple[str, ...] | None
) -> tuple[list[str], dict[str, str]]:
    """Metrics that all rows have and compute alike, and why others are left out."""
    rows = [row for pair in pairs for row in pair]
    every = list(dict.fromkeys(name for row in rows for name in row.metrics))
    names, skipped = list[str](), dict[str, str]()
    for name in wanted or every:
        lines = [row.metrics.get(name) for row in rows]
        known = [line for line in lines if line is not None]
        if len(known) < len(lines):
            skipped[name] = "not every evaluation has it"
        elif any(_card(line) != _card(known[0]) for line in known):
            skipped[name] = "computed in different ways"
        else:
            names.append(name)
    if not names:
        raise InvalidInput(
            "the evaluations have no metric in common",
            where=str(rows[0].path),
            fix="evaluate all of them with the same --metrics",
        )
    return names, skipped


def _card(line: dict[str, Any]) -> dict[str, Any]:
    """How a metric was computed; `n` is how many pictures it was defined for."""
    return {key: value for key, value in (line.get("card") or {}).items() if key != "n"}


def _line(one: Row, two: Row, metric: str, seed: int) -> dict[str, Any]:
    """One metric of one row."""
    signs = one.scores(metric) - two.scores(metric)
    found = paired.compare_means(_difference(one, two, metric), seed, signs)
    return _told(found, one.metrics[metric], len(one.images))


def _difference(one: Row, two: Row, metric: str) -> Floats:
    return one.contributions(metric) - two.contributions(metric)


def _over_rows(
    pairs: dict[str, tuple[Row, Row]], subjects: dict[str, list[str]], metric: str, seed: int
) -> dict[str, Any]:
    """The mean over subjects; seeds of one subject are averaged first, image by image."""
    sets = {tuple(one.images) for one, _ in pairs.values()}
    means = [[_difference(*pairs[name], metric) for name in names] for names in subjects.values()]
    known = next(iter(pairs.values()))[0].metrics[metric]
    images = len(next(iter(sets)))
    if len(sets) == 1:
        tables = [np.mean(rows, axis=0) for rows in means]
        if len(tables) == 1:
            return _told(paired.compare_means(tables[0], seed), known, images)
        if len(tables) >= paired.LEAST_SUBJECTS:
            return _told(paired.compare_crossed(tables, seed), known, images)
    value = float(np.mean([np.mean([np.nanmean(row) for row in rows]) for rows in means]))
    note = FEW_SUBJECTS if len(means) < paired.LEAST_SUBJECTS else "subjects saw other images"
    nothing = float("nan")
    return {
        "difference": value,
        "ci95": (nothing, nothing),
        "p": nothing,
        "n": images,
        "subjects": len(means),
        "direction": known["direction"],
        "unit": known.get("unit", ""),
        "note": note,
    }


def _told(found: paired.Difference, known: dict[str, Any], images: int) -> dict[str, Any]:
    return {
        "difference": found.difference,
        "ci95": found.ci95,
        "p": found.p,
        "sign_p": found.sign_p,
        "n": found.n,
        "undefined": images - found.n,
        "direction": known["direction"],
        "unit": known.get("unit", ""),
    }


def _correct(families: Sequence[Lines]) -> None:
    """Add Holm's p over all lines of all families, and which system it finds better."""
    tests = {f"{k}/{name}": line["p"] for k, f in enumerate(families) for name, line in f.items()}
    corrected = paired.holm(tests)
    for k, lines in enumerate(families):
        for name, line in lines.items():
            line["p_holm"] = corrected[f"{k}/{name}"]
            higher = (line["difference"] > 0) == (line["direction"] == "higher")
            clear = line["p_holm"] < SIGNIFICANT
            line["better"] = ("first" if higher else "second") if clear else None
