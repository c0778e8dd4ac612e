"""`prepare nsd --anatomy fsaverage` against nibabel's and scipy's reading of the same files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from prepare.nsd_fixture import TinyNsd, write_tiny_nsd
from prepare.nsd_surface import (
    PER_SESSION,
    SIDES,
    Surface,
    write_hdf5,
    write_label,
    write_mgh,
    write_surface,
)
from prepare.nsd_surface_oracle import options, oracle, read, stored, values, whole

from mindeye_cli.core.rois import resolve
from mindeye_cli.prepare.nsd.check import check
from mindeye_cli.prepare.nsd.run import describe_nsd
from mindeye_cli.prepare.nsd.volumes import indices
from mindeye_store import InvalidInput, MindeyeError, MissingResource


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Surface:
    data = write_tiny_nsd(tmp_path_factory.mktemp("surface") / "nsd", n_sessions=2)
    return write_surface(data)


@pytest.fixture
def copy(made: Surface, tmp_path: Path) -> Surface:
    shutil.copytree(made.data.root, tmp_path / "nsd")
    data = TinyNsd(tmp_path / "nsd", n_sessions=2, order=made.data.order)
    return Surface(data, made.space, made.counts, made.labels, made.betas)


def test_vertices_of_both_hemispheres_left_first(made: Surface, tmp_path: Path) -> None:
    subject = stored(made, tmp_path / "s.zarr")
    taken = whole(made, "nsdgeneral") > 0
    np.testing.assert_allclose(read(subject), oracle(made, taken), atol=1e-5)
    vertex = np.flatnonzero(taken)
    right = vertex >= made.counts[0]
    expected = np.stack([vertex - 40 * right, right, 0 * vertex], axis=1)
    assert subject.ijk is not None
    assert np.array_equal(subject.ijk, expected)
    assert subject.ijk.dtype == np.int32
    assert subject.affine is None
    assert subject.attrs["space"] == "fsaverage"
    assert subject.attrs["vertices"] == {"lh": 40, "rh": 40}
    assert subject.attrs["ijk"] == ["vertex", "hemisphere", "0"]
    assert np.array_equal(subject.split, made.data.is_test)
    ncsnr = [values(made.beta_folder / f"{side}.ncsnr.mgh") for side in SIDES]
    held = np.concatenate(ncsnr)[taken]
    np.testing.assert_allclose(subject.column("ncsnr_file"), held, atol=1e-6)


def test_labels_and_hemispheres(made: Surface, tmp_path: Path) -> None:
    subject = stored(made, tmp_path / "s.zarr")
    taken = whole(made, "nsdgeneral") > 0
    assert set(subject.rois) == {"nsdgeneral", "streams", "drawn", "hemisphere"}
    for name in ("nsdgeneral", "streams", "drawn"):
        assert np.array_equal(subject.rois[name].labels, whole(made, name)[taken])
    assert subject.rois["drawn"].names == {1: "A", 2: "B"}
    left = np.flatnonzero(taken) < 40
    early = whole(made, "streams")[taken] == 1
    assert np.array_equal(resolve(subject.rois, "lh.early"), early & left)


@pytest.mark.parametrize(
    ("roi", "truth"),
    [
        ("streams", lambda m: whole(m, "streams") > 0),
        ("lh.streams", lambda m: np.r_[whole(m, "streams")[:40] > 0, np.zeros(40, bool)]),
        ("rh.early | A", lambda m: _right(whole(m, "streams") == 1) | (whole(m, "drawn") == 1)),
        ("MT_exvivo", lambda m: _mt(m)),
        ("nsdgeneral - MT_exvivo", lambda m: (whole(m, "nsdgeneral") > 0) & ~_mt(m)),
        ("rh.MT_exvivo", lambda m: _right(_mt(m))),
        ("B & lh.MT_exvivo", lambda m: (whole(m, "drawn") == 2) & _mt(m) & ~_right(_mt(m))),
    ],
)  # fmt: skip
def test_masks(made: Surface, roi: str, truth: Callable[[Surface], np.ndarray]) -> None:
    mask = check(options(made, roi=roi)).mask
    assert np.array_equal(mask.ijk[:, 0], np.flatnonzero(truth(made)))


def _mt(made: Surface) -> np.ndarray:
    return made.labels["MT_exvivo"] > 0


def _right(chosen: np.ndarray) -> np.ndarray:
    return chosen & (np.arange(80) >= 40)


def test_freesurfer_labels_as_nibabel_reads_them(made: Surface) -> None:
    for side, half in made.halves(made.labels["MT_exvivo"]).items():
        path = made.label_folder / f"{side}.MT_exvivo.label"
        assert np.array_equal(nibabel.freesurfer.read_label(path), np.flatnonzero(half))


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_hdf5_halves(made: Surface, copy: Surface, tmp_path: Path, dtype: str) -> None:
    expected = stored(made, tmp_path / "a.zarr")
    write_hdf5(copy, dtype)
    other = stored(copy, tmp_path / "b.zarr")
    if dtype == "float32":
        assert other.fingerprint == expected.fingerprint
    np.testing.assert_allclose(read(other), read(expected), atol=0.02)


def test_a_subjects_own_surface(tmp_path: Path) -> None:
    """Hemispheres of different size, int16 at 300 times in HDF5, as NSD's nativesurface."""
    data = write_tiny_nsd(tmp_path / "nsd", n_sessions=2)
    made = write_surface(data, "nativesurface", (31, 45))
    taken = whole(made, "nsdgeneral") > 0
    truth = oracle(made, taken)
    write_hdf5(made, "int16")
    subject = stored(made, tmp_path / "s.zarr")
    np.testing.assert_allclose(read(subject), truth, atol=0.02)
    assert subject.attrs["space"] == "native"
    assert subject.attrs["vertices"] == {"lh": 31, "rh": 45}
    assert subject.ijk is not None
    assert np.array_equal(subject.ijk[:, 1], np.flatnonzero(taken) >= 31)


def test_a_mask_of_one_hemisphere_reads_one_file(copy: Surface, tmp_path: Path) -> None:
    for session in (1, 2):
        path = copy.beta_folder / f"rh.betas_session{session:02d}.mgh"
        path.write_bytes(path.read_bytes()[:-4000])
    subject = stored(copy, tmp_path / "s.zarr", roi="lh.nsdgeneral")
    taken = np.r_[whole(copy, "nsdgeneral")[:40] > 0, np.zeros(40, bool)]
    assert subject.voxels.shape[1] == taken.sum()


def test_vertex_numbers_beyond_16_bits() -> None:
    numbers = np.array([[163_841, 0, 0]])
    assert indices(numbers, (163_842, 1, 1)).tolist() == numbers.tolist()
    assert indices(numbers, (163_842, 1, 1)).dtype == np.int32
    assert indices(np.array([[1, 2, 3]]), (81, 104, 83)).dtype == np.int16


def half_gone(made: Surface) -> None:
    (made.beta_folder / "rh.betas_session02.mgh").unlink()


def last_gone(made: Surface) -> None:
    (made.beta_folder / "lh.betas_session02.mgh").unlink()


def cut(made: Surface) -> None:
    path = made.beta_folder / "rh.betas_session02.mgh"
    path.write_bytes(path.read_bytes()[:3000])


def integers(made: Surface) -> None:
    betas = np.round(made.halves(made.betas[0])["lh"] * 300).astype(np.int16)
    write_mgh(made.beta_folder / "lh.betas_session01.mgh", betas.T.astype(np.int32))


def fewer(made: Surface) -> None:
    betas = made.halves(made.betas[0])["lh"]
    write_mgh(made.beta_folder / "lh.betas_session01.mgh", betas.T[:, :-1])


def vertices(made: Surface) -> None:
    betas = made.halves(made.betas[0])["lh"]
    write_mgh(made.beta_folder / "lh.betas_session01.mgh", betas.T[:-1])


def exchanged(made: Surface) -> None:
    write_mgh(made.label_folder / "rh.streams.mgz", np.zeros(41, np.int32))


def no_map(made: Surface) -> None:
    write_mgh(made.label_folder / "rh.nsdgeneral.mgz", np.zeros((40, 2), np.int32))


def other_map(made: Surface) -> None:
    write_mgh(made.beta_folder / "rh.ncsnr.mgh", np.zeros(39, np.float32))


def no_labels(made: Surface) -> None:
    for path in made.label_folder.glob("*nsdgeneral.mgz"):
        path.unlink()


def prose(made: Surface) -> None:
    (made.label_folder / "lh.nsdgeneral.mgz").write_text("a text")


@pytest.mark.parametrize(
    ("breaks", "kind", "says"),
    [
        (half_gone, MissingResource, "rh.betas_session02.mgh"),
        (last_gone, MissingResource, "lh.betas_session02.mgh"),
        (cut, InvalidInput, "rh.betas_session02.mgh"),
        (integers, InvalidInput, "not times 300"),
        (fewer, InvalidInput, "29"),
        (vertices, InvalidInput, "(39, 1, 1, 30)"),
        (exchanged, InvalidInput, "41 vertices"),
        (no_map, InvalidInput, "no map over vertices"),
        (other_map, InvalidInput, "79 vertices"),
        (no_labels, MissingResource, "lh.nsdgeneral.mgz"),
        (prose, InvalidInput, "MGH"),
    ],
)
def test_one_line(
    copy: Surface,
    tmp_path: Path,
    breaks: Callable[[Surface], None],
    kind: type[MindeyeError],
    says: str,
) -> None:
    breaks(copy)
    with pytest.raises(kind) as caught:
        stored(copy, tmp_path / "s.zarr")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("#!ascii\n2\n1 0 0 0 0\n", "1 vertices instead of 2"),
        ("#!ascii\n1\n77 0 0 0 0\n", "vertex 77"),
        ("#!ascii\n1\n-1 0 0 0 0\n", "vertex -1"),
        ("#!ascii\n1\nx 0 0 0 0\n", "FreeSurfer label"),
        ("", "FreeSurfer label"),
        ("\xff\xfe", "FreeSurfer label"),
    ],
)
def test_labels_that_are_none(copy: Surface, text: str, says: str) -> None:
    (copy.label_folder / "lh.MT_exvivo.label").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=says):
        check(options(copy, roi="MT_exvivo"))


def test_a_label_alone_on_fsaverage(copy: Surface) -> None:
    """Without any atlas the surface has fsaverage's vertices, which these betas have not."""
    for path in copy.label_folder.glob("*.mgz*"):
        path.unlink()
    write_label(copy.label_folder / "lh.MT_exvivo.label", np.array([163_841]))
    with pytest.raises(InvalidInput, match=r"trials of 163842 vertices"):
        check(options(copy, roi="MT_exvivo"))


def test_dry_run(made: Surface, tmp_path: Path) -> None:
    told = describe_nsd(options(made, tmp_path / "s.zarr")).values
    assert (told["missing"], told["n_trials"]) == ([], 2 * PER_SESSION)
    told = describe_nsd(
        options(made, tmp_path / "s.zarr", sessions=(1, 3), roi="floc-faces")
    ).values
    folder = "nsddata/freesurfer/fsaverage/label"
    betas = "nsddata_betas/ppdata/subj01/fsaverage/betas_fithrf_GLMdenoise_RR"
    assert told["missing"] == [
        *(f"{folder}/{side}.floc-faces.mgz" for side in SIDES),
        *(f"{betas}/{side}.betas_session03.mgh" for side in SIDES),
    ]


def test_the_command(call_cli: Callable[..., Any], made: Surface, tmp_path: Path) -> None:
    command = ("prepare", "nsd", made.data.root, tmp_path / "s.zarr", "--subject", "1", "--json")
    done = call_cli(*command, "--anatomy", "fsaverage")
    assert (done.code, done.json["n_voxels"]) == (0, int((whole(made, "nsdgeneral") > 0).sum()))
    assert call_cli(*command, "--anatomy", "mars").code == 2
