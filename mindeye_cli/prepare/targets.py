"""`prepare targets`: a frozen encoder's output for every image of the store, once.

Each image segment has its own bundle of targets, so images added later cost only themselves; each
shard is entered when it is whole, so a killed run, or several processes, lose nothing.

Shapes: `B` images of one batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.launch import rank, world_size
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.progress import track
from mindeye_cli.core.signals import StopFlag
from mindeye_cli.models.encoders import Encoder
from mindeye_cli.prepare.target_sources import Pick, Source, TargetOptions, target_sources
from mindeye_store import Store, open_store, split_view
from mindeye_store.errors import InvalidInput, MissingResource
from mindeye_store.schema import encode

# Part of the result: some kernels round differently at another batch size.
BATCH = 32


def prepare_targets(options: TargetOptions) -> Outcome:
    """Cache a SPACE, one row per image, and its augmented views where asked.

    Returns
    -------
    Outcome
        `notneeded` when every image has its row. Values `space`, `shape` (of one row), `dtype`,
        `norm`, `rows_done` (with several processes: this one's, until all is published),
        `rows_total`, `fingerprint`, `published`; and `views`, a list of the same for each view.

    Raises
    ------
    InvalidInput
        Targets of another encoder are there under this name.
    MissingResource
        The store has no images, or the encoder's weights are absent.
    Requeue
        A stop signal came; the shard in work was written first.
    """
    store = open_store(options.store)
    if not store.images.n:
        raise MissingResource(
            "the store has no images", where=str(store.path), fix="mindeye prepare nsd --help"
        )
    sources = target_sources(options, store)
    for source in sources:
        _refuse_other(store, source.encoder)
    missing = any(store.missing_segments(source.encoder.space) for source in sources)
    part = (rank(), world_size()) if options.part == (0, 1) else options.part
    total = store.images.n * len(sources)
    with StopFlag() as stop, track("encode", total, unit="images") as bar:
        values = [_cache(store, source, part, bar.advance, stop) for source in sources]
    return Outcome(
        status="ok" if missing else "notneeded",
        outputs=tuple(store.path / "targets" / encode(each["space"]) for each in values),
        values={**values[0], "views": values[1:]},
    )


def _cache(
    store: Store,
    source: Source,
    part: tuple[int, int],
    advance: Callable[[int], object],
    stop: StopFlag,
) -> dict[str, Any]:
    """Write what is missing of one space; return what the command reports of it."""
    encoder, done = source.encoder, 0
    starts = np.cumsum([0, *store.images.counts])
    for index, segment in enumerate(store.images.segments):
        rows = np.arange(starts[index], starts[index + 1])
        own = len(rows)
        if not _there(store, encoder, segment):
            own = _write(store, encoder, source.pick, segment, rows, part, advance, stop)
        done += len(rows) if _there(store, encoder, segment) else own
    return {
        "space": encoder.space,
        "shape": list(encoder.shape),
        "dtype": encoder.dtype,
        "norm": encoder.norm,
        "rows_done": done,
        "rows_total": store.images.n,
        "fingerprint": encoder.fingerprint,
        "published": not store.missing_segments(encoder.space),
    }


def _write(
    store: Store,
    encoder: Encoder,
    pick: Pick,
    segment: str,
    rows: NDArray[np.int64],
    part: tuple[int, int],
    advance: Callable[[int], object],
    stop: StopFlag,
) -> int:
    """Encode this part's shards of one segment; return how many rows they hold."""
    images = store.fingerprint(f"images/{segment}")
    plan = {
        "space": encoder.space,
        "fingerprint": encoder.fingerprint,
        "shape": list(encoder.shape),
        "dtype": encoder.dtype,
        "images": images,
    }
    attrs = {
        "space": encoder.space,
        "norm": encoder.norm,
        "fingerprint": encoder.fingerprint,
        "encoder": encoder.description,
        "images": images,
    }
    if "view" in encoder.description:
        attrs["view_of"] = encoder.description["view"]["of"]
    name = f"targets/{encoder.space}/{segment}"
    with store.write_bundle(name, plan=plan, attrs=attrs, part=part) as writer:
        array = writer.array("rows", shape=(len(rows), *encoder.shape), dtype=encoder.dtype)
        for shard, own in array.pending():
            batches = []
            for start in range(0, len(own), BATCH):
                batch = pick(rows[own[start : start + BATCH]])
                batches.append(batch.astype(encoder.dtype, copy=False))
                advance(len(batch))
            array.write(shard, np.concatenate(batches))
            stop.raise_requeue(f"{store.path}, {name}")
        writer.publish()
    spans = [array.spec.span(shard) for shard in range(part[0], array.spec.n_shards, part[1])]
    return sum(stop - start for start, stop in spans)


def _there(store: Store, encoder: Encoder, segment: str) -> bool:
    return store.has_bundle(f"targets/{encoder.space}/{segment}")


def _refuse_other(store: Store, encoder: Encoder) -> None:
    """Targets made with other weights or another transform must not be mixed with these."""
    for segment in store.images.segments:
        if not _there(store, encoder, segment):
            continue
        held = store.attrs(f"targets/{encoder.space}/{segment}").get("fingerprint")
        if held != encoder.fingerprint:
            other = ", seed or augmentation" if split_view(encoder.space)[1] else ""
            raise InvalidInput(
                f"targets {encoder.space} are there from another encoder{other}: fingerprint"
                f" {str(held)[:12]}, this one has {encoder.fingerprint[:12]}",
                where=str(store.path / "targets" / encode(encoder.space)),
                fix=f"mindeye store rm {store.path} targets/{encoder.space}",
            )
