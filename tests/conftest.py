"""Fixtures for every test: no network, homes in temporary folders, two ways to run commands."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Before torch is imported anywhere: tests share two cores with each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What they compare to the bit holds on a CPU; MINDEYE_TEST_GPU=1 shows what an accelerator makes.
if os.environ.get("MINDEYE_TEST_GPU") != "1":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

ROOT = Path(__file__).resolve().parent.parent
# Last, so that the installed packages are the ones tested: worker processes import functions of
# test modules by name, and start with this process' path.
sys.path.append(str(ROOT))


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code and both streams."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout; fails when there is more or less."""
        (line,) = self.stdout.splitlines()
        return dict(json.loads(line))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.stdout.splitlines()]


# The longest first: a long test begun last would leave the other processes waiting. Few, since the
# first eighth of the tests goes to one process.
LONGEST = ("test_runnable_commands_run", "train/test_processes.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests; the others keep their order."""

    def place(item: pytest.Item) -> int:
        return next((i for i, part in enumerate(LONGEST) if part in item.nodeid), len(LONGEST))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    for name in ("MINDEYE_HOME", "HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    for name in ("CONFIG", "CACHE", "STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    for name in ("MINDEYE_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    for name in ("MINDEYE_DEBUG", "MINDEYE_THREADS", "MINDEYE_LOG_LEVEL", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def shared_dir() -> Path:
    """Reference data beside the repository; the test is skipped where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the reference data in ../shared")
    return folder


@pytest.fixture
def run_cli(tmp_path: Path) -> Callable[..., Result]:
    """Run `mindeye` as a process: `run_cli("doctor", "--json", env={...}, cwd=...)`."""

    def run(
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 240,
    ) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "mindeye_cli", *map(str, arguments)],
            env={**os.environ, **(env or {})},
            cwd=cwd or tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def call_cli() -> Iterator[Callable[..., Result]]:
    """Run `mindeye` inside this process: faster, and seen by coverage and monkeypatches."""
    from mindeye_cli import settings
    from mindeye_cli.app import main

    logger = logging.getLogger("mindeye")
    level = logger.level
    environment = dict(os.environ)

    def call(*arguments: str | Path) -> Result:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main([str(argument) for argument in arguments])
        return Result(code, out.getvalue(), err.getvalue())

    yield call
    logger.setLevel(level)
    settings.activate(settings.Settings())
    logger.setLevel(level)
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, started once: one process can drive only one."""
    from chromium import CHROMIUM

    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()
