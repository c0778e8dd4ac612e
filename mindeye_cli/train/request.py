"""What one `mindeye train` asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mindeye_store.errors import UsageProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """Options of `mindeye train`, as on its command line.

    Attributes
    ----------
    store, run : Path
        The feature store to read, and the RUN folder to write.
    subjects : tuple of str
    space : str
        Target SPACE.
    preset : str or None
        None takes `scene` for the built-in `scene-*` spaces and `paper` for all others.
    config : Path or None
        TOML file over the preset.
    overrides : tuple of str
        `a.b=value`, over the file.
    resume : {"auto", "never"}
        Whether an unfinished run of the same configuration is continued or refused.
    reader : str
        How rows are read, see `mindeye_store.open_store`; no part of the run's configuration, since
        it changes no value.
    """

    store: Path
    run: Path
    subjects: tuple[str, ...]
    space: str
    preset: str | None = None
    config: Path | None = None
    overrides: tuple[str, ...] = ()
    resume: Literal["auto", "never"] = "auto"
    reader: str = "auto"
    dry_run: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        twice = [name for name in self.subjects if self.subjects.count(name) > 1]
        if twice or not self.subjects:
            raise UsageProblem(
                f"{twice[0]} is named twice" if twice else "no subject is named",
                where="--subject",
                fix="--subject subj01,subj02",
            )

    @property
    def subject(self) -> str:
        """The one subject of a model that takes one.

        Raises
        ------
        UsageProblem
            Several subjects were named, or none.
        """
        if len(self.subjects) != 1:
            raise UsageProblem(
                f"{len(self.subjects)} subjects named, this model is trained on one",
                where="--subject",
                fix="train one RUN for each subject",
            )
        return self.subjects[0]


def preset_name(request: TrainRequest, presets: Mapping[str, Any]) -> str:
    """Name of the preset that the request gives or that its SPACE implies.

    Raises
    ------
    UsageProblem
        No preset has this name.
    """
    name = request.preset or ("scene" if request.space.startswith("scene-") else "paper")
    if name not in presets:
        raise UsageProblem(
            f"unknown preset {name!r}", where="--preset", fix=f"one of {', '.join(presets)}"
        )
    return name
