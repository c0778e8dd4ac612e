"""The same simulated subject through both layouts gives the same arrays."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from mindeye_cli.prepare.arrays.run import ArraysOptions, prepare_arrays
from mindeye_cli.prepare.nsd.check import NsdOptions
from mindeye_cli.prepare.nsd.layout import NsdLayout
from mindeye_cli.prepare.nsd.run import prepare_nsd
from mindeye_cli.simulate.run import simulate
from mindeye_cli.simulate.settings import SimulateConfig
from mindeye_store import Roi, open_store


def area_names(roi: Roi) -> list[str]:
    """Each voxel's area; the layouts number areas differently."""
    return [roi.names.get(int(label), "") for label in roi.labels]


def test_nsd_and_arrays_layouts_agree(tmp_path: Path) -> None:
    size = {"subjects": (2,), "images": 24, "test": 6, "voxels": 200, "seed": 4}
    simulate(tmp_path / "nsd", SimulateConfig(layout="nsd", **size))
    simulate(tmp_path / "arrays", SimulateConfig(layout="arrays", **size))
    layout = NsdLayout(root=tmp_path / "nsd", subject=2)
    first = prepare_nsd(NsdOptions(layout=layout, store=tmp_path / "a.zarr", max_invalid=0.05))
    second = prepare_arrays(
        ArraysOptions(
            folder=tmp_path / "arrays",
            store=tmp_path / "b.zarr",
            subject="subj02",
            max_invalid=0.05,
        )
    )
    assert first.values == second.values
    stores = [open_store(tmp_path / name) for name in ("a.zarr", "b.zarr")]
    one, other = (store.subject("subj02") for store in stores)
    for subject, folder in ((one, "nsd"), (other, "arrays")):
        record = (tmp_path / folder / "simulation.json").read_bytes()
        known = {"id": "mindeye-simulation", "sha256": hashlib.sha256(record).hexdigest()}
        assert subject.attrs["SourceDatasets"] == [known]
    rows = np.arange(len(one.voxels))
    assert np.array_equal(one.voxels.read(rows), other.voxels.read(rows))
    for column in ("session", "run", "repeat", "split", "ijk", "ncsnr", "ncsnr_file"):
        assert np.array_equal(one.column(column), other.column(column)), column
    for name in other.rois:
        assert area_names(one.rois[name]) == area_names(other.rois[name])
    pixels = [s.images.read(x.image_index) for s, x in zip(stores, (one, other), strict=True)]
    assert np.array_equal(*pixels)
    captions = [
        [s.images.captions[row] for row in x.image_index]
        for s, x in zip(stores, (one, other), strict=True)
    ]
    assert captions[0] == captions[1]
    assert stores[0].images.records[0]["objects"]
