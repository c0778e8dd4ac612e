"""`prepare nsd`: check everything that can be checked, stream the sessions, publish."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindeye_cli.core.fingerprint import of_array, of_json
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.signals import StopFlag
from mindeye_cli.prepare.nsd.check import Checked, NsdOptions, check
from mindeye_cli.prepare.nsd.files import needed_files
from mindeye_cli.prepare.nsd.sessions import SessionCache, cache_folder
from mindeye_cli.prepare.nsd.surfaces import surface_facts
from mindeye_cli.prepare.pictures import add_pictures
from mindeye_cli.prepare.stores import already_there, outcome_values
from mindeye_cli.prepare.subject import measure, write_subject
from mindeye_store import create_store


def prepare_nsd(options: NsdOptions) -> Outcome:
    """Prepare one subject.

    Returns
    -------
    Outcome
        Values `n_voxels`, `n_trials`, `n_images`, `splits`, `dropped`, `release`.

    Raises
    ------
    MissingResource
        A file is absent.
    InvalidInput
        A file is damaged or does not fit the others; the store is as it was.
    Requeue
        A stop signal came; whole sessions and shards of pictures are kept.
    """
    with StopFlag() as stop:
        return _prepare(options, stop)


def _prepare(options: NsdOptions, stop: StopFlag) -> Outcome:
    layout = options.layout
    checked = check(options)
    plan = _plan(options, checked)
    place = cache_folder(options.store, layout.name, layout.betas, checked.mask)
    cache = SessionCache(place, checked.mask)
    bundle = options.store / "subjects" / layout.name
    if already_there(options.store, layout.name, plan, options.overwrite):
        cache.remove()
        values = outcome_values(options.store, layout.name)
        return Outcome(status="notneeded", outputs=(bundle,), values=values)
    data = measure(
        cache.fill(checked.series, stop),
        checked.table,
        checked.voxels,
        zscore=options.zscore,
        max_invalid=options.max_invalid,
        source=str(layout.betas_folder),
    )
    store = create_store(options.store)
    rows = add_pictures(store, checked.pictures, plan, stop)
    write_subject(
        store,
        layout.name,
        data,
        rows,
        plan=plan,
        # The split is by picture, so none can be on both sides.
        attrs={
            "plan": plan,
            "roi": options.roi,
            "leaked_images": 0,
            "release": checked.release,
            "shared_repeats": checked.repeats,
            **surface_facts(layout),
        },
        overwrite=options.overwrite,
    )
    cache.remove()
    return Outcome(outputs=(bundle,), values=outcome_values(options.store, layout.name))


def describe_nsd(options: NsdOptions) -> Outcome:
    """List what `prepare_nsd` would read; nothing is read but names, sizes and small files.

    Returns
    -------
    Outcome
        Values `files` (path, bytes or null, present), `missing`, and, when the files that say so
        are there, `n_trials`, `n_images` and `splits`.
    """
    files = needed_files(options.layout, options.roi, options.sessions)
    missing = [entry["path"] for entry in files if not entry["present"]]
    values: dict[str, Any] = {
        "n_voxels": None,
        "n_trials": None,
        "n_images": None,
        "splits": None,
        "files": files,
        "missing": missing,
        "bytes": sum(entry["bytes"] or 0 for entry in files),
    }
    if not missing:
        checked = check(options)
        values |= {
            "n_voxels": len(checked.mask.ijk),
            "n_trials": len(checked.table),
            "n_images": checked.table.n_images,
            "splits": checked.table.splits(),
            "release": checked.release,
            "shared_repeats": checked.repeats,
        }
    return Outcome(values=values)


def _plan(options: NsdOptions, checked: Checked) -> dict[str, Any]:
    """What the subject's arrays depend on; paths and times are left out, so a copy counts alike."""
    layout = options.layout
    table = checked.table
    return {
        "reader": "nsd",
        "subject": layout.name,
        "betas": layout.betas,
        "volume_space": layout.volume_space,
        "sessions": list(checked.series),
        "bytes": [
            sum(path.stat().st_size for path in series.files) for series in checked.series.values()
        ],
        "zscore": options.zscore,
        "max_invalid": options.max_invalid,
        "roi": options.roi,
        "mask": of_array(checked.mask.ijk),
        "atlases": of_json(
            {name: [of_array(roi.labels), roi.names] for name, roi in checked.voxels.rois.items()}
        ),
        "trials": of_array(np.c_[checked.pictures.rows[table.image], table.split, table.session]),
    }
