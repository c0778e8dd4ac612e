"""`mindeye sae map`: where in the brain an atom, or XYZ, is responded to.

Shapes: `C` maps, `F` atoms, `V` voxels.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.atomic import refuse_existing, write_stream
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.significance import fdr, two_sided
from mindeye_cli.core.threads import threads
from mindeye_cli.core.trials import average_trials
from mindeye_cli.models.encoding import fit_encoding
from mindeye_cli.sae import encoder as encoding
from mindeye_cli.sae.concept import find_concept
from mindeye_cli.sae.encoder import QUESTION, Encoder, area_table
from mindeye_cli.sae.opened import Sae, open_sae
from mindeye_cli.sae.train import headline
from mindeye_store import Store, open_store
from mindeye_store.errors import InvalidInput, UsageProblem

Floats = NDArray[np.float32]
AREAS_SHOWN = 5


def map_atoms(
    store: Path,
    run: Path,
    asked: str | None,
    *,
    subject: str | None = None,
    weights: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
) -> Outcome:
    """Map XYZ, or every stable atom, onto a subject's voxels.

    Parameters
    ----------
    store, run : Path
    asked : str or None
        XYZ; without it every atom that is stable (every living one where stability is unknown).
    subject : str, optional
    weights : Path, optional
        Of the space's encoder, for XYZ.
    out : Path, optional
        NPZ file for the maps: `change`, `z`, `q` (C, V), `r` (V,), `atoms` (C,) and `ijk`.
    overwrite : bool

    Returns
    -------
    Outcome
        `maps`: for each, its name and its strongest areas; `r`: mean and 95th percentile of the
        voxels' cross-validated r; `question`.
    """
    if out is not None:
        refuse_existing(out, overwrite)
    opened, sae = open_store(store), open_sae(run)
    with threads():
        fitted = _fit(opened, sae, subject)
        names, contrasts = _contrasts(opened, sae, asked, weights)
        change, z = fitted.maps(contrasts)
    q, r = fdr(two_sided(z)), fitted.model.r.numpy()
    maps = [
        {
            **name,
            "significant": float((q[i] < 0.05).mean()),
            "areas": _areas(fitted, change[i], q[i], r),
        }
        for i, name in enumerate(names)
    ]
    if out is not None:
        _write(out, fitted, names, {"change": change, "z": z, "q": q, "r": r})
    values = {
        **headline(sae.info),
        "subject": fitted.subject.name,
        "question": QUESTION,
        "r": {"mean": float(r.mean()), "p95": float(np.quantile(r, 0.95))},
        "maps": maps,
    }
    return Outcome(outputs=() if out is None else (out,), values=values)


def _fit(store: Store, sae: Sae, subject: str | None) -> Encoder:
    if not sae.of_brain:
        return encoding.fit_encoder(store, sae, subject, "codes")
    if subject not in (None, sae.info.subjects[0]):
        raise UsageProblem(
            f"the autoencoder is of {sae.info.subjects[0]}'s responses", where="--subject"
        )
    codes, trials, source = encoding.brain_codes(store, sae)
    responses = average_trials(source, trials)
    # An area predicts itself: what counts is where else its atoms are found.
    responses[:, np.asarray(sae.info.details["voxel_places"])] = 0.0
    return Encoder(
        model=fit_encoding(codes, responses, trials.counts),
        features=codes,
        responses=responses,
        trials=trials,
        subject=source,
    )


def _contrasts(
    store: Store, sae: Sae, asked: str | None, weights: Path | None
) -> tuple[list[dict[str, Any]], Floats]:
    """What is mapped: changes of the codes from their mean, or of one code from 0 to its peak."""
    if asked is not None and not (sae.of_brain and asked.startswith("atom:")):
        concept = find_concept(asked, store, sae, weights)
        base = np.array([atom["frequency"] * atom["strength"] for atom in sae.atoms])
        change = concept.codes if concept.kind == "atom" else concept.codes - base
        top = concept.top()
        return [{"name": asked, "atoms": top}], change[None].astype(np.float32)
    numbers = [sae.atom(asked.removeprefix("atom:"))] if asked else _worth_mapping(sae)
    contrasts = np.zeros((len(numbers), len(sae.atoms)), np.float32)
    for row, number in enumerate(numbers):
        contrasts[row, number] = sae.atoms[number]["peak"]
    from mindeye_cli.sae.atoms import label

    return [{"name": label(sae.atoms[n]), "atoms": [n]} for n in numbers], contrasts


def _worth_mapping(sae: Sae) -> list[int]:
    living = [atom for atom in sae.atoms if atom["images"]]
    known = [atom for atom in living if atom["found"] is not None]
    chosen = [atom["atom"] for atom in (known or living) if atom["stable"] or not known]
    if not chosen:
        raise InvalidInput(
            "no atom is stable over seeds", where=str(sae.run), fix="name one: atom:NUMBER"
        )
    return chosen


def _areas(fitted: Encoder, change: Floats, q: Floats, r: Floats) -> list[dict[str, Any]]:
    if not fitted.subject.rois:
        logging.getLogger("mindeye").warning(
            "subject %s has no ROI labels: maps are written without areas", fitted.subject.name
        )
        return []
    return area_table(fitted.subject, change, q, r)[:AREAS_SHOWN]


def _write(
    out: Path, fitted: Encoder, names: list[dict[str, Any]], arrays: dict[str, Floats]
) -> None:
    more: dict[str, Any] = {"atoms": np.array([(item["atoms"] or [-1])[0] for item in names])}
    if fitted.subject.ijk is not None:
        more["ijk"] = fitted.subject.ijk
    if fitted.subject.affine is not None:
        more["affine"] = fitted.subject.affine
    write_stream(out, lambda stream: np.savez(stream, allow_pickle=False, **arrays, **more))
