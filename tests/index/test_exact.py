"""Exact search: ids of a float32 brute force, whatever the way to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import index_helpers as made
import numpy as np
import pytest

SIZES, DIM = (3000, 1, 2500), 48


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    root = tmp_path_factory.mktemp("exact")
    return root, made.write_shards(root / "shards", SIZES, DIM)


@pytest.fixture
def index(rows: tuple[Path, np.ndarray], call_cli: Any) -> Path:
    result = call_cli("retrieve", "index", rows[0] / "shards", rows[0] / "index", "--json")
    assert result.code == 0, result.stderr
    assert result.json["kind"] == "exact" and result.json["n_vectors"] == sum(SIZES)
    assert result.json["parts"] == 3 and result.json["bytes_per_vector"] < 1
    return rows[0] / "index"


@pytest.mark.parametrize("count", [1, 40], ids=["one query is scanned", "a batch is multiplied"])
def test_ids_are_those_of_brute_force(
    rows: tuple[Path, np.ndarray], index: Path, call_cli: Any, tmp_path: Path, count: int
) -> None:
    queries = made.near(rows[1], count)
    np.save(tmp_path / "q.npy", queries)
    result = call_cli("retrieve", "search", index, "--queries", tmp_path / "q.npy", "--json")
    assert result.code == 0, result.stderr
    right = made.brute_force(rows[1], queries, 16)
    assert [line["ids"] for line in result.lines] == made.names(SIZES, right)
    assert set(result.lines[0]) == {"query", "ids", "scores", "metadata"}
    products = queries.astype(np.float64) @ rows[1].astype(np.float64).T
    scores = np.take_along_axis(products, right, 1)
    assert np.allclose([line["scores"] for line in result.lines], scores, atol=1e-6)
    shard, row = result.lines[0]["ids"][0].split(":")
    number = int(shard.removeprefix("img_emb_"))
    assert result.lines[0]["metadata"][0]["image_path"] == f"{number:04d}{int(row):06d}"


def test_one_query_of_any_length_and_float32_shards(tmp_path: Path, call_cli: Any) -> None:
    lengths = np.random.default_rng(3).uniform(0.1, 9, (900, 1)).astype(np.float32)
    unit = made.clustered(900, 20).astype(np.float32)
    made.write_shard(tmp_path / "s", 0, unit * lengths, metadata=False)
    refused = call_cli("retrieve", "index", tmp_path / "s", tmp_path / "i")
    assert refused.code == 3 and "img_emb_0000.npy row 0" in refused.stderr
    assert not (tmp_path / "i" / "index.json").exists()
    built = call_cli("retrieve", "index", tmp_path / "s", tmp_path / "j", "--unnormalised")
    assert built.code == 0, built.stderr
    np.save(tmp_path / "q.npy", 5 * made.near(unit, 3))
    result = call_cli("retrieve", "search", tmp_path / "j", "--queries", tmp_path / "q.npy")
    right = made.brute_force(unit, made.near(unit, 3), 16)
    found = [[int(name.split(":")[1]) for name in line["ids"]] for line in result.lines]
    assert found == right.tolist()
    assert result.lines[0]["metadata"] == [{}] * 16


def test_equal_rows_keep_the_order_of_the_shards(tmp_path: Path, call_cli: Any) -> None:
    rows = made.clustered(600, 32)
    rows[[5, 123, 124, 599]] = rows[300]
    made.write_shard(tmp_path / "s", 7, rows)
    assert call_cli("retrieve", "index", tmp_path / "s", tmp_path / "i").code == 0
    np.save(tmp_path / "q.npy", rows[[300] * 9].astype(np.float32))
    for count in (1, 9):
        np.save(tmp_path / "q.npy", rows[[300] * count].astype(np.float32))
        found = call_cli(
            "retrieve", "search", tmp_path / "i", "--queries", tmp_path / "q.npy", "--k", "5"
        )
        right = [f"img_emb_0007:{row}" for row in (5, 123, 124, 300, 599)]
        assert [line["ids"] for line in found.lines] == [right] * count
