"""A recorded reconstruction drawn again: its settings, and how far the pictures are apart."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.reconstruct.options import Details, Options, PriorSampling
from mindeye_cli.reconstruct.outside_options import Outside
from mindeye_cli.reconstruct.plan import Plan, difference
from mindeye_cli.reconstruct.rounding import recorded_rounding
from mindeye_cli.reconstruct.save import read_png
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem
from mindeye_store.files import read_json

_RECORDED = (
    "decoder",
    "strength",
    "candidates",
    "steps",
    "guidance",
    "average",
    "split",
    "subject",
    "seed",
    "control",
)
_FOLDERS = ("high", "low", "weights")


def make_options(replay: Path | None, **given: Any) -> Options:
    """Options of a command line, or those that a manifest recorded.

    Parameters
    ----------
    replay : Path or None
        A manifest. Runs and weights are looked for where they were, unless others are given; ids,
        the folder to write and what is traded for memory are the command line's.
    **given
        Arguments of `Options`.

    Raises
    ------
    UsageProblem
        An option contradicts the record.
    MissingResource
        There is no such manifest.
    InvalidInput
        It is none.
    """
    if replay is None:
        return Options(**given)
    record = read_record(replay)
    recorded = {name: record[name] for name in _RECORDED} | _areas(record)
    usual = {field.name: field.default for field in fields(Options)}
    for name, value in recorded.items():
        if given[name] != usual[name] and given[name] != value:
            raise UsageProblem(
                f"{given[name]!r} is asked for, {value!r} was recorded",
                where=f"--{name.replace('_', '-')}",
                fix="leave it out: --replay takes the recorded settings",
            )
        given[name] = value
    for name in _FOLDERS:
        folder = record["folders"].get(name)
        given[name] = given[name] or (Path(folder) if folder else None)
    given["outside"] = given["outside"] or _outside(record["folders"])
    given["ids"] = given["ids"] or tuple(dict.fromkeys(record["ids"] + record["failed"]))
    return Options(**given | {"details": _details(record, given["details"]), "replay": replay})


def _areas(record: dict[str, Any]) -> dict[str, str | None]:
    """The areas that a record names; None each where the networks read all voxels."""
    readout = record.get("readout") or {}
    return {"keep_rois": readout.get("keep"), "drop_rois": readout.get("drop")}


def _outside(folders: dict[str, str]) -> Outside | None:
    """The recorded collection, where it was; pictures from the web must be allowed again."""
    if "index" not in folders:
        return None
    paths = {name: Path(path) for name, path in folders.items()}
    return Outside(index=paths["index"], pictures=paths.get("pictures"), rerank=paths.get("rerank"))


def _details(record: dict[str, Any], given: Details) -> Details:
    prior = record["prior"]
    recorded = PriorSampling(**prior) if prior else PriorSampling()
    if given.prior not in (PriorSampling(), recorded):
        raise UsageProblem(f"{recorded} was recorded", where="--set prior", fix="leave it out")
    return Details(prior=recorded, memory=given.memory)


def read_record(file: Path) -> dict[str, Any]:
    """Read a manifest that can be replayed.

    Raises
    ------
    MissingResource
        There is no such file.
    InvalidInput
        It is no manifest, or one without what a replay needs.
    """
    try:
        record = read_json(file)
    except FileNotFoundError as problem:
        raise MissingResource("there is no such manifest", where=str(file)) from problem
    needed = (*_RECORDED, "prior", "folders", "ids", "failed", "threads", "images")
    lacking = [name for name in needed if name not in record]
    if lacking:
        raise InvalidInput(
            f"no manifest of a reconstruction that can be replayed: it lacks {lacking[0]}",
            where=str(file),
        )
    return record


def as_recorded(plan: Plan, file: Path) -> Plan:
    """The plan with the recorded batch sizes, if it is the recorded reconstruction's.

    Raises
    ------
    InvalidInput
        A run, the weights, the responses, a setting or a seed is another one.
    """
    record = read_record(file)
    # Only a reconstruction from some areas records a readout.
    ours = {"readout": None, **plan.settings}
    del ours["keep_candidates"]
    theirs = {key: record.get(key) for key in ours}
    seeds = {line["name"]: tuple(line["seeds"]) for line in record["images"]}
    other = [item.name for item in plan.items if seeds.get(item.name, item.seeds) != item.seeds]
    if ours != theirs or other:
        what = difference({"settings": theirs}, {"settings": ours})
        raise InvalidInput(f"this is not what was recorded: {what}", where=str(file))
    return replace(plan, rounding=recorded_rounding(record, file))


def compare(record: dict[str, Any], out: Path, file: Path) -> dict[str, Any]:
    """How far the pictures drawn are from the recorded ones.

    Returns
    -------
    dict
        `pictures` compared, `identical` ones, `grey_levels` (the largest difference of any value;
        None where nothing could be compared), `environment` (names of the packages of which another
        version was recorded; `threads` and `device` where others computed).
    """
    before = read_record(file)
    recorded = {line["name"]: file.parent / line["file"] for line in before["images"]}
    gaps = []
    for line in record["images"]:
        if line["name"] not in recorded:
            continue
        pair = (read_png(path) for path in (out / line["file"], recorded[line["name"]]))
        ours, theirs = (picture.astype(np.int16) for picture in pair)
        gaps.append(int(np.abs(ours - theirs).max()))
    now, then = record["environment"], before.get("environment", {})
    return {
        "pictures": len(gaps),
        "identical": gaps.count(0),
        "grey_levels": max(gaps, default=None),
        "environment": sorted(k for k in {*now, *then} if now.get(k) != then.get(k)),
    }
