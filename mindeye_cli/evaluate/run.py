"""`mindeye evaluate`: from a folder of reconstructions to `evaluation.json` inside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mindeye_cli.core import stats
from mindeye_cli.core.atomic import refuse_existing, write_json
from mindeye_cli.core.fingerprint import environment, of_json
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.progress import track
from mindeye_cli.core.threads import apply_threads
from mindeye_cli.evaluate.alignment import Alignment
from mindeye_cli.evaluate.identity import identity, metric_names
from mindeye_cli.evaluate.kinds import check_control, refuse_ceiling
from mindeye_cli.evaluate.metrics import METRICS, Metric
from mindeye_cli.evaluate.options import Options
from mindeye_cli.evaluate.panel.run import Sheet, panel, panel_warnings
from mindeye_cli.evaluate.picked import picked_warnings
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.scoring import score
from mindeye_cli.evaluate.sources import (
    Folder,
    Stimuli,
    control_pictures,
    open_folder,
    reconstructions,
)
from mindeye_cli.evaluate.subset import subset_warnings
from mindeye_cli.evaluate.tables import CSV, write_tables
from mindeye_store.errors import InvalidInput, MissingResource

SCHEMA = "mindeye-evaluation"
SCHEMA_VERSION = 2
FILE = "evaluation.json"
# What a machine reads from stdout; per-image values and cards stay in the file.
PRINTED = (
    "value",
    "ci95",
    "n",
    "undefined",
    "d_prime",
    "direction",
    "unit",
    "controls",
    "fraction",
)


def evaluate(recon: Path, options: Options, stimuli: Stimuli) -> Outcome:
    """Score one reconstruction and write `RECON/evaluation.json`.

    Parameters
    ----------
    recon : Path
        A folder of `mindeye reconstruct`, one of pictures named by image id, or a tensor file.
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
        A folder, or the network of a metric that is named, is absent.
    """
    apply_threads()
    folder = open_folder(recon)
    refuse_ceiling(folder)
    target = folder.home / FILE
    truth, recons, beside = _pictures(options, folder, stimuli)
    inputs = identity(options, recons, truth, beside)
    fingerprint = of_json(inputs)
    done = _finished(target, fingerprint, options.overwrite)
    if done is not None:
        if not (folder.home / CSV).exists():
            write_tables(folder.home, str(recon), done)
        return _outcome(recon, target, done, "notneeded")
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "fingerprint": fingerprint,
        "inputs": inputs,
        **_about(options, folder, truth),
        **_origin(stimuli, folder),
    }
    alignment = Alignment(recons.ids)
    document["metrics"], document["skipped"] = _score_all(options, recons, truth, beside, alignment)
    if options.panel:
        document["panel"] = _panel(options, stimuli, folder, recons, beside, document["metrics"])
    document["warnings"] = [
        *subset_warnings(folder, stimuli),
        *alignment.warnings(),
        *picked_warnings(folder, truth, recons, tuple(document["metrics"]), options.seed),
        *panel_warnings(document.get("panel", {})),
    ]
    write_json(target, document)
    write_tables(folder.home, str(recon), document)
    return _outcome(recon, target, document, "ok")


def _panel(
    options: Options,
    stimuli: Stimuli,
    folder: Folder,
    recons: Pictures,
    controls: Mapping[str, Pictures],
    lines: Mapping[str, Any],
) -> dict[str, Any]:
    sheet = Sheet(
        folder=folder,
        store=stimuli.path(folder),
        recons=recons,
        controls=controls,
        lines=lines,
        runs=options.runs,
        seed=options.seed,
    )
    return panel(sheet)


def _about(options: Options, folder: Folder, truth: Pictures) -> dict[str, Any]:
    """What was scored, and how."""
    return {
        "n": len(truth),
        "images": len(set(truth.ids)),
        "names": folder.names,
        "ids": truth.ids,
        "protocol": options.protocol,
        "control_folders": {name: str(path.resolve()) for name, path in options.controls.items()},
        "bootstrap": {"unit": "image", "draws": stats.BOOTSTRAP_DRAWS, "level": stats.LEVEL},
        "environment": environment(),
    }


def _origin(stimuli: Stimuli, folder: Folder) -> dict[str, Any]:
    kind = "images" if stimuli.images is not None else "store"
    return {"stimuli": {"kind": kind, "path": str(stimuli.path(folder).resolve())}}


def _pictures(
    options: Options, folder: Folder, stimuli: Stimuli
) -> tuple[Pictures, Pictures, dict[str, Pictures]]:
    """The true images, the reconstructions and the controls, in one order."""
    truth = stimuli.of(folder)
    recons = reconstructions(folder, truth.ids)
    beside = {
        name: _under(options, _control(name, path, folder, truth.ids))
        for name, path in options.controls.items()
    }
    return _under(options, truth), _under(options, recons), beside


def _under(options: Options, pictures: Pictures) -> Pictures:
    """The same pictures and their features so far, under the protocol asked for."""
    return replace(pictures, protocol=options.protocol, keep=options.keep)


def _control(name: str, path: Path, folder: Folder, ids: tuple[str, ...]) -> Pictures:
    check_control(name, open_folder(path), folder)
    return control_pictures(path, folder, ids)


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
    names = metric_names(options)
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


def _outcome(recon: Path, target: Path, document: dict[str, Any], status: Any) -> Outcome:
    metrics = {
        name: {key: line[key] for key in PRINTED if key in line}
        for name, line in document["metrics"].items()
    }
    values = {
        "recon": str(recon),
        "metrics": metrics,
        "skipped": document["skipped"],
        "warnings": document["warnings"],
        "n": document["n"],
        **{key: document[key] for key in ("panel",) if key in document},
    }
    return Outcome(status=status, outputs=(target,), values=values)
