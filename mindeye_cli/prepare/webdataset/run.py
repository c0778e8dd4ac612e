"""`prepare webdataset`: MindEye's tar files -> store."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.fingerprint import of_array, of_file
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.source_datasets import NSD, source_datasets
from mindeye_cli.prepare.annotations import FILE
from mindeye_cli.prepare.finish import Source, store_subject
from mindeye_cli.prepare.nsd_facts import picture_facts, voxel_table
from mindeye_cli.prepare.releases import release_of
from mindeye_cli.prepare.table import TEST, TRAIN, TrialTable, occurrences
from mindeye_cli.prepare.webdataset.layout import Shards, find_shards
from mindeye_cli.prepare.webdataset.pictures import TarPictures, merge_duplicates, size_of
from mindeye_cli.prepare.webdataset.responses import (
    RowChoice,
    SampleTrials,
    survey,
    trials_of,
)
from mindeye_cli.prepare.webdataset.samples import Samples, read_all

logger = logging.getLogger("mindeye")
NORMALISATION = {
    "zscore": "session",
    "trials": "all, test trials included",
    "remark": "as published; statistics of test trials are in the training responses",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebdatasetOptions:
    """What one call prepares.

    Attributes
    ----------
    folder : Path
        MindEye's tar files.
    store : Path
    subject : int
        1 to 8.
    rows : {"unique", "all"}
        Every presentation once, or all three rows as the published code takes them.
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
    rows: RowChoice = "unique"
    nsd: Path | None = None
    max_invalid: float = 0.01
    overwrite: bool = False

    @property
    def name(self) -> str:
        """The subject in the store."""
        return f"subj{self.subject:02d}"


def prepare_webdataset(options: WebdatasetOptions) -> Outcome:
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
    shards = find_shards(options.folder, options.subject)
    samples = merge_duplicates(read_all(shards))
    found = survey(samples)
    pictures, position = _pictures(options, shards, samples)
    raw = trials_of(samples, options.rows, found.n_voxels)
    release = _say_release(options, samples)
    if options.rows == "unique" and found.copies is False:
        logger.warning(
            "rows past num_uniques are no copies of the rows before them; they are left out"
            " (--rows all takes them)"
        )
    source = Source(
        raw=raw,
        table=_table(samples, raw, position),
        voxels=voxel_table(options.nsd, options.subject, found.n_voxels, str(shards.folder)),
        pictures=pictures,
        plan=_plan(options, shards, samples),
        place=str(shards.folder),
        zscore="none",
        max_invalid=options.max_invalid,
        attrs={
            "SourceDatasets": source_datasets(options.folder, NSD),
            "release": release,
            "samples": samples.counts(),
            "rows": options.rows,
            "rows_past_uniques_are_copies": found.copies,
            "source_dtype": found.dtype,
            "source_normalisation": NORMALISATION,
        },
        absent=("session", "run"),
        columns={"source_trial": samples.trial[raw.sample, raw.row]},
        reliable=raw.row < samples.uniques[raw.sample],
    )
    return store_subject(source, options.store, options.name, options.overwrite)


def describe_webdataset(options: WebdatasetOptions) -> Outcome:
    """List what `prepare_webdataset` would read; headers and small members alone are read."""
    shards = find_shards(options.folder, options.subject)
    samples = read_all(shards)
    per_sample = samples.uniques if options.rows == "unique" else np.full(len(samples), 3)
    test = np.array(samples.split) == "test"
    files = [
        {"path": str(path.relative_to(shards.folder)), "bytes": path.stat().st_size}
        | {"present": True}
        for path in shards.files
    ]
    splits = {
        name: {
            "trials": int(per_sample[chosen].sum()),
            "images": len(np.unique(samples.image[chosen])),
        }
        for name, chosen in (("train", ~test), ("test", test))
    }
    values: dict[str, Any] = {
        "n_voxels": None,
        "n_trials": int(per_sample.sum()),
        "n_images": len(np.unique(samples.image)),
        "splits": splits,
        "release": _say_release(options, samples),
        "files": files,
        "missing": [],
        "bytes": sum(path.stat().st_size for path in shards.files),
    }
    return Outcome(values=values)


def _say_release(options: WebdatasetOptions, samples: Samples) -> str | None:
    """Name the release by its numbers of images, and say so."""
    test = np.array(samples.split) == "test"
    images = {
        name: len(np.unique(samples.image[chosen]))
        for name, chosen in (("train", ~test), ("test", test))
    }
    release = release_of(options.subject, train_images=images["train"], test_images=images["test"])
    logger.info(
        "%s: %d training and %d test images: %s",
        options.name,
        images["train"],
        images["test"],
        "neither of NSD's releases" if release is None else f"NSD's {release.name}",
    )
    return None if release is None else release.name


def _pictures(
    options: WebdatasetOptions, shards: Shards, samples: Samples
) -> tuple[TarPictures, np.ndarray[Any, np.dtype[np.int64]]]:
    """One picture per image, training pictures first, and every sample's place among them."""
    test = np.array([split == "test" for split in samples.split])
    order = [np.flatnonzero(~test), np.flatnonzero(test)]
    first = [part[np.unique(samples.image[part], return_index=True)[1]] for part in order]
    chosen = np.concatenate(first)
    images = samples.image[chosen]
    captions, records = picture_facts(shards.folder, options.nsd, options.subject, images.tolist())
    pictures = TarPictures(
        rows=images,
        members=[samples.pictures[i] for i in chosen],
        size=size_of(samples.pictures[chosen[0]]),
        captions=captions,
        records=records,
    )
    place = {image: position for position, image in enumerate(images.tolist())}
    return pictures, np.array([place[image] for image in samples.image.tolist()], dtype=np.int64)


def _table(
    samples: Samples, raw: SampleTrials, position: np.ndarray[Any, np.dtype[np.int64]]
) -> TrialTable:
    """Sessions and runs are not told: one of each stands for all."""
    image = position[raw.sample]
    ones = np.ones(len(image), dtype=np.int16)
    split = np.array([TEST if split == "test" else TRAIN for split in samples.split], np.uint8)
    return TrialTable(
        image=image, session=ones, run=ones, repeat=occurrences(image), split=split[raw.sample]
    )


def _plan(options: WebdatasetOptions, shards: Shards, samples: Samples) -> dict[str, Any]:
    """What the subject's arrays depend on; tar files count by name and size."""
    notes = shards.folder / FILE
    return {
        "reader": "webdataset",
        "subject": options.name,
        "rows": options.rows,
        "max_invalid": options.max_invalid,
        "files": {
            str(path.relative_to(shards.folder)): path.stat().st_size for path in shards.files
        },
        "samples": of_array(np.c_[samples.image, samples.uniques, samples.trial]),
        "annotations": of_file(notes) if notes.is_file() else None,
        "anatomy": options.nsd is not None,
    }
