"""Inverted lists: recall, size, resuming, new shards, and the codes that are the alternative."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import index_helpers as made
import numpy as np
import pytest

SIZES, DIM = (3000, 2500, 2500), 64
OPTIONS = ("--kind", "ivf", "--lists", "64")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    root = tmp_path_factory.mktemp("shards")
    return root, made.write_shards(root, SIZES, DIM)


def _build(call_cli: Any, shards: Path, index: Path, *options: str | Path) -> dict[str, Any]:
    result = call_cli("retrieve", "index", shards, index, *OPTIONS, *options, "--json")
    assert result.code == 0, result.stderr
    return dict(result.json)


def _ids(call_cli: Any, index: Path, queries: np.ndarray, k: int, *options: str) -> list[list[str]]:
    file = index.parent / "queries.npy"
    np.save(file, queries)
    result = call_cli("retrieve", "search", index, "--queries", file, "--k", k, *options)
    assert result.code == 0, result.stderr
    return [line["ids"] for line in result.lines]


def _recall(found: list[list[str]], right: list[list[str]]) -> float:
    pairs = zip(found, right, strict=True)
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in pairs]))


def _times(index: Path) -> dict[str, int]:
    return {str(f): f.stat().st_mtime_ns for f in (index / "parts").glob("*/*")}


@pytest.mark.parametrize("codes", ["rabitq", "pq"])
def test_recall_is_what_the_build_says(
    shards: tuple[Path, np.ndarray], tmp_path: Path, call_cli: Any, codes: str
) -> None:
    root, rows = shards
    built = _build(call_cli, root, tmp_path / "i", "--codes", codes)
    assert built["recall_at_16"] >= 0.95 and built["recall_at_300"] >= 0.9
    assert built["parts"] == 3 and built["codes"] == codes
    files = list((tmp_path / "i").rglob("*.faiss"))
    beside = sum(f.stat().st_size for f in files) / len(rows)
    assert built["bytes_per_vector"] == pytest.approx(beside, rel=0.05)
    # Row ids of 8 bytes, and an eighth of a byte a number (RaBitQ: two more floats).
    code = DIM / 8 + 8 if codes == "rabitq" else DIM / 8
    lists = [f.stat().st_size for f in files if f.name == "lists.faiss"]
    if codes == "pq":  # each part has the codebook of 256 centroids beside its codes
        lists = [size - 256 * DIM * 4 for size in lists]
    assert code + 8 <= sum(lists) / len(rows) <= code + 8 + 1.5
    queries = made.near(rows, 64, seed=5, error=0.7)
    for k in (16, 300):
        right = made.names(SIZES, made.brute_force(rows, queries, k))
        found = _ids(call_cli, tmp_path / "i", queries, k)
        assert _recall(found, right) >= (0.93 if k == 16 else 0.88)
        assert _ids(call_cli, tmp_path / "i", queries, k, "--exact") == right


def test_a_finished_index_is_left_alone(
    shards: tuple[Path, np.ndarray], tmp_path: Path, call_cli: Any
) -> None:
    _build(call_cli, shards[0], tmp_path / "i")
    before = _times(tmp_path / "i"), (tmp_path / "i" / "index.json").read_bytes()
    again = call_cli("retrieve", "index", shards[0], tmp_path / "i", "--kind", "ivf", "--json")
    assert again.json["status"] == "notneeded" and again.json["built"] == 0
    assert before == (_times(tmp_path / "i"), (tmp_path / "i" / "index.json").read_bytes())
    other = call_cli("retrieve", "index", shards[0], tmp_path / "i", "--kind", "ivf", "--seed", "1")
    assert other.code == 2 and "seed" in other.stderr


def test_a_new_shard_builds_itself_alone(
    shards: tuple[Path, np.ndarray], tmp_path: Path, call_cli: Any
) -> None:
    root, rows = shards
    two = tmp_path / "two"
    made.write_shard(two, 0, rows[: SIZES[0]])
    made.write_shard(two, 1, rows[SIZES[0] : SIZES[0] + SIZES[1]])
    _build(call_cli, two, tmp_path / "grown")
    before = _times(tmp_path / "grown")
    made.write_shard(two, 2, rows[-SIZES[2] :])
    grown = _build(call_cli, two, tmp_path / "grown")
    assert grown["built"] == 1 and grown["parts"] == 3
    after = _times(tmp_path / "grown")
    assert {name: after[name] for name in before} == before
    scratch = _build(call_cli, two, tmp_path / "new", "--centroids", tmp_path / "grown")
    assert scratch["built"] == 3
    queries = made.near(rows, 32, seed=8)
    for k in (16, 300):
        assert _ids(call_cli, tmp_path / "grown", queries, k) == _ids(
            call_cli, tmp_path / "new", queries, k
        )


@pytest.mark.parametrize("attempt", range(2))
def test_killed_at_random_the_rest_is_built(tmp_path: Path, call_cli: Any, attempt: int) -> None:
    sizes = (1500,) * 8
    rows = made.write_shards(tmp_path / "s", sizes, 32)
    index = tmp_path / "i"
    command = [sys.executable, "-m", "mindeye_cli", "retrieve", "index"]
    command += [str(tmp_path / "s"), str(index), "--kind", "ivf", "--lists", "16"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    generator = random.Random(attempt)
    wanted = generator.randrange(1, 7)
    try:
        while process.poll() is None:
            if len(list((index / "parts").glob("img_emb_????"))) >= wanted:
                time.sleep(generator.uniform(0, 0.02))
                break
            time.sleep(0.001)
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
    finished = {f: t for f, t in _times(index).items() if ".tmp-" not in f}
    built = call_cli("retrieve", "index", tmp_path / "s", index, "--kind", "ivf", "--json")
    assert built.code == 0, built.stderr
    now = _times(index)
    assert {name: now[name] for name in finished} == finished
    if built.json["status"] != "notneeded":
        assert built.json["built"] == 8 - len(finished) // 2
    assert not [name for name in now if ".tmp-" in name]
    queries = made.near(rows, 16)
    right = made.names(sizes, made.brute_force(rows, queries, 16))
    assert _recall(_ids(call_cli, index, queries, 16), right) >= 0.9


def test_recall_that_cannot_be_reached_fails_and_the_old_index_stays(
    shards: tuple[Path, np.ndarray], tmp_path: Path, call_cli: Any, monkeypatch: Any
) -> None:
    _build(call_cli, shards[0], tmp_path / "i")
    before = (tmp_path / "i" / "index.json").read_bytes()
    monkeypatch.setattr("mindeye_cli.index.selfcheck.MOST_CANDIDATES", 20)
    options = ("retrieve", "index", shards[0], tmp_path / "i", "--kind", "ivf")
    worse = call_cli(*options, "--recall", "0.999")
    assert worse.code == 5 and "recall of the 16 nearest" in worse.stderr
    assert (tmp_path / "i" / "index.json").read_bytes() == before
    fresh = call_cli("retrieve", "index", shards[0], tmp_path / "j", *OPTIONS, "--recall", "0.999")
    assert fresh.code == 5 and not (tmp_path / "j" / "index.json").exists()
    np.save(tmp_path / "q.npy", made.near(shards[1], 1))
    search = call_cli("retrieve", "search", tmp_path / "j", "--queries", tmp_path / "q.npy")
    assert search.code == 4 and "not finished" in search.stderr


def test_own_queries_and_parts_of_several_shards(
    shards: tuple[Path, np.ndarray], tmp_path: Path, call_cli: Any
) -> None:
    np.save(tmp_path / "own.npy", made.near(shards[1], 20))
    options = ("--queries", tmp_path / "own.npy", "--part-shards", "2")
    built = _build(call_cli, shards[0], tmp_path / "i", *options)
    assert built["parts"] == 2 and "given" in built["check"]["recall_at_16"]
    assert not any((tmp_path / "i").glob("parts/*/*.npy"))  # vectors are never copied


def test_a_large_collection_is_checked_in_some_parts(
    shards: tuple[Path, np.ndarray], tmp_path: Path, call_cli: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("mindeye_cli.index.selfcheck.CHECK_ROWS", 3500)
    built = _build(call_cli, shards[0], tmp_path / "i")
    assert 3500 <= built["check"]["rows"] < sum(SIZES)
    queries = made.near(shards[1], 32, seed=5)
    right = made.names(SIZES, made.brute_force(shards[1], queries, 16))
    assert _recall(_ids(call_cli, tmp_path / "i", queries, 16), right) >= 0.93
