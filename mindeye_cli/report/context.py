"""What sections share: options, pictures at the page's size, and paths as a reader may see them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from mindeye_cli.report.blocks import Picture
from mindeye_cli.report.pictures import Encoder, open_picture, stimulus_reader
from mindeye_store.errors import UsageProblem

FORMATS = ("html", "md", "tex")
# Longer lists of a record are counted, not shown.
SHOWN = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of `mindeye report`, as on its command line."""

    store: Path | None = None
    title: str | None = None
    rows: int = 6
    formats: tuple[str, ...] = ("html",)
    published: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.rows < 0:
            raise UsageProblem(f"{self.rows} is less than 0", where="--rows")
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            raise UsageProblem(
                f"unknown format {''.join(unknown[:1])!r}",
                where="--format",
                fix=f"some of {','.join(FORMATS)}",
            )


class Context:
    """Everything that a section needs beside its findings.

    Parameters
    ----------
    options : Options
    base : Path
        Folder of the page: paths below it are shown relative to it, others by their last part, so
        that a page that travels tells nothing about the machine it was made on.
    side : int
        Pictures are reduced to at most this many pixels a side.
    """

    def __init__(self, options: Options, base: Path, side: int) -> None:
        self.options = options
        self.base = base.resolve()
        self.encoder = Encoder(side)
        self._readers: dict[tuple[str, Path], Callable[[str], Image.Image]] = {}

    def store(self, recorded: str) -> Path:
        """The store that was recorded, or the one given in its place."""
        return self.options.store or Path(recorded)

    def stimulus(self, kind: str, recorded: str) -> Callable[..., Picture]:
        """A function from an image id (and a picture's other facts) to the true image's picture."""
        path = self.store(recorded) if kind == "store" else Path(recorded)
        key = (kind, path)
        if key not in self._readers:
            self._readers[key] = cache(stimulus_reader(kind, path))
        read = self._readers[key]

        def picture(image_id: str, *, alt: str = "", **more: Any) -> Picture:
            return self.encoder.picture(read(image_id), alt or f"stimulus {image_id}", **more)

        return picture

    def picture(self, file: Path, alt: str, **more: Any) -> Picture:
        """A picture file on the page."""
        return self.encoder.picture(open_picture(file), alt, **more)

    def short(self, path: str | Path) -> str:
        """A path as the page shows it: relative to the page's folder, or its last part."""
        whole = Path(path)
        if not whole.is_absolute():
            return str(path)
        if whole == self.base or self.base in whole.parents:
            return os.path.relpath(whole, self.base)
        return whole.name or str(path)

    def tidy(self, value: Any) -> Any:
        """A record as the page shows it: short paths, long lists counted."""
        if isinstance(value, dict):
            return {str(key): self.tidy(item) for key, item in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self.tidy(x) for x in value] if len(value) <= SHOWN else f"{len(value)} entries"
        if isinstance(value, str) and os.path.isabs(value):
            return self.short(value)
        return value
