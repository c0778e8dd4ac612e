"""What an autoencoder is trained on: a SPACE's vectors of images, or one subject's responses.

An image that is a test image of any subject in the store trains nothing, nor does a picture of a
folder that is one: a picture whose embedding is that of a test image is left out too.

Shapes: `N` rows, `D` flattened width, `V` voxels.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core import fingerprint
from mindeye_cli.core.rois import resolve
from mindeye_cli.core.target_rows import image_vectors
from mindeye_cli.core.trials import (
    average_trials,
    mask_fingerprint,
    test_images_any_subject,
    training_trials,
)
from mindeye_cli.models.encoders import Encoder, load_encoder
from mindeye_cli.models.encoders.picture_files import encode_files, picture_files
from mindeye_store import Store, open_store, prepare_command
from mindeye_store.errors import InvalidInput, UsageProblem

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
BRAIN = "brain:"
# Wider rows would make a dictionary of gigabytes: 257 x 768 tokens are 197,376 numbers.
MOST_WIDTH = 8192
LEAST_ROWS = 20
# Two pictures of this cosine are one: what a resized copy of a photograph keeps.
SAME = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Where the rows come from, as on the command line of `mindeye sae train`.

    Attributes
    ----------
    source : Path
        A store, or a folder of pictures.
    space : str or None
        None for responses.
    brain : bool
        Train on responses instead of embeddings.
    subject, rois : str or None
        Whose responses, and of which areas.
    images : Path or None
        A folder of further pictures.
    weights : Path or None
        Of the space's encoder.
    """

    source: Path
    space: str | None = None
    brain: bool = False
    subject: str | None = None
    rois: str | None = None
    images: Path | None = None
    weights: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRows:
    """Rows of training images.

    Attributes
    ----------
    vectors : float32 array (N, D)
    ids : tuple of str
        Image ids of the store, or file names.
    image_rows : int64 array (n,)
        Global image rows of the first n rows, ascending; pictures of folders come after them.
    space : str
    shape : tuple of int
        Of one row before it was flattened.
    norm, targets : str
        Norm and fingerprint of the SPACE; of responses, `raw` and the fingerprint of the voxels.
    facts : dict
        For `run.json`: `subjects`, `n_voxels`, `masks`, `rois`, `voxel_places`.
    """

    vectors: Floats
    ids: tuple[str, ...]
    image_rows: Rows
    space: str
    shape: tuple[int, ...]
    norm: str
    targets: str
    facts: dict[str, Any]


def training_rows(request: Request) -> TrainingRows:
    """Read or compute the rows.

    Raises
    ------
    UsageProblem
        Options that do not belong together.
    InvalidInput, MissingResource
        No such space, subject, area or picture, too few rows, or values that are not finite.
    """
    folder = not (request.source / "zarr.json").exists() and request.source.is_dir()
    if request.brain:
        _refuse(request.space is not None, "--space", "responses have no space: leave it out")
        _refuse(request.images is not None, "--images", "pictures have no responses")
        rows = _responses(open_store(request.source), request)
    else:
        _refuse(request.space is None, "--space", "say which space: --space scene-clip:pooled")
        _refuse(request.rois is not None, "--rois", "areas belong to --from brain")
        rows = _pictures_alone(request) if folder else _images(request)
    _check(rows)
    return rows


def responses_of(store: Store, subject: str, voxels: Rows) -> tuple[Floats, Rows]:
    """Mean training responses of some voxels (N, V), and the images' global rows."""
    source = store.subject(subject)
    trials = training_trials(store, source)
    return average_trials(source, trials)[:, voxels], trials.image_rows


def _refuse(wrong: bool, option: str, message: str) -> None:
    if wrong:
        raise UsageProblem(message, where=option)


def _images(request: Request) -> TrainingRows:
    """Every image of the store that is nobody's test image, then the folder's pictures."""
    store = open_store(request.source)
    space = str(request.space)
    target = store.target(space)
    _refuse_wide(tuple(target.shape[1:]), space)
    missing = store.missing_segments(space)
    if missing:
        raise InvalidInput(
            f"{len(missing)} segments of images have no targets",
            where=f"targets/{space}",
            fix=prepare_command(store.path, space),
        )
    test = test_images_any_subject(store)
    rows = np.setdiff1d(np.arange(store.images.n, dtype=np.int64), test)
    names = store.images.ids
    found = TrainingRows(
        vectors=image_vectors(target, rows) if len(rows) else np.empty((0, 1), np.float32),
        ids=tuple(names[row] for row in rows),
        image_rows=rows,
        space=space,
        shape=tuple(int(n) for n in target.shape[1:]),
        norm=str(target.attrs["norm"]),
        targets=str(target.attrs["fingerprint"]),
        facts={"subjects": (), "n_voxels": (), "masks": []},
    )
    if request.images is None:
        return found
    encoder = load_encoder(space, request.weights)
    if encoder.fingerprint != found.targets:
        raise InvalidInput(
            f"the store's {space} comes from another encoder than the one that is here",
            where=f"targets/{space}",
            fix="give the weights that it was prepared with: --weights PATH",
        )
    return _with_pictures(found, request.images, encoder, image_vectors(target, test))


def _with_pictures(
    found: TrainingRows, folder: Path, encoder: Encoder, test: Floats
) -> TrainingRows:
    files = picture_files(folder)
    vectors = encode_files(files, encoder)
    keep = ~_copies(vectors, test)
    if not keep.all():
        logging.getLogger("mindeye").warning(
            "%d pictures of %s are test images and are left out", int((~keep).sum()), folder
        )
    names = tuple(str(f.relative_to(folder)) for f, k in zip(files, keep, strict=True) if k)
    vectors = np.concatenate([found.vectors, vectors[keep]])
    return replace(found, vectors=vectors, ids=(*found.ids, *names))


def _copies(vectors: Floats, test: Floats) -> NDArray[np.bool_]:
    """Which vectors are those of a test image, bool (n,)."""
    if not len(test):
        return np.zeros(len(vectors), dtype=bool)
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (vectors, test))
    return np.asarray((a @ b.T).max(axis=1) >= SAME)


def _pictures_alone(request: Request) -> TrainingRows:
    """A folder of pictures instead of a store: there are no test images to leave out."""
    _refuse(request.images is not None, "--images", "the source is a folder of pictures already")
    encoder = load_encoder(str(request.space), request.weights)
    _refuse_wide(encoder.shape, encoder.space)
    files = picture_files(request.source)
    return TrainingRows(
        vectors=encode_files(files, encoder),
        ids=tuple(str(file.relative_to(request.source)) for file in files),
        image_rows=np.empty(0, dtype=np.int64),
        space=encoder.space,
        shape=encoder.shape,
        norm=encoder.norm,
        targets=encoder.fingerprint,
        facts={"subjects": (), "n_voxels": (), "masks": []},
    )


def _responses(store: Store, request: Request) -> TrainingRows:
    """Repeat-averaged training responses of one subject's area."""
    _refuse(request.subject is None, "--subject", "say whose responses: --subject subj01")
    _refuse(
        request.rois is None, "--rois", 'say which area: --rois "FFA-1"; --rois nsdgeneral for all'
    )
    source = store.subject(str(request.subject))
    places = np.flatnonzero(resolve(source.rois, str(request.rois), where="--rois"))
    vectors, rows = responses_of(store, source.name, places)
    names = store.images.ids
    return TrainingRows(
        vectors=vectors,
        ids=tuple(names[row] for row in rows),
        image_rows=rows,
        space=f"{BRAIN}{source.name}",
        shape=(len(places),),
        norm="raw",
        targets=fingerprint.of_array(vectors),
        facts={
            "subjects": (source.name,),
            "n_voxels": (int(source.voxels.shape[1]),),
            "masks": [mask_fingerprint(source)],
            "rois": request.rois,
            "voxel_places": [int(place) for place in places],
        },
    )


def _refuse_wide(shape: tuple[int, ...], space: str) -> None:
    width = int(np.prod(shape))
    if width > MOST_WIDTH:
        raise InvalidInput(
            f"a row of {space} has {width} numbers, an autoencoder takes at most {MOST_WIDTH}",
            where="--space",
            fix="take the space's pooled vectors, such as clip-vit-l14:pooled",
        )


def _check(rows: TrainingRows) -> None:
    if len(rows.ids) < LEAST_ROWS:
        raise InvalidInput(
            f"an autoencoder needs {LEAST_ROWS} images or more, there are {len(rows.ids)}",
            where=rows.space,
            fix="add pictures with --images DIR",
        )
    bad = np.flatnonzero(~np.isfinite(rows.vectors).all(axis=1))
    if len(bad):
        raise InvalidInput(
            f"{len(bad)} rows hold values that are not finite, first image {rows.ids[bad[0]]!r}",
            where=rows.space,
            fix="mindeye store verify STORE",
        )
    if not (rows.vectors.std(axis=0) > 0).any():
        raise InvalidInput("the rows are all the same", where=rows.space)
