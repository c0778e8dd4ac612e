"""Reconstruction from start to end, in stages that load and free their models in turn.

conditions (brain models) -> candidates (generator) -> choice (encoder) -> pictures and manifest.
Every batch leaves its files before the next begins, so a rerun does only what is missing.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.fingerprint import environment
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.models.decoders.registry import decoder_facts
from mindeye_cli.reconstruct import draw
from mindeye_cli.reconstruct.options import Options
from mindeye_cli.reconstruct.pick import pick_best
from mindeye_cli.reconstruct.plan import Batch, fix_plan
from mindeye_cli.reconstruct.save import grid, manifest, read_png, write_png, write_tensors
from mindeye_cli.reconstruct.setting import Setting, open_setting
from mindeye_store import open_store
from mindeye_store.errors import UsageProblem
from mindeye_store.files import read_json


def reconstruct(options: Options) -> Outcome:
    """Reconstruct a subject's images into `options.out`.

    Parameters
    ----------
    options : Options

    Returns
    -------
    Outcome
        Values `n`, `decoder`, `seconds_per_image`, `agreement`; status `partial` when the
        generator failed on some images, `notneeded` when everything was there.

    Raises
    ------
    InvalidInput
        Runs of the wrong kind or SPACE, unknown ids, a folder of another reconstruction.
    MissingResource
        The store, a run or the generator's weights are absent.
    """
    started = time.monotonic()
    store = open_store(options.store)
    setting = open_setting(store, options)
    if options.overwrite:
        _clear(options.out)
    fix_plan(options.out, setting.plan)
    finished = options.out / "manifest.json"
    if finished.exists():
        record = read_json(finished)
        return _outcome(options, record, "partial" if record["errors"] else "notneeded")
    todo = [
        batch
        for batch in setting.plan.batches(options.shard)
        if not _batch_file(options.out, batch[0]).exists()
    ]
    pictures = sum(len(items) for _, items in todo)
    for number, records, errors in _draw(setting, options, todo):
        write_json(_batch_file(options.out, number), {"images": records, "errors": errors})
    record = _whole(options, setting)
    record["seconds_per_image"] = (time.monotonic() - started) / max(1, pictures)
    if record["complete"]:
        _finish(options, store, record)
    return _outcome(options, record, "partial" if record["errors"] else "ok")


def _clear(out: Path) -> None:
    """Delete a reconstruction, and nothing else that the path might name.

    Raises
    ------
    UsageProblem
        The folder holds something else.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "plan.json").is_file():
        raise UsageProblem("--overwrite replaces reconstructions only", where=str(out))
    shutil.rmtree(out)


def _draw(setting: Setting, options: Options, todo: list[Batch]) -> Iterator[Any]:
    """Yield (number, records, errors) of every batch to do."""
    out, errors = options.out, dict[str, str]()
    if not todo:
        return
    if options.decoder == "nearest":
        drawn = draw.nearest(setting, out, todo)
    elif options.decoder in ("low-level", "latent-rgb"):
        drawn = draw.low_level(setting, out, todo)
    else:
        draw.conditions(setting, out, todo)
        draw.blurry(setting, out, todo)
        errors = draw.candidates(setting, out, todo)
        # The choice is not given the setting: it holds the store, and with it the stimuli.
        space = decoder_facts(options.decoder).space if options.candidates > 1 else None
        drawn = pick_best(space, out, todo, errors)
    names = {number: {item.name for item in items} for number, items in todo}
    for number, records in drawn:
        yield number, records, {k: why for k, why in errors.items() if k in names[number]}


def _whole(options: Options, setting: Setting) -> dict[str, Any]:
    """The manifest of what is there: all batches, or those that the shards have done so far."""
    records, errors, complete = list[Any](), dict[str, str](), True
    for number, _ in setting.plan.batches():
        file = _batch_file(options.out, number)
        if not file.exists():
            complete = False
            continue
        batch = read_json(file)
        records += batch["images"]
        errors |= batch["errors"]
    whole = manifest(setting.plan, records, errors, environment())
    return {**whole, "store": str(options.store.resolve()), "complete": complete}


def _batch_file(out: Path, number: int) -> Path:
    return out / "batches" / f"{number:05d}.json"


def _finish(options: Options, store: Any, record: dict[str, Any]) -> None:
    """Write the summaries and the manifest, then remove what only the stages needed."""
    out, records = options.out, record["images"]
    pictures = [read_png(out / line["file"]) for line in records]
    if pictures:
        write_tensors(out / "images.safetensors", pictures)
        columns = [list(store.images.read([line["image_row"] for line in records])), pictures]
        blurry = [out / "blurry" / f"{line['name']}.png" for line in records]
        if options.decoder != "low-level" and all(path.exists() for path in blurry):
            columns.insert(1, [read_png(path) for path in blurry])
        write_png(out / "grid.png", grid(columns))
    write_json(out / "manifest.json", record)
    folders = (
        ["stages", "batches"] if options.keep_candidates else ["stages", "batches", "candidates"]
    )
    for folder in folders:
        shutil.rmtree(out / folder, ignore_errors=True)


def _outcome(options: Options, record: dict[str, Any], status: Any) -> Outcome:
    agreements = [r["agreement"] for r in record["images"] if r.get("agreement") is not None]
    return Outcome(
        status=status,
        outputs=(options.out,),
        values={
            "n": len(record["images"]),
            "decoder": options.decoder,
            "seconds_per_image": record["seconds_per_image"],
            "strength": record["strength"],
            "agreement": sum(agreements) / len(agreements) if agreements else None,
            "complete": record["complete"],
            "errors": record["errors"],
        },
    )
