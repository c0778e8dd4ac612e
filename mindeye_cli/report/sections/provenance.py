"""How to make every number again: commands, settings, fingerprints and versions."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from mindeye_cli.core.jsonable import dumps
from mindeye_cli.report.blocks import Block, Code, Fold, Section, Text
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import (
    Comparison,
    Evaluation,
    Explanation,
    Finding,
    Findings,
    Retrieval,
    Run,
)

PATHS = (
    "Paths are relative to the folder of this page; a file or folder elsewhere is shown by its name"
    " alone."
)
# Parts of a record that other parts of the page show.
SHOWN = (
    "rois",
    "used",
    "needed",
    "trials",
    "coherence",
    "images",
    "ids",
    "names",
    "image_rows",
    "metrics",
    "panel",
    "warnings",
    "whole",
)


def build(findings: Findings, context: Context) -> Section:
    """Commands first, then each finding's own record."""
    commands = [line for item in findings.items for line in command(item, context)]
    blocks: list[Block] = [Text(PATHS)]
    if commands:
        blocks.append(Code("\n".join(dict.fromkeys(commands))))
    for item in findings.items:
        for title, record in _records(item):
            shown = {key: value for key, value in record.items() if key not in SHOWN}
            blocks.append(
                Fold(f"{title}: {item.name}", (Code(dumps(context.tidy(shown), indent=2)),))
            )
    return Section(key="provenance", title="Provenance", blocks=tuple(blocks))


def command(item: Finding, context: Context) -> list[str]:
    """The commands that make a finding again, from what it recorded."""
    where = context.short(item.path.resolve())
    if isinstance(item, Run):
        store, subjects = "STORE", ",".join(item.info["subjects"])
        kind, space = item.info["kind"], item.info["space"]
        config = ("--config", f"{where}/config.toml") if item.config else ()
        options = ("--subject", subjects, "--space", space, *config)
        return [_line("mindeye", "train", kind, store, where, *options)]
    if isinstance(item, Retrieval):
        asked = item.result.get("asked", {})
        known = [(f"--{key}", str(value)) for key, value in asked.items() if value is not None]
        run, store = (context.short(str(item.result.get(key, ""))) for key in ("run", "store"))
        options = tuple(word for pair in known for word in pair)
        return [_line("mindeye", "retrieve", "pool", store, run, *options, "--out", where)]
    if isinstance(item, Evaluation):
        return [*_reconstruct(item, where), _evaluate(item, where, context)]
    if isinstance(item, Comparison):
        return [_compare(item, where, context)]
    if isinstance(item, Explanation) and "signal" in item.result:
        return [_explain(item, context)]
    return []


def _explain(item: Explanation, context: Context) -> str:
    result = item.result
    about = "set" if "n" in result else "image"
    against = str(result.get("against", ""))
    options = [] if against.endswith("outside the fit") or not against else ["--vs", against]
    run, folder = (context.short(p) for p in (result["run"], item.path.parent.resolve()))
    options += ["--subject", result["subject"], "--seed", str(result["seed"]), "--out", folder]
    return _line("mindeye", "explain", about, "STORE", run, result["asked"], *options)


def _compare(item: Comparison, where: str, context: Context) -> str:
    systems = [context.short(path) for path in item.result["systems"]]
    asked = item.result["asked"]
    options = [w for key, value in asked.items() if value for w in (f"--{key}", str(value))]
    return _line("mindeye", "compare", *systems, *options, "--out", where)


def _reconstruct(item: Evaluation, where: str) -> list[str]:
    if (item.manifest or {}).get("command") != "reconstruct":
        return []
    return [_line("mindeye", "reconstruct", "--replay", f"{where}/manifest.json")]


def _evaluate(item: Evaluation, where: str, context: Context) -> str:
    stimuli = item.scores["stimuli"]
    options = [f"--{stimuli['kind']}", context.short(stimuli["path"])]
    for name, folder in item.scores.get("control_folders", {}).items():
        options += ["--control", f"{name}={context.short(folder)}"]
    inputs = item.scores.get("inputs", {})
    options += ["--metrics", ",".join(item.scores["metrics"])]
    if inputs.get("seed"):
        options += ["--seed", str(inputs["seed"])]
    return _line("mindeye", "evaluate", where, *options)


def _line(*words: str) -> str:
    return shlex.join(words)


def _records(item: Finding) -> Sequence[tuple[str, dict[str, object]]]:
    if isinstance(item, Run):
        return [("Run", item.info)]
    if isinstance(item, Retrieval):
        return [("Retrieval", item.result)]
    if isinstance(item, Evaluation):
        manifest = [("Settings of the reconstruction", item.manifest)] if item.manifest else []
        return [("Fingerprints and versions", item.scores), *manifest]
    return []
