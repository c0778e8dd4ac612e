"""A whole page before it has a format."""

from __future__ import annotations

from dataclasses import dataclass

from mindeye_cli.report.blocks import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Sections with what stands around them.

    Attributes
    ----------
    title, version : str
    sections : tuple of Section
    pictures : int
        How many pictures it holds.
    side : int
        Largest side of a picture in pixels.
    """

    title: str
    version: str
    sections: tuple[Section, ...]
    pictures: int
    side: int
