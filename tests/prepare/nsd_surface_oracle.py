"""What `prepare nsd` should read of a surface, by nibabel and scipy."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import scipy.stats
from prepare.nsd_surface import (
    PER_SESSION,
    SIDES,
    Surface,
)

from mindeye_cli.prepare.nsd.check import NsdOptions
from mindeye_cli.prepare.nsd.layout import NsdLayout
from mindeye_cli.prepare.nsd.run import prepare_nsd
from mindeye_store import Subject, open_store


def options(made: Surface, store: Path = Path("unused"), **changes: Any) -> NsdOptions:
    layout = NsdLayout(root=made.data.root, subject=1, volume_space=made.space)
    return NsdOptions(layout=layout, store=store, **changes)


def stored(made: Surface, store: Path, **changes: Any) -> Subject:
    prepare_nsd(options(made, store, **changes))
    return open_store(store).subject("subj01")


def read(subject: Subject) -> np.ndarray:
    return subject.voxels.read(np.arange(len(subject.voxels)))


def values(path: Path) -> np.ndarray:
    """What nibabel reads; it leaves closing to whoever opens."""
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".mgz" else data
    image = nibabel.MGHImage.from_bytes(data)
    return image.get_fdata()[:, 0, 0]


def whole(made: Surface, name: str) -> np.ndarray:
    """Labels of both hemispheres, read with nibabel."""
    paths = [made.label_folder / f"{side}.{name}.mgz" for side in SIDES]
    return np.concatenate([values(path) for path in paths])


def oracle(made: Surface, taken: np.ndarray) -> np.ndarray:
    parts = []
    for session in (1, 2):
        paths = [made.beta_folder / f"{side}.betas_session{session:02d}.mgh" for side in SIDES]
        betas = np.concatenate([values(path) for path in paths])[taken].T
        test = made.data.is_test[(session - 1) * PER_SESSION : session * PER_SESSION]
        parts.append(scipy.stats.zmap(betas, betas[~test], axis=0, ddof=0))
    return np.concatenate(parts)
