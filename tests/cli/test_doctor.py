from __future__ import annotations

import subprocess
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from mindeye_cli.core import machine


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine whose torch answers at once and whose weights are in place."""
    answer = subprocess.CompletedProcess([], 0, '{"cuda": [], "mps": false, "threads": 2}', "")
    monkeypatch.setattr(machine.subprocess, "run", lambda *a, **k: answer)
    monkeypatch.setattr(machine, "MINIMUM_FREE", 0)
    weights = tmp_path / "weights" / "scene-vae"
    weights.mkdir(parents=True)
    (weights / "model.safetensors").write_bytes(b"0" * 2**20)
    monkeypatch.setattr("mindeye_cli.commands.doctor.SHIPPED", weights.parent)
    return tmp_path


def test_a_sound_machine(quick: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = quick / "hf"
    (hub / "hub" / "models--org--name").mkdir(parents=True)
    monkeypatch.setenv("HF_HOME", str(hub))
    result = call_cli("doctor", "--json")
    assert result.code == 0, result.stderr
    shown = result.json
    assert (shown["command"], shown["status"], shown["outputs"]) == ("doctor", "ok", [])
    checks = shown["checks"]
    assert checks["weights cached"]["value"] == ["org/name"]
    assert checks["weights shipped"]["value"] == {"scene-vae": 1.0}
    assert checks["devices"]["value"]["threads"] == 2
    assert checks["offline"]["value"] is True
    assert checks["package torch"]["status"] == "ok"
    assert checks["folder huggingface"]["value"]["path"] == str(hub)
    assert {"python", "disk", "start method", "processors", "package tensorstore"} <= checks.keys()
    assert "package pytest" not in checks
    people = call_cli("doctor")
    assert people.code == 0 and people.stdout == "" and "package torch" in people.stderr


def test_what_is_missing_is_named_with_its_remedy(
    quick: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = machine.version

    def without(name: str) -> str:
        if name in ("zarr", "tensorstore"):
            raise PackageNotFoundError(name)
        return whole(name)

    monkeypatch.setattr(machine, "version", without)
    result = call_cli("doctor", "--json")
    assert result.code == 4
    assert result.json["status"] == "error"
    assert result.json["error"]["where"] == "package zarr"
    assert result.json["error"]["fix"] == "pip install zarr"
    assert result.json["checks"]["package zarr"]["status"] == "failed"
    assert result.json["checks"]["package tensorstore"]["status"] == "absent"
    monkeypatch.setattr("mindeye_cli.commands.doctor.SHIPPED", quick / "nowhere")
    result = call_cli("doctor")
    assert result.code == 4 and "and 1 more" in result.stderr


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (subprocess.TimeoutExpired("python", 1), "no answer"),
        (subprocess.CalledProcessError(1, "python", stderr="a\nImportError: libc"), "ImportError"),
    ],
)
def test_a_broken_torch_is_described(
    problem: Exception, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **keywords: Any) -> None:
        raise problem

    monkeypatch.setattr(machine.subprocess, "run", fail)
    check = machine._devices()
    assert check.status == "failed" and says in check.value


def test_no_metadata_full_disk_and_read_only_folders(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(machine, "requires", absent)
    assert machine._packages()["package mindeye"].status == "failed"
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage(9, 8, 1))
    assert machine._disk(tmp_path).status == "failed"
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    assert "writable" in (machine._folder(tmp_path / "x" / "y").fix or "")


def test_devices_are_asked_in_another_process() -> None:
    check = machine._devices()
    assert check.status == "ok" and check.value["threads"] >= 1
