"""`mindeye store`: what is in a store, whether it is sound, and dropping a part of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.errors import ExitCode, describe
from mindeye_cli.lazy import group_app
from mindeye_store.errors import InvalidInput

app = group_app("Inspect, verify or trim a feature store.")


@app.command("info")
def info(store: shared.Store) -> None:
    """List the arrays of a store, what is being written and who writes it."""
    from mindeye_store import open_store

    values = open_store(store).info()
    output.emit("store info", Outcome(values=values), human=_arrays(values))


@app.command("verify")
def verify(store: shared.Store) -> None:
    """Recompute every checksum and account for every file; exit 3 when something is wrong."""
    from mindeye_cli.core.progress import track
    from mindeye_store import open_store
    from mindeye_store.verify import published_bytes, verify_store

    open_store(store)
    with track("verify", published_bytes(store), unit="bytes") as bar:
        problems = [problem.as_dict() for problem in verify_store(store, progress=bar.advance)]
    if not problems:
        output.emit("store verify", Outcome(values={"problems": []}), human="no problems found")
        return
    header = ("kind", "where", "message")
    output.tell(output.table([[p[key] for key in header] for p in problems], header=header))
    failure = InvalidInput(
        f"problems in the store: {len(problems)}",
        where=f"{store}: {problems[0]['where']}",
        fix=f"drop what is damaged with mindeye store rm {store} NAME, and prepare it again",
    )
    output.emit_failure("store verify", describe(failure), values={"problems": problems})
    raise typer.Exit(ExitCode.INVALID)


@app.command("rm")
def rm(
    store: shared.Store,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="subjects/S, targets/SPACE or targets/SPACE/SEGMENT."
        ),
    ],
) -> None:
    """Drop subjects or targets from a store; images stay."""
    from mindeye_store import open_store

    opened = open_store(store)
    for name in names:
        opened.remove(name)
    output.emit("store rm", Outcome(values={"removed": names}), human=f"removed {', '.join(names)}")


def _arrays(values: dict[str, Any]) -> str:
    rows = [
        [a["name"], "x".join(map(str, a["shape"])), a["dtype"], a["shards"], a["bytes"]]
        for a in values["arrays"]
    ]
    table = output.table(rows, header=("array", "shape", "dtype", "shards", "bytes"))
    staged = [f"being written: {name}" for name in values["staged"]]
    locks = [
        f"lock {lock['name']}: process {lock['pid']} on {lock['host']}, {lock['state']}"
        for lock in values["locks"]
    ]
    return "\n".join([table, *staged, *locks])
