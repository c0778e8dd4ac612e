"""The score sheet as files beside `evaluation.json`: CSV of every score, LaTeX and Markdown tables.

The CSV is long: one line a metric, control and entry, so that several can be put together.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mindeye_cli.core.atomic import write_text

COLUMNS = (
    "recon",
    "metric",
    "direction",
    "unit",
    "row",
    "name",
    "id",
    "value",
    "low",
    "high",
    "n",
    "undefined",
)
CSV, MARKDOWN, LATEX = "evaluation.csv", "evaluation.md", "evaluation.tex"
DASH = "--"
_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def write_tables(folder: Path, recon: str, document: dict[str, Any]) -> tuple[Path, ...]:
    """Write the three files of one evaluation; returns their paths."""
    files = {
        CSV: long_csv([(recon, document)]),
        MARKDOWN: markdown(recon, document),
        LATEX: latex(recon, document),
    }
    for name, text in files.items():
        write_text(folder / name, text)
    return tuple(folder / name for name in files)


def long_csv(evaluations: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """CSV of several evaluations: `row` is score, control, or entry; empty is undefined.

    Parameters
    ----------
    evaluations : iterable of (name of the reconstruction, evaluation)
    """
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    for recon, document in evaluations:
        for line in _lines(document):
            table.writerow({"recon": recon, **line})
    return text.getvalue()


def _lines(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for metric, line in document["metrics"].items():
        same = {"metric": metric, "direction": line["direction"], "unit": line["unit"]}
        yield {**same, "row": "score", **_numbers(line)}
        for name, control in line["controls"].items():
            yield {**same, "row": "control", "name": name, **_numbers(control)}
        entries = zip(document["names"], document["ids"], line["per_image"], strict=True)
        for name, image, value in entries:
            yield {**same, "row": "entry", "name": name, "id": image, "value": _exact(value)}


def _numbers(line: dict[str, Any]) -> dict[str, Any]:
    low, high = line.get("ci95") or line.get("range95") or (None, None)
    values = {"value": line.get("value"), "low": low, "high": high}
    counts = {key: line.get(key, "") for key in ("n", "undefined")}
    return {**{key: _exact(value) for key, value in values.items()}, **counts}


def _exact(value: float | None) -> str:
    return repr(float(value)) if value is not None and value == value else ""


def markdown(recon: str, document: dict[str, Any]) -> str:
    """A table of scores, intervals and controls, and what was skipped and why."""
    header, rows = _table(document)
    cells = [[_plain(cell) for cell in row] for row in (header, *rows)]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    lines.insert(1, "|" + "---|" * len(header))
    notes = [f"- {_plain(n)}: skipped, {_plain(why)}" for n, why in document["skipped"].items()]
    warnings = [f"- warning: {_plain(item['message'])}" for item in document["warnings"]]
    title = f"{_plain(recon)}, {document['n']} pictures of {document['images']} images"
    return "\n".join([title, "", *lines, "", *notes, *warnings]).rstrip() + "\n"


def latex(recon: str, document: dict[str, Any]) -> str:
    """The same table in LaTeX, for `booktabs`."""
    header, rows = _table(document)
    body = [" & ".join(_escaped(cell) for cell in row) + r" \\" for row in rows]
    head = " & ".join(_escaped(cell) for cell in header) + r" \\"
    title = f"% {_one_line(recon)}, n = {document['n']}"
    columns = "ll" + "r" * (len(header) - 2)
    begin = [title, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule"]
    return "\n".join([*begin, *body, r"\bottomrule", r"\end{tabular}", ""])


def _table(document: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    metrics = document["metrics"]
    controls = list(dict.fromkeys(name for line in metrics.values() for name in line["controls"]))
    header = ["metric", "better", "value", "95 % interval", "n", "undefined", *controls]
    rows = []
    for name, line in metrics.items():
        low, high = line["ci95"]
        span = DASH if _exact(low) == "" else f"{_short(low)} to {_short(high)}"
        beside = [_short(line["controls"].get(key, {}).get("value")) for key in controls]
        counts = [str(line["n"]), str(line["undefined"])]
        rows.append([name, line["direction"], _short(line["value"]), span, *counts, *beside])
    return header, rows


def _short(value: float | None) -> str:
    return DASH if _exact(value) == "" else f"{value:.3f}"


def _one_line(text: str) -> str:
    """Without line breaks and control characters, which a file name may hold."""
    return re.sub(r"[\x00-\x1f\x7f]", "?", text)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|&#])", r"\\\1", _one_line(text))


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in _one_line(text))


def collect(target: Path, evaluations: Iterable[tuple[str, Path]]) -> None:
    """Write the scores of several evaluations, by name and `evaluation.json`, as one CSV."""
    read = [(name, json.loads(file.read_text(encoding="utf-8"))) for name, file in evaluations]
    write_text(target, long_csv(read))
