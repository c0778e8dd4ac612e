"""What `explain` leaves in a folder: the result, maps and pictures, all of them or none.

    explanation.json   the result; `mindeye report DIR` makes the page of it
    asked-N.png        the images asked about, at most 24
    responds.nii.gz    a map for each question that has one, and its slices as PNG; of vertices
                       responds.npy
    glass.png, surface.html   on a standard brain, where the data is declared to be in its space

Shapes: `V` voxels.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mindeye_cli.core.atomic import refuse_existing, staged_dir, write_json
from mindeye_cli.core.fingerprint import of_array, of_file, of_json
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.runs import MODEL
from mindeye_cli.explain.asked import Asked
from mindeye_cli.explain.encoder import Encoder
from mindeye_cli.explain.options import ExplainOptions
from mindeye_cli.explain.pictures.slices import write_slices
from mindeye_cli.explain.pictures.space import Anatomy, anatomy, has_places
from mindeye_cli.explain.pictures.standard import need_standard, write_standard
from mindeye_cli.explain.pictures.volumes import write_map
from mindeye_store.files import read_json

RESULT = "explanation.json"
# Keys of the file that are not printed.
FILE_ONLY = ("names", "datasets", "fingerprint")
SIDE = 192
_NO_PLACES = (
    "the store has no places of the voxels: no maps; give the volume that they were taken from with"
    " --mask FILE.nii.gz"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Maps over voxels, float32 (V,), by the question they answer; which voxels are greyed."""

    values: Mapping[str, NDArray[np.float32]]
    grey: NDArray[np.bool_]


def finished(asked: Asked, fingerprint: str, options: ExplainOptions) -> Outcome | None:
    """The result that is there already, where it is the one asked for.

    Raises
    ------
    UsageProblem
        Something else is in the way.
    """
    out = options.out
    if out is None or options.overwrite:
        return None
    record = read_json(out / RESULT) if (out / RESULT).is_file() else {}
    if record.get("fingerprint") != fingerprint:
        refuse_existing(out, overwrite=False)
        return None
    files = tuple(out / name for name in record["maps"])
    return Outcome(
        status="notneeded",
        outputs=(out / RESULT, *files),
        values={**_printed(record), "asked": asked.text, "maps": list(map(str, files))},
    )


def result_fingerprint(
    encoder: Encoder, sets: Mapping[str, Asked | None], options: ExplainOptions
) -> str:
    """Of everything that a result depends on.

    Parameters
    ----------
    encoder : Encoder
    sets : mapping of str to Asked or None
        The images by their part: `image`; or `set` and `vs`.
    options : ExplainOptions
    """
    settings = {k: v for k, v in asdict(options).items() if k not in ("out", "overwrite")}
    mask = options.mask
    return of_json(
        {
            **{key: str(value) for key, value in settings.items()},
            "asked": {
                part: one and [one.text, of_array(one.vectors), of_array(one.targets)]
                for part, one in sets.items()
            },
            "responses": encoder.subject.fingerprint,
            "areas": [encoder.areas.names, of_array(encoder.areas.masks)],
            "references": of_array(encoder.reference_vectors),
            "places": of_file(mask) if mask is not None and mask.is_file() else None,
            "model": of_file(encoder.run / MODEL),
        }
    )


def finish(
    encoder: Encoder, asked: Asked, values: dict[str, Any], maps: Maps, options: ExplainOptions
) -> Outcome:
    """Write the folder, where one was asked for; `values` hold the result's `fingerprint`.

    Raises
    ------
    InvalidInput, MissingResource
        A standard brain was asked for and cannot be drawn.
    """
    if options.out is None:
        return Outcome(values={**_printed(values), "maps": []})
    drawn = has_places(encoder, options.mask, options.anatomy)
    places = anatomy(encoder, options.mask, options.anatomy) if drawn or options.standard else None
    if options.standard and places is not None:
        need_standard(places)
    with staged_dir(options.out, overwrite=options.overwrite) as folder:
        names = [] if places is None else _draw(folder, places, maps, options.standard)
        for number, pixels in enumerate(asked.pixels):
            picture = Image.fromarray(pixels)
            picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            picture.save(folder / f"asked-{number:02d}.png")
        if places is None:
            values["warnings"].append(_NO_PLACES)
            logging.getLogger("mindeye").warning(_NO_PLACES)
        document = {
            **values,
            "asked": Path(asked.text).name if not asked.text.startswith("image:") else asked.text,
            "names": list(asked.names),
            "datasets": encoder.subject.attrs.get("SourceDatasets", []),
            "maps": names,
        }
        write_json(folder / RESULT, document)
    files = tuple(options.out / name for name in names)
    return Outcome(
        outputs=(options.out / RESULT, *files),
        values={**_printed(values), "maps": list(map(str, files))},
    )


def _printed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in FILE_ONLY}


def _draw(folder: Path, places: Anatomy, maps: Maps, standard: bool) -> list[str]:
    """Write maps and their pictures; returns the files' names."""
    names = []
    for name, map_ in maps.values.items():
        if places.space != "fsaverage":
            write_map(folder / f"{name}.nii.gz", places, map_)
            write_slices(folder / f"{name}.png", places, map_, maps.grey)
            names += [f"{name}.nii.gz", f"{name}.png"]
        else:
            np.save(folder / f"{name}.npy", map_, allow_pickle=False)
            names.append(f"{name}.npy")
    if standard and maps.values:
        first = next(iter(maps.values.values()))
        names += [path.name for path in write_standard(folder, places, first)]
    return names
