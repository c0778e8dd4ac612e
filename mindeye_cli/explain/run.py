"""`mindeye explain image` and `explain set`: open, ask each question, write.

Shapes: `A` areas, `V` voxels, `n` images.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.threads import threads
from mindeye_cli.explain import decoder
from mindeye_cli.explain.asked import QUERIES, Asked, find_images
from mindeye_cli.explain.encoder import Encoder, open_encoder
from mindeye_cli.explain.image import image_areas, image_response, training_distance
from mindeye_cli.explain.options import ExplainOptions
from mindeye_cli.explain.responds import QUESTION
from mindeye_cli.explain.sets import contrast, set_areas
from mindeye_cli.explain.signal import Signal
from mindeye_cli.explain.trials import Measured, responses_for
from mindeye_cli.explain.write import Maps, finish, finished, result_fingerprint
from mindeye_cli.models.encoders.picture_files import picture_files
from mindeye_cli.models.run_model import load_run
from mindeye_store import open_store
from mindeye_store.errors import UsageProblem

FEW = 10


def explain_image(store: Path, run: Path, file: str, options: ExplainOptions) -> Outcome:
    """Tell which areas answer for one image.

    Parameters
    ----------
    store, run : Path
    file : str
        A picture file, or `image:ID` of the store.
    options : ExplainOptions

    Returns
    -------
    Outcome
        `rois`: each area with `score`, `ci95`, `percentile`, `named` and more; `question`;
        `maps`: files; `used` and `needed`: the decoder's parts; `warnings`; `training`: how near
        the image lies to a training image.

    Raises
    ------
    UsageProblem
        Several pictures.
    InvalidInput, MissingResource
        See `open_encoder`, `find_images` and `decoder`.
    """
    with threads():
        encoder = _encoder(store, run, options)
        # Counted before any is encoded.
        count = 0 if file.startswith(QUERIES) else len(picture_files(Path(file)))
        asked = None if count > 1 else find_images(file, encoder, options.weights)
        if asked is None or len(asked.names) > 1:
            raise UsageProblem(
                f"{file} holds {count if asked is None else len(asked.names)} pictures",
                where="explain image",
                fix=f"mindeye explain set {store} {run} {file}",
            )
        fingerprint = result_fingerprint(encoder, {"image": asked}, options)
        done = finished(asked, fingerprint, options)
        if done is not None:
            return done
        signal = Signal.of(encoder)
        values: dict[str, Any] = {
            "fingerprint": fingerprint,
            "asked": asked.text,
            "question": QUESTION,
            "rois": {},
            "training": training_distance(encoder, asked.vectors),
            "references": len(encoder.references),
        }
        maps = {}
        if "responds" in options.questions:
            response = image_response(encoder, asked, options.seed)
            values["rois"] = image_areas(encoder, asked, response)
            maps["responds"] = response.map
        return _rest(encoder, asked, signal, values, maps, options)


def explain_set(
    store: Path, run: Path, folder: str, against: str | None, options: ExplainOptions
) -> Outcome:
    """Tell which areas respond to what a set of images shares.

    Parameters
    ----------
    store, run : Path
    folder : str
        A folder of pictures, or a query on the store (see `asked`).
    against : str or None
        Another one to compare with; by default images of the store that trained nothing.
    options : ExplainOptions

    Returns
    -------
    Outcome
        As for an image; areas have `q` (against refits, corrected for all areas) and `unusual`
        (against random sets) in place of percentiles; `coherence` of the set.

    Raises
    ------
    InvalidInput, MissingResource
        See `explain_image`.
    """
    with threads():
        encoder = _encoder(store, run, options)
        asked = find_images(folder, encoder, options.weights)
        other = None if against is None else find_images(against, encoder, options.weights)
        fingerprint = result_fingerprint(encoder, {"set": asked, "vs": other}, options)
        done = finished(asked, fingerprint, options)
        if done is not None:
            return done
        signal = Signal.of(encoder)
        found = contrast(encoder, asked, other, options.seed)
        values: dict[str, Any] = {
            "fingerprint": fingerprint,
            "asked": asked.text,
            "against": against or f"{len(encoder.references)} images outside the fit",
            "n": len(asked.names),
            "question": QUESTION,
            "rois": set_areas(encoder, found),
            "coherence": found.coherence,
            "significant": float((found.response.q < 0.05).mean()),
            "training": training_distance(encoder, asked.vectors),
        }
        maps = {"responds": found.response.map, "z": found.response.z}
        return _rest(encoder, asked, signal, values, maps, options)


def _encoder(store: Path, run: Path, options: ExplainOptions) -> Encoder:
    return open_encoder(
        open_store(store), run, options.subject, space=options.space, seed=options.seed
    )


def _rest(
    encoder: Encoder,
    asked: Asked,
    signal: Signal,
    values: dict[str, Any],
    maps: dict[str, NDArray[np.float32]],
    options: ExplainOptions,
) -> Outcome:
    """The decoder's parts, warnings and files."""
    if "responds" not in options.questions:
        values["rois"], maps = {}, {}
    if {"used", "needed"} & set(options.questions):
        parts, map_ = _decoder(encoder, asked, options)
        values |= parts
        maps = maps | map_
        if not values["rois"]:
            first = next(parts[name] for name in ("used", "needed") if name in parts)
            values |= {"rois": _scored(first["rois"]), "question": first["question"]}
    values |= {
        "subject": encoder.subject.name,
        "run": str(encoder.run),
        "space": encoder.space,
        "signal": signal.values(),
        "skipped_areas": list(encoder.areas.skipped),
        "seed": options.seed,
        "warnings": _warnings(asked, signal, values),
    }
    for text in values["warnings"]:
        logging.getLogger("mindeye").warning(text)
    return finish(encoder, asked, values, Maps(values=maps, grey=signal.grey), options)


def _decoder(
    encoder: Encoder, asked: Asked, options: ExplainOptions
) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """`trials`, `used` and `needed`, and the map of what is used."""
    measured = responses_for(encoder, asked, predicted=options.predicted)
    model = load_run(encoder.run, encoder.subject.name)
    question = decoder.ask(model, asked.targets.mean(axis=0), measured.voxels)
    values: dict[str, Any] = {"trials": {"source": measured.source, "images": measured.images}}
    maps = {}
    if "used" in options.questions:
        values["used"] = decoder.used(encoder, question, options.seed)
        maps["used"] = values["used"].pop("map")
    if "needed" in options.questions:
        values["needed"] = decoder.needed(encoder, question, options.seed)
    _mark(values, measured)
    return values, maps


def _scored(lines: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """A decoder's part under the keys that every answer has."""
    return {
        name: {"score": line["share" if "share" in line else "loss"], "q": None} | line
        for name, line in lines.items()
    }


def _mark(values: dict[str, Any], measured: Measured) -> None:
    """A decoder's part that read predictions says so in its question."""
    if measured.source == "model of a model":
        for name in ("used", "needed"):
            if name in values:
                values[name]["question"] += " (model of a model)"


def _warnings(asked: Asked, signal: Signal, values: Mapping[str, Any]) -> list[str]:
    found = [] if signal.warning is None else [signal.warning]
    if "n" in values and len(asked.names) < FEW:
        found.append(
            f"a set of {len(asked.names)}: what images share is told well from {FEW} on"
            if len(asked.names) > 1
            else "a set of one image shares everything: read it as `explain image`"
        )
    if values.get("references") is not None and values["references"] < 20:
        found.append(
            f"{values['references']} images lie outside the fit: no percentiles, and areas of high"
            " signal come first for every image"
        )
    images = values.get("trials", {}).get("images", [])
    if any(image["trained_decoder"] for image in images):
        found.append(
            "the decoder was trained on some of the responses that it is asked about: it knows"
            " them better than new ones"
        )
    if values.get("trials", {}).get("source") == "nearest seen":
        names = ", ".join(f"{i['id']} ({i['cosine']:.2f})" for i in images[:5])
        found.append(
            f"the subject did not see this; the decoder's parts use responses to the most similar"
            f" images that it saw: {names}"
        )
    return found
