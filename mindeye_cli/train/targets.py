"""Target spaces of a store, opened whole: a run reads the targets of every image it trains on."""

from __future__ import annotations

from mindeye_store import InvalidInput, Reader, Store, prepare_command, view_space


def open_targets(store: Store, space: str) -> Reader:
    """Open a target space that covers every image of the store.

    Raises
    ------
    MissingResource
        The store has no such space.
    InvalidInput
        Some images have no targets yet.
    """
    target = store.target(space)
    missing = store.missing_segments(space)
    if missing:
        raise InvalidInput(
            f"{len(missing)} segments of images have no targets",
            where=f"targets/{space}",
            fix=prepare_command(store.path, space),
        )
    return target


def open_views(store: Store, space: str, views: int) -> tuple[Reader, ...]:
    """Open a space's plain targets and those of its augmented views; raises as `open_targets`.

    The last view is looked for first: the command that makes it makes all before it.
    """
    plain = open_targets(store, space)
    later = [open_targets(store, view_space(space, k)) for k in range(views, 0, -1)]
    return (plain, *reversed(later))
