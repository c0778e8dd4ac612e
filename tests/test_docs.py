"""Commands in README.md and docs/ exist with the options they show; those marked runnable run.

A fenced block whose info string holds the word `runnable` is run line by line in one temporary
folder per document; the others are parsed against the real commands.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from mindeye_cli.app import COMMANDS
from mindeye_cli.options import split_globals

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
_FENCE = re.compile(r"^```(console|bash|sh)\b([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Line:
    """One command line of one document."""

    document: Path
    text: str
    runnable: bool


def command_lines(document: Path) -> Iterator[Line]:
    """The `mindeye` commands of a document, one by one, without prompts and continuations."""
    for _, info, body in _FENCE.findall(document.read_text(encoding="utf-8")):
        for line in body.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            for part in _split(words):
                if part[:1] == ["mindeye"] or "mindeye_cli" in part:
                    start = 1 if part[0] == "mindeye" else part.index("mindeye_cli") + 1
                    yield Line(document, shlex.join(part[start:]), "runnable" in info)


def _split(words: list[str]) -> Iterator[list[str]]:
    """Cut a shell line into its commands; redirections and loop words end one too."""
    part: list[str] = []
    for word in words:
        if word in ("&&", "||", "|", ";", "do", "done", "then", "fi", "for", "in", "&"):
            yield part
            part = []
        elif word.startswith((">", "2>", "<(")):
            yield part
            part = ["#redirected"]
        elif word.endswith(";"):
            yield [*part, word[:-1]]
            part = []
        else:
            part.append(word)
    yield part


LINES = [line for document in DOCUMENTS for line in command_lines(document)]


def problem(text: str) -> str | None:
    """What is wrong with a command line, or None."""
    _, words = split_globals(shlex.split(text))
    words = [word for word in words if word != "--help"]
    if not words:
        return None
    if words[0] not in COMMANDS:
        return f"no command {words[0]!r}"
    command: Any = typer.main.get_command(import_module(COMMANDS[words[0]].module).app)
    name, rest = words[0], words[1:]
    if COMMANDS[words[0]].subcommands:
        if not rest or rest[0] not in command.commands:
            return f"no command {' '.join(words[:2])!r}"
        name, command, rest = " ".join(words[:2]), command.commands[rest[0]], rest[1:]
    known = {
        option: item
        for item in command.params
        if item.param_type_name == "option"
        for option in (*item.opts, *item.secondary_opts)
    }
    positional, items = 0, iter(rest)
    for word in items:
        option = word.partition("=")[0]
        if not word.startswith("--"):
            positional += 1
        elif option not in known:
            return f"{name} has no option {option}"
        elif not known[option].is_flag and "=" not in word and next(items, None) is None:
            return f"{option} needs a value"
    needed = [item for item in command.params if item.param_type_name == "argument"]
    if positional < sum(item.required for item in needed) and "--help" not in text:
        return f"{name} needs {[item.name for item in needed if item.required]}"
    return None


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.document.name}: {line.text}"[:90])
def test_documented_commands_exist(line: Line) -> None:
    assert problem(line.text) is None


def test_problems_are_found() -> None:
    assert problem("--json doctor") is None and problem("doctor --help") is None
    assert problem("docter") == "no command 'docter'"
    assert problem("doctor --fast") == "doctor has no option --fast"
    words = shlex.split("for s in 1 2; do mindeye doctor > out.txt && mindeye x | head; done")
    assert [part for part in _split(words) if part[:1] == ["mindeye"]] == [
        ["mindeye", "doctor"],
        ["mindeye", "x"],
    ]


@pytest.mark.timeout(1200)  # a whole document is one test
@pytest.mark.parametrize(
    "document",
    [item for item in DOCUMENTS if any(line.runnable for line in command_lines(item))],
    ids=lambda item: item.name,
)
def test_runnable_commands_run(
    document: Path, call_cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in command_lines(document):
        if line.runnable:
            result = call_cli(*shlex.split(line.text))
            assert result.code == 0, f"{line.text}: {result.stderr}"


def test_readme_has_the_two_command_lines() -> None:
    """The first installs and runs the demo, the second installs and runs the tests."""
    blocks = [body for _, _, body in _FENCE.findall(DOCUMENTS[0].read_text(encoding="utf-8"))]
    first, second = [line for body in blocks for line in body.splitlines() if line][:2]
    assert first.startswith("pip install .") and "mindeye demo" in first
    assert re.match(r'pip install "\.\[dev\]" && pytest\b', second)


def test_exit_codes_are_documented() -> None:
    from mindeye_cli.errors import ExitCode

    text = "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    missing = [
        code for code in ExitCode if not re.search(rf"^\|?\s*`?{code.value}`?\s*\|", text, re.M)
    ]
    assert not missing
