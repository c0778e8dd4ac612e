"""The plan of a reconstruction: which pictures, which seeds, which batches.

It is fixed at the first start and written to `OUT/plan.json`. Batches are a function of the plan,
never of what is missing, so that a rerun after an interruption repeats the same arithmetic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.atomic import remove_abandoned, write_once
from mindeye_cli.core.jsonable import dumps
from mindeye_cli.core.sampler import rng
from mindeye_cli.reconstruct.options import Options
from mindeye_cli.reconstruct.rounding import Rounding, recorded_rounding
from mindeye_store.errors import InvalidInput
from mindeye_store.files import read_json

PLAN_VERSION = 3
SEED_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to reconstruct; `trial_row` is None where repeats are averaged."""

    name: str
    image_id: str
    image_row: int
    trial_row: int | None
    seeds: tuple[int, ...]


Batch = tuple[int, tuple[Item, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """All items in order, how they are computed, and what they are made from.

    Attributes
    ----------
    items : tuple of Item
    rounding : Rounding
        Follows from the machine that started, so it is no part of what tells one reconstruction
        from another.
    settings : dict
    """

    items: tuple[Item, ...]
    rounding: Rounding
    settings: dict[str, Any]

    def batches(self, shard: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
        """Yield (number, items) of every batch, or of every n-th from the i-th on."""
        size = self.rounding.batch_items
        for number, start in enumerate(range(0, len(self.items), size)):
            if number % shard[1] == shard[0]:
                yield number, self.items[start : start + size]


def make_items(
    ids: list[str],
    image_rows: list[int],
    trial_rows: list[int | None],
    *,
    candidates: int,
    seed: int,
) -> tuple[Item, ...]:
    """Name every picture and draw its seeds.

    Parameters
    ----------
    ids : list of str
        Image ids, one a picture.
    image_rows : list of int
        Global image rows in the store.
    trial_rows : list of int or None
        The single trial behind each picture, or None where repeats are averaged.
    candidates : int
    seed : int
        A candidate's seed is a pure function of (seed, image row, trial row, its number).
    """
    items = []
    for image_id, row, trial in zip(ids, image_rows, trial_rows, strict=True):
        draw = rng(seed, "reconstruct", row, -1 if trial is None else trial)
        seeds = tuple(int(s) for s in draw.integers(0, SEED_LIMIT, size=candidates))
        name = safe_name(image_id) + ("" if trial is None else f"-trial{trial:05d}")
        items.append(Item(name, image_id, row, trial, seeds))
    names = [item.name for item in items]
    if len(set(names)) != len(names):
        items = [
            Item(f"{i.name}-row{i.image_row:05d}", i.image_id, i.image_row, i.trial_row, i.seeds)
            for i in items
        ]
    return tuple(items)


def safe_name(image_id: str) -> str:
    """Turn an image id into a file name that no shell or file system misreads."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", image_id).lstrip(".") or "image"


def fix_plan(out: Path, plan: Plan) -> Plan:
    """Write the plan, or check it against the one that the folder already has.

    Returns
    -------
    Plan
        The folder's: it is computed as at the first start.

    Raises
    ------
    InvalidInput
        The folder holds another reconstruction.
    """
    path = out / "plan.json"
    record = {
        "plan_version": PLAN_VERSION,
        "settings": plan.settings,
        **asdict(plan.rounding),
        "items": [asdict(item) for item in plan.items],
    }
    remove_abandoned(out, path.name)
    if not path.exists():
        others = out.exists() and [f for f in out.iterdir() if not f.name.startswith(path.name)]
        # Another shard may have written the plan and gone on at this moment.
        if others and not path.exists():
            raise InvalidInput(
                "the folder is not empty and holds no plan of a reconstruction",
                where=str(out),
                fix="name another folder, or give --overwrite",
            )
        if write_once(path, dumps(record, indent=2) + "\n"):
            return plan
    stored = read_json(path)
    fresh = json.loads(dumps(record))
    fixed = fresh.keys() - asdict(plan.rounding).keys()
    if any(stored.get(key) != fresh[key] for key in fixed):
        raise InvalidInput(
            f"the folder holds another reconstruction: {difference(stored, fresh)}",
            where=str(path),
            fix="name another folder, or give --overwrite",
        )
    return replace(plan, rounding=recorded_rounding(stored, path))


def difference(stored: dict[str, Any], fresh: dict[str, Any]) -> str:
    """Name the first thing in which two records of a plan differ."""
    old, new = stored.get("settings", {}), fresh["settings"]
    changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    if stored.get("plan_version") != fresh.get("plan_version"):
        return "one of another version of this program, which draws other noise"
    if changed:
        key = changed[0]
        return f"{key} was {old.get(key)!r} and is now {new.get(key)!r}"
    return "its images or seeds differ"


def select(options: Options, ids: list[str]) -> list[int]:
    """Positions of the images asked for, in the order of `ids`.

    Raises
    ------
    InvalidInput
        An id of `--ids-from` is not among them.
    """
    positions = list(range(len(ids)))
    if options.ids is not None:
        known = {image_id: k for k, image_id in enumerate(ids)}
        unknown = [i for i in options.ids if i not in known]
        if unknown:
            raise InvalidInput(
                f"{len(unknown)} ids are not {options.split} images of this subject,"
                f" first {unknown[0]!r}",
                where="--ids-from",
                fix="mindeye store info STORE --json lists the subjects and splits",
            )
        positions = sorted({known[i] for i in options.ids})
    return positions if options.limit is None else positions[: options.limit]


def spread(values: np.ndarray[Any, Any], items: tuple[Item, ...]) -> np.ndarray[Any, Any]:
    """Repeat each item's row for all of its candidates: (n, ...) to (n * candidates, ...)."""
    return np.repeat(values, len(items[0].seeds), axis=0)
