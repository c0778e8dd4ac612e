"""Runs `mindeye` commands inside one process and hands back their JSON."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from mindeye_cli.app import main


def mindeye(*arguments: str | int | float | Path) -> dict[str, Any]:
    """Run one command with `--json`; a failure ends the benchmark with the command's own line."""
    out = io.StringIO()
    with redirect_stdout(out):
        code = main([*map(str, arguments), "--json", "--offline", "--log-level", "warning"])
    if code != 0:
        raise SystemExit(f"mindeye {' '.join(map(str, arguments))} ended with exit code {code}")
    result: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return result
