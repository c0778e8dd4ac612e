"""A RUN: the folder of one trained model, and the only place that knows its files' names.

run.json            what it is: kind, space, subjects, fingerprints, versions, status
config.toml         the resolved configuration
log.jsonl           one JSON object a line, appended while training
checkpoints/        ckpt-<step>/ and LATEST (core/checkpoint.py)
model.safetensors   the final weights, written when training has finished
exit.json           code, reason and step of the last process (launchers hide exit codes)
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mindeye_cli.core.atomic import fsync_folder, write_bytes, write_json, write_text
from mindeye_cli.core.config import same_settings
from mindeye_cli.core.fingerprint import environment
from mindeye_cli.core.jsonable import dumps, to_jsonable
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

if TYPE_CHECKING:
    import torch

Kind = Literal["high-level", "low-level", "ridge", "sae"]
SCHEMA_VERSION = 2
CONFIG = "config.toml"
LOG = "log.jsonl"
MODEL = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What `run.json` says.

    Parameters
    ----------
    kind, space : str
        What was trained, and the SPACE it predicts.
    subjects : tuple of str
        In the order of training; empty for an autoencoder of images, which reads no responses.
    n_voxels : tuple of int
        Voxels of a response, one number a subject.
    seed : int
        Every draw of the run is a function of it.
    voxels : tuple of str
        Fingerprints of the training responses, one a subject; empty where an imported run cannot
        tell.
    targets : str
        Fingerprint of the target space, to refuse mixed stores; empty likewise.
    status : {"training", "finished"}
        `finished` once the final weights are in place.
    steps : int
        Steps done when it finished.
    details : dict
        What else the kind needs to predict: target norm, shapes, `masks` (fingerprints of the
        voxels' places, one a subject).
    metrics : dict
        Final training and validation values.
    versions : dict
        `fingerprint.environment()` when the run was made.
    """

    kind: Kind
    space: str
    subjects: tuple[str, ...]
    n_voxels: tuple[int, ...]
    seed: int
    voxels: tuple[str, ...]
    targets: str
    status: Literal["training", "finished"] = "training"
    steps: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=environment)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Refuse a run that does not tell every subject's voxels."""
        counts = {len(self.subjects), len(self.n_voxels), len(self.voxels)}
        if len(counts) != 1 or not (self.subjects or self.kind == "sae"):
            raise ValueError("subjects, n_voxels and voxels must be lists of one length")


# The part of a run that must agree before it is continued.
_IDENTITY = ("kind", "space", "subjects", "n_voxels", "seed", "voxels", "targets", "details")


def create_run(path: Path, info: RunInfo, config_toml: str, *, overwrite: bool = False) -> RunInfo:
    """Start a run folder, or find the same run there to continue.

    Parameters
    ----------
    path : Path
        The RUN folder.
    info : RunInfo
        What is going to be trained.
    config_toml : str
        The resolved configuration (`core.config.to_toml`).
    overwrite : bool
        Delete what is there and start again.

    Returns
    -------
    RunInfo
        `info` for a new run; the recorded one for a run of the same identity and configuration,
        whose `status` tells whether there is anything left to do.

    Raises
    ------
    UsageProblem
        When the folder holds another run, or something that is not a run.
    """
    if overwrite and path.exists():
        _clear(path)
    if (path / "run.json").exists():
        return _same_run(path, info, config_toml)
    if path.exists() and (path.is_file() or _foreign(path)):
        raise UsageProblem("the folder is in use and is not a run", where=str(path))
    path.mkdir(parents=True, exist_ok=True)
    write_text(path / CONFIG, config_toml)
    write_json(path / "run.json", info)  # Last: a folder with run.json has its configuration too.
    return info


def read_run(path: Path) -> RunInfo:
    """Read `run.json`.

    Raises
    ------
    MissingResource
        When there is no run at `path`.
    InvalidInput
        When the file is damaged or of another schema version.
    """
    file = path / "run.json"
    if not file.exists():
        raise MissingResource(
            "there is no run here", where=str(path), fix="train one: mindeye train --help"
        )
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["schema_version"] != SCHEMA_VERSION:
            raise InvalidInput(
                f"schema version {data['schema_version']}, this program reads {SCHEMA_VERSION}",
                where=str(file),
                fix="use the version of mindeye that wrote it, or train again",
            )
        known = {item.name for item in fields(RunInfo)}
        values = {key: value for key, value in data.items() if key in known}
        lists = {key: tuple(values[key]) for key in ("subjects", "n_voxels", "voxels")}
        return RunInfo(**{**values, **lists})
    except (ValueError, KeyError, TypeError) as problem:  # ValueError: JSON and UTF-8, too.
        raise InvalidInput(f"not a run description: {problem}", where=str(file)) from problem


def finish_run(
    path: Path, tensors: Mapping[str, torch.Tensor], *, steps: int, metrics: Mapping[str, Any]
) -> RunInfo:
    """Write the final weights, then mark the run finished.

    Parameters
    ----------
    path : Path
        The RUN folder.
    tensors : mapping of str to Tensor
        The model's own state dict.
    steps : int
        Optimiser steps done.
    metrics : mapping
        Final values for `run.json`.

    Returns
    -------
    RunInfo
        As written.
    """
    from mindeye_cli.core.checkpoint import save_tensors

    save_tensors(path / MODEL, tensors)
    info = replace(read_run(path), status="finished", steps=steps, metrics=to_jsonable(metrics))
    write_json(path / "run.json", info)
    return info


def differs(recorded: str, found: str, what: str) -> bool:
    """Whether a run contradicts what is there.

    Parameters
    ----------
    recorded : str
        Fingerprint in the run; empty in an imported one, which is said and passes.
    found : str
        Fingerprint of what the run meets.
    what : str
        In words, for the log.
    """
    if not recorded:
        logging.getLogger("mindeye").warning(
            "the run is imported and does not record its %s: not checked", what
        )
        return False
    return recorded != found


def append_log(path: Path, **values: Any) -> None:
    """Append one JSON line to the run's log; a line is one write, so lines never interleave."""
    with (path / LOG).open("ab") as stream:
        stream.write(dumps(values).encode() + b"\n")


def trim_log(path: Path, step: int) -> None:
    """Drop log lines after `step` before resuming there, so that no step is logged twice.

    Raises
    ------
    InvalidInput
        A whole line is damaged.
    """
    file = path / LOG
    if not file.exists():
        return
    kept = []
    for number, line in enumerate(file.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            break  # The line that a killed process was writing.
        try:
            if json.loads(line).get("step", 0) <= step:
                kept.append(line)
        except (ValueError, AttributeError, TypeError) as problem:
            raise InvalidInput(
                "not a line of the log",
                where=f"{file}, line {number}",
                fix="remove the line, or start again with --overwrite",
            ) from problem
    write_bytes(file, b"".join(kept))


def write_exit(path: Path, code: int, reason: str, step: int) -> None:
    """Record how the process ended, for launchers that answer 1 whatever a worker answered."""
    write_json(path / "exit.json", {"code": int(code), "reason": reason, "step": step})


def _foreign(path: Path) -> bool:
    """Whether the folder holds more than a killed `create_run` leaves."""
    ours = (CONFIG, "run.json")  # Their unfinished copies beside them begin the same.
    return any(not entry.name.startswith(ours) for entry in path.iterdir())


def _same_run(path: Path, info: RunInfo, config_toml: str) -> RunInfo:
    found = read_run(path)
    recorded, wanted = to_jsonable(asdict(found)), to_jsonable(asdict(info))
    # An older run that lacks a detail of today is still the same run.
    details = wanted["details"].items()
    wanted["details"] = {key: value for key, value in details if key in recorded["details"]}
    differ = [name for name in _IDENTITY if recorded[name] != wanted[name]]
    if not same_settings((path / CONFIG).read_text(encoding="utf-8"), config_toml):
        differ.append(CONFIG)
    if differ:
        raise UsageProblem(
            f"another run is here: {', '.join(differ)} differ",
            where=str(path),
            fix="give another RUN, or add --overwrite to start again",
        )
    return found


def _clear(path: Path) -> None:
    """Move the old run away in one rename, then delete it."""
    import shutil
    from uuid import uuid4

    if not (path / "run.json").exists():
        raise UsageProblem("--overwrite replaces runs only, this is not one", where=str(path))
    away = path.with_name(f"{path.name}.old-{uuid4().hex[:8]}")
    path.rename(away)
    fsync_folder(path.parent)
    shutil.rmtree(away)
