"""Which of a run's subjects is meant, and whether a store's responses are that subject's."""

from __future__ import annotations

from pathlib import Path

from mindeye_cli.core.runs import RunInfo, differs
from mindeye_cli.core.trials import mask_fingerprint
from mindeye_store import InvalidInput, Store, Subject, UsageProblem

# The subject of an imported run that does not tell whose responses it reads.
UNNAMED = ""


def subject_place(path: Path, info: RunInfo, subject: str | None) -> int:
    """Which of a run's subjects is meant.

    Parameters
    ----------
    path : Path
        The RUN folder, for the message.
    info : RunInfo
    subject : str or None
        None means the run's only one. An imported run that does not tell takes any.

    Returns
    -------
    int
        Its place in `info.subjects`.

    Raises
    ------
    UsageProblem
        The run has several subjects and none was named, or it has none of that name.
    InvalidInput
        It is an autoencoder of images, which reads no responses.
    """
    if not info.subjects:
        raise InvalidInput(
            "an sae run predicts nothing from voxels",
            where=str(path),
            fix="give a run of `mindeye train high-level` or `mindeye train ridge`",
        )
    if subject in info.subjects:
        return info.subjects.index(subject)
    if len(info.subjects) == 1 and (subject is None or info.subjects == (UNNAMED,)):
        return 0
    problem = f"the run was trained on {len(info.subjects)} subjects, and none is named"
    if subject is not None:
        problem = f"the run was not trained on subject {subject!r}"
    names = ", ".join(info.subjects)
    raise UsageProblem(problem, where=str(path), fix=f"give --subject one of: {names}")


def subject_name(store: Store, run: Path, info: RunInfo, name: str | None) -> str:
    """Which of the store's subjects is meant; parameters and errors as for `subject_of_run`."""
    known = info.subjects[subject_place(run, info, name)] or name
    if not known:
        raise UsageProblem(
            "the run does not tell whose responses it reads",
            where=str(run),
            fix=f"give --subject one of: {', '.join(store.subjects)}",
        )
    return known


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
        The run has several subjects or does not tell and none was named, or it has none of that
        name.
    MissingResource
        The store has no such subject.
    InvalidInput
        The voxels are others than those that the run was trained on.
    """
    place = subject_place(run, info, name)
    subject = store.subject(subject_name(store, run, info, name))
    if differs(info.details["masks"][place], mask_fingerprint(subject), "voxels"):
        raise InvalidInput(
            f"{subject.name} has other voxels here ({subject.voxels.shape[1]}) than those that the"
            f" run was trained on ({info.n_voxels[place]})",
            where=str(run),
            fix="give a run that was trained on this subject of this store",
        )
    return subject
