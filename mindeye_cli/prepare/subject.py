"""From raw trials to a published subject: dropped voxels, z-scores, reliability, bundle.

Shapes: `N` trials, `V` voxels.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.progress import track
from mindeye_cli.prepare.reliability import Reliability, training_ncsnr
from mindeye_cli.prepare.table import TEST, TrialTable
from mindeye_cli.prepare.voxels import RawTrials, VoxelTable
from mindeye_cli.prepare.zscore import (
    InvalidVoxels,
    SessionStatistics,
    ZScore,
    chunks,
    fit_sessions,
)
from mindeye_store import Store
from mindeye_store.errors import InvalidInput

logger = logging.getLogger("mindeye")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Raw trials with what normalisation needs; every check on values has passed.

    Attributes
    ----------
    raw : RawTrials
    table : TrialTable
    voxels : VoxelTable
        Of the kept voxels.
    zscore : {"train", "session", "none"}
    statistics : SessionStatistics
        Over all voxels.
    reliability : Reliability or None
        Over all voxels.
    fill : bool
        Unusable voxels are kept, with 0 in every trial, instead of dropped.
    """

    raw: RawTrials
    table: TrialTable
    voxels: VoxelTable
    zscore: ZScore
    statistics: SessionStatistics
    reliability: Reliability | None
    fill: bool = False

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which voxels of the mask are stored."""
        invalid = self.statistics.invalid.mask
        return np.ones_like(invalid) if self.fill else ~invalid

    def values(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Responses of trials as they are stored, float32 (k, V)."""
        parts = []
        for part in chunks(rows):
            if self.zscore == "none":
                scores = self.raw.read(part)
            else:
                scores = self.statistics.apply(self.raw, self.table, part).astype(np.float32)
            if self.fill:
                scores[:, self.statistics.invalid.mask] = 0
            parts.append(scores[:, self.kept])
        return np.concatenate(parts)


def measure(
    raw: RawTrials,
    table: TrialTable,
    voxels: VoxelTable,
    *,
    zscore: ZScore,
    max_invalid: float,
    source: str,
    reliable: NDArray[np.bool_] | None = None,
    fill: bool = False,
) -> Measured:
    """Find statistics, unusable voxels and reliability; nothing is written.

    Parameters
    ----------
    raw : RawTrials, N trials of V voxels
    table : TrialTable
    voxels : VoxelTable
    zscore : {"train", "session", "none"}
    max_invalid : float
        Largest share of voxels that may be dropped.
    source : str
        Where the responses come from, for messages.
    reliable : bool array (N,), optional
        Trials that statistics and reliability may rest on; all by default.
    fill : bool
        Keep unusable voxels, with 0 in every trial.

    Raises
    ------
    InvalidInput
        More voxels than that are not finite, all zero or constant in a session.
    """
    counted = table
    if reliable is not None:  # copies of trials are measured on no more than test trials are
        counted = replace(table, split=np.where(reliable, table.split, TEST).astype(np.uint8))
    statistics = fit_sessions(raw, counted, zscore, source)
    _report(statistics.invalid, max_invalid, source, fill=fill)
    return Measured(
        raw=raw,
        table=table,
        voxels=voxels if fill else voxels.keep(~statistics.invalid.mask),
        zscore=zscore,
        statistics=statistics,
        reliability=training_ncsnr(raw, counted, statistics),
        fill=fill,
    )


def _report(invalid: InvalidVoxels, max_invalid: float, source: str, *, fill: bool) -> None:
    """Warn of voxels that cannot be used, or refuse where there are too many."""
    count = int(invalid.mask.sum())
    if count:
        share = count / len(invalid.mask)
        found = f"{count} of {len(invalid.mask)} voxels ({100 * share:.2g} %) are " + ", ".join(
            f"{reason} ({len(which)})" for reason, which in invalid.reasons.items() if which
        )
        place = f"{source}, first in session {invalid.first_session}"
        if share > max_invalid or count == len(invalid.mask):
            raise InvalidInput(
                f"{found}; at most {100 * max_invalid:g} % may be dropped",
                where=place,
                fix="check the mask and the betas, or allow more with --max-invalid",
            )
        done = "set to 0" if fill else "dropped"
        logger.warning("%s in a session and are %s (%s)", found, done, place)


def write_subject(
    store: Store,
    name: str,
    data: Measured,
    image_rows: NDArray[np.int64],
    *,
    plan: dict[str, Any],
    attrs: dict[str, Any],
    columns: dict[str, NDArray[Any]] | None = None,
    overwrite: bool = False,
) -> None:
    """Publish one subject's bundle; resumes staged shards of the same plan.

    Parameters
    ----------
    store : Store
    name : str
        The subject in the store.
    data : Measured
    image_rows : int64 array (n_pictures,)
        Global image row of every picture that `data.table.image` counts.
    plan, attrs : dict
        What the bundle depends on, and what is said of it beside its counts.
    columns : dict of str to array, optional
        Further columns of the trial table.
    overwrite : bool
        Replace a published bundle of another plan.
    """
    table, shape = data.table, (len(data.table), data.voxels.count)
    attrs = attrs | subject_attributes(data)
    bundle = f"subjects/{name}"
    with store.write_bundle(bundle, plan=plan, attrs=attrs, overwrite=overwrite) as writer:
        voxels = writer.array("voxels", shape=shape, dtype="float32")
        pending = list(voxels.pending())
        with track("write voxels", sum(len(rows) for _, rows in pending), unit="trials") as bar:
            for shard, rows in pending:
                voxels.write(shard, data.values(rows))
                bar.advance(len(rows))
        all_columns = _columns(data, image_rows[table.image]) | (columns or {})
        for column, values in all_columns.items():
            writer.array(column, shape=values.shape, dtype=values.dtype).write_all(values)
        writer.publish()


def _columns(data: Measured, image_index: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    table, voxels = data.table, data.voxels
    columns: dict[str, NDArray[Any]] = {
        "image_index": image_index.astype(np.int64),
        "session": table.session,
        "run": table.run,
        "repeat": table.repeat,
        "split": table.split,
    }
    if voxels.ijk is not None:
        columns["ijk"] = voxels.ijk
    if data.reliability is not None:
        columns["ncsnr"] = data.reliability.ncsnr[data.kept]
    if voxels.file_ncsnr is not None:
        columns["ncsnr_file"] = voxels.file_ncsnr
    return columns | {f"roi/{name}": roi.labels for name, roi in voxels.rois.items()}


def subject_attributes(data: Measured) -> dict[str, Any]:
    """Counts, normalisation, dropped voxels and label names, ready for JSON."""
    invalid, reliability = data.statistics.invalid, data.reliability
    return {
        "counts": {
            "n_voxels": data.voxels.count,
            "n_trials": len(data.table),
            "n_images": data.table.n_images,
            "splits": data.table.splits(),
        },
        "normalisation": {"zscore": data.zscore, "per": "session", "ddof": 0},
        "ncsnr": None
        if reliability is None
        else {
            "trials": "train",
            "images": reliability.n_images,
            "least_repeats": reliability.repeats,
        },
        "dropped": {"count": 0 if data.fill else int(invalid.mask.sum()), **invalid.reasons},
        "filled": int(invalid.mask.sum()) if data.fill else 0,
        "affine": data.voxels.affine,
        "volume_shape": data.voxels.volume_shape,
        "roi_labels": {
            name: {str(label): text for label, text in roi.names.items()}
            for name, roi in data.voxels.rois.items()
        },
    }
