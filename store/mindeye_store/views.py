"""Names of a space's augmented views: targets of altered pictures, kept beside the plain ones."""

from __future__ import annotations

import re

from mindeye_store.errors import InvalidInput

_VIEW = re.compile(r"(?P<space>.+)@view(?P<view>[1-9][0-9]*)")


def view_space(space: str, view: int) -> str:
    """Name of one view of a space.

    Parameters
    ----------
    space : str
        A plain SPACE, such as `scene-clip:tokens`.
    view : int
        0 is the plain space itself.

    Returns
    -------
    str
        Such as `scene-clip:tokens@view1`.

    Raises
    ------
    InvalidInput
        `space` is a view already, or `view` is negative.
    """
    if split_view(space)[1]:
        raise InvalidInput(f"{space} is itself a view; views are made of plain spaces")
    if view < 0:
        raise InvalidInput(f"{view} is not the number of a view", where=space)
    return f"{space}@view{view}" if view else space


def split_view(space: str) -> tuple[str, int]:
    """Take a name apart into the plain space and the number of the view; 0 is the plain one."""
    found = _VIEW.fullmatch(space)
    return (space, 0) if found is None else (found["space"], int(found["view"]))
