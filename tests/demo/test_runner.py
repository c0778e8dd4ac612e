"""The runner of stages: order, cost, and what a failure says."""

from __future__ import annotations

from pathlib import Path

import pytest

from mindeye_cli.demo.runner import Runner
from mindeye_cli.demo.stages import FAST, FULL, Stage, stages
from mindeye_store.errors import MindeyeError


def version(name: str, *after: str) -> Stage:
    return Stage(name=name, arguments=("--version",), after=after)


def test_stages_wait_for_those_they_need(tmp_path: Path) -> None:
    graph = (version("last", "first", "second"), version("second", "first"), version("first"))
    runner = Runner(tmp_path / "logs", cores=2)
    done = runner.run(graph)
    assert list(done) == ["first", "second", "last"]
    assert all(stage.result["version"] for stage in done.values())
    assert all(0 < stage.cpu_seconds and 0 < stage.peak_gb < 1 for stage in done.values())
    assert runner.peak_gb > 0


def test_a_failure_names_the_stage_and_its_log(tmp_path: Path) -> None:
    broken = Stage(name="look", arguments=("store", "info", str(tmp_path / "absent.zarr")))
    with pytest.raises(MindeyeError, match="stage look failed") as caught:
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
