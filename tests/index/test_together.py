"""`retrieve index --shard I/N`: as many processes as tasks of a SLURM array, one index."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import index_helpers as made
import numpy as np
import pytest

from mindeye_store.lock import Lock


def command(shards: Path, index: Path, *more: str) -> list[str]:
    return [*("retrieve", "index"), str(shards), str(index), *more, "--json"]


def search(call_cli: Any, index: Path, queries: np.ndarray) -> list[dict[str, Any]]:
    np.save(index.parent / "q.npy", queries)
    found = call_cli("retrieve", "search", index, "--queries", index.parent / "q.npy", "--k", 16)
    assert found.code == 0, found.stderr
    return list(found.lines)


@pytest.mark.parametrize("options", [(), ("--kind", "ivf", "--lists", "32", "--part-shards", "2")])
def test_shares_equal_the_whole(tmp_path: Path, call_cli: Any, options: tuple[str, ...]) -> None:
    rows = made.write_shards(tmp_path / "s", (900, 700, 500, 400, 300), 48)
    whole = call_cli(*command(tmp_path / "s", tmp_path / "whole", *options)).json
    results = [
        call_cli(*command(tmp_path / "s", tmp_path / "parts", *options, "--shard", f"{i}/3")).json
        for i in (2, 0, 1)
    ]
    assert [result["complete"] for result in results] == [False, False, True]
    assert sum(result["built"] for result in results) == whole["parts"]
    for key in ("kind", "n_vectors", "recall_at_16", "parts", "settings"):
        assert results[-1][key] == whole[key]
    queries = made.near(rows, 24)
    parts, one = (search(call_cli, tmp_path / name, queries) for name in ("parts", "whole"))
    assert parts == one
    again = call_cli(*command(tmp_path / "s", tmp_path / "parts", *options, "--shard", "0/3"))
    assert again.json["status"] == "notneeded"


def test_processes_at_once(tmp_path: Path, call_cli: Any) -> None:
    rows = made.write_shards(tmp_path / "s", (400, 300, 200), 32)
    given = [
        command(tmp_path / "s", tmp_path / "i", "--kind", "ivf", "--lists", "16", "--shard", part)
        for part in ("0/2", "1/2")
    ]
    running = [subprocess.Popen([sys.executable, "-m", "mindeye_cli", *words]) for words in given]
    assert [child.wait(240) for child in running] == [0, 0]
    answers = search(call_cli, tmp_path / "i", rows[[5, 600]].astype(np.float32))
    right = made.names((400, 300, 200), np.array([[5], [600]]))
    assert [answer["ids"][:1] for answer in answers] == right


def test_two_builders_of_one_thing_are_refused(tmp_path: Path, call_cli: Any) -> None:
    made.write_shards(tmp_path / "s", (300, 200), 32)
    held = Lock(tmp_path / "i/_locks", "build", "the index")
    assert call_cli(*command(tmp_path / "s", tmp_path / "i", "--shard", "0/2")).code == 0
    held.acquire()
    refused = call_cli(*command(tmp_path / "s", tmp_path / "i"))
    held.release()
    assert refused.code == 6
    assert f"process {os.getpid()}" in refused.stderr
    share = Lock(tmp_path / "i/_locks", "1-of-2", "the index")
    share.acquire()
    whole = call_cli(*command(tmp_path / "s", tmp_path / "i"))
    assert whole.code == 6, "the whole was built beside a share"
    refused = call_cli(*command(tmp_path / "s", tmp_path / "i", "--shard", "1/2"))
    share.release()
    assert refused.code == 6
    again = command(tmp_path / "s", tmp_path / "i", "--shard", "1/2", "--overwrite")
    assert call_cli(*again).code == 2
    assert call_cli(*command(tmp_path / "s", tmp_path / "i", "--shard", "1/2")).json["complete"]
