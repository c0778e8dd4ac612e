"""What goes to stdout and what to stderr, in each mode."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from mindeye_cli import output, settings
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.options import parse_shard, split_globals
from mindeye_store.errors import UsageProblem

DONE = Outcome("ok", (Path("a/b"), Path("c")), {"n": 3, "score": float("nan")})


@pytest.fixture
def mode(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Choose the output mode for one test."""

    def choose(**values: Any) -> None:
        monkeypatch.setattr(settings, "current", lambda: settings.Settings(**values))

    return choose


@pytest.mark.parametrize(
    ("chosen", "stdout", "stderr"),
    [
        ({}, "a/b\nc\n", "words\n"),
        ({"quiet": True}, "a/b\nc\n", ""),
        (
            {"json": True},
            '{"command": "store info", "status": "ok", "outputs": ["a/b", "c"], "n": 3, '
            '"score": null}\n',
            "",
        ),
    ],
)
def test_modes(
    chosen: dict[str, bool],
    stdout: str,
    stderr: str,
    mode: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    mode(**chosen)
    output.emit("store info", DONE, human="words")
    assert capsys.readouterr() == (stdout, stderr)


def test_nothing_needed_and_partial(
    mode: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    output.emit("demo", Outcome("notneeded"))
    assert capsys.readouterr() == ("", "nothing to do: it is there already\n")
    mode(json=True)
    with pytest.raises(typer.Exit) as caught:
        output.emit("demo", Outcome("partial"))
    assert caught.value.exit_code == 5
    assert json.loads(capsys.readouterr().out)["status"] == "partial"


def test_common_keys_cannot_be_replaced(mode: Callable[..., None]) -> None:
    mode(json=True)
    with pytest.raises(ValueError, match="status"):
        output.emit("demo", Outcome(values={"status": "fine"}))


def test_other_ranks_are_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    output.emit("demo", DONE, human="words")
    output.emit_line({"a": 1})
    assert capsys.readouterr() == ("", "")


def test_streams_and_tables(mode: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    output.emit_line({"query": 1, "scores": [float("inf")]})
    assert capsys.readouterr().out == '{"query": 1, "scores": [null]}\n'
    mode(quiet=True)
    output.emit_line({"query": 1})
    assert capsys.readouterr().out == ""
    text = output.table([("a", 1.0, 10), ("long", None, 2)], header=("name", "value", "n"))
    assert text == "name  value   n\na     1.000  10\nlong      -   2"
    assert output.table([], header=("x",)) == "x"


def test_global_flags_stand_anywhere() -> None:
    expected = settings.Settings(json=True, offline=True, log_level="debug")
    for line in (
        "--json --offline --log-level debug train ridge S",
        "train --json ridge --offline S --log-level=debug",
        "train ridge S --log-level debug --offline --json",
    ):
        assert split_globals(line.split()) == (expected, ["train", "ridge", "S"])
    chosen, rest = split_globals(["evaluate", "--", "--json"])
    assert not chosen.json and rest == ["evaluate", "--", "--json"]


def test_shards() -> None:
    assert parse_shard(None) == (0, 1) and parse_shard("2/8") == (2, 8)
    for text in ("8/8", "1", "a/b", "-1/2", "1/0", ""):
        with pytest.raises(UsageProblem, match="--shard"):
            parse_shard(text)


def test_version_and_bare_call(call_cli: Any) -> None:
    from mindeye_cli import __version__

    assert call_cli("--version").stdout == __version__ + "\n"
    assert call_cli("--json", "--version").json["version"] == __version__
    assert call_cli().stdout == call_cli("--help").stdout
    assert call_cli().stdout.startswith("Usage: mindeye ")


def test_process_equals_module_call(run_cli: Any, call_cli: Any) -> None:
    result = run_cli("--help")
    assert result.code == 0 and result.stdout.startswith("Usage: mindeye ")
    assert result.stdout.split() == call_cli("--help").stdout.split()


def test_offline_is_exported_before_libraries_read_it(
    call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("MINDEYE_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    for name in names:
        monkeypatch.delenv(name)
    call_cli("--version")
    assert "HF_HUB_OFFLINE" not in os.environ
    call_cli("--version", "--offline")
    assert [os.environ[name] for name in names] == ["1", "1", "1"]
    for name in names[1:]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MINDEYE_OFFLINE", "true")
    call_cli("--version")
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_colour_log_level_and_folders(
    call_cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    logger = logging.getLogger("mindeye")
    call_cli("--version", "--no-color")
    assert os.environ["NO_COLOR"] == "1" and logger.level == logging.INFO
    call_cli("--version", "--quiet")
    assert logger.level == logging.WARNING
    monkeypatch.setenv("MINDEYE_LOG_LEVEL", "error")
    call_cli("--version")
    assert logger.level == logging.ERROR
    call_cli("--version", "--log-level", "debug")
    assert logger.level == logging.DEBUG
    monkeypatch.setenv("MINDEYE_HOME", str(tmp_path))
    assert settings.user_folder("cache") == tmp_path / "cache"
    monkeypatch.delenv("MINDEYE_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    assert settings.user_folder("state") == tmp_path / "s" / "mindeye"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert settings.user_folder("state") == Path.home() / ".local" / "state" / "mindeye"


def test_log_lines_go_to_stderr(call_cli: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call_cli("--version")
    logging.getLogger("mindeye").info("working")
    logging.getLogger("mindeye").warning("careful")
    shown = capsys.readouterr()
    assert shown.out == ""
    first, second = (line.split(" ", 1)[1] for line in shown.err.splitlines())
    assert (first, second) == ("working", "warning: careful")


def test_shell_completion(run_cli: Any) -> None:
    environment = {
        "_MINDEYE_COMPLETE": "complete_bash",
        "COMP_WORDS": "mindeye pre",
        "COMP_CWORD": "1",
    }
    result = run_cli(env=environment)
    assert result.stdout.split() == ["prepare", "predict"]
