"""Which of NSD's two releases the sessions make up, checked against its known counts."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from mindeye_cli.prepare.nsd.design import NSD_RUNS, Design
from mindeye_cli.prepare.nsd.layout import SESSIONS_OF, NsdLayout
from mindeye_cli.prepare.releases import RELEASES, Release
from mindeye_cli.prepare.table import TEST, TrialTable
from mindeye_store.errors import InvalidInput

# The whole experiment: pictures in the file, trials of a subject, pictures shown to everybody.
NSD_SIZE = (73_000, max(SESSIONS_OF) * sum(NSD_RUNS), 1_000)
logger = logging.getLogger("mindeye")


def find_release(
    layout: NsdLayout, design: Design, n_pictures: int, sessions: tuple[int, ...], table: TrialTable
) -> str | None:
    """Name the release that the chosen sessions make up, and say which one it is.

    Parameters
    ----------
    layout : NsdLayout
    design : Design
    n_pictures : int
        In the file of all pictures.
    sessions : tuple of int
        Ascending.
    table : TrialTable
        The trials of these sessions.

    Returns
    -------
    str or None
        None for data of another size, other sessions, or counts that are not those of NSD's
        published order of trials; which of the three is logged.

    Raises
    ------
    InvalidInput
        NSD's size and a subject with all 40 sessions, but not every picture three times: such
        totals follow from the rules of the experiment, whatever its order.
    """
    if (n_pictures, len(design.image), len(design.shared)) != NSD_SIZE:
        logger.info("%s: not NSD's own size, counts are not checked", layout.name)
        return None
    whole = tuple(range(1, len(sessions) + 1))
    by_length = {each.sessions: each for each in RELEASES[layout.subject]}
    release = by_length.get(len(sessions)) if sessions == whole else None
    if release is None:
        logger.info("%s: %d sessions are neither of NSD's releases", layout.name, len(sessions))
        return None
    wrong = _differences(release, table)
    if not wrong:
        logger.info("%s: NSD's %s, all counts as published", layout.name, release.name)
        return release.name
    if release.sessions == max(SESSIONS_OF):
        raise InvalidInput(
            f"sessions 1-{release.sessions} of subject {layout.subject} have {', '.join(wrong)}",
            where=str(layout.experiments),
            fix="fetch the design files again: they are not NSD's",
        )
    logger.warning(
        "%s: sessions as in NSD's %s, but %s: the design is not the published one",
        layout.name,
        release.name,
        ", ".join(wrong),
    )
    return None


def shared_repeats(design: Design, shown: Any, table: TrialTable) -> dict[str, int]:
    """How many of the shared pictures have 0, 1, 2, ... test trials.

    Parameters
    ----------
    design : Design
    shown : int64 array
        Picture behind every position that `table.image` counts.
    table : TrialTable
    """
    pictures = shown[table.image[table.split == TEST]]
    trials = np.array([np.count_nonzero(pictures == picture) for picture in design.shared])
    return {str(n): int(count) for n, count in enumerate(np.bincount(trials))}


def _differences(release: Release, table: TrialTable) -> list[str]:
    """Every count that is another than the release's, for people."""
    found = table.splits()
    train, test = found["train"], found["test"]
    counts = (
        ("training trials", train["trials"], release.train_trials),
        ("training images", train["images"], release.train_images),
        ("test trials", test["trials"], release.test_trials),
        ("test images", test["images"], release.test_images),
    )
    return [
        f"{is_now} {what} instead of {known}" for what, is_now, known in counts if is_now != known
    ]
