"""Writes one subject as plain arrays, for `prepare arrays`."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mindeye_cli.simulate.areas import ATLASES
from mindeye_cli.simulate.design import Design
from mindeye_cli.simulate.nsd_files import write_scenes
from mindeye_cli.simulate.settings import SimulateConfig
from mindeye_cli.simulate.stimuli import Stimuli
from mindeye_cli.simulate.subject import (
    INTEGER_SCALE,
    Subject,
    measured_ncsnr,
    session_betas,
)


def write_arrays(
    folder: Path,
    subject: Subject,
    config: SimulateConfig,
    design: Design,
    stimuli: Stimuli,
    advance: Callable[[], object],
) -> None:
    """Write `voxels.npy`, `trials.csv`, `images.npy`, `voxels.csv` and `scenes.jsonl`.

    The voxels are percent signal change, equal to the NSD layout's betas divided by 300.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = design.stimulus[subject.number]
    np.save(folder / "images.npy", stimuli.pixels[rows], allow_pickle=False)
    write_scenes(folder / "scenes.jsonl", stimuli, rows)
    _write_trials(folder / "trials.csv", config, design)
    sessions = []
    for betas in session_betas(subject, config, design):
        sessions.append(betas)
        advance()
    values = np.concatenate(sessions) / np.float32(INTEGER_SCALE)
    np.save(folder / "voxels.npy", values, allow_pickle=False)
    ratio = measured_ncsnr(sessions, design, config.repeats)
    _write_voxels(folder / "voxels.csv", subject, None if ratio is None else ratio.tolist())


def _write_trials(path: Path, config: SimulateConfig, design: Design) -> None:
    picture = design.order - 1
    split = np.where(picture < config.shared, "test", "train")
    columns = (picture, split, design.session, design.run, design.repeat())
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("image", "split", "session", "run", "repeat"))
        writer.writerows(zip(*(column.tolist() for column in columns), strict=True))


def _write_voxels(path: Path, subject: Subject, ratio: list[float] | None) -> None:
    atlases = [atlas for atlas in ATLASES if atlas != "nsdgeneral"]
    columns = [subject.anatomy.ijk[:, axis].tolist() for axis in range(3)]
    for atlas in atlases:
        names = ("", *ATLASES[atlas])
        columns.append([names[label] for label in subject.anatomy.labels(atlas)])
    header = ["x", "y", "z", *atlases]
    if ratio is not None:
        header.append("ncsnr")
        columns.append(ratio)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(zip(*columns, strict=True))
