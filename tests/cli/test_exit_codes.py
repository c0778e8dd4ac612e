"""One exit code, one line and one JSON object for every way to fail."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from mindeye_cli import app
from mindeye_cli.errors import ExitCode, describe, exit_code
from mindeye_cli.lazy import Entry, command_app
from mindeye_store import errors as tree

FAILURES: list[tuple[BaseException, int, str]] = [
    (tree.UsageProblem("bad", where="--set x", fix="do y"), 2, "error: bad (--set x); do y"),
    (tree.InvalidInput("bad row", where="f.csv:3"), 3, "error: bad row (f.csv:3)"),
    (tree.MissingResource("no weights"), 4, "error: no weights"),
    (tree.PartialResult("2 failed"), 5, "error: 2 failed"),
    (tree.StoreLocked("locked"), 6, "error: locked"),
    (tree.Requeue("saved"), 75, "error: saved"),
    (KeyboardInterrupt(), 130, "error: interrupted"),
    (tree.MindeyeError("some"), 1, "error: some"),
    (
        RuntimeError("two\nlines"),
        1,
        "error: RuntimeError: two lines; run it again with MINDEYE_DEBUG=1 for the traceback",
    ),
    (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.npy"), 4,
     "error: no such file or directory (x.npy); check the path"),
    (OSError(errno.ENOSPC, "No space left on device"), 1,
     "error: no space left on device; free some space and run the same command again"),
    (ModuleNotFoundError("No module named 'faiss'", name="faiss"), 4,
     "error: the module 'faiss' is not installed; pip install the package that holds 'faiss'"),
]  # fmt: skip


@pytest.fixture
def command_that(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Put a command `fake` into the table that does what is given."""

    def install(action: Callable[[], Any]) -> None:
        module = ModuleType("fake_command")
        module.app = command_app()  # type: ignore[attr-defined]

        @module.app.command()  # type: ignore[attr-defined,untyped-decorator]
        def fake(number: int = 0) -> None:
            """Do something."""
            action()

        monkeypatch.setitem(sys.modules, "fake_command", module)
        monkeypatch.setitem(app.COMMANDS, "fake", Entry("fake_command", "Do something."))

    return install


@pytest.mark.parametrize(("problem", "code", "line"), FAILURES, ids=lambda item: repr(item)[:40])
def test_failures(
    problem: BaseException, code: int, line: str, command_that: Any, call_cli: Any
) -> None:
    def fail() -> None:
        raise problem

    command_that(fail)
    result = call_cli("fake")
    assert (result.code, result.stdout, result.stderr) == (code, "", line + "\n")
    result = call_cli("--json", "fake")
    assert result.code == code and "Traceback" not in result.stderr
    shown = result.json
    error = shown.pop("error")
    assert shown == {"command": "fake", "status": "error", "outputs": []}
    assert list(error) == ["code", "message", "where", "fix"] and error["code"] == code


def test_traceback_only_when_asked(
    command_that: Any, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    command_that(lambda: 1 / 0)
    assert "Traceback" not in call_cli("fake").stderr
    monkeypatch.setenv("MINDEYE_DEBUG", "1")
    result = call_cli("fake", "--json")
    assert "Traceback" in result.stderr and "1 / 0" in result.stderr
    assert result.json["error"]["code"] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sto"], "No such command 'sto'"),
        (["--nonsense"], "No such option: --nonsense"),
        (["fake", "extra"], "unexpected extra argument"),
        (["fake", "--number", "many"], "--number"),
        (["fake", "--log-level", "loud"], "unknown log level 'loud'"),
        (["fake", "--log-level"], "unknown log level"),
    ],
)
def test_usage_errors(arguments: list[str], says: str, command_that: Any, call_cli: Any) -> None:
    command_that(lambda: None)
    result = call_cli(*arguments)
    assert result.code == 2 and result.stdout == ""
    assert says in result.stderr and len(result.stderr.splitlines()) == 1
    result = call_cli("--json", *arguments)
    assert result.json["error"]["code"] == 2 and says in result.json["error"]["message"]


def test_every_class_of_the_tree_has_a_code() -> None:
    codes = {kind: exit_code(kind("x")) for kind in tree.MindeyeError.__subclasses__()}
    assert len(set(codes.values())) == len(codes) and ExitCode.FAILURE not in codes.values()
    assert describe(tree.UsageProblem("a\n b")).message == "a b"


_INTERRUPTED = """
import signal, sys, time
from types import ModuleType
from mindeye_cli import app
from mindeye_cli.lazy import Entry, command_app
signal.signal(signal.SIGINT, signal.default_int_handler)  # A job in the background ignores it.
module = sys.modules["fake"] = ModuleType("fake")
module.app = command_app()
@module.app.command()
def fake() -> None:
    sys.stderr.write("ready\\n"); sys.stderr.flush()
    time.sleep(60)
app.COMMANDS["fake"] = Entry("fake", "x")
sys.exit(app.main(["fake", "--json"]))
"""


def test_interrupt_from_the_keyboard() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        assert process.stderr.readline() == b"ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        shown = json.loads(process.stdout.read())
        assert process.stderr.read() == b"error: interrupted\n"
    assert process.returncode == 130 and shown["error"]["code"] == 130


def test_closed_pipe_ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "mindeye_cli", "--help"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
