"""`mindeye simulate`: scenes, a brain with known tuning, and its responses, in one new folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindeye_cli.core.atomic import staged_dir, write_json
from mindeye_cli.core.jsonable import to_jsonable
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.progress import track
from mindeye_cli.simulate.arrays_files import write_arrays
from mindeye_cli.simulate.design import Design, make_design
from mindeye_cli.simulate.filters import channel_maps
from mindeye_cli.simulate.mindeye2_files import write_mindeye2
from mindeye_cli.simulate.nsd_files import write_experiment, write_subject
from mindeye_cli.simulate.settings import SimulateConfig
from mindeye_cli.simulate.stimuli import make_stimuli
from mindeye_cli.simulate.subject import make_subject
from mindeye_cli.simulate.truth import write_truth
from mindeye_cli.simulate.webdataset_files import write_webdataset
from mindeye_store.errors import InvalidInput, UsageProblem
from mindeye_store.files import read_json

RECORD, TRUTH = "simulation.json", "truth"
# Raised when the same parameters give other bytes than before.
VERSION = 2


def simulate(out: Path, config: SimulateConfig, *, overwrite: bool = False) -> Outcome:
    """Write one simulation.

    Parameters
    ----------
    out : Path
        New folder. It appears under its name when it is complete.
    config : SimulateConfig
    overwrite : bool
        Replace a folder of another simulation.

    Returns
    -------
    Outcome
        `notneeded` when `out` holds this simulation already. Values: `subjects`, `n_images`,
        `n_trials` (both over all subjects) and `truth`, the folder with every voxel's tuning.

    Raises
    ------
    InvalidInput
        `out` holds another simulation and `overwrite` is false.
    UsageProblem
        `out` holds something else.
    """
    record = {"version": VERSION, "config": to_jsonable(config)}
    design = make_design(config)
    values = {
        "subjects": [f"subj{number:02d}" for number in config.subjects],
        "n_images": len(design.brick),
        "n_trials": len(design.order) * len(config.subjects),
        "truth": out / TRUTH,
    }
    if not overwrite and _is_there(out, record):
        return Outcome(status="notneeded", outputs=(out,), values=values)
    if overwrite and not (out / RECORD).is_file():
        if out.is_file() or (out.is_dir() and any(out.iterdir())):
            raise UsageProblem("--overwrite replaces simulations only", where=str(out))
    with staged_dir(out, overwrite=overwrite) as staged:
        _write(staged, config, design)
        write_json(staged / RECORD, record)
    return Outcome(outputs=(out,), values=values)


def _write(root: Path, config: SimulateConfig, design: Design) -> None:
    stimuli = make_stimuli(config)
    maps = channel_maps(stimuli.pixels)
    if config.layout == "nsd":
        write_experiment(root, design, stimuli)
    sessions = design.n_sessions * len(config.subjects)
    with track("simulate", sessions, unit="sessions") as bar:
        for number in config.subjects:
            subject = make_subject(number, config, design, stimuli, maps)
            if config.layout == "nsd":
                write_subject(root, subject, config, design, bar.advance)
            elif config.layout == "arrays":
                folder = root if len(config.subjects) == 1 else root / subject.name
                write_arrays(folder, subject, config, design, stimuli, bar.advance)
            else:
                write = write_webdataset if config.layout == "webdataset" else write_mindeye2
                write(root, subject, config, design, stimuli, bar.advance)
            write_truth(root / TRUTH, subject, design)


def _is_there(out: Path, record: dict[str, Any]) -> bool:
    """Whether `out` is a simulation with these parameters.

    Raises
    ------
    InvalidInput
        It is one with others.
    """
    path = out / RECORD
    if not path.is_file():
        return False
    found = read_json(path)
    if found == record:
        return True
    old, new = found.get("config", {}), record["config"]
    different = [key for key in new if old.get(key) != new[key]] or ["version"]
    raise InvalidInput(
        f"holds a simulation with another {different[0]}",
        where=str(path),
        fix="give another folder, or add --overwrite to replace it",
    )
