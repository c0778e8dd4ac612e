"""The end of a reconstruction: what all batches left becomes the summaries and the manifest."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.fingerprint import environment
from mindeye_cli.reconstruct.cost import Costs
from mindeye_cli.reconstruct.options import Options
from mindeye_cli.reconstruct.replay import compare
from mindeye_cli.reconstruct.save import grid, manifest, read_png, write_png, write_tensors
from mindeye_cli.reconstruct.setting import Setting
from mindeye_store.files import read_json


def collect(options: Options, setting: Setting, costs: Costs) -> dict[str, Any]:
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
    return {
        **manifest(setting.plan, records, errors, environment()),
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


def is_whole(out: Path, number: int) -> bool:
    """Whether a batch has all of its pictures."""
    file = batch_file(out, number)
    return file.exists() and not read_json(file)["errors"]


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
    pictures = [read_png(out / line["file"]) for line in records]
    if pictures:
        write_tensors(out / "images.safetensors", pictures)
        columns = [list(store.images.read([line["image_row"] for line in records])), pictures]
        blurry = [out / "blurry" / f"{line['name']}.png" for line in records]
        if options.decoder != "low-level" and all(path.exists() for path in blurry):
            columns.insert(1, [read_png(path) for path in blurry])
        write_png(out / "grid.png", grid(columns))
    if options.replay is not None:
        record = {**record, "replay": compare(record, out, options.replay)}
    write_json(out / "manifest.json", record)
    if not record["errors"]:
        tidy(out)
    return record


def tidy(out: Path) -> None:
    """Remove what a rerun after failures would have needed."""
    for folder in ("stages", "batches"):
        shutil.rmtree(out / folder, ignore_errors=True)
