"""`prepare nsd` on HDF5 and MATLAB betas: the bits that the NIfTI files give."""

from __future__ import annotations

import shutil
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from prepare import nsd_formats
from prepare.nsd_fixture import SHAPE, TinyNsd, write_tiny_nsd

from mindeye_cli.prepare.hdf5 import open_dataset
from mindeye_cli.prepare.nsd import hdf5_betas
from mindeye_cli.prepare.nsd.check import NsdOptions
from mindeye_cli.prepare.nsd.layout import NsdLayout
from mindeye_cli.prepare.nsd.mat5 import open_mat5
from mindeye_cli.prepare.nsd.run import prepare_nsd
from mindeye_cli.prepare.nsd.series import open_series
from mindeye_cli.prepare.nsd.volumes import Mask
from mindeye_store import InvalidInput, Subject, open_store


def stored(data: TinyNsd, store: Path) -> Subject:
    prepare_nsd(NsdOptions(layout=NsdLayout(root=data.root, subject=1), store=store))
    return open_store(store).subject("subj01")


def copied(data: TinyNsd, folder: Path) -> TinyNsd:
    shutil.copytree(data.root, folder / "nsd")
    return TinyNsd(folder / "nsd", n_sessions=data.n_sessions, betas=data.betas)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyNsd:
    return write_tiny_nsd(tmp_path_factory.mktemp("formats") / "nsd", n_sessions=2)


@pytest.fixture(scope="module")
def subject(tiny: TinyNsd, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return stored(tiny, tmp_path_factory.mktemp("store") / "s.zarr")


@pytest.mark.parametrize("form", nsd_formats.FORMATS)
def test_every_format_gives_the_same_bits(
    tiny: TinyNsd, subject: Subject, tmp_path: Path, form: str
) -> None:
    data = copied(tiny, tmp_path)
    nsd_formats.rewrite(data, form)
    other = stored(data, tmp_path / "s.zarr")
    assert other.fingerprint == subject.fingerprint


@pytest.mark.parametrize("form", ["hdf5 of NSD", "mat 7.3", "mat 5, packed"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_are_percent_already(
    tiny: TinyNsd, subject: Subject, tmp_path: Path, form: str, dtype: str
) -> None:
    data = copied(tiny, tmp_path)
    nsd_formats.rewrite(data, form, lambda betas: (betas / 300).astype(dtype))
    raw = next(data.beta_folder.glob("betas_session01*"))
    values = open_series(raw, SHAPE, 30).read(everything(SHAPE))
    assert values.dtype == dtype
    np.testing.assert_array_equal(values, in_c_order(tiny.betas[0] / 300).astype(dtype))
    other = stored(data, tmp_path / "s.zarr")
    rows = np.arange(len(subject.voxels))
    np.testing.assert_allclose(other.voxels.read(rows), subject.voxels.read(rows), atol=2e-6)


def test_nifti_comes_first(tiny: TinyNsd, subject: Subject, tmp_path: Path) -> None:
    """NSD has both; the store does not depend on whether the HDF5 file is there too."""
    data = copied(tiny, tmp_path)
    nsd_formats.nsd_hdf5(data.beta_folder / "betas_session01.hdf5", tiny.betas[0] * 0)
    assert stored(data, tmp_path / "s.zarr").fingerprint == subject.fingerprint


def test_the_finer_space(tiny: TinyNsd, subject: Subject, tmp_path: Path) -> None:
    data = copied(tiny, tmp_path)
    for folder in sorted(data.root.rglob("func1pt8mm")):
        folder.rename(folder.with_name("func1mm"))
    store = tmp_path / "s.zarr"
    layout = NsdLayout(root=data.root, subject=1, volume_space="func1mm")
    prepare_nsd(NsdOptions(layout=layout, store=store))
    assert open_store(store).subject("subj01").fingerprint == subject.fingerprint


def everything(shape: tuple[int, ...]) -> Mask:
    return Mask(shape, np.argwhere(np.ones(shape, bool)).astype(np.int16), np.eye(4))


def in_c_order(betas: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(betas.reshape(-1, betas.shape[-1]).T)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    order=st.sampled_from(["matlab", "python"]),
    chunked=st.booleans(),
    most=st.sampled_from([64, 500, 4000]),
)
def test_boxes_of_any_chunks_cover_the_mask(
    tmp_path_factory: pytest.TempPathFactory, seed: int, order: str, chunked: bool, most: int
) -> None:
    random = np.random.default_rng(seed)
    shape = (*random.integers(2, 9, 3).tolist(), int(random.integers(10, 14)))
    betas = random.integers(-900, 900, shape).astype(np.int16)
    stored_as = betas.T if order == "matlab" else betas
    chunks = tuple(int(random.integers(1, n + 1)) for n in stored_as.shape) if chunked else None
    path = tmp_path_factory.mktemp("boxes") / "b.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("betas", data=stored_as, chunks=chunks)
    inside = random.random(shape[:3]) < random.choice([0.05, 0.5, 1])
    inside[tuple(n // 2 for n in shape[:3])] = True
    mask = Mask(shape[:3], np.argwhere(inside).astype(np.int16), np.eye(4))
    told: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5_betas, "MOST_BYTES", most)
        patch.setattr(hdf5_betas, "LEAST_BYTES", most // 8)
        series = hdf5_betas.open_hdf5_betas(path, shape[:3], shape[3], matlab=False)
        values = series.read(mask, told.append)
    assert np.array_equal(values, betas[inside].T)
    assert sum(told) == shape[3]


def test_no_more_than_a_box_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of 20 MB through boxes of 200 KB, whatever the chunks."""
    shape, trials = (40, 50, 50), 100
    betas = np.zeros((*shape, trials), np.int16)
    monkeypatch.setattr(hdf5_betas, "MOST_BYTES", 200_000)
    monkeypatch.setattr(hdf5_betas, "LEAST_BYTES", 50_000)
    inside = np.zeros(shape, bool)
    inside[5:35:6, ::6, ::6] = True
    mask = Mask(shape, np.argwhere(inside).astype(np.int16), np.eye(4))
    for chunks in (None, (100, 1, 10, 10), (5, 10, 25, 20)):
        path = tmp_path / "b.hdf5"
        with h5py.File(path, "w") as file:
            file.create_dataset("betas", data=betas.T, chunks=chunks)
        series = hdf5_betas.open_hdf5_betas(path, shape, trials, matlab=False)
        tracemalloc.start()
        series.read(mask)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_500_000, chunks


@pytest.mark.parametrize(("order", "packed"), [("<", False), ("<", True), (">", False)])
def test_mat5_is_what_scipy_reads(tmp_path: Path, order: str, packed: bool) -> None:
    random = np.random.default_rng(1)
    betas = random.integers(-9000, 9000, (*SHAPE, 30)).astype(np.int16)
    path = tmp_path / "betas.mat"
    scipy.io.savemat(path, {"a": "text", "b": {"c": 1}, "betas": betas}, do_compression=packed)
    if order == ">":
        path.write_bytes(swapped(path.read_bytes(), betas))
    np.testing.assert_array_equal(scipy.io.loadmat(path)["betas"], betas)
    series = open_mat5(path)
    assert (series.shape, series.n_volumes) == (SHAPE, 30)
    np.testing.assert_array_equal(series.read(everything(SHAPE)), in_c_order(betas))


def swapped(data: bytes, betas: np.ndarray) -> bytes:
    """A big-endian file of one int16 array."""
    body = struct.pack(">IIII", 6, 8, 10, 0) + struct.pack(">II4i", 5, 16, *betas.shape)
    body += struct.pack(">II8s", 1, 5, b"betas")
    values = betas.astype(">i2").tobytes("F")
    body += struct.pack(">II", 3, len(values)) + values + bytes(-len(values) % 8)
    return data[:124] + b"\x01\x00MI" + struct.pack(">II", 14, len(body)) + body


def test_mat5_whose_doubles_are_stored_as_whole_numbers(tmp_path: Path) -> None:
    """MATLAB stores whole doubles in the smallest type; they are no int16 betas."""
    betas = np.random.default_rng(0).integers(0, 200, (*SHAPE, 30)).astype(float)
    body = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<II4i", 5, 16, *betas.shape)
    body += struct.pack("<II8s", 1, 5, b"betas")
    values = betas.astype("u1").tobytes("F")
    body += struct.pack("<II", 2, len(values)) + values + bytes(-len(values) % 8)
    path = tmp_path / "betas.mat"
    path.write_bytes(b"x".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 14, len(body)) + body)
    np.testing.assert_array_equal(scipy.io.loadmat(path)["betas"], betas)
    values_read = open_mat5(path).read(everything(SHAPE))
    assert values_read.dtype == np.float64
    np.testing.assert_array_equal(values_read, in_c_order(betas))


def test_axes_that_may_be_either_are_refused(tmp_path: Path) -> None:
    """Four trials of 4 x 5 x 5 ... x 4: both orders fit; MATLAB's mark decides."""
    shape, trials = (4, 5, 5), 4
    betas = np.random.default_rng(0).integers(-9, 9, (*shape, trials)).astype(np.int16)
    for name, write in (("a.hdf5", nsd_formats.matlab_hdf5), ("a.mat", nsd_formats.mat73)):
        write(tmp_path / name, betas)
    with pytest.raises(InvalidInput, match=r"\(trials, z, y, x\) or \(x, y, z, trials\)"):
        open_series(tmp_path / "a.hdf5", shape, trials)
    values = open_series(tmp_path / "a.mat", shape, trials).read(everything(shape))
    np.testing.assert_array_equal(values, in_c_order(betas))


Change = Callable[[np.ndarray], Any]


@pytest.mark.parametrize(
    ("form", "change", "says"),
    [
        ("hdf5 of NSD", lambda b: b[..., :-1], "30 trials of (5, 6, 4)"),
        ("hdf5 of NSD", lambda b: b.transpose(1, 0, 2, 3), "(30, 4, 6, 5) as MATLAB"),
        ("hdf5 of NSD", lambda b: b.astype(np.uint16), "uint16"),
        ("mat 7.3", lambda b: b.T, "as MATLAB writes them"),
        ("mat 5", lambda b: b[1:], "volumes of (4, 6, 4)"),
        ("mat 5", lambda b: b[..., :-1], "29 volumes"),
        ("mat 5", lambda b: b.astype(np.uint16), "int16"),
        ("mat 5", lambda b: b + 1j, "real"),
        ("mat 5, packed", lambda b: b[..., 0], "not 4 axes"),
    ],
)
def test_what_does_not_fit(
    tiny: TinyNsd, tmp_path: Path, form: str, change: Change, says: str
) -> None:
    data = copied(tiny, tmp_path)
    nsd_formats.rewrite(data, form, change)
    with pytest.raises(InvalidInput) as caught:
        stored(data, tmp_path / "s.zarr")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "s.zarr").exists()


def test_chunks_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    nsd_formats.nsd_hdf5(path, np.zeros((2, 3, 4, 5), np.int16))
    assert open_dataset(path, ("betas",), "betas").chunks == (5, 1, 1, 1)
