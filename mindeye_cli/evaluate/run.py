"""`mindeye evaluate`: from a folder of reconstructions to `evaluation.json` inside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindeye_cli.core import stats
from mindeye_cli.core.atomic import refuse_existing, write_json
from mindeye_cli.core.fingerprint import environment, of_json
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.progress import track
from mindeye_cli.core.threads import apply_threads
from mindeye_cli.evaluate.alignment import Alignment
from mindeye_cli.evaluate.kinds import check_control, refuse_ceiling
from mindeye_cli.evaluate.metrics import METRICS, Metric
from mindeye_cli.evaluate.picked import picked_warnings
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.scoring import RESERVED, score
from mindeye_cli.evaluate.sources import (
    Folder,
    Stimuli,
    control_pictures,
    open_folder,
    reconstructions,
)
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

SCHEMA = "mindeye-evaluation"
SCHEMA_VERSION = 2
FILE = "evaluation.json"
# What a machine reads from stdout; per-image values and cards stay in the file.
PRINTED = ("value", "ci95", "n", "undefined", "direction", "unit", "controls", "fraction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of `mindeye evaluate`, as on its command line."""

    store: Path | None = None
    images: Path | None = None
    metrics: tuple[str, ...] | None = None
    controls: Mapping[str, Path] = field(default_factory=dict)
    overwrite: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [name for name in self.metrics or () if name not in METRICS]
        if unknown:
            raise UsageProblem(
                f"unknown metric {unknown[0]!r}",
                where="--metrics",
                fix=f"one of {', '.join(METRICS)}",
            )
        for name in self.controls:
            if name in RESERVED or not re.fullmatch(r"[\w .+-]+", name):
                raise UsageProblem(
                    f"{name!r} cannot name a control",
                    where="--control",
                    fix="give NAME=DIR with another NAME",
                )


def evaluate(recon: Path, options: Options, stimuli: Stimuli) -> Outcome:
    """Score one reconstruction and write `RECON/evaluation.json`.

    Parameters
    ----------
    recon : Path
        A folder of `mindeye reconstruct`, or of pictures named by image id.
    options : Options
    stimuli : Stimuli
        The true images; shared between calls, so that their features are computed once.

    Returns
    -------
    Outcome
        `metrics` and `skipped`; `notneeded` when the file holds the same evaluation already.

    Raises
    ------
    InvalidInput
        Pictures that do not match the stimuli, are damaged or of mixed sizes.
    MissingResource
        A folder, or the network of a metric asked for by name, is absent.
    """
    apply_threads()
    folder = open_folder(recon)
    refuse_ceiling(folder)
    target = recon / FILE
    recons, truth = reconstructions(folder), stimuli.of(folder)
    beside = {name: _control(name, path, folder) for name, path in options.controls.items()}
    identity = _identity(options, recons, truth, beside)
    fingerprint = of_json(identity)
    done = _finished(target, fingerprint, options.overwrite)
    if done is not None:
        return _outcome(target, done, "notneeded")
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "fingerprint": fingerprint,
        "inputs": identity,
        "n": len(recons),
        "images": len(set(recons.ids)),
        "names": folder.names,
        "ids": folder.ids,
        "stimuli": {
            "kind": "images" if stimuli.images is not None else "store",
            "path": str(stimuli.path(folder).resolve()),
        },
        "control_folders": {name: str(path.resolve()) for name, path in options.controls.items()},
        "bootstrap": {"unit": "image", "draws": stats.BOOTSTRAP_DRAWS, "level": stats.LEVEL},
        "environment": environment(),
    }
    alignment = Alignment(recons.ids)
    document["metrics"], document["skipped"] = _score_all(options, recons, truth, beside, alignment)
    document["warnings"] = [
        *alignment.warnings(),
        *picked_warnings(folder, truth, recons, tuple(document["metrics"]), options.seed),
    ]
    write_json(target, document)
    return _outcome(target, document, "ok")


def _control(name: str, path: Path, folder: Folder) -> Pictures:
    check_control(name, open_folder(path))
    return control_pictures(path, folder)


def _score_all(
    options: Options,
    recons: Pictures,
    truth: Pictures,
    controls: Mapping[str, Pictures],
    alignment: Alignment,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Lines of every metric that applies, and the reasons of those that do not."""
    lines: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    names = options.metrics or tuple(METRICS)
    with track("evaluate", len(names), unit="metrics") as bar:
        for name in names:
            metric = METRICS[name]
            reason = _why_not(metric, truth, asked=options.metrics is not None)
            if reason is None:
                try:
                    lines[name] = score(metric, truth, recons, controls, options.seed, alignment)
                except MissingResource as problem:
                    if options.metrics is not None:
                        raise
                    reason = str(problem)
            if reason is not None:
                skipped[name] = reason
            bar.advance(note=name)
    return lines, skipped


def _why_not(metric: Metric, truth: Pictures, *, asked: bool) -> str | None:
    """Why a metric cannot or should not be computed, or None."""
    images = len(set(truth.ids))
    if images < metric.least:
        return f"a comparison between images needs {metric.least} images, there is {images}"
    if metric.records and truth.records is None:
        return "the stimuli have no scene records"
    if metric.domain == "scenes" and truth.records is None and not asked:
        return "its network knows procedural scenes only; name it in --metrics to have it anyway"
    return None


def _identity(
    options: Options, recons: Pictures, truth: Pictures, controls: Mapping[str, Pictures]
) -> dict[str, Any]:
    return {
        "reconstructions": recons.fingerprint,
        "stimuli": truth.fingerprint,
        "ids": of_json(recons.ids),
        "controls": {name: pictures.fingerprint for name, pictures in controls.items()},
        "metrics": options.metrics or tuple(METRICS),
        "seed": options.seed,
        "permutations": stats.PERMUTATIONS,
        "version": environment().get("mindeye"),
    }


def _finished(target: Path, fingerprint: str, overwrite: bool) -> dict[str, Any] | None:
    """The evaluation that is there already, if it is the one asked for.

    Raises
    ------
    UsageProblem
        Another evaluation is there and may not be replaced.
    """
    if overwrite or not target.exists():
        return None
    try:
        document: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
        if document["schema"] == SCHEMA and document["fingerprint"] == fingerprint:
            return document
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as problem:
        raise InvalidInput(
            f"not an evaluation: {problem}", where=str(target), fix="add --overwrite to replace it"
        ) from problem
    refuse_existing(target, overwrite)
    return None


def _outcome(target: Path, document: dict[str, Any], status: Any) -> Outcome:
    metrics = {
        name: {key: line[key] for key in PRINTED} for name, line in document["metrics"].items()
    }
    values = {
        "recon": str(target.parent),
        "metrics": metrics,
        "skipped": document["skipped"],
        "warnings": document["warnings"],
        "n": document["n"],
    }
    return Outcome(status=status, outputs=(target,), values=values)
