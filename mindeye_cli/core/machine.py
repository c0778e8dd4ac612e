"""Facts about this machine for `mindeye doctor`: versions, devices, folders, weights, disk.

Nothing heavy is imported here: versions come from package metadata, and torch is asked in a
process of its own, so that a broken installation is described instead of ending the program.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal

MINIMUM_FREE = 2 * 2**30  # bytes; the demo and its store stay well below
_PROBE = """
import json, torch
cuda = [{"name": torch.cuda.get_device_name(i),
         "memory_gb": round(torch.cuda.get_device_properties(i).total_memory / 2**30, 1)}
        for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
print(json.dumps({"cuda": cuda, "mps": torch.backends.mps.is_available(),
                  "threads": torch.get_num_threads()}))
"""
_PROBE_SECONDS = 300  # a cold file cache on a busy cluster node is slow


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Parameters
    ----------
    status : {"ok", "absent", "failed"}
        `absent` is optional and missing; `failed` is needed and missing or broken.
    value : Any
        What was found.
    fix : str, optional
        The command that mends it.
    """

    status: Literal["ok", "absent", "failed"]
    value: Any
    fix: str | None = None


def examine(*, folders: dict[str, Path], shipped: Path) -> dict[str, Check]:
    """Run every check.

    Parameters
    ----------
    folders : dict of str to Path
        Caches and homes by name; they need not exist.
    shipped : Path
        The package's own weights.

    Returns
    -------
    dict of str to Check
        By name, in the order to show.
    """
    checks = {"python": Check("ok", platform.python_version())}
    checks.update(_packages())
    checks["devices"] = _devices()
    checks.update({f"folder {name}": _folder(path) for name, path in folders.items()})
    checks["weights shipped"] = _shipped(shipped)
    checks["weights cached"] = _cached(folders.get("huggingface"))
    checks["disk"] = _disk(Path.cwd())
    checks["offline"] = Check("ok", os.environ.get("HF_HUB_OFFLINE", "0") == "1")
    method = multiprocessing.get_start_method(allow_none=True)
    checks["start method"] = Check("ok", method or multiprocessing.get_all_start_methods()[0])
    checks["processors"] = Check("ok", processors())
    return checks


def _packages() -> dict[str, Check]:
    """This package and what its metadata says it needs; the extra `fast` is optional."""
    try:
        declared = requires("mindeye") or []
        checks = {"package mindeye": Check("ok", version("mindeye"))}
    except PackageNotFoundError:
        return {"package mindeye": Check("failed", None, "pip install . in the source folder")}
    for line in declared:
        name = re.split(r"[^A-Za-z0-9._-]", line)[0]
        if "extra ==" not in line:
            checks[f"package {name}"] = _package(name, "failed")
        elif re.search(r"extra == .fast.", line):
            checks[f"package {name}"] = _package(name, "absent")
    return checks


def _package(name: str, otherwise: Literal["absent", "failed"]) -> Check:
    try:
        return Check("ok", version(name))
    except PackageNotFoundError:
        return Check(otherwise, None, f"pip install {name}")


def _devices() -> Check:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=True,
        )
        return Check("ok", json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return Check("failed", f"torch gave no answer in {_PROBE_SECONDS} s", "reinstall torch")
    except subprocess.CalledProcessError as problem:
        last = (problem.stderr.strip().splitlines() or ["no message"])[-1]
        return Check("failed", f"torch does not import: {last}", "reinstall torch")


def _folder(path: Path) -> Check:
    """Writable, or writable once made: the closest parent that exists decides."""
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    value = {"path": str(path), "exists": path.exists(), "file_system": _file_system(there)}
    if os.access(there, os.W_OK):
        return Check("ok", value)
    return Check("failed", value, f"make {there} writable, or point the variable elsewhere")


def _shipped(folder: Path) -> Check:
    found = {
        path.name: round(_size(path.rglob("*.safetensors")) / 2**20, 2)
        for path in sorted(folder.glob("*"))
        if any(path.rglob("*.safetensors"))
    }
    if found:
        return Check("ok", found)
    return Check("failed", found, "reinstall mindeye: its built-in weights are absent")


def _cached(huggingface: Path | None) -> Check:
    """Repositories in the Hugging Face cache; downloads of others would be needed."""
    hub = (huggingface or Path()) / "hub"
    names = [path.name for path in sorted(hub.glob("models--*"))] if huggingface else []
    found = [name.removeprefix("models--").replace("--", "/") for name in names]
    return Check("ok" if found else "absent", found)


def _disk(folder: Path) -> Check:
    usage = shutil.disk_usage(folder)
    value = {
        "path": str(folder),
        "free_gb": round(usage.free / 2**30, 1),
        "file_system": _file_system(folder),
    }
    if usage.free >= MINIMUM_FREE:
        return Check("ok", value)
    return Check("failed", value, f"free at least {MINIMUM_FREE // 2**30} GB")


def _file_system(folder: Path) -> str | None:
    """Type of the mount that holds `folder`, where the system lists mounts."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return None
    best: tuple[int, str] | None = None
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        point, kind = line.split()[1:3]
        if folder.resolve().is_relative_to(point) and (best is None or len(point) >= best[0]):
            best = (len(point), kind)
    return best[1] if best else None


def processors() -> int:
    """Processors that this process may use, which a scheduler can make fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)
