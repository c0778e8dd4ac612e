"""Writes a simulation below one root as NSD lays out its bucket."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from mindeye_cli.simulate.areas import ATLASES
from mindeye_cli.simulate.design import Design
from mindeye_cli.simulate.nifti import unmask, write_volume
from mindeye_cli.simulate.nsd_tables import (
    write_behaviour,
    write_design,
    write_stimulus_table,
)
from mindeye_cli.simulate.settings import SimulateConfig
from mindeye_cli.simulate.stimuli import Stimuli
from mindeye_cli.simulate.subject import Subject, measured_ncsnr, session_betas

BETAS = "betas_fithrf_GLMdenoise_RR"
SPACE = "func1pt8mm"


def write_experiment(root: Path, design: Design, stimuli: Stimuli) -> None:
    """Write what all subjects share: pictures, design and table of pictures."""
    experiments = root / "nsddata/experiments/nsd"
    pictures = root / "nsddata_stimuli/stimuli/nsd"
    for folder in (experiments, pictures):
        folder.mkdir(parents=True)
    write_design(experiments / "nsd_expdesign.mat", design)
    write_stimulus_table(experiments / "nsd_stim_info_merged.csv", design)
    with h5py.File(pictures / "nsd_stimuli.hdf5", "w") as file:
        file.create_dataset("imgBrick", data=stimuli.pixels[design.brick])
    write_scenes(pictures / "scenes.jsonl", stimuli, design.brick)


def write_scenes(path: Path, stimuli: Stimuli, rows: npt.NDArray[np.int64]) -> None:
    """Write captions and attribute records, one JSON object a line, in the order of the pictures.

    NSD has COCO's annotations for this. `group` numbers sets of near-duplicates; it is absent for
    pictures that have none.
    """
    with path.open("w", encoding="utf-8") as stream:
        for number, row in enumerate(rows.tolist()):
            scene = stimuli.scenes[row]
            line = {"row": number, "caption": scene.caption(), "record": scene.record()}
            if stimuli.group[row] >= 0:
                line["group"] = int(stimuli.group[row])
            stream.write(json.dumps(line) + "\n")


def write_subject(
    root: Path,
    subject: Subject,
    config: SimulateConfig,
    design: Design,
    advance: Callable[[], object],
) -> None:
    """Write one subject's betas, ROI volumes, label names and behaviour.

    Parameters
    ----------
    root : Path
    subject : Subject
    config : SimulateConfig
    design : Design
    advance : callable
        Called after each session.
    """
    anatomy = subject.anatomy
    data = root / "nsddata/ppdata" / subject.name
    for atlas, names in ATLASES.items():
        for hemisphere in (None, "lh", "rh"):
            file = f"{hemisphere}.{atlas}.nii.gz" if hemisphere else f"{atlas}.nii.gz"
            write_volume(data / SPACE / "roi" / file, anatomy.volume(atlas, hemisphere))
        table = root / "nsddata/freesurfer" / subject.name / "label" / f"{atlas}.mgz.ctab"
        table.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{label} {name}\n" for label, name in enumerate(("Unknown", *names))]
        table.write_text("".join(lines), encoding="utf-8")
    write_behaviour(data / "behav/responses.tsv", design, subject.number, config.seed)
    folder = root / "nsddata_betas/ppdata" / subject.name / SPACE / BETAS
    sessions = []
    for number, betas in enumerate(session_betas(subject, config, design), start=1):
        write_volume(folder / f"betas_session{number:02d}.nii.gz", unmask(anatomy.mask, betas))
        sessions.append(betas)
        advance()
    ratio = measured_ncsnr(sessions, design, config.repeats)
    if ratio is not None:
        write_volume(folder / "ncsnr.nii.gz", unmask(anatomy.mask, ratio))
