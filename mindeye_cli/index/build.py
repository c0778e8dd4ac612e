"""`mindeye retrieve index`: from shards to a searchable index, part by part.

Nothing heavy is imported before there is something to build: a rerun that has nothing to do
compares sizes and times of files and ends.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mindeye_cli.core.fingerprint import environment
from mindeye_cli.core.neighbours.manifest import (
    INDEX,
    PARTS,
    SHARED,
    UNCHECKED,
    Manifest,
    Part,
    Plan,
    read_manifest,
    write_manifest,
)
from mindeye_cli.core.neighbours.shards import Shard, find_shards
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.progress import track
from mindeye_cli.index.folder import embed_pictures
from mindeye_cli.index.options import IndexOptions
from mindeye_cli.index.plan import Todo, fix_plan, open_folder, plan_parts
from mindeye_store.errors import PartialResult
from mindeye_store.files import disk_errors

LOCKS = "_locks"


def build_index(options: IndexOptions) -> Outcome:
    """Index a folder of embedding shards or of pictures, continuing what is there.

    Parameters
    ----------
    options : IndexOptions

    Returns
    -------
    Outcome
        Values `kind`, `n_vectors`, `bytes_per_vector`, `recall_at_16`, `recall_at_300`, `parts`,
        `built`, `settings`, `check`.

    Raises
    ------
    InvalidInput
        A shard is damaged, of another width, not normalised, not finite, or has changed.
    MissingResource
        A shard or an optional package is absent.
    PartialResult
        The recall cannot be reached, the disk is full, or all workers were lost.
    StoreLocked
        Another process builds the same index.
    """
    options = replace(options, source=options.source.resolve(), index=options.index.resolve())
    open_folder(options)
    options = embed_pictures(options)
    shards = find_shards(options.source)
    plan = fix_plan(options, shards)
    if not options.resume and not (options.index / INDEX).exists():
        shutil.rmtree(options.index / PARTS, ignore_errors=True)
    todo = plan_parts(options, shards)
    there = _finished(options, plan, todo)
    if there is not None:
        return _outcome(options, there, 0, status="notneeded")
    from mindeye_store.lock import Lock

    with disk_errors(options.index), Lock(options.index / LOCKS, "build", str(options.index)):
        manifest = _build(options, plan, shards, plan_parts(options, shards))
    return _outcome(options, manifest, len(todo.todo))


def _finished(options: IndexOptions, plan: Plan, todo: Todo) -> Manifest | None:
    """The manifest, when it has every part and reached its recall."""
    if todo.todo or not (options.index / INDEX).exists():
        return None
    manifest = read_manifest(options.index)
    same = {part.name for part in manifest.parts} == {part.name for part in todo.done}
    asked = manifest.check.get("asked", {})
    enough = plan.kind == "exact" or asked == _asked(options)
    return manifest if same and enough else None


def _asked(options: IndexOptions) -> dict[str, Any]:
    return {
        "recall": options.recall,
        "queries": None if options.queries is None else str(options.queries.resolve()),
    }


def _build(options: IndexOptions, plan: Plan, shards: list[Shard], todo: Todo) -> Manifest:
    from mindeye_cli.core.neighbours.cluster import runner
    from mindeye_cli.index.parts import build_part
    from mindeye_cli.index.shared import fix_coder

    index, root = options.index, options.source
    if plan.kind == "ivf":
        fix_coder(options, plan, shards)
    tasks = [(index, root, plan, name, group) for name, group in todo.todo]
    built: list[Part] = []
    with runner(options.scheduler) as run:
        with track("index", len(tasks), unit="parts") as bar:
            for part in run(build_part, tasks):
                built.append(part)
                bar.advance()
    parts = _in_order(index, todo.done, built)
    manifest = Manifest(plan=plan, root=str(root), parts=parts, settings={}, check={})
    if plan.kind == "ivf":
        manifest = _checked(options, manifest)
    write_manifest(index, manifest, environment=environment())
    (index / UNCHECKED).unlink(missing_ok=True)
    return manifest


def _in_order(index: Path, done: tuple[Part, ...], built: list[Part]) -> tuple[Part, ...]:
    """Parts that are searched already keep their places, new ones follow by name."""
    known = [part.name for part in read_manifest(index).parts] if (index / INDEX).exists() else []
    both = {part.name: part for part in (*done, *built)}
    names = [name for name in known if name in both]
    return tuple(both[name] for name in (*names, *sorted(both.keys() - set(names))))


def _checked(options: IndexOptions, manifest: Manifest) -> Manifest:
    """Measure the recall of the parts as they are, before anybody may search them.

    Raises
    ------
    PartialResult
        It is too low at any setting; an index that was there stays as it was.
    """
    from mindeye_cli.core.neighbours.queries import read_queries
    from mindeye_cli.core.neighbours.search import open_index
    from mindeye_cli.index.selfcheck import tune

    own = None
    if options.queries is not None:
        own = read_queries(options.queries, manifest.plan.dim)
    write_manifest(options.index, manifest, UNCHECKED)
    opened = open_index(options.index, options.source, UNCHECKED)
    settings, facts = tune(opened, options.recall, own)
    manifest = replace(
        manifest,
        settings={name: asdict(value) for name, value in settings.items()},
        check={**facts, "asked": _asked(options)},
    )
    if not facts["reached"]:
        write_manifest(options.index, manifest, UNCHECKED)
        raise _too_low(options, manifest)
    return manifest


def _too_low(options: IndexOptions, manifest: Manifest) -> PartialResult:
    k, entry = next(
        (name.removeprefix("recall_at_"), value)
        for name, value in manifest.check.items()
        if name.startswith("recall_at_") and _lowest(value)["low"] < value["target"]
    )
    return PartialResult(
        f"recall of the {k} nearest is {_lowest(entry)['mean']:.3f} at most,"
        f" {entry['target']:.2f} is wanted",
        where=str(options.index),
        fix="--kind exact --overwrite, other --codes, or a lower --recall",
    )


def _lowest(entry: Mapping[str, Any]) -> Mapping[str, float]:
    kinds: list[Mapping[str, float]] = [v for v in entry.values() if isinstance(v, Mapping)]
    return min(kinds, key=lambda value: value["low"])


def _outcome(options: IndexOptions, manifest: Manifest, built: int, status: Any = "ok") -> Outcome:
    size = sum(part.bytes for part in manifest.parts)
    shared = options.index / SHARED
    if shared.is_dir():
        size += sum(path.stat().st_size for path in shared.iterdir())
    check = manifest.check
    exact = manifest.plan.kind == "exact"

    def recall(k: int) -> float | None:
        entry = check.get(f"recall_at_{k}")
        return 1.0 if exact else None if entry is None else _lowest(entry)["mean"]

    return Outcome(
        status=status,
        outputs=(options.index,),
        values={
            "kind": manifest.plan.kind,
            "codes": None if exact else manifest.plan.codes,
            "space": manifest.plan.space,
            "n_vectors": manifest.n_vectors,
            "bytes_per_vector": size / manifest.n_vectors,
            "recall_at_16": recall(16),
            "recall_at_300": recall(300),
            "parts": len(manifest.parts),
            "built": built,
            "settings": dict(manifest.settings),
            "check": dict(check),
        },
    )
