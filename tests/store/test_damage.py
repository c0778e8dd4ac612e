"""Damage is never read as data: missing rows, shards and files, flipped bits, foreign files."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from mindeye_store import InvalidInput, PartialResult, Store, open_store, verify_store
from mindeye_store.files import disk_errors

BUNDLE = "subjects/one"


@pytest.fixture
def sound(store: Store) -> Store:
    """Twelve rows in three shards, every value equal to its row."""
    values = np.repeat(np.arange(12, dtype=np.float16)[:, None], 600, axis=1)
    with store.write_bundle(BUNDLE, plan={}) as writer:
        array = writer.array("voxels", shape=(12, 600), dtype="float16", shard_rows=4)
        array.write_all(values)
        writer.text("label", [str(row) for row in range(12)])
        writer.publish()
    return store


def shard(store: Store, number: int) -> Path:
    return store.path / BUNDLE / f"voxels/c/{number}/0"


def flip(path: Path, byte: int, bit: int = 3) -> None:
    data = bytearray(path.read_bytes())
    data[byte] ^= 1 << bit
    path.write_bytes(bytes(data))


def kinds(store: Store) -> set[str]:
    return {problem.kind for problem in verify_store(store.path)}


def refused(store: Store, row: int, match: str) -> None:
    """The damaged row raises, and a row of another shard is still read."""
    reader = open_store(store.path, reader="zarr").subject("one").voxels
    with pytest.raises(InvalidInput, match=match) as caught:
        reader.read([0, row])
    assert "voxels/c/1/0" in str(caught.value.where) and "verify" in str(caught.value.fix)
    assert reader.read([11])[0, 0] == 11


def test_a_sound_store(sound: Store) -> None:
    told: list[int] = []
    assert verify_store(sound.path, progress=told.append) == []
    assert sum(told) > 12 * 1200


def test_missing_shard(sound: Store) -> None:
    shard(sound, 1).unlink()
    refused(sound, 5, "missing")
    assert kinds(sound) == {"missing"}


def test_missing_ledger_entry(sound: Store) -> None:
    (sound.path / BUNDLE / "_ledger/voxels/1.json").unlink()
    refused(sound, 5, "not in the ledger")
    assert kinds(sound) == {"missing", "foreign"} or kinds(sound) == {"missing"}


def test_truncated_shard(sound: Store) -> None:
    os.truncate(shard(sound, 1), shard(sound, 1).stat().st_size - 7)
    refused(sound, 5, "bytes instead of")
    assert kinds(sound) == {"size"}


def test_missing_row_inside_a_shard(sound: Store) -> None:
    """A rewritten shard without one of its rows reads as NaN in zarr itself."""
    path = shard(sound, 1)
    data = bytearray(path.read_bytes())
    index = len(data) - 4 - 4 * 16
    data[index + 16 : index + 32] = b"\xff" * 16
    path.write_bytes(bytes(data))
    refused(sound, 5, "row 5 is missing")
    assert kinds(sound) == {"checksum"}


@pytest.mark.parametrize("kind", ["zarr", "direct", "map"])
@pytest.mark.parametrize("byte", [3, 1200, -2, -30])
def test_flipped_bit(sound: Store, byte: int, kind: str) -> None:
    flip(shard(sound, 1), byte)
    reader = open_store(sound.path, reader=kind).subject("one").voxels
    with pytest.raises(InvalidInput) as caught:
        reader.read(np.arange(12))
    assert "voxels/c/1/0" in str(caught.value.where)
    assert kinds(sound) == {"checksum"}


def test_any_flipped_bit_of_any_file_is_found(sound: Store) -> None:
    draw = random.Random(0)
    files = sorted(p for p in sound.path.rglob("*") if p.is_file())
    for path in files:
        before = path.read_bytes()
        flip(path, draw.randrange(len(before)), draw.randrange(8))
        try:
            assert verify_store(sound.path), path
        except InvalidInput as refusal:
            assert path == sound.path / "zarr.json", refusal
        path.write_bytes(before)
    assert verify_store(sound.path) == []


def test_foreign_files(sound: Store) -> None:
    for place in ("notes.txt", "subjects/x.npy", f"{BUNDLE}/extra.bin", f"{BUNDLE}/voxels/c/9/0"):
        (sound.path / place).parent.mkdir(exist_ok=True)
        (sound.path / place).write_bytes(b"x")
    found = {p.where for p in verify_store(sound.path) if p.kind == "foreign"}
    assert found == {
        "notes.txt", "subjects/x.npy", f"{BUNDLE}/extra.bin", f"{BUNDLE}/voxels/c/9/0",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "[]", '{"rows": [0, 4]}', '{"rows": 3}', '{"rows": [0, 3], "size": 1}']
)
def test_damaged_ledger_entry(sound: Store, text: str) -> None:
    (sound.path / BUNDLE / "_ledger/voxels/0.json").write_text(text)
    with pytest.raises(InvalidInput, match="ledger|JSON"):
        sound.subject("one").voxels.read([0])
    assert {"size"} <= kinds(sound)


def test_damaged_descriptions(sound: Store) -> None:
    array = sound.path / BUNDLE / "voxels/zarr.json"
    text = array.read_text()
    for broken in ("", "{}", text.replace("float16", "float99"), text.replace("600", "601", 1)):
        array.write_text(broken)
        with pytest.raises(InvalidInput):
            sound.subject("one").voxels.read([0])
        assert verify_store(sound.path)
    array.unlink()
    with pytest.raises(InvalidInput):
        _ = sound.subject("one").voxels
    group = sound.path / BUNDLE / "zarr.json"
    for broken in ("{", '{"attributes": {}}', '{"attributes": {"mindeye": {"arrays": 3}}}'):
        group.write_text(broken)
        with pytest.raises(InvalidInput):
            sound.subject("one")
        assert verify_store(sound.path)


def test_a_shard_that_goes_away_while_it_is_read(sound: Store) -> None:
    """zarr answers with the fill value then; the reader looks again after reading."""
    reader = sound.subject("one").voxels
    assert reader.read([4])[0, 0] == 4
    shard(sound, 1).unlink()
    with pytest.raises(InvalidInput, match="removed or replaced"):
        reader.read([4])


def test_zarr_alone_would_not_have_noticed(sound: Store) -> None:
    """Why the reader looks for itself; other zarr tools can open the arrays all the same."""
    array: Any = zarr.open_array(sound.path / BUNDLE / "voxels", mode="r")
    assert array[7, 0] == 7 and np.isnan(array.fill_value)
    shard(sound, 1).unlink()
    if zarr.config.get("array.read_missing_chunks", True):
        assert np.isnan(array[7, 0])


def test_full_and_read_only_disks_are_explained(tmp_path: Path) -> None:
    with pytest.raises(PartialResult, match="full.*free some space"), disk_errors(tmp_path):
        raise OSError(errno.ENOSPC, "no space")
    with pytest.raises(InvalidInput, match="cannot be written.*permission"), disk_errors(tmp_path):
        raise OSError(errno.EROFS, "read-only")
    with pytest.raises(OSError, match="stale"), disk_errors(tmp_path):
        raise OSError(errno.ESTALE, "stale")


def test_reading_changes_nothing(sound: Store) -> None:
    def state() -> dict[str, tuple[int, int]]:
        found = [(p, p.stat()) for p in sound.path.rglob("*")]
        return {str(p): (stat.st_mtime_ns, stat.st_size) for p, stat in found}

    before = state()
    opened = open_store(sound.path)
    opened.subject("one").voxels.read([1, 2])
    opened.info()
    opened.fingerprint(BUNDLE)
    verify_store(sound.path)
    assert state() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_a_read_only_store_is_read_and_not_written(sound: Store) -> None:
    for path in [sound.path, *sound.path.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert open_store(sound.path).subject("one").voxels.read([3])[0, 0] == 3
        with (
            pytest.raises(InvalidInput, match="cannot be written"),
            sound.write_bundle("subjects/two", plan={}),
        ):
            pass
    finally:
        for path in [sound.path, *sound.path.rglob("*")]:
            path.chmod(0o755)


def test_provenance(sound: Store) -> None:
    attrs = sound.attrs(BUNDLE)
    assert attrs["GeneratedBy"][0]["Name"] == "mindeye"
    assert attrs["SourceDatasets"] == [] and attrs["created_utc"].endswith("+00:00")
    entry = json.loads((sound.path / BUNDLE / "_ledger/voxels/2.json").read_text())
    assert entry["rows"] == [8, 12] and entry["max_abs"] == 11.0
    assert len(entry["sha256"]) == 64 and entry["host"]


def test_damage_is_told_once(store: Store) -> None:
    """zarr reads chunks at once; those behind the damaged one must not speak up at the end."""
    values = np.ones((400, 50), np.float32)
    with store.write_bundle("subjects/one", plan={"n": 400}) as writer:
        writer.array("voxels", shape=values.shape, dtype=values.dtype).write_all(values)
        writer.publish()
    flip(store.path / "subjects/one/voxels/c/0/0", 1000)
    code = "import sys, mindeye_store as m; m.open_store(sys.argv[1], reader='zarr')"
    code += ".subject('one').voxels.read(range(400))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.path)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("mindeye_store.errors.InvalidInput")
