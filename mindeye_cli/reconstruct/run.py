"""Reconstruction from start to end, in stages that load and free their models in turn.

conditions (brain models) -> candidates (generator) -> choice (encoder) -> pictures and manifest.
Every batch leaves its files before the next begins, so a rerun does only what is missing.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.launch import any_process, is_main_rank, together
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.signals import StopFlag
from mindeye_cli.core.threads import threads
from mindeye_cli.models.decoders.registry import WITHOUT_GENERATOR, decoder_facts
from mindeye_cli.reconstruct import draw, without
from mindeye_cli.reconstruct.cost import Costs
from mindeye_cli.reconstruct.ending import (
    batch_file,
    collect,
    finish,
    finished,
    is_finished,
    is_whole,
    outputs,
    reopen,
    tidy,
)
from mindeye_cli.reconstruct.options import Options
from mindeye_cli.reconstruct.outside import nearest_outside
from mindeye_cli.reconstruct.pick import pick_best
from mindeye_cli.reconstruct.plan import Batch, fix_plan
from mindeye_cli.reconstruct.replay import as_recorded
from mindeye_cli.reconstruct.rounding import in_force
from mindeye_cli.reconstruct.save import Done
from mindeye_cli.reconstruct.setting import Setting, open_setting
from mindeye_cli.reconstruct.stage_files import stage_file
from mindeye_store import open_store
from mindeye_store.errors import Requeue, UsageProblem


def reconstruct(options: Options) -> Outcome:
    """Reconstruct a subject's images into `options.out`.

    Parameters
    ----------
    options : Options

    Returns
    -------
    Outcome
        Values `n`, `decoder`, `seconds_per_image`, `agreement`, where areas are named `readout`,
        with a replay `replay`; status `partial` when the generator failed on some images,
        `notneeded` when everything was there.

    Raises
    ------
    InvalidInput
        Runs of the wrong kind or SPACE, unknown ids, a folder of another reconstruction.
    MissingResource
        The store, a run or the generator's weights are absent.
    Requeue
        SIGTERM or SIGUSR1 came; what was done is kept, and the same call goes on.
    """
    with together() as wait, StopFlag() as stop:
        return _reconstruct(options, wait, stop)


def _reconstruct(options: Options, wait: Callable[[], object], stop: StopFlag) -> Outcome:
    started = time.monotonic()
    store = open_store(options.store)
    setting = open_setting(store, options)
    plan = as_recorded(setting.plan, options.replay) if options.replay else setting.plan
    if options.overwrite and is_main_rank():
        _clear(options.out)
    wait()
    setting = replace(setting, plan=fix_plan(options.out, plan))
    record = finished(options.out)
    if record is not None and is_finished(options, record):
        tidy(options.out)
        return _outcome(options, record, "notneeded")
    if record is not None:
        reopen(options, setting.plan, record)
    todo = [b for b in setting.plan.batches(options.part) if not is_whole(options, b[0])]
    costs = Costs()
    with threads(setting.plan.rounding.threads_here):
        stopped = not _do(setting, options, todo, costs, stop)
        computed = in_force()
    # Nobody waits for one that has gone: all finish their part or stop, then all go together.
    if any_process(stopped):
        stop.raise_requeue(str(options.out), agreed=True)
    pictures = sum(len(items) for _, items in todo)
    pace = (time.monotonic() - started) / max(1, pictures)
    record = {**collect(options, setting, costs, computed), "seconds_per_image": pace}
    wait()  # The others have read what the main process is about to remove.
    if is_main_rank():
        record = finish(options, store, record)
    return _outcome(options, record, "partial" if record["errors"] else "ok")


def _do(
    setting: Setting, options: Options, todo: list[Batch], costs: Costs, stop: StopFlag
) -> bool:
    """Do the batches; False when a signal stopped it after one, with all of it saved."""
    pause = partial(stop.raise_requeue, str(options.out))
    try:
        for number, records, errors in _draw(setting, options, todo, costs, pause):
            write_json(batch_file(options.out, number), {"images": records, "errors": errors})
            if not errors:
                stage_file(options.out, "drawn", number).unlink(missing_ok=True)
            pause()
    except Requeue:
        return False
    return True


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


def _draw(
    setting: Setting,
    options: Options,
    todo: list[Batch],
    costs: Costs,
    pause: Callable[[], None],
) -> Iterator[Done]:
    """Yield (number, records, errors) of every batch to do; `pause` comes between others' files."""
    out = options.out
    if not todo:
        return
    if options.decoder in WITHOUT_GENERATOR:
        with costs.stage(options.decoder):
            yield from _copier(options)(setting, out, todo)
        return
    for stage in (draw.embeddings, draw.latents, draw.blurry, draw.candidates):
        with costs.stage(stage.__name__):
            for _ in stage(setting, out, todo):
                pause()
    # The choice is not given the setting: it holds the store, and with it the stimuli.
    space = decoder_facts(options.decoder).space if options.candidates > 1 else None
    with costs.stage("choice"):
        together = setting.plan.rounding.batch_pictures
        yield from pick_best(
            space,
            out,
            todo,
            keep=options.keep_candidates,
            together=together,
            control=options.control,
        )


def _copier(options: Options) -> Callable[[Setting, Path, list[Batch]], Iterator[Done]]:
    """What makes the pictures of a decoder without a generator."""
    if options.decoder != "nearest":
        return without.low_level
    return without.nearest if options.outside is None else nearest_outside


def _outcome(options: Options, record: dict[str, Any], status: Any) -> Outcome:
    agreements = [r["agreement"] for r in record["images"] if r.get("agreement") is not None]
    return Outcome(
        status=status,
        outputs=outputs(options.out),
        values={
            "n": len(record["images"]),
            "decoder": options.decoder,
            "seconds_per_image": record["seconds_per_image"],
            "strength": record["strength"],
            "agreement": sum(agreements) / len(agreements) if agreements else None,
            "complete": record["complete"],
            "errors": record["errors"],
            **{key: record[key] for key in ("readout", "replay") if key in record},
        },
    )
