"""The referee's own logic: its cheats are cheats, and its verdicts follow the scores."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluate.folders import noisy, recon, save
from PIL import Image
from train.conftest import build_store

from mindeye_cli.demo.stages import Stage
from mindeye_store import open_store

N = 20


@pytest.fixture
def referee() -> Any:
    return importlib.import_module("referee")


@pytest.fixture
def honest(tmp_path: Path) -> tuple[Path, Path]:
    """(store, RECON): four noisy candidates of each image, the published one drawn by lot."""
    store = build_store(tmp_path / "store.zarr", train=4, test=N)
    images, draw = open_store(store).images, np.random.default_rng(0)
    folder, chosen = tmp_path / "honest", {}
    for row in range(N):
        true, name = images.read(np.array([row]))[0], images.ids[row]
        amounts = draw.permutation([60, 90, 120, 150])
        four = [noisy({"x": true}, int(a), seed=4 * row + k)["x"] for k, a in enumerate(amounts)]
        save(folder / "candidates" / f"pic-{name}", {f"{k:02d}": p for k, p in enumerate(four)})
        chosen[name] = four[draw.integers(4)]
    recon(folder, chosen, store=str(store))
    manifest = json.loads((folder / "manifest.json").read_text())
    for row, line in enumerate(manifest["images"]):
        line |= {"image_row": row, "scores": [0.0] * 4, "chosen": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return store, folder


def test_both_cheats_are_called_out_and_the_honest_system_is_not(
    referee: Any, honest: tuple[Path, Path], tmp_path: Path, call_cli: Callable
) -> None:
    store, folder = honest
    referee.misalign(folder, tmp_path / "misaligned")
    referee.pick(folder, tmp_path / "picked", store)
    names = [line["name"] for line in json.loads((folder / "manifest.json").read_text())["images"]]
    moved = np.asarray(Image.open(tmp_path / "misaligned/images" / f"{names[-1]}.png"))
    np.testing.assert_array_equal(moved, np.asarray(Image.open(folder / f"images/{names[0]}.png")))
    found = {}
    for path in (folder, tmp_path / "misaligned", tmp_path / "picked"):
        assert call_cli("evaluate", path, "--metrics", "psnr").code == 0
        key = "both" if path == folder else path.name
        found[key] = json.loads((path / "evaluation.json").read_text())
    verdicts = referee.called_out(found)
    assert [right for _, right in verdicts] == [True, True, True], verdicts
    swapped = referee.called_out({"both": found["picked"], "picked": found["both"]})
    assert [right for _, right in swapped] == [False, False]


def test_claims_are_judged_in_the_metrics_own_direction(
    referee: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def line(value: float, worse: float, direction: str) -> dict[str, Any]:
        chance = {"value": 0.0, "range95": [-0.1, 0.1]}
        controls = {"permuted": chance, "prior-only": {"value": worse, "ci95": [0, 1]}}
        return {"value": value, "ci95": [0, 1], "direction": direction, "controls": controls}

    up, down = line(0.6, 0.5, "higher"), line(0.6, 0.5, "lower")
    lines = referee.sheet({"both": {"metrics": {"up": up, "down": down}}})
    claims = (("both", "prior-only", ("up", "down")), ("both", "permuted", ("up", "down")))
    monkeypatch.setattr(referee, "CLAIMS", claims)
    assert [right for _, right in referee.judge(lines)] == [True, False, True, False]
    table = referee.table(lines)
    assert "| both | 0.600 (0.000 to 1.000) |" in table and "| permuted both | 0.000 (-0.1" in table


def test_a_rerun_leaves_out_what_has_ended_well(referee: Any, tmp_path: Path) -> None:
    plan = (
        Stage(name="a b", arguments=()),
        Stage(name="c", arguments=(), after=("a b",)),
        Stage(name="d", arguments=(), after=("a b", "c")),
    )
    (tmp_path / "a-b.json").write_text('{"status": "ok"}\n')
    (tmp_path / "c.json").write_text('{"status": "error"}\n')
    left = referee.missing(plan, tmp_path)
    assert [(stage.name, stage.after) for stage in left] == [("c", ()), ("d", ("c",))]
