"""The runner of stages: order, cost, and what a failure says."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from mindeye_cli.demo.run import demo
from mindeye_cli.demo.runner import Runner
from mindeye_cli.demo.stages import FAST, FULL, Stage, stages
from mindeye_store.errors import InvalidInput, MissingResource, Requeue


def version(name: str, *after: str) -> Stage:
    return Stage(name=name, arguments=("--version",), after=after)


def test_stages_wait_for_those_they_need(tmp_path: Path) -> None:
    graph = (version("last", "first", "second"), version("second", "first"), version("first"))
    runner = Runner(tmp_path / "logs", cores=2)
    done = runner.run(graph)
    assert list(done) == ["first", "second", "last"]
    assert all(stage.result["version"] for stage in done.values())
    assert all(0 < stage.cpu_seconds and stage.peak_gb < 1 for stage in done.values())
    assert runner.peak_gb > 0


def test_a_failure_names_the_stage_and_its_log(tmp_path: Path) -> None:
    broken = Stage(name="look", arguments=("store", "info", str(tmp_path / "absent.zarr")))
    with pytest.raises(MissingResource, match="stage look failed") as caught:
        Runner(tmp_path, cores=1).run((broken, version("never", "look")))
    assert caught.value.where == str(tmp_path / "look.log")
    assert not (tmp_path / "never.json").exists()


@pytest.mark.parametrize("size", [FULL, FAST])
def test_the_graph_can_be_run(size: object, tmp_path: Path) -> None:
    """Every stage is named once and waits only for stages that exist and do not wait for it."""
    graph = stages(tmp_path, 0, size)  # type: ignore[arg-type]
    names = [stage.name for stage in graph]
    assert len(set(names)) == len(names)
    done: set[str] = set()
    while len(done) < len(graph):
        ready = {s.name for s in graph if set(s.after) <= done} - done
        assert ready, "the stages wait for one another"
        done |= ready


def test_a_stop_signal_ends_the_stages_too(tmp_path: Path) -> None:
    """Otherwise a scheduler's SIGTERM would leave them writing behind the next demo's back."""
    slow = Stage(name="slow", arguments=("simulate", str(tmp_path / "nsd"), "--images", "20000"))
    runner = Runner(tmp_path / "logs", cores=1)
    pids: list[int] = []

    def stop() -> None:
        pids.extend(running.process.pid for running in runner._running)
        os.kill(os.getpid(), signal.SIGTERM)

    timer = threading.Timer(1.0, stop)
    timer.start()
    with pytest.raises(Requeue, match="SIGTERM"):
        runner.run((slow,))
    timer.join()
    assert len(pids) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert not (tmp_path / "nsd").exists()


@pytest.mark.parametrize("size", [FULL, FAST])
def test_the_page_waits_for_all_that_it_shows(size: object, tmp_path: Path) -> None:
    """A page that came before a result would differ from the one that a rerun makes."""
    graph = {stage.name: stage for stage in stages(tmp_path, 0, size)}  # type: ignore[arg-type]
    waited, todo = set[str](), ["report"]
    while todo:
        name = todo.pop()
        waited.add(name)
        todo += graph[name].after
    assert waited == set(graph)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text('{"seed": 1, "fast": true}')
    with pytest.raises(InvalidInput, match="holds a demo with"):
        demo(tmp_path, seed=0, fast=True)
    (tmp_path / "demo.json").write_text("{")
    with pytest.raises(InvalidInput, match="not a JSON file"):
        demo(tmp_path, seed=0, fast=True)
    (tmp_path / "demo.json").unlink()
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InvalidInput, match="not empty"):
        demo(tmp_path, seed=0, fast=True)
