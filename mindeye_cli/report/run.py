"""`mindeye report`: collect, lay out, render, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from mindeye_cli import __version__
from mindeye_cli.core.atomic import refuse_existing, write_text
from mindeye_cli.core.jsonable import dumps
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.report import curves, methods, neighbours
from mindeye_cli.report.collect import Evaluation, Findings, Retrieval, Run, collect
from mindeye_cli.report.embed import stimulus_reader
from mindeye_cli.report.gallery import gallery
from mindeye_cli.report.numbers import number, percent, span
from mindeye_cli.report.sheet import WIDTH, sheet
from mindeye_store.errors import UsageProblem

TEMPLATES = Path(__file__).parent / "templates"
TITLE = "Retrieval and reconstruction from brain responses"
# Scores of the summary, where they were computed.
HEADLINES = ("pixcorr", "ssim", "twoway_scene_net", "category_accuracy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of `mindeye report`, as on its command line."""

    store: Path | None = None
    title: str | None = None
    rows: int = 6
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.rows < 0:
            raise UsageProblem(f"{self.rows} is less than 0", where="--rows")


def report(paths: Sequence[Path], out: Path, options: Options) -> Outcome:
    """Write one self-contained HTML page.

    Parameters
    ----------
    paths : sequence of Path
        Evaluated reconstructions, retrieval files, runs, or folders that hold them.
    out : Path
        The page. It is a function of what it shows: the same inputs give the same bytes.
    options : Options

    Returns
    -------
    Outcome
        `notneeded` when the page is there already with the same content.

    Raises
    ------
    InvalidInput, MissingResource
        Nothing to show, a damaged file, or stimuli that are gone.
    """
    findings = collect(paths)
    page = render(findings, options)
    if out.is_file() and out.read_bytes() == page.encode():
        return Outcome(status="notneeded", outputs=(out,))
    refuse_existing(out, options.overwrite)
    write_text(out, page)
    return Outcome(outputs=(out,))


def render(findings: Findings, options: Options) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    stimulus = _stimuli(options.store)
    return environment.get_template("page.html").render(
        title=options.title or TITLE,
        version=__version__,
        headlines=_headlines(findings),
        evaluations=[_evaluation(item, stimulus, options) for item in findings.evaluations],
        retrievals=[_retrieval(item, stimulus) for item in findings.retrievals],
        runs=[_run(item) for item in findings.runs],
        simulated=methods.SIMULATED if methods.is_simulated(findings) else None,
        paragraphs=methods.paragraphs(findings),
        citations=methods.citations(findings),
        mark_width=WIDTH,
        chart=curves,
    )


def _stimuli(store: Path | None) -> Callable[[str, Path], Callable[[str], str]]:
    """Readers of true images by source, each opened once; `store` replaces recorded stores."""

    @cache
    def reader(kind: str, path: Path) -> Callable[[str], str]:
        return cache(stimulus_reader(kind, path))

    def choose(kind: str, path: Path) -> Callable[[str], str]:
        return reader(kind, store if kind == "store" and store is not None else path)

    return choose


def _evaluation(
    item: Evaluation, stimulus: Callable[[str, Path], Callable[[str], str]], options: Options
) -> dict[str, Any]:
    source = item.scores["stimuli"]
    read = stimulus(source["kind"], Path(source["path"]))
    facts = {key: item.scores.get(key) for key in ("fingerprint", "inputs", "environment")}
    manifest = item.manifest or {}
    settings = {k: v for k, v in manifest.items() if k not in ("images", "ids", "image_rows")}
    return {
        "name": item.name,
        "sheet": sheet(item),
        "gallery": gallery(item, read, options.rows),
        "provenance": dumps(facts, indent=2),
        "settings": dumps(settings, indent=2) if settings else None,
    }


def _retrieval(
    item: Retrieval, stimulus: Callable[[str, Path], Callable[[str], str]]
) -> dict[str, Any]:
    result = item.result
    return {
        "name": item.name,
        "result": result,
        "groups": neighbours.score_groups(item),
        "whole": neighbours.score_groups(item, whole=True) if "whole" in result else None,
        "neighbours": neighbours.neighbour_rows(item, stimulus("store", Path(result["store"]))),
    }


def _run(item: Run) -> dict[str, Any]:
    return {
        "name": item.name,
        "info": item.info,
        "config": item.config,
        "panels": curves.panels(item),
        "provenance": dumps(item.info, indent=2),
    }


def _headlines(findings: Findings) -> list[dict[str, str]]:
    """The few numbers that stand at the top, each with its interval and its control."""
    lines = []
    for item in findings.retrievals:
        for direction, title in neighbours.TITLES.items():
            entry = item.result[direction]["scores"]["top1"]
            lines.append(
                {
                    "title": f"{title}, top-1 of {item.result['pool']} ({item.result['kind']})",
                    "value": percent(entry["value"]),
                    "interval": f"{percent(entry['ci95'][0])} to {percent(entry['ci95'][1])}",
                    "beside": f"chance {percent(entry['chance'])}, permuted pairing"
                    f" {percent(entry['permuted']['mean'])}",
                }
            )
    for evaluated in findings.evaluations:
        for name in HEADLINES:
            metric = evaluated.scores["metrics"].get(name)
            if metric is not None:
                permuted = metric["controls"].get("permuted", {}).get("value")
                lines.append(
                    {
                        "title": f"{name}, {evaluated.name}",
                        "value": number(metric["value"]),
                        "interval": span(metric["ci95"]),
                        "beside": f"permuted pairing {number(permuted)}",
                    }
                )
    return lines
