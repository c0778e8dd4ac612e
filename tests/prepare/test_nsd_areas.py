"""`prepare nsd --roi`: expressions against masks made with nibabel and numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from prepare.nsd_fixture import SHAPE, TinyNsd, write_tiny_nsd, write_volume

from mindeye_cli.core.fingerprint import of_array
from mindeye_cli.core.rois import resolve
from mindeye_cli.prepare.nsd.check import NsdOptions, check
from mindeye_cli.prepare.nsd.layout import NsdLayout
from mindeye_cli.prepare.nsd.run import describe_nsd, prepare_nsd
from mindeye_store import InvalidInput, MindeyeError, MissingResource, UsageProblem, open_store

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyNsd:
    """With hemispheres that meet, as NSD's do, between the second and third slice of x."""
    data = write_tiny_nsd(tmp_path_factory.mktemp("areas") / "nsd", n_sessions=2)
    for path in sorted(data.roi.glob("[!lr]*.nii.gz")):
        values = nibabel.load(path).get_fdata().astype(np.float32)
        for side, other in (("lh", slice(2, None)), ("rh", slice(0, 2))):
            half = values.copy()
            half[other] = -1
            write_volume(data.roi / f"{side}.{path.name}", half)
    return data


def labels(data: TinyNsd, name: str) -> np.ndarray:
    return nibabel.load(data.roi / f"{name}.nii.gz").get_fdata()


def options(data: TinyNsd, roi: str, store: Path = Path("unused")) -> NsdOptions:
    return NsdOptions(layout=NsdLayout(root=data.root, subject=1), store=store, roi=roi)


ORACLES: dict[str, Callable[[TinyNsd], np.ndarray]] = {
    "V1": lambda d: np.isin(labels(d, "prf-visualrois"), (1, 2)),
    "V1 | hV4": lambda d: np.isin(labels(d, "prf-visualrois"), (1, 2, 7)),
    "nsdgeneral - V1": lambda d: (
        (labels(d, "nsdgeneral") > 0) & ~np.isin(labels(d, "prf-visualrois"), (1, 2))
    ),
    "lh.V1": lambda d: np.isin(labels(d, "lh.prf-visualrois"), (1, 2)),
    "rh.nsdgeneral & (one | FFA)": lambda d: (
        (labels(d, "rh.nsdgeneral") > 0)
        & ((labels(d, "streams") == 1) | np.isin(labels(d, "floc-faces"), (2, 3)))
    ),
    "custom:2 - rh.custom": lambda d: (labels(d, "custom") == 2) & ~(labels(d, "rh.custom") > 0),
    "floc-faces": lambda d: labels(d, "floc-faces") > 0,
    "lh.floc-faces": lambda d: labels(d, "lh.floc-faces") > 0,
}


@pytest.mark.parametrize("roi", ORACLES)
def test_the_mask_is_numpys(tiny: TinyNsd, roi: str) -> None:
    mask = check(options(tiny, roi)).mask
    assert np.array_equal(mask.ijk, np.argwhere(ORACLES[roi](tiny)))
    assert mask.shape == SHAPE


def test_an_expression_keeps_the_hemispheres(tiny: TinyNsd, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    prepare_nsd(options(tiny, "lh.nsdgeneral | rh.nsdgeneral", store))
    subject = open_store(store).subject("subj01")
    assert subject.attrs["roi"] == "lh.nsdgeneral | rh.nsdgeneral"
    left = labels(tiny, "lh.prf-visualrois")[tuple(subject.ijk.T)]
    assert np.array_equal(resolve(subject.rois, "lh.V1"), np.isin(left, (1, 2)))


def test_a_plain_name_is_the_store_that_it_was(tiny: TinyNsd, tmp_path: Path) -> None:
    found = check(options(tiny, "nsdgeneral"))
    assert "hemisphere" not in found.voxels.rois
    assert of_array(found.mask.ijk) == of_array(np.argwhere(tiny.mask > 0).astype(np.int16))


@pytest.mark.parametrize(
    ("roi", "kind", "says"),
    [
        ("nsdgeneral & ", UsageProblem, "character 14"),
        ("nsdgeneral & V9", InvalidInput, "no area 'V9' (character 14"),
        ("nsdgenral", InvalidInput, "choose among"),
        ("../nsdgeneral", UsageProblem, "character 1"),
        ("x" * 400, InvalidInput, "no area"),
        ("V1v & V1d", InvalidInput, "holds no voxel"),
        ("nsdgeneral & HCP_MMP1", MissingResource, "HCP_MMP1.nii.gz"),
        ("Kastner2015:V3a", MissingResource, "Kastner2015.nii.gz"),
        ("V1 | EBA", MissingResource, "floc-bodies.nii.gz"),
    ],
)
def test_what_cannot_be_taken(tiny: TinyNsd, roi: str, kind: type[MindeyeError], says: str) -> None:
    with pytest.raises(kind) as caught:
        check(options(tiny, roi))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_dry_run_names_the_volumes_behind_areas(tiny: TinyNsd, tmp_path: Path) -> None:
    values = describe_nsd(options(tiny, "lh.V1 | EBA", tmp_path / "s.zarr")).values
    roi = "nsddata/ppdata/subj01/func1pt8mm/roi"
    assert values["missing"] == [f"{roi}/floc-bodies.nii.gz"]
    paths = [entry["path"] for entry in values["files"]]
    assert {f"{roi}/prf-visualrois.nii.gz", f"{roi}/lh.prf-visualrois.nii.gz"} <= set(paths)
    assert len(paths) == len(set(paths))


def test_exit_codes(call_cli: Call, tiny: TinyNsd, tmp_path: Path) -> None:
    command = ("prepare", "nsd", tiny.root, tmp_path / "s.zarr", "--subject", "1", "--roi")
    assert call_cli(*command, "V1 |").code == 2
    wrong = call_cli(*command, "V1 | nobody", "--json")
    assert (wrong.code, wrong.stderr.count("\n")) == (3, 1)
    assert not (tmp_path / "s.zarr").exists()
    done = call_cli(*command, "V1 | hV4", "--json")
    n = int(np.isin(labels(tiny, "prf-visualrois"), (1, 2, 7)).sum())
    assert (done.code, done.json["n_voxels"]) == (0, n)
