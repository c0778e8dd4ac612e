"""`mindeye demo`: the whole path on a simulated brain, through the public commands alone."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.demo.runner import Done, Runner
from mindeye_cli.demo.stages import FAST, FULL, stages
from mindeye_store.errors import InvalidInput
from mindeye_store.files import read_json


def demo(out: Path, *, seed: int = 0, fast: bool = False) -> Outcome:
    """Simulate, prepare, train, retrieve, reconstruct, evaluate and report.

    Parameters
    ----------
    out : Path
        Folder to fill; a demo that was cut short goes on where it stopped.
    seed : int
        Seed of the simulated brain and of every model.
    fast : bool
        A much smaller run that shows the path and proves nothing about the scores.

    Returns
    -------
    Outcome
        Values `seconds`, `cpu_seconds`, `peak_rss_gb`, `retrieval`, `metrics`, `controls`,
        `report`, `stages`.

    Raises
    ------
    InvalidInput
        The folder holds something else, or a demo of another seed or size.
    MindeyeError
        A stage failed; its log is named.
    Requeue
        SIGTERM or SIGUSR1 arrived: the stages were stopped, the same command goes on.
    """
    _claim(out, {"seed": seed, "fast": fast})
    started = time.monotonic()
    runner = Runner(out / "logs", _cores())
    done = runner.run(stages(out, seed, FAST if fast else FULL))
    evaluated = done["evaluate"].result
    page = out / "report.html"
    fresh = any(stage.result["status"] != "notneeded" for stage in done.values())
    return Outcome(
        status="ok" if fresh else "notneeded",
        outputs=(page,),
        values={
            "seconds": time.monotonic() - started,
            "cpu_seconds": sum(stage.cpu_seconds for stage in done.values()),
            "peak_rss_gb": runner.peak_gb,
            "retrieval": {run: _retrieval(done[f"retrieve {run}"]) for run in ("high", "ridge")},
            "metrics": {name: _headline(metric) for name, metric in evaluated["metrics"].items()},
            "controls": {name: m.get("controls") for name, m in evaluated["metrics"].items()},
            "report": page,
            "stages": [
                {
                    "name": s.name,
                    "seconds": s.seconds,
                    "cpu_seconds": s.cpu_seconds,
                    "peak_gb": s.peak_gb,
                }
                for s in done.values()
            ],
        },
    )


def _claim(out: Path, identity: dict[str, Any]) -> None:
    """Mark the folder as this demo's, or check that it is."""
    marker = out / "demo.json"
    if marker.exists():
        found = read_json(marker)
        if found != identity:
            raise InvalidInput(
                f"the folder holds a demo with {found}, this one has {identity}",
                where=str(out),
                fix="name another folder",
            )
        return
    if out.exists() and any(out.iterdir()):
        raise InvalidInput(
            "the folder is not empty and holds no demo", where=str(out), fix="name another folder"
        )
    write_json(marker, identity)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _retrieval(stage: Done) -> dict[str, Any]:
    return {key: stage.result[key] for key in ("image_retrieval", "brain_retrieval", "n")}


def _headline(metric: dict[str, Any]) -> dict[str, Any]:
    return {key: metric.get(key) for key in ("value", "ci95", "n", "direction")}
