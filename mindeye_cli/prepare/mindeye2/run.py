"""`prepare mindeye2`: MindEye2's HDF5 and tar files -> store."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mindeye_cli.core.fingerprint import of_array, of_file
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.source_datasets import NSD, source_datasets
from mindeye_cli.prepare.annotations import FILE
from mindeye_cli.prepare.finish import Source, store_subject
from mindeye_cli.prepare.mindeye2.arrays import BetaRows, FloatPictures, open_betas, open_images
from mindeye_cli.prepare.mindeye2.behaviour import Trials, read_trials
from mindeye_cli.prepare.mindeye2.layout import Mindeye2Layout, TestSet
from mindeye_cli.prepare.nsd_facts import picture_facts, voxel_table
from mindeye_cli.prepare.releases import ALL, FIRST, RELEASES, Release
from mindeye_cli.prepare.table import TEST, TRAIN, TrialTable, occurrences
from mindeye_store.errors import InvalidInput, MissingResource

logger = logging.getLogger("mindeye")
SESSION_TRIALS = 750
NORMALISATION = {
    "zscore": "session",
    "trials": "all, test trials included",
    "remark": "as published; statistics of test trials are in the training responses"
    " (--zscore train takes them out)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mindeye2Options:
    """What one call prepares.

    Attributes
    ----------
    folder : Path
        MindEye2's files.
    store : Path
    subject : int
        1 to 8.
    test_set : {"new", "old"}
        All sessions' test trials, or those of NSD's first release.
    zscore : {"source", "train"}
        Keep the responses as the file has them, or z-score them again with the statistics of each
        session's training trials: z-scoring twice is z-scoring by the last statistics alone.
    nsd : Path, optional
        NSD's folder, for places and areas of voxels and COCO's ids.
    max_invalid : float
        Largest share of voxels that may be dropped.
    overwrite : bool
        Replace the subject when it is there from other data or settings.
    """

    folder: Path
    store: Path
    subject: int
    test_set: TestSet = "new"
    zscore: Literal["source", "train"] = "source"
    nsd: Path | None = None
    max_invalid: float = 0.01
    overwrite: bool = False

    @property
    def layout(self) -> Mindeye2Layout:
        """Where the files are."""
        return Mindeye2Layout(root=self.folder, subject=self.subject, test_set=self.test_set)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Everything small, read and found to fit together."""

    trials: Trials
    raw: BetaRows
    pictures: FloatPictures
    table: TrialTable
    release: str | None


def prepare_mindeye2(options: Mindeye2Options) -> Outcome:
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
    layout, found = options.layout, _check(options)
    count = found.raw.shape[1]
    source = Source(
        raw=found.raw,
        table=found.table,
        voxels=voxel_table(options.nsd, options.subject, count, str(layout.betas)),
        pictures=found.pictures,
        plan=_plan(options, found.trials),
        place=str(layout.betas),
        zscore="none" if options.zscore == "source" else "train",
        max_invalid=options.max_invalid,
        attrs={
            "SourceDatasets": source_datasets(options.folder, NSD),
            "release": found.release,
            "test_set": options.test_set,
            "left_out_of_training": found.trials.left_out,
            "source_dtype": found.raw.betas.dtype.name,
            "source_normalisation": NORMALISATION,
        },
        columns={"source_trial": found.trials.row},
    )
    return store_subject(source, options.store, layout.name, options.overwrite)


def describe_mindeye2(options: Mindeye2Options) -> Outcome:
    """List what `prepare_mindeye2` would read; headers and behaviour alone are read."""
    layout = options.layout
    files: list[dict[str, Any]] = [
        {
            "path": str(path.relative_to(layout.root)),
            "bytes": path.stat().st_size if path.is_file() else None,
            "present": path.is_file(),
        }
        for path in layout.files
    ]
    missing = [entry["path"] for entry in files if not entry["present"]]
    values: dict[str, Any] = {"n_voxels": None, "n_trials": None, "n_images": None, "splits": None}
    if not missing:
        found = _check(options)
        values |= {
            "n_voxels": found.raw.shape[1],
            "n_trials": len(found.table),
            "n_images": found.table.n_images,
            "splits": found.table.splits(),
        }
    total = sum(entry["bytes"] or 0 for entry in files)
    return Outcome(values=values | {"files": files, "missing": missing, "bytes": total})


def _check(options: Mindeye2Options) -> _Found:
    layout = options.layout
    if not layout.root.is_dir():
        raise MissingResource("there is no such folder", where=str(layout.root))
    trials = read_trials(layout)
    betas = open_betas(layout.betas, int(trials.row.max()))
    images = open_images(layout.pictures, int(trials.image.max()))
    # Training pictures first: their rows in the store do not depend on the test pictures.
    shown = np.concatenate(
        [np.unique(trials.image[~trials.test]), np.unique(trials.image[trials.test])]
    )
    captions, records = picture_facts(layout.root, options.nsd, options.subject, shown.tolist())
    place = {image: position for position, image in enumerate(shown.tolist())}
    position = np.array([place[image] for image in trials.image.tolist()], dtype=np.int64)
    table = TrialTable(
        image=position,
        session=trials.session.astype(np.int16),
        run=trials.run.astype(np.int16),
        repeat=occurrences(position),
        split=np.where(trials.test, TEST, TRAIN).astype(np.uint8),
    )
    return _Found(
        trials=trials,
        raw=BetaRows(betas=betas, row=trials.row),
        pictures=FloatPictures(images=images, rows=shown, captions=captions, records=records),
        table=table,
        release=_release(options, betas.shape[0], table),
    )


def _release(options: Mindeye2Options, n_rows: int, table: TrialTable) -> str | None:
    """Check the counts of data of NSD's real size; data of another size have none to check.

    Raises
    ------
    InvalidInput
        As many responses as NSD has, but not its test trials.
    """
    everything, first = RELEASES[options.subject]
    if n_rows != everything.sessions * SESSION_TRIALS:
        logger.info("%d trials are not NSD's number: counts are not checked", n_rows)
        return None
    wanted: Release = everything if options.test_set == "new" else first
    found = table.splits()
    test, train = found["test"], found["train"]
    if (test["trials"], test["images"]) != (wanted.test_trials, wanted.test_images):
        raise InvalidInput(
            f"{test['trials']} test trials of {test['images']} images, where subject"
            f" {options.subject} has {wanted.test_trials} of {wanted.test_images}",
            where=str(options.layout.test[0].parent),
            fix="fetch the tar files again",
        )
    if (train["trials"], train["images"]) != (everything.train_trials, everything.train_images):
        logger.warning(
            "%d training trials of %d images, where all sessions have %d of %d: training files are"
            " missing, or cut short",
            train["trials"],
            train["images"],
            everything.train_trials,
            everything.train_images,
        )
    return ALL if options.test_set == "new" else FIRST


def _plan(options: Mindeye2Options, trials: Trials) -> dict[str, Any]:
    """What the subject's arrays depend on; HDF5 files count by size."""
    layout = options.layout
    notes = layout.root / FILE
    columns = (trials.image, trials.row, trials.session, trials.run, trials.test)
    return {
        "reader": "mindeye2",
        "subject": layout.name,
        "test_set": options.test_set,
        "zscore": options.zscore,
        "max_invalid": options.max_invalid,
        "bytes": [path.stat().st_size for path in (layout.betas, layout.pictures)],
        "trials": of_array(np.stack(columns, axis=1).astype(np.int64)),
        "annotations": of_file(notes) if notes.is_file() else None,
        "anatomy": options.nsd is not None,
    }
