"""What a page is made of: sections of blocks, without any format.

A section yields blocks; `render/` turns the same blocks into HTML, Markdown or LaTeX. All text is
plain text: the renderers escape it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Attributes = dict[str, str | float]
Tone = Literal["plain", "good", "bad", "quiet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One SVG element; tag and attribute names are this program's own, values are escaped."""

    tag: Literal["line", "rect", "circle", "polyline", "path", "text"]
    attributes: Mapping[str, str | float]
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """An inline SVG.

    Attributes
    ----------
    width, height : float
        Of the view box; the page scales it.
    shapes : tuple of Shape
    alt : str
        What it shows, in words; empty where the same numbers stand beside it.
    caption : str
    """

    width: float
    height: float
    shapes: tuple[Shape, ...]
    alt: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture as a data URI, and what it shows, in words."""

    uri: str
    alt: str
    below: str = ""
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: text, a second quieter line, or a small drawing."""

    text: str = ""
    sub: str = ""
    tone: Tone = "plain"
    drawing: Drawing | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its head, and what the head adds in small."""

    head: str
    cells: tuple[Cell, ...]
    sub: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of a table under one heading; the heading of a table's only group is empty."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; `label` names it shortly, for the list of regions."""

    label: str
    caption: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class PictureRow:
    """A row of pictures; None where there is none."""

    head: str
    pictures: tuple[Picture | None, ...]
    sub: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureTable:
    """Pictures in rows; the caption says by which rule they were chosen; `wide` ones are large."""

    label: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[PictureRow, ...]
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A paragraph that stands out; `title` names its kind."""

    title: str
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list; an item is text, or a term with its explanation."""

    items: tuple[str | tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading below the section's own."""

    text: str
    level: Literal[3, 4] = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One number of the summary: its interval, and the control it must beat."""

    title: str
    value: str
    interval: str
    beside: str
    verdict: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Cards:
    """The few numbers that matter."""

    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Drawings:
    """Figures side by side, as many in a row as fit."""

    drawings: tuple[Drawing, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Text to copy or to look up, such as a command or a configuration."""

    text: str


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks that are closed until asked for; open in print."""

    title: str
    blocks: tuple[Block, ...]


Block = (
    Text
    | Note
    | Bullets
    | Heading
    | Cards
    | Drawings
    | Code
    | Table
    | PictureTable
    | Fold
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section; `key` is its anchor."""

    key: str
    title: str
    blocks: tuple[Block, ...] = field(default_factory=tuple)
