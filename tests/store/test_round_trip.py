"""What is written comes back, whatever the order of the rows, against numpy's own indexing."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindeye_store import InvalidInput, MissingResource, Reader, Store, create_store, open_store
from mindeye_store.arrays import pipeline_settings
from mindeye_store.backends import direct, memory, tensor
from mindeye_store.readers import in_memory, open_array_reader
from mindeye_store.schema import bundle_name, make_spec

BUNDLE = "subjects/one"
KINDS = ("zarr", "direct", "map", "preload", "auto")


def write(store: Store, values: np.ndarray, **options: object) -> None:
    with store.write_bundle(BUNDLE, plan={}, overwrite=True) as writer:
        array = writer.array("voxels", shape=values.shape, dtype=values.dtype, **options)
        array.write_all(values)
        writer.publish()


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_rows_of_any_array(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(["float16", "float32", "uint8", "int64"]))
    n = data.draw(st.integers(1, 40))
    rest = data.draw(st.sampled_from([(), (3,), (300,), (2, 150)]))
    shard_rows = data.draw(st.sampled_from([None, 1, 7, 40]))
    rows = np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=60)), dtype=np.int64)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    values = (rng.standard_normal((n, *rest)) * 50).astype(dtype)
    with tempfile.TemporaryDirectory() as folder:
        store = create_store(Path(folder) / "s")
        write(store, values, shard_rows=shard_rows)
        for kind in KINDS:
            base = open_array_reader(store.path / "subjects/one", "voxels", kind)
            reader = in_memory(base, kind)
            found = reader.read(rows)
            assert found.dtype == values.dtype
            np.testing.assert_array_equal(found, values[rows])
            np.testing.assert_array_equal(reader.read(np.arange(n)), values)


def test_features_are_one_row_chunks_without_a_compressor() -> None:
    features = make_spec("rows", (10_000, 257, 768), "float16")
    assert (features.shard_rows, features.chunk_rows, features.compressed) == (512, 1, False)
    pictures = make_spec("pixels", (10_000, 425, 425, 3), "uint8")
    assert pictures.chunk_rows == 1 and pictures.compressed
    assert pictures.shard_rows * 425 * 425 * 3 <= 2**28
    assert make_spec("rows", (100, 17, 128), "float16").shard_rows == 100
    column = make_spec("session", (30_000,), "int16")
    assert (column.n_shards, column.compressed) == (1, True)


def test_features_take_their_own_size_on_disk(store: Store) -> None:
    values = np.random.default_rng(0).standard_normal((64, 1024)).astype(np.float16)
    write(store, values)
    shard = (store.path / BUNDLE / "voxels/c/0/0").stat().st_size
    index, checksums = 64 * 16 + 4, 64 * 4
    assert shard == values.nbytes + checksums + index


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8"])
def test_rows_of_zeros_are_data(store: Store, dtype: str) -> None:
    write(store, np.zeros((9, 600), dtype), shard_rows=4)
    reader = open_array_reader(store.path / BUNDLE, "voxels", "zarr")
    np.testing.assert_array_equal(reader.read([8, 0, 3]), np.zeros((3, 600), dtype))


def test_no_rows_at_all(store: Store) -> None:
    write(store, np.zeros((0, 4), np.float32))
    reader = open_array_reader(store.path / BUNDLE, "voxels", "zarr")
    assert len(reader) == 0 and reader.read([]).shape == (0, 4)


@pytest.mark.parametrize("rows", [[-1], [5], [[0]], [0.0], [True]])
def test_rows_that_do_not_exist_are_refused(store: Store, rows: list[object]) -> None:
    write(store, np.zeros((5, 4), np.float32))
    for kind in ("zarr", "preload"):
        reader = in_memory(open_array_reader(store.path / BUNDLE, "voxels", kind), kind)
        with pytest.raises(InvalidInput, match="row"):
            reader.read(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_readers_travel_to_other_processes(store: Store, kind: str) -> None:
    values = np.arange(24, dtype=np.float32).reshape(12, 2)
    write(store, values)
    reader = open_store(store.path, reader=kind).subject("one").voxels
    assert isinstance(reader, Reader)
    reader.read([1])
    copy = pickle.loads(pickle.dumps(reader))  # noqa: S301  (made here)
    np.testing.assert_array_equal(copy.read([11, 0]), values[[11, 0]])
    assert copy.attrs == reader.attrs and copy.shape == (12, 2)


def test_memory_is_taken_only_where_it_fits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, np.zeros((10, 100), np.float32))
    for free, kept in ((4 * 4000, True), (4 * 4000 - 1, False)):
        monkeypatch.setattr("mindeye_store.readers.free_memory", lambda free=free: free)
        reader = open_store(store.path).subject("one").voxels
        assert isinstance(reader, memory.MemoryReader) is kept
    assert memory.free_memory() >= 0


def test_large_rows_are_read_in_place(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, np.zeros((10, 1000), np.float32))
    monkeypatch.setattr("mindeye_store.readers.free_memory", lambda: 0)
    assert isinstance(open_store(store.path).subject("one").voxels, direct.DirectReader)


def test_auto_says_why(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(store, np.zeros((10, 100), np.float32))
    monkeypatch.setattr("mindeye_store.readers.TOLD_BYTES", 4000)
    monkeypatch.setattr("mindeye_store.readers.free_memory", lambda: 10**9)
    with caplog.at_level("INFO", "mindeye"):
        _ = open_store(store.path).subject("one").voxels
    assert "reader auto: kept in RAM, 0.00 GB where 1.00 GB are free" in caplog.text


def test_tensorstore_agrees_or_says_what_to_install(store: Store) -> None:
    values = np.random.default_rng(1).standard_normal((30, 400)).astype(np.float16)
    write(store, values, shard_rows=8)
    opened = open_store(store.path, reader="tensorstore").subject("one")
    if not tensor.installed():
        with pytest.raises(MissingResource, match="tensorstore"):
            _ = opened.voxels
        return
    np.testing.assert_array_equal(opened.voxels.read([29, 3, 3, 0]), values[[29, 3, 3, 0]])


def test_pipeline_follows_the_version_of_zarr() -> None:
    assert "codec_pipeline.path" not in pipeline_settings("3.1.6")
    assert "codec_pipeline.path" not in pipeline_settings("3.2.0")
    assert pipeline_settings("3.3.0")["codec_pipeline.path"].endswith("FusedCodecPipeline")
    assert pipeline_settings("3.10.1")["array.read_missing_chunks"] is False


def test_space_names_become_folders_and_come_back(store: Store) -> None:
    for space in ("scene-clip:tokens", "open_clip:hub/model:tag", "array:a b"):
        name = bundle_name(f"targets/{space}/0000")
        assert name.parts == (space, "0000") and len(name.folder.parts) == 3
    for bad in ("", "images/", "images/../x", "subjects/a/b", "targets/x", "else/a", "subjects/.a"):
        with pytest.raises(InvalidInput):
            bundle_name(bad)
