"""Which of a run's subjects is meant, and whether a store's responses are that subject's."""

from __future__ import annotations

from pathlib import Path

from mindeye_cli.core.runs import RunInfo
from mindeye_cli.core.trials import mask_fingerprint
from mindeye_store import InvalidInput, Store, Subject, UsageProblem


def subject_place(path: Path, info: RunInfo, subject: str | None) -> int:
    """Which of a run's subjects is meant.

    Parameters
    ----------
    path : Path
        The RUN folder, for the message.
    info : RunInfo
    subject : str or None
        None means the run's only one.

    Returns
    -------
    int
        Its place in `info.subjects`.

    Raises
    ------
    UsageProblem
        The run has several subjects and none was named, or it has none of that name.
    """
    if subject in info.subjects:
        return info.subjects.index(subject)
    if subject is None and len(info.subjects) == 1:
        return 0
    problem = f"the run was trained on {len(info.subjects)} subjects, and none is named"
    if subject is not None:
        problem = f"the run was not trained on subject {subject!r}"
    names = ", ".join(info.subjects)
    raise UsageProblem(problem, where=str(path), fix=f"give --subject one of: {names}")


def subject_of_run(store: Store, run: Path, info: RunInfo, name: str | None) -> Subject:
    """The store's responses of one of a run's subjects.

    Parameters
    ----------
    store : Store
    run : Path
        The RUN folder, for the message.
    info : RunInfo
    name : str or None
        None means the run's only subject.

    Raises
    ------
    UsageProblem
        The run has several subjects and none was named, or it has none of that name.
    MissingResource
        The store has no such subject.
    InvalidInput
        The voxels are others than those that the run was trained on.
    """
    place = subject_place(run, info, name)
    subject = store.subject(info.subjects[place])
    if mask_fingerprint(subject) != info.details["masks"][place]:
        raise InvalidInput(
            f"{subject.name} has other voxels here ({subject.voxels.shape[1]}) than those that the"
            f" run was trained on ({info.n_voxels[place]})",
            where=str(run),
            fix="give a run that was trained on this subject of this store",
        )
    return subject
