"""One session of betas in every format at NSD's real size: seconds and memory of cutting it.

    python benchmarks/prepare_formats.py

750 volumes of 81 x 104 x 83 int16, noise in a ball of 226,000 voxels and zeros outside; the mask
takes 15,724 of them, a ball at the back. Each format is read in a process of its own, page cache
warm, after a read of the file's bytes in the same process as the least that anyone has to do.
`peak_mb` is what the process holds at most, `base_mb` before it reads.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel
import numpy as np
import scipy.io

SHAPE, VOLUMES, VOXELS, HEAD = (81, 104, 83), 750, 15_724, 226_000

CHILD = """
import json, sys, time
from pathlib import Path
import h5py, nibabel, numpy as np
from mindeye_cli.prepare.nsd.series import open_series
from mindeye_cli.prepare.nsd.volumes import read_mask

path, mask = Path(sys.argv[1]), read_mask(Path(sys.argv[2]), "mask")
def peak():  # what getrusage tells is inherited from the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

begin = time.perf_counter()
with path.open("rb") as stream:
    while stream.read(1 << 20):
        pass
bytes_read = time.perf_counter() - begin
base = peak()
begin = time.perf_counter()
values = open_series(path, mask.shape, 750).read(mask)
seconds = time.perf_counter() - begin
most = peak()
total = int(np.abs(values.astype(np.int64)).sum())
print(json.dumps({"seconds": seconds, "bytes_seconds": bytes_read, "base_mb": base,
                  "peak_mb": most, "values_mb": values.nbytes / 2**20, "sum": total}))
"""


def single_voxels(path: Path, betas: np.ndarray) -> None:
    """NSD's own chunks: one voxel, all trials, not packed."""
    columns = np.ascontiguousarray(betas.reshape(-1, VOLUMES))
    with h5py.File(path, "w") as file:
        kept = file.create_dataset(
            "betas", (VOLUMES, *SHAPE[::-1]), np.int16, chunks=(VOLUMES, 1, 1, 1)
        )
        for row, (x, y, z) in enumerate(np.ndindex(SHAPE)):
            kept.id.write_direct_chunk((0, z, y, x), columns[row].tobytes())


def whole_volumes(path: Path, betas: np.ndarray) -> None:
    """MATLAB 7.3 with packed chunks of five volumes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        shape = (VOLUMES, *SHAPE[::-1])
        kept = file.create_dataset(
            "betas", shape, np.int16, chunks=(5, *shape[1:]), compression="gzip", compression_opts=1
        )
        for trial in range(0, VOLUMES, 5):
            kept[trial : trial + 5] = betas[..., trial : trial + 5].T


def one_piece(path: Path, betas: np.ndarray) -> None:
    """Not chunked."""
    with h5py.File(path, "w") as file:
        kept = file.create_dataset("betas", (VOLUMES, *SHAPE[::-1]), np.int16)
        for trial in range(VOLUMES):
            kept[trial] = betas[..., trial].T


def of_python(path: Path, betas: np.ndarray) -> None:
    """(X, Y, Z, K) in one piece."""
    with h5py.File(path, "w") as file:
        file["betas"] = betas


def nifti(path: Path, betas: np.ndarray) -> None:
    """As NSD's."""
    nibabel.save(nibabel.Nifti1Image(betas, np.eye(4)), path)


FORMATS: dict[str, tuple[str, Callable[[Path, np.ndarray], None]]] = {
    "nii.gz": ("nii.gz", nifti),
    "hdf5, chunks of one voxel (NSD's)": ("hdf5", single_voxels),
    "hdf5, one piece": ("hdf5", one_piece),
    "hdf5, one piece, axes of Python": ("hdf5", of_python),
    "mat 7.3, packed chunks of 5 volumes": ("mat", whole_volumes),
    "mat 5": ("mat", lambda path, betas: scipy.io.savemat(path, {"betas": betas})),
    "mat 5, packed": (
        "mat",
        lambda path, betas: scipy.io.savemat(path, {"betas": betas}, do_compression=True),
    ),
}


def session(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Betas int16 (X, Y, Z, K) and the mask, bool (X, Y, Z)."""
    draw = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij"))
    radius = np.square(places).sum(axis=0)
    head = radius <= np.sort(radius, axis=None)[HEAD - 1]
    back = np.square(places - np.array([0, -0.6, -0.2])[:, None, None, None]).sum(axis=0)
    back[~head] = np.inf
    mask = back <= np.sort(back, axis=None)[VOXELS - 1]
    betas = np.zeros((*SHAPE, VOLUMES), np.int16)
    betas[head] = draw.normal(0, 600, (int(head.sum()), VOLUMES)).astype(np.int16)
    return betas, mask


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", type=Path, help="folder for the files")
    chosen = parser.parse_args()
    betas, mask = session()
    found = {}
    with tempfile.TemporaryDirectory(dir=chosen.work) as place:
        where = Path(place) / "mask.nii.gz"
        nifti(where, mask.astype(np.int16))
        for name, (ending, write) in FORMATS.items():
            path = Path(place) / f"betas_session01.{ending}"
            write(path, betas)
            done = subprocess.run(
                [sys.executable, "-c", CHILD, str(path), str(where)],
                stdout=subprocess.PIPE,
                check=True,
                text=True,
            )
            found[name] = {"megabytes": path.stat().st_size / 2**20, **json.loads(done.stdout)}
            path.unlink()
    expected = int(np.abs(betas[mask].astype(np.int64)).sum())
    wrong = [name for name, each in found.items() if each.pop("sum") != expected]
    print(json.dumps({"formats": found, "wrong": wrong}, indent=1))


if __name__ == "__main__":
    main()
