"""`prepare bids`: a BIDS derivative of single-trial betas -> store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.fingerprint import of_array, of_file, of_json
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.source_datasets import source_datasets
from mindeye_cli.prepare.annotations import FILE, read_annotations
from mindeye_cli.prepare.another_store import mask_of, voxels_of
from mindeye_cli.prepare.arrays.pictures import FilePictures, open_files
from mindeye_cli.prepare.bids.events import FOLDER, BidsTrials, read_trials
from mindeye_cli.prepare.bids.layout import BetaFile, find_files, find_mask
from mindeye_cli.prepare.cut import cut_volumes, open_nifti
from mindeye_cli.prepare.finish import Source, check_name, store_subject
from mindeye_cli.prepare.nsd.volumes import Mask, read_mask
from mindeye_cli.prepare.voxels import VoxelTable
from mindeye_cli.prepare.zscore import ZScore
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class BidsOptions:
    """What one call prepares.

    Attributes
    ----------
    folder : Path
        The derivative.
    store : Path
    subject : str
        With or without `sub-`; the store has it as `sub-S`.
    stimuli : Path, optional
        Folder of the pictures; `stimuli/` of the derivative by default.
    events : Path, optional
        Dataset that holds the events.
    mask : Path, optional
        Volume whose voxels above 0 are taken.
    test_images : Path, optional
        Text file with a test image a line, instead of a column `split`.
    desc : str, optional
        Which betas, where a recording has several.
    zscore : {"train", "session", "none"}
    image_size : int, optional
        Bring pictures to that many pixels a side.
    voxels_of : Path, optional
        A store that has the subject: take its voxels.
    max_invalid : float
        Largest share of voxels that may be dropped.
    overwrite : bool
        Replace the subject when it is there from other data or settings.
    """

    folder: Path
    store: Path
    subject: str
    stimuli: Path | None = None
    events: Path | None = None
    mask: Path | None = None
    test_images: Path | None = None
    desc: str | None = None
    zscore: ZScore = "train"
    image_size: int | None = None
    voxels_of: Path | None = None
    max_invalid: float = 0.01
    overwrite: bool = False

    @property
    def label(self) -> str:
        """What follows `sub-`."""
        return self.subject.removeprefix("sub-")


def prepare_bids(options: BidsOptions) -> Outcome:
    """Prepare one subject.

    Returns
    -------
    Outcome
        Values `n_voxels`, `n_trials`, `n_images`, `splits`, `dropped`, `leaked_images`.

    Raises
    ------
    MissingResource
        A file is absent.
    InvalidInput
        A file is damaged or does not fit the others; the store is as it was.
    """
    name = f"sub-{options.label}"
    check_name(name)
    if options.image_size is not None and options.image_size < 1:
        raise UsageProblem("must be at least 1", where="--image-size")
    if not options.folder.is_dir():
        raise MissingResource("there is no such folder", where=str(options.folder))
    files = find_files(options.folder, options.label, options.events, options.desc)
    volumes = [open_nifti(file.betas, "the file of betas") for file in files]
    stimuli = options.stimuli or options.folder / FOLDER
    trials = read_trials(
        files, [volume.n_trials for volume in volumes], stimuli, options.test_images
    )
    pictures = open_files(
        stimuli, trials.names, options.image_size, read_annotations(stimuli / FILE)
    )
    voxels, mask = _voxels(options, name, tuple(volumes[0].shape))
    source = Source(
        raw=cut_volumes(list(volumes), mask, options.store),
        table=trials.table,
        voxels=voxels,
        pictures=pictures,
        plan=_plan(options, files, pictures, trials, mask),
        place=str(options.folder / f"sub-{options.label}"),
        zscore=options.zscore,
        max_invalid=options.max_invalid,
        attrs={"SourceDatasets": source_datasets(options.folder, None)},
        fill=options.voxels_of is not None,
    )
    return store_subject(source, options.store, name, options.overwrite)


def _voxels(options: BidsOptions, name: str, shape: tuple[int, ...]) -> tuple[VoxelTable, Mask]:
    if options.voxels_of is None:
        mask = read_mask(find_mask(options.folder, options.label, options.mask), "mask")
        table = VoxelTable(
            count=len(mask.ijk),
            ijk=mask.ijk,
            affine=mask.affine.tolist(),
            volume_shape=[int(n) for n in mask.shape],
        )
        return table, mask
    table = voxels_of(options.voxels_of, name)
    like = mask_of(table)
    if like is None:
        raise InvalidInput(
            f"the store does not tell where the voxels of {name} are", where=str(options.voxels_of)
        )
    if (like.ijk >= np.array(shape)).any():
        raise InvalidInput(
            f"a voxel of {name} lies outside of volumes of {shape}", where=str(options.voxels_of)
        )
    return table, replace(like, shape=shape)


def _plan(
    options: BidsOptions,
    files: list[BetaFile],
    pictures: FilePictures,
    trials: BidsTrials,
    mask: Mask,
) -> dict[str, Any]:
    """What the subject's arrays depend on; files of betas count by name and size."""
    notes = pictures.folder / FILE
    table = trials.table
    return {
        "reader": "bids",
        "subject": f"sub-{options.label}",
        "zscore": options.zscore,
        "max_invalid": options.max_invalid,
        "image_size": options.image_size,
        "betas": {file.betas.name: file.betas.stat().st_size for file in files},
        "mask": of_array(mask.ijk),
        "trials": of_array(np.c_[table.image, table.split, table.session, table.run]),
        "pictures": of_json({name: of_file(pictures.folder / name) for name in pictures.ids}),
        "annotations": of_file(notes) if notes.is_file() else None,
    }
