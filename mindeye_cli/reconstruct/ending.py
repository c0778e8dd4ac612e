"""The end of a reconstruction: what all batches left becomes the summaries and the manifest."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.fingerprint import environment
from mindeye_cli.models.decoders.registry import WITHOUT_GENERATOR
from mindeye_cli.reconstruct.ceiling import CEILING
from mindeye_cli.reconstruct.cost import Costs
from mindeye_cli.reconstruct.options import Options
from mindeye_cli.reconstruct.plan import Plan
from mindeye_cli.reconstruct.replay import compare
from mindeye_cli.reconstruct.save import (
    GRID_ROWS,
    blurry_file,
    candidate_file,
    grid,
    manifest,
    read_png,
    write_png,
    write_tensors,
)
from mindeye_cli.reconstruct.setting import Setting
from mindeye_store.files import read_json

TENSORS, GRID = SUMMARIES = ("images.safetensors", "grid.png")


def collect(
    options: Options, setting: Setting, costs: Costs, computed: dict[str, Any]
) -> dict[str, Any]:
    """The manifest of what is there: all batches, or those that the shards have done so far."""
    records, errors, complete = list[Any](), dict[str, str](), True
    for number, _ in setting.plan.batches():
        try:
            batch = read_json(batch_file(options.out, number))
        except FileNotFoundError:
            complete = False
            continue
        records += batch["images"]
        errors |= batch["errors"]
    folders = {name: getattr(options, name) for name in ("high", "low", "weights")}
    if options.outside is not None:
        names = ("index", "pictures", "rerank")
        folders |= {name: getattr(options.outside, name) for name in names}
    return {
        **manifest(setting.plan, records, errors, environment() | computed),
        "store": str(options.store.resolve()),
        "folders": {name: str(path.resolve()) for name, path in folders.items() if path},
        "memory": asdict(options.details.memory),
        "costs": costs.stages,
        "complete": complete,
    }


def finished(out: Path) -> dict[str, Any] | None:
    """The manifest, when there is one."""
    file = out / "manifest.json"
    return read_json(file) if file.exists() else None


def is_whole(options: Options, number: int) -> bool:
    """Whether a batch has all of its pictures, none of them removed since."""
    file = batch_file(options.out, number)
    if not file.exists():
        return False
    batch = read_json(file)
    return not batch["errors"] and all(_is_there(options, line) for line in batch["images"])


def is_finished(options: Options, record: dict[str, Any]) -> bool:
    """Whether everything that a manifest tells of was made and is still there."""
    summaries = (options.out / name for name in SUMMARIES if record["images"])
    return (
        not record["errors"]
        and all(path.is_file() for path in summaries)
        and all(_is_there(options, line) for line in record["images"])
    )


def reopen(options: Options, plan: Plan, record: dict[str, Any]) -> None:
    """Write the lines of a manifest back, so that only batches that lack a picture are redone."""
    lines = {line["name"]: line for line in record["images"]}
    for number, items in plan.batches():
        file = batch_file(options.out, number)
        known = [lines[item.name] for item in items if item.name in lines]
        if not file.exists() and len(known) == len(items):
            write_json(file, {"images": known, "errors": {}})


def _is_there(options: Options, line: dict[str, Any]) -> bool:
    """Whether an image's pictures are, as its line of the manifest names them."""
    out = options.out
    files = [out / line["file"]]
    if options.decoder not in WITHOUT_GENERATOR:
        if options.low is not None:
            files.append(blurry_file(out, line["name"]))
        if options.keep_candidates:
            files += [candidate_file(out, line["name"], k) for k in range(len(line["seeds"]))]
    return all(file.is_file() for file in files)


def batch_file(out: Path, number: int) -> Path:
    """Where the lines of a batch lie until all are done."""
    return out / "batches" / f"{number:05d}.json"


def finish(options: Options, store: Any, record: dict[str, Any]) -> dict[str, Any]:
    """Write the summaries and the manifest, then remove what only the stages needed.

    Nothing is written while other shards are at work. Of two that end together both may write the
    same, or one finds that the other has tidied up.
    """
    out, records = options.out, record["images"]
    if not record["complete"]:
        ended = finished(out)
        return ended if ended is not None and not ended["errors"] else record
    if records:
        files = [out / line["file"] for line in records]
        name = CEILING if options.control == CEILING else "images"
        write_tensors(out / TENSORS, files, name)
        shown = records[:GRID_ROWS]
        stimuli = list(store.images.read([line["image_row"] for line in shown]))
        columns = [stimuli, [read_png(file) for file in files[:GRID_ROWS]]]
        blurry = [blurry_file(out, line["name"]) for line in shown]
        if options.decoder != "low-level" and all(path.exists() for path in blurry):
            columns.insert(1, [read_png(path) for path in blurry])
        write_png(out / GRID, grid(columns), options.control)
    if options.replay is not None:
        record = {**record, "replay": compare(record, out, options.replay)}
    write_json(out / "manifest.json", record)
    if not record["errors"]:
        tidy(out)
    return record


def outputs(out: Path) -> tuple[Path, ...]:
    """The folder, and what of the summaries and the folders of pictures is in it."""
    names = ("manifest.json", *SUMMARIES, "images", "blurry", "candidates")
    return (out, *(out / name for name in names if (out / name).exists()))


def tidy(out: Path) -> None:
    """Remove what a rerun after failures would have needed."""
    for folder in ("stages", "batches"):
        shutil.rmtree(out / folder, ignore_errors=True)
