"""Read the words, tables and pictures of another HTML page, and nothing else of it.

Markup, links, styles and scripts of the page stay behind; its text is escaped again, its pictures
are decoded and encoded again. Only pictures inside the page (`data:` URIs) are taken.
"""

from __future__ import annotations

import base64
import binascii
import io
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mindeye_cli.report.blocks import (
    Block,
    Bullets,
    Cell,
    Group,
    Heading,
    Picture,
    PictureRow,
    PictureTable,
    Row,
    Table,
    Text,
)
from mindeye_cli.report.context import Context
from mindeye_store.errors import InvalidInput

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
UNSEEN = ("script", "style", "title", "template", "svg", "noscript", "iframe", "object")
ENDS = (*HEADINGS, "p", "li", "dt", "dd", "figcaption", "caption", "summary", "pre", "div")


def blocks_of(file: Path, name: str, context: Context) -> list[Block]:
    """The content of a page below a heading of level 3.

    Raises
    ------
    InvalidInput
        The file is not text, or a picture in it is damaged.
    """
    reader = _Reader(file, name, context)
    try:
        reader.feed(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as problem:
        raise InvalidInput(f"not an HTML page in UTF-8: {problem}", where=str(file)) from problem
    reader.close()
    return reader.finish()


class _Reader(HTMLParser):
    def __init__(self, file: Path, name: str, context: Context) -> None:
        super().__init__()
        self.file, self.name, self.context = file, name, context
        self.blocks: list[Block] = []
        self.words: list[str] = []
        self.hidden = 0
        self.term = ""
        self.under = name
        self.pictures: list[Picture] = []
        self.rows: list[list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNSEEN:
            self.hidden += 1
        elif tag == "img" and not self.hidden:
            self._picture(dict(attrs))
        elif tag == "table":
            self._end("")
            self.rows = []
        elif tag == "tr" and self.rows is not None:
            self.rows.append([])
        elif tag in ENDS:
            self._end("")

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSEEN:
            self.hidden = max(0, self.hidden - 1)
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append(self._take())
        elif tag == "table" and self.rows is not None:
            self._table(self.rows)
            self.rows = None
        elif tag in ENDS:
            self._end(tag)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words.append(data)

    def finish(self) -> list[Block]:
        """Everything that was read."""
        self._end("")
        self._strip()
        return self.blocks

    def _take(self) -> str:
        text, self.words = " ".join("".join(self.words).split()), []
        return text

    def _end(self, tag: str) -> None:
        """What stands before this tag is a whole."""
        if self.rows is not None:
            return
        text = self._take()
        if self.pictures and tag in ("li", "figcaption") and text:
            last = self.pictures[-1]
            self.pictures[-1] = Picture(uri=last.uri, alt=last.alt, below=text)
            return
        if not text:
            return
        self._strip()
        if tag in HEADINGS:
            self.under = text
            self.blocks.append(Heading(text, level=4))
        elif tag == "dt":
            self.term = text
        elif tag in ("dd", "li"):
            self.blocks.append(Bullets(((self.term, text) if self.term else text,)))
            self.term = ""
        else:
            self.blocks.append(Text(text))

    def _picture(self, attributes: dict[str, str | None]) -> None:
        head, _, body = (attributes.get("src") or "").partition(",")
        if not head.startswith("data:image/") or not head.endswith(";base64"):
            return
        try:
            with Image.open(io.BytesIO(base64.b64decode(body, validate=True))) as opened:
                image = opened.convert("RGB")
        except (
            UnidentifiedImageError,
            OSError,
            SyntaxError,
            binascii.Error,
            Image.DecompressionBombError,
        ) as problem:
            raise InvalidInput(
                f"a picture of the page is damaged: {problem}", where=str(self.file)
            ) from problem
        self.pictures.append(
            self.context.encoder.picture(image, attributes.get("alt") or "picture")
        )

    def _strip(self) -> None:
        """Pictures that stand together become one row."""
        if not self.pictures:
            return
        count = len(self.pictures)
        self.blocks.append(
            PictureTable(
                label=f"pictures {len(self.blocks) + 1}: {self.name}",
                caption=self.under,
                columns=("name", *(f"{k + 1}" for k in range(count))),
                rows=(PictureRow(self.under, tuple(self.pictures)),),
            )
        )
        self.pictures = []

    def _table(self, rows: list[list[str]]) -> None:
        self._strip()
        rows = [row for row in rows if row]
        self.words = []
        if len(rows) < 2:
            return
        width = max(map(len, rows))
        full = [row + [""] * (width - len(row)) for row in rows]
        made = tuple(Row(row[0] or "–", tuple(map(Cell, row[1:]))) for row in full[1:])
        heads = tuple(head or "–" for head in full[0])
        label = f"table {len(self.blocks) + 1}: {self.name}"
        self.blocks.append(
            Table(label=label, caption=self.under, columns=heads, groups=(Group("", made),))
        )
