"""Corrupted data of every layout: exit 3 (4 where a file is gone), one line, nothing written.

A sample runs by default, another one each time `MINDEYE_MUTATION_SEED` is set to another number;
`MINDEYE_WHOLE=1 pytest tests/prepare/test_mutations.py` runs all of them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prepare.mutations.cases import all_cases

SAMPLE, LEAST = 44, 300
MEGABYTES, SECONDS = 300, 30
DRIVER = Path(__file__).with_name("mutations") / "driver.py"


def chosen() -> list[str]:
    """Ids of the cases to run."""
    ids = [case.id for case in all_cases()]
    if os.environ.get("MINDEYE_WHOLE"):
        return ids
    return random.Random(int(os.environ.get("MINDEYE_MUTATION_SEED", "0"))).sample(ids, SAMPLE)


def problem(result: dict[str, Any], sound: list[str]) -> str | None:
    """What is wrong with the outcome of one case, or None."""
    if result["expect"] == "same":
        return None if (result["code"], result["prints"]) == (0, sound) else "not read as sound"
    if result["code"] not in (3, 4):
        return f"exit {result['code']}: {result['crash'] or result['err']}"
    errors = [line for line in result["err"].splitlines() if "error: " in line]
    answer = json.loads(result["out"])
    wrong = {
        "not one line of error": len(errors) != 1 or "Traceback" in result["err"],
        "warnings of libraries": "Warning" in result["err"],
        "no place named": not answer["error"]["where"],
        "a store was begun": result["store"] == "changed",
        "it took too much memory": result["megabytes"] > MEGABYTES,
        "it took too long": result["seconds"] > SECONDS,
    }
    return next((f"{what}: {result['err']}" for what, is_so in wrong.items() if is_so), None)


def test_there_are_enough() -> None:
    cases = all_cases()
    assert len(cases) >= LEAST
    assert {case.layout for case in cases} >= {"nsd", "arrays", "bids", "webdataset", "mindeye2"}


@pytest.mark.timeout(3000)
def test_every_corruption_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(DRIVER), str(tmp_path)],
        input=json.dumps(chosen()),
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(DRIVER.parents[2]), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sound: dict[str, list[str]] = {}
    failures = []
    for line in done.stdout.splitlines():
        result = json.loads(line)
        layout = result["id"].partition(":")[0]
        if "expect" not in result:
            assert result["code"] == 0, result
            sound[layout] = result["prints"]
        elif what := problem(result, sound[layout]):
            failures.append(f"{result['id']}: {what}")
    assert not failures, "\n".join(failures)
