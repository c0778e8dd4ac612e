"""`prepare targets`: a frozen encoder's output for every image of the store, once.

Each image segment has its own bundle of targets, so images added later cost only themselves; each
shard is entered when it is whole, so a killed run, or several processes, lose nothing.

Shapes: `B` images of one batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.launch import rank, world_size
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.progress import track
from mindeye_cli.models.encoders import Encoder, load_encoder
from mindeye_cli.prepare.given import given_encoder
from mindeye_store import Store, open_store
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem
from mindeye_store.schema import encode

# Part of the result: some kernels round differently at another batch size.
BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """What one call caches.

    Attributes
    ----------
    store : Path
    space : str
    weights : Path, optional
        Local weights of the encoder.
    given : Path, optional
        An .npy file to take the rows from instead of an encoder (`array:NAME`).
    ids : Path, optional
        Text file that names the image of each row of `given`; the store's order by default.
    part : (int, int)
        (i, n): this is process i of n; a launcher's own numbers are taken for (0, 1).
    """

    store: Path
    space: str
    weights: Path | None = None
    given: Path | None = None
    ids: Path | None = None
    part: tuple[int, int] = (0, 1)


def prepare_targets(options: TargetOptions) -> Outcome:
    """Cache a SPACE, one row per image.

    Returns
    -------
    Outcome
        `notneeded` when every image has its row. Values `space`, `shape` (of one row), `dtype`,
        `norm`, `rows_done` (with several processes: this one's, until all is published),
        `rows_total`, `fingerprint`, `published`.

    Raises
    ------
    InvalidInput
        Targets of another encoder are there under this name.
    MissingResource
        The store has no images, or the encoder's weights are absent.
    """
    store = open_store(options.store)
    if not store.images.n:
        raise MissingResource(
            "the store has no images", where=str(store.path), fix="mindeye prepare nsd --help"
        )
    encoder, pick = _encoder(options, store)
    _refuse_other(store, encoder)
    part = (rank(), world_size()) if options.part == (0, 1) else options.part
    missing = [name for name in store.images.segments if not _there(store, encoder, name)]
    starts = np.cumsum([0, *store.images.counts])
    done = 0
    with track("encode", store.images.n, unit="images") as bar:
        for index, segment in enumerate(store.images.segments):
            rows = np.arange(starts[index], starts[index + 1])
            own = len(rows)
            if segment in missing:
                own = _write(store, encoder, pick, segment, rows, part, bar.advance)
            done += len(rows) if _there(store, encoder, segment) else own
    values = {
        "space": encoder.space,
        "shape": list(encoder.shape),
        "dtype": encoder.dtype,
        "norm": encoder.norm,
        "rows_done": done,
        "rows_total": store.images.n,
        "fingerprint": encoder.fingerprint,
        "published": not store.missing_segments(encoder.space),
    }
    return Outcome(
        status="ok" if missing else "notneeded",
        outputs=(store.path / "targets" / encode(encoder.space),),
        values=values,
    )


Pick = Callable[[NDArray[np.int64]], NDArray[Any]]


def _encoder(options: TargetOptions, store: Store) -> tuple[Encoder, Pick]:
    """The encoder's declaration, and what gives the rows of some images."""
    named = options.space.startswith("array:")
    if named != (options.given is not None):
        raise UsageProblem(
            "a space array:NAME and --from FILE.npy belong together",
            where="--space",
            fix=f"mindeye prepare targets {options.store} --space array:NAME --from FILE.npy",
        )
    if options.given is not None:
        return given_encoder(options.space, options.given, options.ids, store.images.ids)
    if options.ids is not None:
        raise UsageProblem("--ids belongs to --from", where="--ids")
    encoder = load_encoder(options.space, options.weights)

    def pick(rows: NDArray[np.int64]) -> NDArray[Any]:
        return encoder.encode(store.images.read(rows))

    return encoder, pick


def _write(
    store: Store,
    encoder: Encoder,
    pick: Pick,
    segment: str,
    rows: NDArray[np.int64],
    part: tuple[int, int],
    advance: Callable[[int], object],
) -> int:
    """Encode this part's shards of one segment; return how many rows they hold."""
    plan = {
        "space": encoder.space,
        "fingerprint": encoder.fingerprint,
        "shape": list(encoder.shape),
        "dtype": encoder.dtype,
        "images": store.fingerprint(f"images/{segment}"),
    }
    attrs = {
        "space": encoder.space,
        "norm": encoder.norm,
        "fingerprint": encoder.fingerprint,
        "encoder": encoder.description,
    }
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
            raise InvalidInput(
                f"targets {encoder.space} are there from another encoder: fingerprint"
                f" {str(held)[:12]}, this one has {encoder.fingerprint[:12]}",
                where=str(store.path / "targets" / encode(encoder.space)),
                fix=f"mindeye store rm {store.path} targets/{encoder.space}",
            )
