"""Standard brains, for data in MNI or fsaverage space: a glass brain and a surface to turn.

Drawn by nilearn (extra `viz`) on what its wheel holds, without a network: the MNI outline and the
fsaverage5 surface, whose 10,242 vertices a hemisphere are the first ones of fsaverage's 163,842.

Shapes: `V` voxels.
"""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.atomic import write_bytes, write_text
from mindeye_cli.explain.pictures.space import NATIVE, Anatomy
from mindeye_store.errors import InvalidInput, MissingResource

VERTICES = 10_242
SIDES = ("left", "right")


def need_standard(anatomy: Anatomy) -> None:
    """Refuse data of the subject's own space.

    Raises
    ------
    InvalidInput
        It is native.
    """
    if anatomy.space == NATIVE:
        raise InvalidInput(
            "the data is in the subject's own space: on a standard brain its voxels would lie in"
            " wrong places",
            where="--standard",
            fix="transform it to MNI or fsaverage first and prepare that, or declare it if it is:"
            " --anatomy mni",
        )


def write_standard(folder: Path, anatomy: Anatomy, values: NDArray[np.floating]) -> list[Path]:
    """Write `glass.png` (volumes) and `surface.html`; returns the files.

    Raises
    ------
    InvalidInput
        The data is in the subject's own space.
    MissingResource
        nilearn is not installed.
    """
    need_standard(anatomy)
    plotting = _plotting()
    limit = max(float(np.nanquantile(np.abs(values), 0.99)), 1e-12)
    written = []
    if anatomy.space == "mni":
        image = nibabel.Nifti1Image(np.nan_to_num(anatomy.volume(values)), anatomy.affine)
        figure = plotting.plot_glass_brain(
            image, colorbar=True, plot_abs=False, vmax=limit, symmetric_cbar=True
        )
        buffer = io.BytesIO()
        # nilearn's own method of this name takes paths alone.
        figure.frame_axes.figure.savefig(buffer, dpi=110)
        figure.close()
        write_bytes(folder / "glass.png", buffer.getvalue())
        written.append(folder / "glass.png")
        with warnings.catch_warnings():
            # Vertices that lie outside of the volume have no values to average.
            warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
            view: Any = plotting.view_img_on_surf(image, surf_mesh="fsaverage5", vmax=limit)
    else:
        view = _surface(plotting, anatomy, values, limit)
    # nilearn's page fetches its icon; this one must open without a network.
    page = re.sub(r'<link[^>]*href="https?:[^>]*>', "", str(view.get_standalone()))
    write_text(folder / "surface.html", page)
    return [*written, folder / "surface.html"]


def _surface(plotting: Any, anatomy: Anatomy, values: NDArray[np.floating], limit: float) -> Any:
    """Both hemispheres of vertex values side by side, on the inflated fsaverage5."""
    from nilearn.datasets import load_fsaverage
    from nilearn.surface import PolyMesh, SurfaceImage

    mesh: PolyMesh = load_fsaverage("fsaverage5")["inflated"]
    data = {}
    for side, name in enumerate(SIDES):
        row = np.zeros(VERTICES, dtype=np.float32)
        there = (anatomy.ijk[:, 1] == side) & (anatomy.ijk[:, 0] < VERTICES)
        row[anatomy.ijk[there, 0]] = values[there]
        data[name] = row
    image = SurfaceImage(mesh=mesh, data=data)
    return plotting.view_surf(mesh, image, hemi="both", vmax=limit, cmap="RdBu_r")


def _plotting() -> Any:
    try:
        import matplotlib

        matplotlib.use("Agg")
        from nilearn import plotting
    except ModuleNotFoundError as problem:
        raise MissingResource(
            f"standard brains are drawn by nilearn, and {problem.name!r} is not installed",
            where="--standard",
            fix="pip install 'mindeye[viz]'; slices, volumes and numbers come without it",
        ) from problem
    return plotting
