"""`prepare arrays`: any data set in the bring-your-own layout -> store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindeye_cli.core.fingerprint import of_array, of_file, of_json
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.source_datasets import source_datasets
from mindeye_cli.prepare.annotations import FILE, read_annotations
from mindeye_cli.prepare.another_store import mask_of, need_count, voxels_of
from mindeye_cli.prepare.arrays.pictures import (
    ArrayPictures,
    FilePictures,
    open_array,
    open_files,
)
from mindeye_cli.prepare.arrays.sources import (
    MASKS,
    find_responses,
    responses_file,
    with_mask,
)
from mindeye_cli.prepare.arrays.trials import Trials, read_trials
from mindeye_cli.prepare.arrays.voxel_table import read_voxel_table
from mindeye_cli.prepare.finish import Source, check_name, store_subject
from mindeye_cli.prepare.table import TrialTable
from mindeye_cli.prepare.voxels import VoxelTable
from mindeye_cli.prepare.zscore import ZScore
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraysOptions:
    """What one call prepares.

    Attributes
    ----------
    folder : Path
        Holds responses (see `sources.py`), `trials.csv` and pictures.
    store : Path
    subject : str
        Name in the store.
    zscore : {"train", "session", "none"}
    max_invalid : float
        Largest share of voxels that may be dropped.
    image_size : int, optional
        Bring pictures to that many pixels a side.
    voxels_of : Path, optional
        A store that has the subject: take its voxels in its order, so that runs trained there
        apply to these trials.
    overwrite : bool
        Replace the subject when it is there from other data or settings.
    """

    folder: Path
    store: Path
    subject: str
    zscore: ZScore = "train"
    max_invalid: float = 0.01
    image_size: int | None = None
    voxels_of: Path | None = None
    overwrite: bool = False


def prepare_arrays(options: ArraysOptions) -> Outcome:
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
    _check_options(options)
    folder = options.folder
    file = responses_file(folder)
    trials = read_trials(folder / "trials.csv")
    like = None if options.voxels_of is None else voxels_of(options.voxels_of, options.subject)
    found = find_responses(file, len(trials), mask_of(like), options.store)
    if like is None:
        table = folder / "voxels.csv"
        voxels = with_mask(read_voxel_table(table, found.raw.shape[1]), found.mask, str(table))
    else:
        voxels = need_count(like, found.raw.shape[1], str(file))
    pictures, trial_table = _pictures(options, trials)
    source = Source(
        raw=found.raw,
        table=trial_table,
        voxels=voxels,
        pictures=pictures,
        plan=_plan(options, file, pictures, voxels),
        place=str(file),
        zscore=options.zscore,
        max_invalid=options.max_invalid,
        attrs={"SourceDatasets": source_datasets(options.folder, None)},
        absent=trials.absent,
        # A run applies to these voxels and no others: one that cannot be used here says nothing.
        fill=like is not None,
    )
    return store_subject(source, options.store, options.subject, options.overwrite)


def _check_options(options: ArraysOptions) -> None:
    check_name(options.subject)
    if options.image_size is not None and options.image_size < 1:
        raise UsageProblem("must be at least 1", where="--image-size")
    if not options.folder.is_dir():
        raise MissingResource("there is no such folder", where=str(options.folder))


def _pictures(
    options: ArraysOptions, trials: Trials
) -> tuple[ArrayPictures | FilePictures, TrialTable]:
    folder = options.folder
    array, files = folder / "images.npy", folder / "images"
    notes = read_annotations(folder / FILE)
    if array.exists() and files.exists():
        raise InvalidInput("both images.npy and images/ are there; keep one", where=str(folder))
    if array.exists():
        # Row numbers name the training pictures already; a run refuses to be tested on those.
        prefix = "" if options.voxels_of is None else f"{folder.resolve().name}:"
        pictures = open_array(array, options.image_size, notes, prefix)
        return pictures, trials.table(trials.rows_of(len(pictures.ids)))
    if not files.is_dir():
        raise MissingResource("neither images.npy nor images/ is there", where=str(folder))
    names, positions = trials.files_of(files)
    return open_files(files, names, options.image_size, notes), trials.table(positions)


def _plan(
    options: ArraysOptions,
    responses: Path,
    pictures: ArrayPictures | FilePictures,
    voxels: VoxelTable,
) -> dict[str, Any]:
    """What the subject's arrays depend on: settings and the content of every file."""
    folder = options.folder
    names = (responses.name, *MASKS, "trials.csv", "voxels.csv", "images.npy", FILE)
    files = pictures.ids if isinstance(pictures, FilePictures) else []
    content = {name: of_file(folder / name) for name in names if (folder / name).is_file()}
    plan = {
        "reader": "arrays",
        "subject": options.subject,
        "zscore": options.zscore,
        "max_invalid": options.max_invalid,
        "image_size": options.image_size,
        "files": content,
        "pictures": of_json({name: of_file(folder / "images" / name) for name in files}),
    }
    if options.voxels_of is not None:
        place = voxels.count if voxels.ijk is None else of_array(voxels.ijk)
        plan["voxels_of"] = of_json(place)
    return plan
