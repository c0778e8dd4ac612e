"""How much of a subject's responses is signal: noise ceilings, and what a low one forbids.

Encoding maps beat decoder weights at the noise ceilings of NSD (10 to 25 % of the variance of a
trial) and lose to them near 2 %, when strong noise is shared by many voxels; see docs/explain.md.

Shapes: `V` voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.noise_ceiling import explainable_variance
from mindeye_cli.explain.encoder import Encoder

# Of the variance of a single trial, over the voxels of all areas.
LOW_SIGNAL = 0.05
# A voxel whose averaged responses hold less is greyed in pictures.
GREY = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Noise ceilings of a subject.

    Attributes
    ----------
    single : float or None
        Mean share of a single trial's variance that is signal; None without ncsnr.
    grey : bool array (V,)
        Voxels whose averaged training responses hold less than 5 % signal.
    r : float
        Mean cross-validated r of the encoding model over voxels.
    """

    single: float | None
    grey: NDArray[np.bool_]
    r: float

    @classmethod
    def of(cls, encoder: Encoder) -> Signal:
        """Read off the subject's ncsnr, which comes from its training trials."""
        r, ncsnr = encoder.refits.model.r.numpy(), encoder.subject.ncsnr
        if ncsnr is None:
            return cls(single=None, grey=np.zeros(len(r), dtype=bool), r=float(r.mean()))
        counts = encoder.refits.counts.numpy()
        return cls(
            single=float(explainable_variance(ncsnr, [1]).mean()),
            grey=explainable_variance(ncsnr, counts) < GREY,
            r=float(r.mean()),
        )

    @property
    def warning(self) -> str | None:
        """What a reader must know before believing a map."""
        if self.single is None:
            return (
                "the subject has no noise ceiling (ncsnr): no voxel is greyed, and how much of its"
                " responses is signal is not known"
            )
        if self.single < LOW_SIGNAL:
            return (
                f"low signal: {self.single:.1%} of a trial's variance is signal. Below 5 % maps of"
                " what responds miss areas that a decoder still reads, where noise is shared by"
                " many voxels: read the decoder's part beside them, and prefer sets of images"
            )
        return None

    def values(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "noise_ceiling": self.single,
            "greyed": float(self.grey.mean()),
            "encoding_r": self.r,
        }
