"""Everything that can be checked before the first volume is read: small files and headers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.rois import HEMISPHERE, SIDES
from mindeye_cli.prepare.annotations import FILE, Annotations, read_annotations
from mindeye_cli.prepare.nsd.areas import is_expression, read_area
from mindeye_cli.prepare.nsd.design import Design, read_design
from mindeye_cli.prepare.nsd.layout import NsdLayout, sessions_to_read
from mindeye_cli.prepare.nsd.pictures import NsdPictures, brick_shape
from mindeye_cli.prepare.nsd.release import find_release, shared_repeats
from mindeye_cli.prepare.nsd.rois import read_hemispheres, read_rois
from mindeye_cli.prepare.nsd.series import Series, open_session
from mindeye_cli.prepare.nsd.surfaces import places, read_maps, vertex_counts
from mindeye_cli.prepare.nsd.volumes import Mask, read_volume
from mindeye_cli.prepare.table import TEST, TRAIN, TrialTable, occurrences
from mindeye_cli.prepare.voxels import RoiLabels, VoxelTable
from mindeye_cli.prepare.zscore import ZScore
from mindeye_store.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class NsdOptions:
    """What one call prepares.

    Attributes
    ----------
    layout : NsdLayout
        Data set, subject and betas version.
    store : Path
    roi : str
        Atlas whose voxels above 0 are taken, or an expression over the areas of all atlases.
    sessions : tuple of int, optional
        Ascending; all that are there by default.
    zscore : {"train", "session"}
    max_invalid : float
        Largest share of voxels that may be dropped.
    overwrite : bool
        Replace the subject when it is there from other settings.
    """

    layout: NsdLayout
    store: Path
    roi: str = "nsdgeneral"
    sessions: tuple[int, ...] | None = None
    zscore: ZScore = "train"
    max_invalid: float = 0.01
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Everything small, read and found to fit together.

    `release` names the one of NSD's that was found; `repeats` counts the shared pictures by their
    number of trials.
    """

    mask: Mask
    voxels: VoxelTable
    series: dict[int, Series]
    table: TrialTable
    pictures: NsdPictures
    release: str | None
    repeats: dict[str, int]


def check(options: NsdOptions) -> Checked:
    """Read every small file and every header, and see that they fit together.

    Raises
    ------
    MissingResource
        A file is absent.
    InvalidInput
        A file is damaged or does not fit the others.
    """
    layout = options.layout
    mask = read_area(layout, options.roi)
    design = read_design(layout)
    series = _open_series(layout, design, mask, options.sessions)
    voxels = _voxels(options, mask)
    number, height, width = brick_shape(layout.stimuli)
    shown, table = _trials(design, tuple(series))
    _check_range(shown, table, number, layout)
    notes = read_annotations(layout.stimuli.with_name(FILE))
    keys = [int(row) for row in shown]
    pictures = NsdPictures(
        path=layout.stimuli,
        rows=shown,
        size=(height, width),
        captions=notes.of_captions(keys),
        records=_records(design, notes, keys),
    )
    return Checked(
        mask=mask,
        voxels=voxels,
        series=series,
        table=table,
        pictures=pictures,
        release=find_release(layout, design, number, tuple(series), table),
        repeats=shared_repeats(design, shown, table),
    )


def _voxels(options: NsdOptions, mask: Mask) -> VoxelTable:
    """Places, areas and NSD's own reliability; on a surface places are vertices, without mm."""
    layout = options.layout
    ijk, affine, shape = mask.ijk, mask.affine.tolist(), [int(n) for n in mask.shape]
    if layout.surface:
        counts = vertex_counts(layout)
        ijk, affine, shape = places(mask, counts[0]), None, [max(counts), 2, 1]
    file_ncsnr = None
    if all(path.exists() for path in layout.ncsnr):
        if layout.surface:
            values = read_maps(layout.ncsnr, "NSD's ncsnr", mask.shape)
        else:
            values = read_volume(layout.ncsnr[0], "NSD's ncsnr", fits=mask.shape).values
        file_ncsnr = np.nan_to_num(mask.take(values).astype(np.float32))
    return VoxelTable(
        count=len(mask.ijk),
        ijk=ijk,
        affine=affine,
        volume_shape=shape,
        rois=_rois(options, mask),
        file_ncsnr=file_ncsnr,
    )


def _rois(options: NsdOptions, mask: Mask) -> dict[str, RoiLabels]:
    """Every atlas; hemispheres too of surfaces and for an expression.

    The store of a plain name stays as it was before there were expressions.
    """
    rois = read_rois(options.layout, mask)
    if options.layout.surface:
        right = places(mask, vertex_counts(options.layout)[0])[:, 1].astype(np.int16)
        rois[HEMISPHERE] = RoiLabels(right + np.int16(1), dict(enumerate(SIDES, start=1)))
    elif is_expression(options.layout, options.roi):
        hemispheres = read_hemispheres(options.layout, mask)
        if hemispheres is not None:
            rois[HEMISPHERE] = hemispheres
    return rois


def _open_series(
    layout: NsdLayout, design: Design, mask: Mask, wanted: tuple[int, ...] | None
) -> dict[int, Series]:
    series = {}
    for session in sessions_to_read(layout, wanted):
        if session > len(design.runs):
            where = str(layout.betas_files(session)[0])
            raise InvalidInput(f"the design has {len(design.runs)} sessions", where=where)
        betas = open_session(layout, session, mask.shape, design.trials_in(session))
        if betas.shape != mask.shape:
            raise InvalidInput(
                f"betas of session {session} have volumes of {betas.shape} but the mask has"
                f" {mask.shape}",
                where=str(betas.path),
                fix="take mask and betas from the same subject and functional space",
            )
        if betas.n_volumes != design.trials_in(session):
            raise InvalidInput(
                f"session {session} has {betas.n_volumes} volumes but the design has"
                f" {design.trials_in(session)} trials",
                where=str(betas.path),
                fix="download it again, or leave the session out with --sessions",
            )
        series[session] = betas
    return series


def _trials(design: Design, sessions: tuple[int, ...]) -> tuple[NDArray[np.int64], TrialTable]:
    """Pictures shown in these sessions, training before test, and the trials that count them."""
    rows = np.concatenate(
        [design.first_trial(s) + np.arange(design.trials_in(s)) for s in sessions]
    ).astype(np.int64)
    image = design.image[rows]
    is_test = np.isin(image, design.shared)
    # Training pictures first: their rows in the store do not depend on the test pictures.
    shown = np.concatenate([np.unique(image[~is_test]), np.unique(image[is_test])])
    place = {int(picture): position for position, picture in enumerate(shown)}
    runs = [np.repeat(np.arange(1, len(r) + 1), r) for r in (design.runs[s - 1] for s in sessions)]
    table = TrialTable(
        image=np.array([place[int(picture)] for picture in image], dtype=np.int64),
        session=np.repeat(sessions, [design.trials_in(s) for s in sessions]).astype(np.int16),
        run=np.concatenate(runs).astype(np.int16),
        repeat=occurrences(design.image)[rows],
        split=np.where(is_test, TEST, TRAIN).astype(np.uint8),
    )
    return shown, table


def _check_range(
    shown: NDArray[np.int64], table: TrialTable, number: int, layout: NsdLayout
) -> None:
    beyond = np.flatnonzero(shown >= number)
    if len(beyond):
        trial = int(np.argmax(np.isin(table.image, beyond)))
        raise InvalidInput(
            f"trial {trial + 1} shows picture {shown[table.image[trial]]} (counted from 0) but the"
            f" file holds {number}",
            where=str(layout.stimuli),
            fix="take design and pictures from the same release",
        )


def _records(design: Design, notes: Annotations, keys: list[int]) -> list[dict[str, Any]]:
    """NSD's number, COCO's facts and whatever else is said of every picture."""
    origins = {} if design.table is None else design.table.origins
    said = notes.of_records(keys) or [{}] * len(keys)
    return [
        {"nsd_id": key} | origins.get(key, {}) | more for key, more in zip(keys, said, strict=True)
    ]
