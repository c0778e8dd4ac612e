"""What was scored, what to be careful of, and the few numbers that matter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mindeye_cli.report.blocks import Block, Card, Cards, Note, Section, Text
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import (
    Comparison,
    Evaluation,
    Explanation,
    Findings,
    Retrieval,
    Run,
)
from mindeye_cli.report.names import HEADLINES, around, metric
from mindeye_cli.report.numbers import number, percent, span
from mindeye_cli.report.ranking import comparable, ranking, subject
from mindeye_cli.report.sections import origin
from mindeye_cli.report.sections.retrieval import TITLES
from mindeye_cli.report.verdict import RULE, verdict

SCORES = 4
FEW = 20  # images; below, intervals are wide and quartiles hold a handful
LISTED = 6  # names


def build(findings: Findings, context: Context) -> Section:
    """The summary stands first on every page."""
    blocks: list[Block] = [Text(what(findings))]
    warned = warnings(findings)
    blocks += [Note(title=title, text=text, warning=True) for title, text in warned]
    blocks += [Note(title=title, text=text) for title, text in origin.notes(findings, context)]
    cards = (*_retrieved(findings), *_reconstructed(findings))
    if cards:
        blocks += [Cards(cards), Text(_reading(findings))]
    return Section(key="summary", title="Summary", blocks=tuple(blocks))


def what(findings: Findings) -> str:
    """Everything on the page, counted."""
    scored, found = findings.of(Evaluation), findings.of(Retrieval)
    parts = []
    if scored:
        images = len({i for item in scored for i in item.scores["ids"]})
        names = ", ".join(item.name for item in scored[:LISTED])
        names += ", …" if len(scored) > LISTED else ""
        parts.append(
            f"{_count(len(scored), 'reconstruction')} ({names}) of {_count(images, 'image')}"
        )
    pairs = sum(len(item.result["comparisons"]) for item in findings.of(Comparison))
    if pairs:
        parts.append(_count(pairs, "comparison"))
    if found:
        parts.append(f"retrieval by {_count(len(found), 'run')}")
    if findings.of(Run):
        parts.append(f"training of {_count(len(findings.of(Run)), 'run')}")
    asked = findings.of(Explanation)
    if asked:
        parts.append(f"brain areas ({_count(len(asked), 'explanation')})")
    results = [*(item.result for item in found), *(item.result for item in asked)]
    brains = {subject(item) for item in scored}
    brains |= {str(result.get("subject") or "") for result in results}
    whose = ", ".join(sorted(brains - {""}))
    return f"This page shows {'; '.join(parts)}." + (f" Subjects: {whose}." if whose else "")


def warnings(findings: Findings) -> list[tuple[str, str]]:
    """What the commands warned of, and what only the whole page shows.

    Returns
    -------
    list of (what it is about, text)
        Reconstructions with the same warning stand together.
    """
    told: dict[tuple[str, str], list[str]] = {}
    for item in findings.of(Evaluation):
        for code, text in _of_evaluation(item):
            told.setdefault((code, text), []).append(item.name)
    found = [
        (", ".join(names) + (f": {code}" if code else ""), text)
        for (code, text), names in told.items()
    ]
    groups = comparable(findings.of(Evaluation))
    if len(groups) > 1:
        names = "; ".join(", ".join(item.name for item in group) for group in groups)
        found.append(("different images", f"not every score is of the same images: {names}."))
    found += [
        (run.name, f"the run is not finished (status {run.info['status']}).")
        for run in findings.of(Run)
        if run.info["status"] != "finished"
    ]
    return found


def _of_evaluation(item: Evaluation) -> Iterator[tuple[str, str]]:
    """(code, text) of what a score sheet warns of, and of what it shows."""
    for warning in item.scores.get("warnings") or []:
        yield str(warning["code"]), str(warning["message"])
    images = len(set(item.scores["ids"]))
    if images < FEW:
        yield "", f"only {images} images: the intervals are wide."
    for name, line in item.scores["metrics"].items():
        if line.get("undefined"):
            whole = line["n"] + line["undefined"]
            text = f"{metric(name)} is undefined for {line['undefined']} of {whole} pictures"
            yield "", f"{text} (constant pictures); they are left out."


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")


def _reading(findings: Findings) -> str:
    groups = comparable(findings.of(Evaluation))
    first = "" if all(len(g) < 2 for g in groups) else " Cards show the first system of the table."
    return f"How to read the cards. {RULE}{first}"


def _reconstructed(findings: Findings) -> tuple[Card, ...]:
    cards = []
    for group in comparable(findings.of(Evaluation)):
        item = ranking(group)[0][0]
        metrics = item.scores["metrics"]
        names = [n for n in HEADLINES if n in metrics] or list(metrics)
        cards += [_card(item, name, metrics[name]) for name in names[:SCORES]]
    return tuple(cards)


def _card(item: Evaluation, name: str, line: dict[str, Any]) -> Card:
    unit = line.get("unit") or ""
    hardest = verdict(line)
    ends = around({"ci95": line.get("ci95")})
    beside, words = "no control was scored beside it", ""
    if hardest is not None:
        wide = f" ({span(hardest.range95, unit)})" if hardest.range95 else ""
        beside = f"must beat {hardest.control}: {number(hardest.value, unit)}{wide}"
        words = "clear of it" if hardest.clear else "not clear of it"
    return Card(
        title=f"{metric(name)}, {item.name}",
        value=number(line["value"], unit) + (" dB" if unit == "dB" else ""),
        interval=f"95 % interval {span(ends, unit)}" if ends else "no interval",
        beside=beside,
        verdict=words,
        tone="quiet" if hardest is None else "good" if hardest.clear else "bad",
    )


def _retrieved(findings: Findings) -> tuple[Card, ...]:
    cards = []
    for item in findings.of(Retrieval):
        for way, title in TITLES.items():
            entry = item.result[way]["scores"]["top1"]
            low, high = entry["permuted"]["range95"]
            clear = None if None in entry["ci95"] else entry["ci95"][0] > max(high, entry["chance"])
            kind = item.result.get("kind") or item.name
            cards.append(
                Card(
                    title=f"{title}, top-1 of {item.result['pool']}, {kind} ({item.name})",
                    value=percent(entry["value"]),
                    interval=f"95 % interval {percent(entry['ci95'][0])} to"
                    f" {percent(entry['ci95'][1])}",
                    beside=f"must beat permuted: {percent(entry['permuted']['mean'])}"
                    f" ({percent(low)} to {percent(high)}); chance {percent(entry['chance'])}",
                    verdict="clear of it" if clear else "not clear of it",
                    tone="good" if clear else "bad",
                )
            )
    return tuple(cards)
