"""Options of `mindeye explain`, as on its command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mindeye_cli.explain.decoder import NEEDED, USED
from mindeye_cli.explain.responds import QUESTION
from mindeye_store.errors import UsageProblem

# What can be asked, by its short name on the command line.
QUESTIONS = {"responds": QUESTION, "used": USED, "needed": NEEDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions:
    """What to tell, and where to write it.

    Attributes
    ----------
    subject : str or None
    questions : tuple of str
        Some of `QUESTIONS`.
    space : str or None
        SPACE that voxels are predicted from; by default the run's.
    predicted : bool
        Let the decoder read predicted responses: a model of a model.
    weights : Path or None
        Of the SPACE's encoder.
    out : Path or None
        Folder for the result, maps and pictures.
    mask : Path or None
        Volume of the voxels' places, for stores without them.
    anatomy : str or None
        Space that the data is declared to be in: native, mni or fsaverage.
    standard : bool
        Draw glass brain and surface.
    overwrite : bool
    seed : int
    """

    subject: str | None = None
    questions: tuple[str, ...] = tuple(QUESTIONS)
    space: str | None = None
    predicted: bool = False
    weights: Path | None = None
    out: Path | None = None
    mask: Path | None = None
    anatomy: str | None = None
    standard: bool = False
    overwrite: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [name for name in self.questions if name not in QUESTIONS]
        if unknown or not self.questions:
            raise UsageProblem(
                f"{(*unknown, '')[0]!r} is no question",
                where="--ask",
                fix=f"some of {','.join(QUESTIONS)}",
            )
        if self.standard and self.out is None:
            raise UsageProblem("standard brains are drawn into --out DIR", where="--standard")


def parse_questions(text: str) -> tuple[str, ...]:
    """`"responds,used"` -> a tuple without doubles, in the order of `QUESTIONS`."""
    given = [part.strip() for part in text.split(",") if part.strip()]
    known = [name for name in QUESTIONS if name in given]
    return (*known, *(name for name in given if name not in QUESTIONS))
