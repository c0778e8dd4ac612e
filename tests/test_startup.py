"""The program starts fast because it imports little, and its table of commands tells the truth."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
import typer

from mindeye_cli.app import COMMANDS
from mindeye_cli.options import _FLAGS, _LOG_LEVEL

BANNED = (
    "numpy",
    "zarr",
    "numcodecs",
    "torch",
    "rich",
    "accelerate",
    "diffusers",
    "transformers",
    "open_clip",
    "scipy",
    "skimage",
    "h5py",
    "nibabel",
    "PIL",
    "jinja2",
    "safetensors",
    "tensorstore",
    "faiss",
    "pyarrow",
    "distributed",
    "asyncio",
)
# The promise is 0.3 s of wall time on a quiet machine; CPU time is what a busy one can measure.
CPU_SECONDS = 0.6
MAX_OPTIONS = 20
# Fixed by other people's scripts, or shared by all that draw: more than half of the options here.
# Commands that came after the contract.
ADDED = {("prepare", "bids")}
MORE_OPTIONS = {"reconstruct": 26}


def _modules_after(code: str) -> set[str]:
    report = "import json, sys; sys.stderr.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in json.loads(done.stderr)}


def test_help_imports_nothing_heavy() -> None:
    loaded = _modules_after("from mindeye_cli.app import main\nmain(['--help'])")
    assert not loaded & set(BANNED)


def test_no_command_module_imports_anything_heavy() -> None:
    names = [entry.module for entry in COMMANDS.values()]
    loaded = _modules_after(f"import importlib\nfor n in {names}: importlib.import_module(n)")
    assert not loaded & set(BANNED)


def test_help_time() -> None:
    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    seconds = []
    for _ in range(3):
        before = cpu()
        subprocess.run(
            [sys.executable, "-m", "mindeye_cli", "--help"], stdout=subprocess.DEVNULL, check=True
        )
        seconds.append(cpu() - before)
    assert min(seconds) <= CPU_SECONDS


def _command(name: str) -> Any:
    return typer.main.get_command(import_module(COMMANDS[name].module).app)


def leaves() -> list[tuple[str, ...]]:
    """Every command that does something, as typed."""
    return [
        words
        for name, entry in COMMANDS.items()
        for words in [(name, sub) for sub in entry.subcommands] or [(name,)]
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_table_equals_the_commands(name: str) -> None:
    command = _command(name)
    assert (command.help or "").strip().splitlines()[0] == COMMANDS[name].help
    assert tuple(getattr(command, "commands", ())) == COMMANDS[name].subcommands


@pytest.mark.parametrize("words", leaves(), ids=" ".join)
def test_every_command_and_option_has_help(words: tuple[str, ...], call_cli: Any) -> None:
    command = _command(words[0])
    if len(words) > 1:
        command = command.commands[words[1]]
    assert (command.help or "").strip(), "no help"
    options = [item for item in command.params if item.param_type_name == "option"]
    most = MORE_OPTIONS.get(" ".join(words), MAX_OPTIONS)
    assert len(options) <= most, "describe the run in a file instead"
    taken = {*_FLAGS, _LOG_LEVEL}
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{parameter.name} has no help"
        assert not taken & set(parameter.opts), f"{parameter.opts} is a global flag"
    result = call_cli(*words, "--help")
    assert result.code == 0 and result.stdout.startswith(f"Usage: mindeye {' '.join(words)}")


def test_contract_names(shared_dir: Any) -> None:
    """Every command of the table is one of the contract's, and none was renamed."""
    contract = (shared_dir / "contract.md").read_text(encoding="utf-8")
    for words in leaves():
        if words in ADDED:
            continue
        head, tail = words[0], words[1:]
        line = next(line for line in contract.splitlines() if f"`mindeye {head}" in line)
        assert not tail or any(
            f"`mindeye {head}" in line and tail[0] in line for line in contract.splitlines()
        ), words
        assert line
