"""The files that one subject needs, and which of them are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindeye_cli.prepare.nsd.areas import is_expression, named_volumes
from mindeye_cli.prepare.nsd.layout import SESSIONS_OF, NsdLayout


def needed_files(
    layout: NsdLayout, roi: str, sessions: tuple[int, ...] | None
) -> list[dict[str, Any]]:
    """List paths below the root with their size and presence.

    Parameters
    ----------
    layout : NsdLayout
    roi : str
        Atlas that is the mask, or an expression over areas.
    sessions : tuple of int, optional
        By default those that are there, or all of the subject's when none is.

    Returns
    -------
    list of dict
        `path`, `bytes` (None when absent), `present`. Of the two design files the one that is
        there is listed, or the MATLAB file.
    """
    present = layout.sessions_present()
    everything = range(1, SESSIONS_OF[layout.subject - 1] + 1)
    taken = sessions or (range(1, max(present) + 1) if present else everything)
    designs = [path for path in (layout.design, layout.stimulus_table) if path.is_file()]
    named = [roi]
    if is_expression(layout, roi):
        pairs = named_volumes(layout, roi)
        named = [f"{side}.{atlas}" if side else atlas for atlas, side in pairs]
    paths = [
        layout.stimuli,
        *(designs or [layout.design]),
        *(path for name in [*named, *layout.roi_names()] for path in layout.roi(name)),
        *(path for path in (*layout.ncsnr, layout.responses) if path.is_file()),
        *(path for session in taken for path in layout.betas_files(session)),
    ]
    return [_entry(path, layout.root) for path in dict.fromkeys(paths)]


def _entry(path: Path, root: Path) -> dict[str, Any]:
    there = path.is_file()
    return {
        "path": str(path.relative_to(root)),
        "bytes": path.stat().st_size if there else None,
        "present": there,
    }
