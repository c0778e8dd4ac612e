"""Writes one subject as MindEye's (2023) tar files, for `prepare webdataset`.

One sample per image: its picture, up to three presentations (a missing one is filled with a copy
of the first), their number, and NSD's image number from 0.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.sampler import rng
from mindeye_cli.simulate.design import Design
from mindeye_cli.simulate.nsd_files import write_scenes
from mindeye_cli.simulate.published import npy_bytes, scored_trials, write_tar
from mindeye_cli.simulate.settings import SimulateConfig
from mindeye_cli.simulate.stimuli import Stimuli
from mindeye_cli.simulate.subject import Subject

_ROWS, _SHARD_SAMPLES = 3, 500
# Share of the training images that the published folder keeps apart as `val`.
_VALIDATION = 300 / 8859


def write_webdataset(
    folder: Path,
    subject: Subject,
    config: SimulateConfig,
    design: Design,
    stimuli: Stimuli,
    advance: Callable[[], object],
) -> None:
    """Write `train/`, `val/`, `test/` and the metadata file; `folder` may hold other subjects."""
    trials = scored_trials(subject, config, design, advance)
    pictures = np.unique(design.order) - 1
    random = rng(config.seed, "webdataset", subject.number)
    is_test = pictures < config.shared
    train = random.permutation(pictures[~is_test])
    n_val = max(1, round(_VALIDATION * len(train)))
    splits = {
        "train": train[n_val:],
        "val": train[:n_val],
        "test": random.permutation(pictures[is_test]),
    }
    for split, chosen in splits.items():
        for shard, start in enumerate(range(0, len(chosen), _SHARD_SAMPLES)):
            part = chosen[start : start + _SHARD_SAMPLES]
            write_tar(
                folder / split / f"{split}_{subject.name}_{shard}.tar",
                _samples(part, trials, subject, design, stimuli),
            )
    totals = {split: len(chosen) for split, chosen in splits.items()}
    write_json(folder / f"metadata_{subject.name}.json", {"totals": totals})
    if not (folder / "scenes.jsonl").exists():
        write_scenes(folder / "scenes.jsonl", stimuli, design.brick)


def _samples(
    pictures: npt.NDArray[np.int64],
    trials: npt.NDArray[np.float32],
    subject: Subject,
    design: Design,
    stimuli: Stimuli,
) -> Iterator[tuple[str, dict[str, bytes]]]:
    numbers = design.subjectim[subject.number - 1] - 1
    for number, picture in enumerate(pictures.tolist()):
        shown = np.flatnonzero(design.order == picture + 1)
        rows = np.concatenate([shown, np.repeat(shown[:1], _ROWS - len(shown))])
        yield (
            f"sample{number:09d}",
            {
                "png": _png(stimuli.pixels[design.stimulus[subject.number][picture]]),
                "nsdgeneral.npy": npy_bytes(trials[rows].astype(np.float16)),
                "coco73k.npy": npy_bytes(np.array(numbers[picture])),
                "trial.npy": npy_bytes(np.array(shown[0])),
                "num_uniques.npy": npy_bytes(np.array(len(shown))),
            },
        )


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()
