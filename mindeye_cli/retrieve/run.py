"""`mindeye retrieve pool`: from a store and a run to one JSON of scores, table and controls."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core import retrieval_scores as scores
from mindeye_cli.core import stats
from mindeye_cli.core.atomic import refuse_existing, write_json
from mindeye_cli.core.fingerprint import environment, of_file, of_json
from mindeye_cli.core.kept_voxels import kept_voxels, matched_in, matched_voxels
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.run_subjects import subject_name
from mindeye_cli.core.runs import MODEL, read_run
from mindeye_cli.core.threads import apply_threads
from mindeye_cli.retrieve.areas import CONTROLS, readout_values
from mindeye_cli.retrieve.embeddings import SIMILARITY, Comparison, compare
from mindeye_cli.retrieve.pictures import NEIGHBOURS, write_grid
from mindeye_cli.retrieve.pool import DIRECTIONS, TIES, Draws, draw_pools, score_direction
from mindeye_store import open_store
from mindeye_store.errors import InvalidInput, UsageProblem

SCHEMA = "mindeye-retrieval"
SCHEMA_VERSION = 1
# Keys of the file that are not printed.
FILE_ONLY = ("schema", "schema_version", "fingerprint", "store", "environment", "images")
# What the published code prints over each direction: it takes the nearest along the other axis than
# its names say, so the paper's "image retrieval" finds an image's brain response.
PUBLISHED_NAMES = {
    "image_retrieval": "brain retrieval (bwd)",
    "brain_retrieval": "image retrieval (fwd)",
}
AVERAGES = ("voxels", "predictions", "none")
SPLITS = ("test", "train")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """Options of `mindeye retrieve pool`, as on its command line."""

    pool: int = 300
    draws: int = 30
    split: str = "test"
    average: str = "voxels"
    subject: str | None = None
    seed: int = 0
    keep_rois: str | None = None
    drop_rois: str | None = None

    def __post_init__(self) -> None:
        if self.average not in AVERAGES:
            raise _choice("--average", self.average, AVERAGES)
        if self.split not in SPLITS:
            raise _choice("--split", self.split, SPLITS)
        for name, number, least in (("--pool", self.pool, 2), ("--draws", self.draws, 1)):
            if number < least:
                raise UsageProblem(f"{number} is less than {least}", where=name)


def retrieve_pool(
    store: Path,
    run: Path,
    options: PoolOptions,
    *,
    out: Path | None = None,
    pictures: Path | None = None,
    overwrite: bool = False,
) -> Outcome:
    """Score image and brain retrieval of one run on one split.

    Parameters
    ----------
    store, run : Path
    options : PoolOptions
    out : Path, optional
        JSON file for the result with its per-image table.
    pictures : Path, optional
        PNG file for the neighbour grid.
    overwrite : bool

    Returns
    -------
    Outcome
        The contract's keys; the per-image table is in the file alone.

    Raises
    ------
    InvalidInput
        Fewer than two images, or a run that does not fit the store.
    UsageProblem
        A file is in the way that holds something else.
    """
    apply_threads()
    opened = open_store(store)
    fingerprint = _fingerprint(opened, run, options)
    if not overwrite:
        done = _finished(fingerprint, out, pictures)
        if done is not None:
            return done
    compared, values = _score(opened, run, options)
    table = image_table(compared, options.seed)
    if out is not None:
        document = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **values}
        document.update(store=str(store.resolve()), environment=environment(), images=table)
        write_json(out, {**document, "fingerprint": fingerprint})
    if pictures is not None:
        write_grid(pictures, opened.images, table)
    return Outcome(outputs=_paths(out, pictures), values=values)


def _score(opened: Any, run: Path, options: PoolOptions) -> tuple[Comparison, dict[str, Any]]:
    """What was compared and its scores, beside random voxels' where areas are named."""
    source = opened.subject(subject_name(opened, run, read_run(run), options.subject))
    kept = kept_voxels(source, options.keep_rois, options.drop_rois)
    controls = [] if kept is None else matched_voxels(source, kept, CONTROLS, options.seed)
    compared, *random = compare(
        opened, run, options.split, options.average, options.subject, [kept, *controls]
    )
    n = len(compared.ids)
    if n < 2:
        raise InvalidInput(
            f"retrieval needs two images or more, the {options.split} split has {n}",
            where=f"subject {compared.subject}",
        )
    values = _values(compared, options, run)
    if kept is not None:
        areas = (options.keep_rois, options.drop_rois)
        pools = (options.pool, options.draws, options.seed)
        values["readout"] = readout_values(areas, kept, random, pools, matched_in(source))
    return compared, values


def with_published_names(outcome: Outcome) -> Outcome:
    """The same result that also says what the published code calls each direction.

    The keys `image_retrieval` (brain -> image) and `brain_retrieval` keep their meaning.
    """
    return replace(outcome, values={**outcome.values, "published_names": PUBLISHED_NAMES})


def _paths(*paths: Path | None) -> tuple[Path, ...]:
    return tuple(path for path in paths if path is not None)


def _fingerprint(store: Any, run: Path, options: PoolOptions) -> str:
    """Of everything that the scores depend on."""
    info = read_run(run)
    subject = store.subject(subject_name(store, run, info, options.subject))
    facts = {
        "schema_version": SCHEMA_VERSION,
        "options": _asked(options),
        "run": asdict(info),
        "model": of_file(run / MODEL) if (run / MODEL).exists() else None,
        "subject": subject.fingerprint,
        "targets": dict(store.target(info.space).attrs),
        "permutations": stats.PERMUTATIONS,
    }
    return of_json(facts)


def _finished(fingerprint: str, out: Path | None, pictures: Path | None) -> Outcome | None:
    """The result that is there already, if it is the one asked for.

    Raises
    ------
    UsageProblem
        Another file is in the way.
    """
    if out is None or not out.exists():
        for path in _paths(out, pictures):
            refuse_existing(path, overwrite=False)
        return None
    try:
        document = json.loads(out.read_text(encoding="utf-8"))
        same = document["schema"] == SCHEMA and document["fingerprint"] == fingerprint
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        same = False  # Not ours: refused below, never replaced.
    if not same:
        refuse_existing(out, overwrite=False)
    if pictures is not None and not pictures.exists():
        return None
    kept = {key: value for key, value in document.items() if key not in FILE_ONLY}
    return Outcome(status="notneeded", outputs=_paths(out, pictures), values=kept)


def _values(compared: Comparison, options: PoolOptions, run: Path) -> dict[str, Any]:
    """The result for a machine: both directions in the pools and, where larger, in the split."""
    n = len(compared.ids)
    drawn = _draw(compared, options, options.pool)
    values: dict[str, Any] = {d: score_direction(drawn[d], options.seed) for d in DIRECTIONS}
    used = drawn["image_retrieval"].images.shape
    values.update(n=n, pool=used[1], draws=used[0], asked=_asked(options))
    values["note"] = None
    if options.pool > n:
        values["note"] = f"a pool of {options.pool} was asked for; the whole set of {n} was used"
    if used[1] < n:
        whole = _draw(compared, options, n)
        values["whole"] = {d: score_direction(whole[d], options.seed) for d in DIRECTIONS}
    values.update(
        definitions=DIRECTIONS,
        ties=TIES,
        similarity=SIMILARITY[compared.info.kind],
        run=str(run),
        kind=compared.info.kind,
        space=compared.info.space,
        subject=compared.subject,
        split=options.split,
        average=options.average,
        seed=options.seed,
    )
    return values


def _asked(options: PoolOptions) -> dict[str, Any]:
    """The options, without areas where none is named: files from before them stay finished."""
    areas = ("keep_rois", "drop_rois")
    return {key: v for key, v in asdict(options).items() if key not in areas or v is not None}


def _draw(compared: Comparison, options: PoolOptions, pool: int) -> dict[str, Draws]:
    return draw_pools(compared.similarity, compared.image_of_row, pool, options.draws, options.seed)


def image_table(compared: Comparison, seed: int) -> list[dict[str, Any]]:
    """Rank and nearest images of every image, among the whole split.

    Returns
    -------
    list of dict
        `id`, `image_row`, `rank_image_retrieval`, `rank_brain_retrieval`, `neighbours` (the images
        most similar to its response, best first: `id`, `image_row`, `similarity`). With single
        trials, one trial of every image is taken.
    """
    n = len(compared.ids)
    drawn = draw_pools(compared.similarity, compared.image_of_row, n, 1, seed)
    ranks = {d: scores.expected_rank(drawn[d].above[0], drawn[d].tied[0]) for d in DIRECTIONS}
    square = drawn["image_retrieval"].full
    nearest = np.argsort(-square, axis=1, kind="stable")[:, :NEIGHBOURS]
    rows = compared.image_rows
    return [
        {
            "id": compared.ids[i],
            "image_row": int(rows[i]),
            "rank_image_retrieval": float(ranks["image_retrieval"][i]),
            "rank_brain_retrieval": float(ranks["brain_retrieval"][i]),
            "neighbours": [
                {
                    "id": compared.ids[j],
                    "image_row": int(rows[j]),
                    "similarity": float(square[i, j]),
                }
                for j in nearest[i]
            ],
        }
        for i in range(n)
    ]


def _choice(option: str, value: str, choices: tuple[str, ...]) -> UsageProblem:
    return UsageProblem(
        f"unknown value {value!r}", where=option, fix=f"one of {', '.join(choices)}"
    )
