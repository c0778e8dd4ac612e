"""The encoding model behind an explanation, fitted once to a subject and a SPACE and kept in RUN.

    RUN/explain/SUBJECT-SPACE/encoding.json          fingerprint and facts
    RUN/explain/SUBJECT-SPACE/encoding.safetensors   the model
    RUN/explain/SUBJECT-SPACE/refits.safetensors     training responses that it is refitted to

Only images that are nobody's test image train it. Up to 500 images outside the fit are references:
how an area's score for one image lies among theirs.

Shapes: `N` training images, `D` features, `V` voxels, `R` references.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.checkpoint import load_tensors, save_tensors
from mindeye_cli.core.fingerprint import of_array, of_json
from mindeye_cli.core.run_subjects import subject_of_run
from mindeye_cli.core.runs import RunInfo, differs, read_run
from mindeye_cli.core.sampler import rng
from mindeye_cli.core.target_rows import image_vectors
from mindeye_cli.core.trials import ImageTrials, average_trials, trained_rows, training_trials
from mindeye_cli.explain.areas import Areas
from mindeye_cli.models.encoding import fit_encoding
from mindeye_cli.models.encoding_files import load_encoding, save_encoding
from mindeye_cli.models.encoding_refits import Refits
from mindeye_store import Store, Subject
from mindeye_store.errors import InvalidInput, MissingResource

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
FOLDER = "explain"
REFERENCES = 500
# Wider rows cost minutes and gigabytes, and pooled vectors predict voxels as well.
MOST_WIDTH = 8192


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A subject's encoding model, its areas and its references.

    Attributes
    ----------
    store : Store
    run : Path
    info : RunInfo
    subject : Subject
    space : str
        What voxels are predicted from.
    refits : Refits
    areas : Areas
    trained : int64 array (N,)
        Image rows of the fit, ascending.
    references : int64 array (R,)
        Image rows outside the fit.
    """

    store: Store
    run: Path
    info: RunInfo
    subject: Subject
    space: str
    refits: Refits
    areas: Areas
    trained: Rows
    references: Rows

    @cached_property
    def reference_vectors(self) -> Floats:
        """Features of the references, float32 (R, D)."""
        return image_vectors(self.store.target(self.space), self.references)

    def vectors(self, rows: Rows) -> Floats:
        """Features of images of the store, float32 (n, D)."""
        return image_vectors(self.store.target(self.space), rows)


def open_encoder(
    store: Store, run: Path, subject: str | None, *, space: str | None = None, seed: int = 0
) -> Encoder:
    """Fit the encoding model, or read it back.

    Parameters
    ----------
    store : Store
    run : Path
        A brain run: whose subject and SPACE are meant.
    subject : str or None
    space : str, optional
        Another SPACE of the store to predict voxels from.
    seed : int
        Of the folds and of the choice of references.

    Raises
    ------
    InvalidInput
        A subject without areas, too wide a SPACE, another encoder than the run's, or too few
        images.
    MissingResource, UsageProblem
        No such SPACE or subject, or it must be named.
    """
    info = read_run(run)
    source = subject_of_run(store, run, info, subject)
    areas = Areas.of(source)
    chosen = encoding_space(store, info, space)
    trials = training_trials(store, source)
    folder = run / FOLDER / f"{source.name}-{chosen.replace(':', '-').replace('/', '-')}"
    return Encoder(
        store=store,
        run=run,
        info=info,
        subject=source,
        space=chosen,
        refits=_refits(store, source, chosen, trials, folder=folder, seed=seed),
        areas=areas,
        trained=trials.image_rows,
        references=_references(store, info, trials.image_rows, seed),
    )


def _refits(
    store: Store, source: Subject, space: str, trials: ImageTrials, *, folder: Path, seed: int
) -> Refits:
    """The fit that FOLDER keeps, where it was made from the same rows; else a new one, kept."""
    features = image_vectors(store.target(space), trials.image_rows)
    key = of_json(
        {
            "space": space,
            "targets": of_array(features),
            "responses": source.fingerprint,
            "images": trials.image_rows.tolist(),
            "seed": seed,
        }
    )
    kept = _kept(folder, key)
    if kept is not None:
        return kept
    responses = average_trials(source, trials)
    model = fit_encoding(features, responses, trials.counts, seed=seed)
    refits = Refits.of(model, features, responses, trials.counts)
    folder.mkdir(parents=True, exist_ok=True)
    # Cut off between the files, it must not vouch for the tensors of two fits.
    (folder / "encoding.json").unlink(missing_ok=True)
    save_tensors(folder / "refits.safetensors", refits.tensors())
    save_encoding(folder, model, key, {"space": space, "subject": source.name})
    return refits


def _kept(folder: Path, key: str) -> Refits | None:
    """What FOLDER keeps under this key; None where there is nothing, or a damaged file."""
    try:
        model = load_encoding(folder, key)
        if model is None:
            return None
        return Refits.from_tensors(model, load_tensors(folder / "refits.safetensors"))
    except (InvalidInput, MissingResource, KeyError) as problem:
        logging.getLogger("mindeye").warning("%s: fitted anew (%s)", folder, problem)
        return None


def encoding_space(store: Store, info: RunInfo, space: str | None = None) -> str:
    """The SPACE that voxels are predicted from: the run's, or its pooled sibling where it is wide.

    Raises
    ------
    InvalidInput
        Too wide, and the store has no pooled sibling; or another encoder than the run's.
    """
    chosen = space or info.space
    target = store.target(chosen)
    if chosen == info.space and differs(
        info.targets, str(target.attrs["fingerprint"]), f"encoder of {chosen}"
    ):
        raise InvalidInput(
            f"the store's {chosen} comes from another encoder than the run was trained on",
            where=str(info.space),
            fix="prepare the targets with the same weights, or train the run again",
        )
    width = int(np.prod(target.shape[1:]))
    if width <= MOST_WIDTH:
        return chosen
    pooled = f"{chosen.rpartition(':')[0]}:pooled"
    if space is None and pooled in store.spaces:
        return pooled
    raise InvalidInput(
        f"{chosen} has {width} numbers an image, an encoding model takes {MOST_WIDTH}",
        where=str(store.path),
        fix=f"mindeye prepare targets {store.path} --space {pooled}",
    )


def _references(store: Store, info: RunInfo, trained: Rows, seed: int) -> Rows:
    """Images that trained neither the encoding model nor the run, at most `REFERENCES` of them."""
    every: Any = np.arange(store.images.n, dtype=np.int64)
    outside = np.setdiff1d(every, np.union1d(trained, trained_rows(info, store)))
    if len(outside) > REFERENCES:
        outside = rng(seed, "references").choice(outside, REFERENCES, replace=False)
    return np.sort(outside)
