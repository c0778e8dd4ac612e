"""Writes one subject as MindEye2's files, for `prepare mindeye2`.

`betas_all_subj0S_fp32_renorm.hdf5`, `coco_images_224_float16.hdf5` (here of 64 pixels), and
`wds/subj0S/{train,test,new_test}` with 17 columns of behaviour a trial. The old test set is the
new one without the trials of the last session, as NSD's first release lacked the last sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from mindeye_cli.simulate.design import Design
from mindeye_cli.simulate.nsd_files import write_scenes
from mindeye_cli.simulate.published import npy_bytes, scored_trials, write_tar
from mindeye_cli.simulate.settings import SimulateConfig
from mindeye_cli.simulate.stimuli import Stimuli
from mindeye_cli.simulate.subject import Subject

_COLUMNS, _NOT_RECORDED = 17, -1.0


def write_mindeye2(
    folder: Path,
    subject: Subject,
    config: SimulateConfig,
    design: Design,
    stimuli: Stimuli,
    advance: Callable[[], object],
) -> None:
    """Write one subject; the pictures are written with the first one."""
    trials = scored_trials(subject, config, design, advance)
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / f"betas_all_{subject.name}_fp32_renorm.hdf5", "w") as file:
        file.create_dataset("betas", data=trials)
    pictures = folder / "coco_images_224_float16.hdf5"
    if not pictures.exists():
        pixels = np.moveaxis(stimuli.pixels[design.brick], 3, 1) / np.float32(255)
        with h5py.File(pictures, "w") as file:
            file.create_dataset("images", data=pixels.astype(np.float16))
        write_scenes(folder / "scenes.jsonl", stimuli, design.brick)
    table = _behaviour(subject.number, design)
    shared = design.order <= config.shared
    table[:, 16] = shared
    home = folder / "wds" / subject.name
    for session in range(1, design.n_sessions + 1):
        chosen = table[~shared & (design.session == session)]
        write_tar(home / "train" / f"{session - 1}.tar", _samples(chosen))
    write_tar(home / "new_test/0.tar", _samples(table[shared]))
    early = shared & (design.session < max(2, design.n_sessions))
    write_tar(home / "test/0.tar", _samples(table[early]))


def _behaviour(number: int, design: Design) -> npt.NDArray[np.float64]:
    """The 17 columns: image, subject, session, run, trial, row of the betas, then the answers."""
    table = np.full((len(design.order), _COLUMNS), _NOT_RECORDED)
    table[:, 0] = design.subjectim[number - 1, design.order - 1] - 1
    table[:, 1] = number
    table[:, 2], table[:, 3], table[:, 4] = design.session, design.run, design.trial
    table[:, 5] = np.arange(len(table))
    return table


def _samples(
    rows: npt.NDArray[np.float64],
) -> Iterator[tuple[str, dict[str, bytes]]]:
    for number, row in enumerate(rows):
        yield (
            f"sample{number:09d}",
            {
                "behav.npy": npy_bytes(row[None]),
                "past_behav.npy": npy_bytes(np.full((15, _COLUMNS), _NOT_RECORDED)),
                "future_behav.npy": npy_bytes(np.full((15, _COLUMNS), _NOT_RECORDED)),
                "olds_behav.npy": npy_bytes(np.full((3, _COLUMNS), _NOT_RECORDED)),
            },
        )
