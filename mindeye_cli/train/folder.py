"""A training command's RUN folder: started, continued or found finished."""

from __future__ import annotations

from pathlib import Path

from mindeye_cli.core.launch import is_main_rank, world_size
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.runs import MODEL, Kind, RunInfo, create_run, read_run
from mindeye_cli.train.data import RunIdentity
from mindeye_cli.train.request import TrainRequest
from mindeye_store import UsageProblem


def refuse_launcher() -> None:
    """Refuse to be one of several processes: each would write the same RUN.

    Raises
    ------
    UsageProblem
        A launcher started more than one process.
    """
    if world_size() > 1:
        raise UsageProblem(
            "a closed-form fit runs in one process",
            where="WORLD_SIZE",
            fix="start it without the launcher, one task",
        )


def finished(request: TrainRequest) -> bool:
    """Whether a finished run is there, the same or another one, and is to stay."""
    there = (request.run / "run.json").exists() and not request.overwrite
    return there and read_run(request.run).status == "finished"


def start(
    request: TrainRequest,
    kind: Kind,
    identity: RunIdentity,
    *,
    seed: int,
    n_voxels: tuple[int, ...],
    config_toml: str,
    overwrite: bool,
    origin: str = "",
) -> RunInfo:
    """Make the RUN folder, or find the same run there.

    `origin` is the fingerprint of the weights that the run starts from, empty for random ones.

    Raises
    ------
    UsageProblem
        Another run is there, or an unfinished one that must not be continued.
    """
    # The other processes of a launch come after the main one and find what it has made.
    started = is_main_rank() and (request.run / "run.json").exists()
    if started and request.resume == "never" and not overwrite:
        raise UsageProblem(
            "a run is here already",
            where=str(request.run),
            fix="--resume auto continues it, --overwrite starts again",
        )
    info = RunInfo(
        kind=kind,
        space=request.space,
        subjects=request.subjects,
        n_voxels=n_voxels,
        seed=seed,
        voxels=identity.voxels,
        targets=identity.targets,
        details={
            "masks": list(identity.masks),
            "origin": origin,
            "views": list(identity.views),
            "trained_images": list(identity.image_rows),
            "trained_ids": list(identity.image_ids),
            "shuffled": identity.shuffled,
            "held_out": list(identity.held_out),
            "target_norm": identity.target_norm,
            "target_shape": list(identity.target_shape),
        },
    )
    return create_run(request.run, info, config_toml, overwrite=overwrite)


def outcome(run: Path, info: RunInfo, *, found: bool = False) -> Outcome:
    """What the command prints about a finished run.

    Parameters
    ----------
    run : Path
    info : RunInfo
        Of the finished run.
    found : bool
        It was finished before this command started.
    """
    metrics = dict(info.metrics)
    return Outcome(
        status="notneeded" if found else "ok",
        outputs=(run,),
        values={
            "kind": info.kind,
            "space": info.space,
            "steps": info.steps,
            "seconds": metrics.pop("seconds"),
            "metrics": metrics,
            "checkpoint": run / MODEL,
        },
    )
