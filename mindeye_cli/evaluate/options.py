"""What `mindeye evaluate` is asked, checked before anything is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from mindeye_cli.evaluate.metrics import ALIASES, METRICS
from mindeye_cli.evaluate.pictures import Protocol
from mindeye_cli.evaluate.scoring import RESERVED
from mindeye_store.errors import UsageProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of `mindeye evaluate`, as on its command line; `keep` is a folder for features."""

    store: Path | None = None
    images: Path | None = None
    metrics: tuple[str, ...] | None = None
    controls: Mapping[str, Path] = field(default_factory=dict)
    published: bool = False
    panel: bool = False
    runs: tuple[Path, ...] = ()
    protocol: Protocol = "mindeye"
    keep: Path | None = None
    overwrite: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.metrics is not None:
            named = tuple(ALIASES.get(name.lower(), name) for name in self.metrics)
            object.__setattr__(self, "metrics", tuple(dict.fromkeys(named)))
        if self.protocol not in get_args(Protocol):
            raise UsageProblem(
                f"unknown protocol {self.protocol!r}",
                where="--protocol",
                fix=f"one of {', '.join(get_args(Protocol))}",
            )
        unknown = [name for name in self.metrics or () if name not in METRICS]
        if unknown:
            raise UsageProblem(
                f"unknown metric {unknown[0]!r}",
                where="--metrics",
                fix=f"one of {', '.join(METRICS)}",
            )
        if self.published and self.metrics is not None:
            raise UsageProblem(
                "the published metrics or those that are named, not both", where="--published"
            )
        if self.panel and self.images is not None:
            raise UsageProblem(
                "the panel needs the training images, which a folder of stimuli lacks",
                where="--panel",
                fix="give --store STORE in place of --images",
            )
        if self.runs and not self.panel:
            raise UsageProblem("only the panel looks at runs", where="--run", fix="add --panel")
        for name in self.controls:
            if name in RESERVED or not re.fullmatch(r"[\w .+-]+", name):
                raise UsageProblem(
                    f"{name!r} cannot name a control",
                    where="--control",
                    fix="give NAME=DIR with another NAME",
                )
