"""Bad input: what is wrong, where, an exit code, and the index as it was."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import index_helpers as made
import numpy as np
import pyarrow.parquet as pq
import pytest

Break = Callable[[Path], None]


def _rewrite(change: Callable[[np.ndarray], np.ndarray]) -> Break:
    def apply(root: Path) -> None:
        file = root / "img_emb" / "img_emb_0001.npy"
        np.save(file, change(np.load(file)))

    return apply


def _set(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(rows: np.ndarray) -> np.ndarray:
        rows[17] = value
        return rows

    return change


def _truncate(root: Path) -> None:
    file = root / "img_emb" / "img_emb_0001.npy"
    os.truncate(file, file.stat().st_size - 10)


def _short_metadata(root: Path) -> None:
    file = root / "metadata" / "metadata_0001.parquet"
    pq.write_table(pq.read_table(file).slice(1), file)


CASES: dict[str, tuple[Break, int, str]] = {
    "nan": (_rewrite(_set(np.nan)), 3, "img_emb_0001.npy row 17"),
    "infinite": (_rewrite(_set(np.inf)), 3, "img_emb_0001.npy row 17"),
    "zero": (_rewrite(_set(0.0)), 3, "img_emb_0001.npy row 17"),
    "length 2": (_rewrite(lambda rows: rows * np.float16(2)), 3, "--unnormalised"),
    "another width": (_rewrite(lambda rows: rows[:, :40]), 3, "rows of 40 numbers"),
    "float64": (_rewrite(lambda rows: rows.astype(np.float64)), 3, "float64"),
    "one axis": (_rewrite(lambda rows: rows[0]), 3, "shape (48,)"),
    "empty": (_rewrite(lambda rows: rows[:0]), 3, "no rows"),
    "truncated": (_truncate, 3, "img_emb_0001.npy"),
    "fewer metadata": (_short_metadata, 3, "299 rows of metadata for 300"),
    "no metadata": (lambda root: (root / "metadata" / "metadata_0001.parquet").unlink(), 4, "0001"),
    "no parquet": (
        lambda root: (root / "metadata" / "metadata_0001.parquet").write_bytes(b"PAR1"),
        3,
        "metadata_0001.parquet",
    ),
}


@pytest.mark.parametrize("kind", ["exact", "ivf"])
@pytest.mark.parametrize("case", CASES)
def test_a_bad_shard_leaves_the_index_as_it_was(
    tmp_path: Path, call_cli: Any, case: str, kind: str
) -> None:
    """A good index gets a second shard that is bad; it still answers as before."""
    rows = made.clustered(900, 48)
    made.write_shard(tmp_path / "s", 0, rows[:600])
    options = ("--kind", kind, *(("--lists", "16") if kind == "ivf" else ()))
    command = ("retrieve", "index", tmp_path / "s", tmp_path / "i", *options)
    assert call_cli(*command).code == 0
    np.save(tmp_path / "q.npy", made.near(rows, 2))
    ask = ("retrieve", "search", tmp_path / "i", "--queries", tmp_path / "q.npy")
    before = call_cli(*ask).stdout
    made.write_shard(tmp_path / "s", 1, rows[600:])
    change, code, words = CASES[case]
    change(tmp_path / "s")
    failed = call_cli(*command)
    assert failed.code == code and words in failed.stderr, failed.stderr
    assert call_cli(*ask).stdout == before


@pytest.fixture
def index(tmp_path: Path, call_cli: Any) -> tuple[Path, Path, np.ndarray]:
    rows = made.write_shards(tmp_path / "s", (300, 200), 48)
    built = call_cli("retrieve", "index", tmp_path / "s", tmp_path / "i", "--space", "array:clip")
    assert built.code == 0, built.stderr
    return tmp_path / "s", tmp_path / "i", rows


def test_a_changed_shard_is_found_by_its_checksum(
    index: tuple[Path, Path, np.ndarray], call_cli: Any, tmp_path: Path
) -> None:
    shards, folder, rows = index
    file = shards / "img_emb" / "img_emb_0001.npy"
    np.save(tmp_path / "q.npy", made.near(rows, 2))
    ask = ("retrieve", "search", folder, "--queries", tmp_path / "q.npy")
    before = call_cli(*ask)
    os.utime(file)  # touched, not changed
    again = call_cli("retrieve", "index", shards, folder)
    assert again.code == 0 and call_cli(*ask).stdout == before.stdout
    swapped = np.load(file)[::-1].copy()
    np.save(file, swapped)
    for command in (ask, ("retrieve", "index", shards, folder)):
        refused = _fresh(call_cli, *command)
        assert refused.code == 3 and "checksum" in refused.stderr
    assert call_cli("retrieve", "index", shards, folder, "--overwrite").code == 0
    file.unlink()
    (shards / "metadata" / "metadata_0001.parquet").unlink()
    for command in (ask, ("retrieve", "index", shards, folder)):
        assert _fresh(call_cli, *command).code == 4


def _fresh(call_cli: Any, *command: Any) -> Any:
    """A process opens an index once; what changes under it is another process' concern."""
    from mindeye_cli.core.neighbours import search

    search._opened.cache_clear()
    return call_cli(*command)


def test_queries_and_options(
    index: tuple[Path, Path, np.ndarray], call_cli: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("mindeye_cli.core.neighbours.cluster.CONNECT_S", 0.5)
    folder, file = index[1], tmp_path / "q.npy"

    def ask(values: Any, *options: str) -> Any:
        np.save(file, values)
        return call_cli("retrieve", "search", folder, "--queries", file, *options)

    good = made.near(index[2], 1)
    bad = good.copy()
    bad[0, 3] = np.nan
    assert ask(good).code == 0
    assert ask(bad).code == 3 and "row 0" in ask(bad).stderr
    wide = ask(np.ones((2, 1024), np.float32))
    assert wide.code == 3 and "(2, 1024)" in wide.stderr and "48" in wide.stderr
    assert ask(good, "--k", "501").code == 3
    assert ask(good, "--k", "500").code == 0
    assert ask(good, "--where", "width >").code == 2
    assert ask(good, "--where", "heigth > 3").code == 2
    assert ask(good, "--where", "width == 'wide'").code == 3
    assert ask(good, "--where", "width > 100000").code == 3
    assert ask(good, "--drop-near", "0.9").code == 2
    assert ask(good, "--rerank", "run").code == 2
    assert call_cli("retrieve", "search", folder).code == 2
    assert call_cli("retrieve", "search", tmp_path, "--queries", file).code == 4
    assert call_cli("retrieve", "search", folder, "--queries", tmp_path / "no.npy").code == 4
    lost = ask(good, "--scheduler", "tcp://127.0.0.1:1")
    assert lost.code == 4 and "127.0.0.1:1" in lost.stderr


def test_other_folders_and_options(
    index: tuple[Path, Path, np.ndarray], call_cli: Any, tmp_path: Path
) -> None:
    shards, folder, _ = index
    assert call_cli("retrieve", "index", tmp_path / "none", folder).code == 4
    (tmp_path / "empty").mkdir()
    assert call_cli("retrieve", "index", tmp_path / "empty", tmp_path / "k").code == 4
    for option in ((), ("--overwrite",)):
        taken = call_cli("retrieve", "index", shards, shards, *option)
        assert taken.code == 2, taken.stderr
    assert (shards / "img_emb").is_dir()
    assert call_cli("retrieve", "index", shards, folder, "--kind", "hnsw").code == 2
    few = call_cli("retrieve", "index", shards, tmp_path / "few", "--kind", "ivf", "--lists", "450")
    assert few.code == 3 and "too few" in few.stderr
    damaged = folder / "index.json"
    damaged.write_text("{}")
    assert call_cli("retrieve", "index", shards, folder).code == 3


def test_a_full_disk_keeps_finished_parts(
    tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mindeye_cli.index import parts

    made.write_shards(tmp_path / "s", (300, 300), 48)
    write, calls = parts.write_part, []

    def full(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(*arguments)

    monkeypatch.setattr(parts, "write_part", full)
    command = ("retrieve", "index", tmp_path / "s", tmp_path / "i")
    result = call_cli(*command)
    assert result.code == 5 and "disk is full" in result.stderr
    assert [f.name for f in (tmp_path / "i" / "parts").iterdir()] == ["img_emb_0000"]
    again = call_cli(*command, "--json")
    assert again.code == 0 and again.json["built"] == 1


def test_missing_packages_name_the_extra(
    tmp_path: Path, call_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.write_shards(tmp_path / "s", (300,), 48)
    from mindeye_cli.core.neighbours import needs

    def absent(module: str) -> Any:
        raise ModuleNotFoundError(name=module)

    monkeypatch.setattr(needs, "import_module", absent)
    result = call_cli("retrieve", "index", tmp_path / "s", tmp_path / "i")
    assert result.code == 4 and "pip install 'mindeye[index]'" in result.stderr
