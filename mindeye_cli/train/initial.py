"""Start a run from another run's weights: fine-tuning on a new subject, or on a new space.

Everything after the input layers is shared between subjects and is taken over; a subject that the
other run knows, by name and by its voxels' places, keeps its input layer too (MindEye2's protocol,
Scotti et al. 2024).
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from mindeye_cli.core.checkpoint import load_tensors
from mindeye_cli.core.fingerprint import of_file
from mindeye_cli.core.runs import MODEL, Kind, RunInfo, read_run
from mindeye_cli.core.trials import test_images_any_subject
from mindeye_store import InvalidInput, MissingResource, Store, UsageProblem

logger = logging.getLogger("mindeye")
INPUT = re.compile(r"^(backbone\.stem\.linears)\.(\d+)\.(.+)$")
Tensors = dict[str, Tensor]


def check_source(source: Path, kind: Kind, store: Store) -> RunInfo:
    """The run to start from, once it is known to be fit for it.

    Raises
    ------
    MissingResource
        There is no such run.
    UsageProblem
        It is of another kind, or not finished.
    InvalidInput
        It was trained on images that are test images in this store.
    """
    info = read_run(source)
    if info.kind != kind or info.status != "finished":
        raise UsageProblem(
            f"a {info.status} {info.kind} run cannot start a {kind} run",
            where=f"init.run={source}",
            fix=f"name a finished run of `mindeye train {kind}`",
        )
    trained = np.asarray(info.details.get("trained_images", ()), dtype=np.int64)
    if not len(trained):
        logger.warning(
            "%s does not say which images trained it: check that no test image did", source
        )
    seen = np.intersect1d(trained, test_images_any_subject(store))
    if len(seen):
        raise InvalidInput(
            f"it was trained on {len(seen)} images that are test images in this store,"
            f" first image row {seen[0]}",
            where=f"init.run={source}",
            fix="train it again on this store",
        )
    return info


def origin(source: Path | None, files: tuple[Path, ...]) -> str:
    """Fingerprint of the weights to start from, empty for random ones: others make another run.

    Raises
    ------
    MissingResource
        One of the files is absent.
    """
    names = (*files, *(() if source is None else (source / MODEL,)))
    for file in names:
        if not file.exists():
            raise MissingResource("the file of initial weights is absent", where=str(file))
    return " ".join(of_file(file) for file in names)


def take_over(
    model: nn.Module, source: Path, info: RunInfo, subjects: tuple[str, ...], masks: tuple[str, ...]
) -> list[str]:
    """Copy the shared weights, and the input layers of subjects that both runs know.

    Returns
    -------
    list of str
        Subjects whose input layer was taken over.

    Raises
    ------
    InvalidInput
        Shared tensors are missing, left over, or of other shapes.
    """
    given = load_tensors(source / MODEL)
    wanted = model.state_dict()
    known = {
        subject: (mask, place)
        for place, (subject, mask) in enumerate(
            zip(info.subjects, info.details["masks"], strict=True)
        )
    }
    taken: list[str] = []
    new: Tensors = {}
    for name, value in wanted.items():
        found = INPUT.match(name)
        if found is None:
            new[name] = _shared(given, name, value, source)
            continue
        subject, mask = subjects[int(found[2])], masks[int(found[2])]
        if subject in known and known[subject][0] == mask:
            new[name] = given[f"{found[1]}.{known[subject][1]}.{found[3]}"]
            taken.append(subject)
        else:
            new[name] = value
    left = [name for name in given if name not in wanted and INPUT.match(name) is None]
    if left:
        raise InvalidInput(
            f"the run to start from has more than this model: {left[0]}",
            where=f"init.run={source}",
            fix="give this run the same sizes and parts",
        )
    model.load_state_dict(new)
    return sorted(set(taken))


def _shared(given: Tensors, name: str, value: Tensor, source: Path) -> Tensor:
    if name not in given or given[name].shape != value.shape:
        have = "lacks it" if name not in given else f"has {tuple(given[name].shape)}"
        raise InvalidInput(
            f"{name} of shape {tuple(value.shape)}: the run to start from {have}",
            where=f"init.run={source}",
            fix="give this run the same sizes and parts, for example with --config RUN/config.toml",
        )
    return given[name]
