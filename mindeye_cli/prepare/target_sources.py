"""Where target rows come from: an encoder, a user's array, or augmented pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.models.encoders import (
    Encoder,
    augmented,
    find_policy,
    load_encoder,
    view_encoder,
)
from mindeye_cli.prepare.given import given_encoder
from mindeye_store import Store, split_view
from mindeye_store.errors import UsageProblem

Pick = Callable[[NDArray[np.int64]], NDArray[Any]]


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
    views : int
        Augmented views of every picture to cache too, each as a space of its own.
    augment : str, optional
        Policy of the views, `published` or `teacher`; by default the space's own.
    seed : int
        Of the views' draws.
    part : (int, int)
        (i, n): this is process i of n; a launcher's own numbers are taken for (0, 1).
    """

    store: Path
    space: str
    weights: Path | None = None
    given: Path | None = None
    ids: Path | None = None
    views: int = 0
    augment: str | None = None
    seed: int = 0
    part: tuple[int, int] = (0, 1)


@dataclass(frozen=True, slots=True)
class Source:
    """A space's declaration, and what gives the rows of some images."""

    encoder: Encoder
    pick: Pick


def target_sources(options: TargetOptions, store: Store) -> list[Source]:
    """The space itself, then its augmented views.

    Raises
    ------
    UsageProblem
        Options that do not belong together, or no such space.
    MissingResource
        The encoder's weights or the file of rows are absent.
    """
    plain = _plain(options, store)
    return [plain, *_views(options, store, plain)]


def _plain(options: TargetOptions, store: Store) -> Source:
    named = options.space.startswith("array:")
    if named != (options.given is not None):
        raise UsageProblem(
            "a space array:NAME and --from FILE.npy belong together",
            where="--space",
            fix=f"mindeye prepare targets {options.store} --space array:NAME --from FILE.npy",
        )
    if options.given is not None:
        return Source(*given_encoder(options.space, options.given, options.ids, store.images.ids))
    if options.ids is not None:
        raise UsageProblem("--ids belongs to --from", where="--ids")
    space, view = split_view(options.space)
    if view:
        raise UsageProblem(
            f"{options.space} is a view, which is made beside the plain targets",
            where="--space",
            fix=f"mindeye prepare targets {options.store} --space {space} --views {view}",
        )
    encoder = load_encoder(options.space, options.weights)
    return Source(encoder, lambda rows: encoder.encode(store.images.read(rows)))


def _views(options: TargetOptions, store: Store, plain: Source) -> list[Source]:
    """A source for each augmented view that is asked for."""
    if options.views < 0:
        raise UsageProblem(f"{options.views} is not a number of views", where="--views")
    if options.views and options.given is not None:
        raise UsageProblem(
            "a user's array has no encoder to make views with",
            where="--views",
            fix=f"give the altered pictures' rows: --space {options.space}@view1 --from FILE.npy",
        )
    if options.augment is not None and not options.views:
        raise UsageProblem("--augment belongs to --views", where="--augment")
    images, policy = store.images, find_policy(options.augment, options.space)
    ids = images.ids if options.views else []

    def source(view: int) -> Source:
        def pick(rows: NDArray[np.int64]) -> NDArray[Any]:
            names = [ids[k] for k in rows]
            pictures = augmented(images.read(rows), names, view, options.seed, policy)
            return plain.encoder.encode(pictures)

        return Source(view_encoder(plain.encoder, view, options.seed, policy), pick)

    return [source(view) for view in range(1, options.views + 1)]
