"""Commands that are imported only when they are called, so that `mindeye --help` stays fast.

The one convention: the module named in the table has an attribute `app`, a `typer.Typer` made by

- `command_app()` for a command without sub-commands: one function under `@app.command()`;
- `group_app("what the group does")` for a group: one function under `@app.command("name")` each.

A command module imports typer, `options`, `output` and the standard library at its top; it imports
its capability inside the function. This is the only module that subclasses Typer's internals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table.

    Parameters
    ----------
    module : str
        Where `app` is.
    help : str
        The one line that the root help shows; a test keeps it equal to the command's own.
    subcommands : tuple of str
        Names under a group; empty for a plain command.
    """

    module: str
    help: str
    subcommands: tuple[str, ...] = ()


def command_app() -> typer.Typer:
    """A Typer for one plain command."""
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


def group_app(help: str) -> typer.Typer:
    """A Typer for a group, which stays a group even with a single sub-command."""
    app = command_app()

    @app.callback(help=help)
    def group() -> None:
        pass

    return app


def lazy_group(table: Mapping[str, Entry]) -> type[TyperGroup]:
    """A group class whose commands are the table's."""

    class LazyGroup(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:
            return list(table)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            if cmd_name not in table:
                return None
            command = typer.main.get_command(import_module(table[cmd_name].module).app)
            command.name = cmd_name
            return command

        def format_commands(self, ctx: Any, formatter: Any) -> None:
            with formatter.section("Commands"):
                formatter.write_dl([(name, entry.help) for name, entry in table.items()])

    return LazyGroup


def command_name(arguments: list[str], table: Mapping[str, Entry]) -> str:
    """The command that arguments without global flags name, such as "train ridge", or ""."""
    words = [item for item in arguments if not item.startswith("-")]
    if not words or words[0] not in table:
        return ""
    if len(words) > 1 and words[1] in table[words[0]].subcommands:
        return f"{words[0]} {words[1]}"
    return words[0]
