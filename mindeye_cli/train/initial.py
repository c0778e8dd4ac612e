"""Start a run from another run's weights: fine-tuning on a new subject, or on a new space.

Everything after the input layers is shared between subjects and is taken over; a subject that the
other run knows, by name and by its voxels' places, keeps its input layer too (MindEye2's protocol,
Scotti et al. 2024).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from mindeye_cli.core.checkpoint import latest_tensors, load_tensors
from mindeye_cli.core.fingerprint import of_file
from mindeye_cli.core.runs import MODEL, Kind, RunInfo, read_run
from mindeye_cli.core.trials import test_images_any_subject, trained_rows
from mindeye_store import InvalidInput, MissingResource, Store, UsageProblem

logger = logging.getLogger("mindeye")
INPUT = re.compile(r"^(backbone\.stem\.linears)\.(\d+)\.(.+)$")
Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Source:
    """The run to start from.

    Attributes
    ----------
    run : Path
    info : RunInfo
    file : Path
        Its final weights, or its latest checkpoint's tensors where it is not finished.
    """

    run: Path
    info: RunInfo
    file: Path

    def weights(self) -> Tensors:
        """Its tensors by name; of a checkpoint, those that the run would keep."""
        if self.info.status == "finished":
            return load_tensors(self.file)
        return load_tensors(self.file, "average.") or load_tensors(self.file, "model.")


def check_source(name: str, kind: Kind, store: Store) -> Source | None:
    """The run to start from, once it is known to be fit for it; None where none is named.

    Raises
    ------
    MissingResource
        There is no such run.
    UsageProblem
        It is of another kind, or has neither final weights nor a checkpoint.
    InvalidInput
        It was trained on images that are test images in this store.
    """
    if not name:
        return None
    source = Path(name)
    info = read_run(source)
    file = source / MODEL if info.status == "finished" else latest_tensors(source)
    if info.kind != kind or file is None:
        what = info.status if file is not None else "not yet saved"
        raise UsageProblem(
            f"a {what} {info.kind} run cannot start a {kind} run",
            where=f"init.run={source}",
            fix=f"name a run of `mindeye train {kind}` that is finished or has a checkpoint",
        )
    if not (info.details.get("trained_ids") or info.details.get("trained_images")):
        logger.warning(
            "%s does not say which images trained it: check that no test image did", source
        )
    seen = np.intersect1d(trained_rows(info, store), test_images_any_subject(store))
    if len(seen):
        raise InvalidInput(
            f"it was trained on {len(seen)} images that are test images in this store,"
            f" first image row {seen[0]}",
            where=f"init.run={source}",
            fix="train it again on this store",
        )
    return Source(source, info, file)


def origin(source: Source | None, files: tuple[Path, ...]) -> str:
    """Fingerprint of the weights to start from, empty for random ones: others make another run.

    Raises
    ------
    MissingResource
        One of the files is absent.
    """
    names = (*files, *(() if source is None else (source.file,)))
    for file in names:
        if not file.exists():
            raise MissingResource("the file of initial weights is absent", where=str(file))
    return " ".join(of_file(file) for file in names)


def take_over(
    model: nn.Module, source: Source, subjects: tuple[str, ...], masks: tuple[str, ...]
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
    given = source.weights()
    wanted = model.state_dict()
    theirs = source.info.details["masks"]
    known = {
        subject: (mask, place)
        for place, (subject, mask) in enumerate(zip(source.info.subjects, theirs, strict=True))
    }
    taken: set[str] = set()
    new: Tensors = {}
    for name, value in wanted.items():
        found = INPUT.match(name)
        if found is None:
            new[name] = _shared(given, name, value, source.run)
            continue
        subject, mask = subjects[int(found[2])], masks[int(found[2])]
        if subject in known and known[subject][0] == mask:
            new[name] = given[f"{found[1]}.{known[subject][1]}.{found[3]}"]
            taken.add(subject)
        else:
            new[name] = value
    left = [name for name in given if name not in wanted and INPUT.match(name) is None]
    if left:
        raise InvalidInput(
            f"the run to start from has more than this model: {left[0]}",
            where=f"init.run={source.run}",
            fix="give this run the same sizes and parts",
        )
    model.load_state_dict(new)
    for subject in subjects:
        logger.info("%s: input layer %s", subject, _origin_of_layer(subject, taken, known))
    return sorted(taken)


def _origin_of_layer(subject: str, taken: set[str], known: Mapping[str, tuple[str, int]]) -> str:
    """Where a subject's input layer comes from, in words."""
    if subject in taken:
        return "of the run to start from"
    if subject not in known:
        return "random, the run to start from does not know the subject"
    if not known[subject][0]:
        return "random, the run to start from is imported and does not say which voxels it read"
    return "random, the run to start from read other voxels"


def _shared(given: Tensors, name: str, value: Tensor, source: Path) -> Tensor:
    if name not in given or given[name].shape != value.shape:
        have = "lacks it" if name not in given else f"has {tuple(given[name].shape)}"
        raise InvalidInput(
            f"{name} of shape {tuple(value.shape)}: the run to start from {have}",
            where=f"init.run={source}",
            fix="give this run the same sizes and parts, for example with --config RUN/config.toml",
        )
    return given[name]
