"""CSV and TSV tables with errors that name file, row and column (rows counted from the header)."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindeye_store.errors import InvalidInput, MissingResource

# The header is row 1, as a spreadsheet or text editor shows it.
FIRST_ROW = 2


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of text by name, all of the same length."""

    path: Path
    columns: dict[str, list[str]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def where(self, row: int, column: str) -> str:
        """Place of a value, `row` counted from 0 below the header."""
        return f"{self.path}, row {row + FIRST_ROW}, column {column}"

    def integers(self, column: str, *, least: int) -> NDArray[np.int64]:
        """A column of whole numbers not below `least`, int64 (rows,).

        Raises
        ------
        InvalidInput
            A value is none.
        """
        values = np.empty(len(self), dtype=np.int64)
        for row, text in enumerate(self.columns[column]):
            try:
                values[row] = int(text)
            except (ValueError, OverflowError) as error:
                raise InvalidInput(
                    f"{text!r} is not a whole number", where=self.where(row, column)
                ) from error
        if len(values) and values.min() < least:
            row = int(np.argmax(values < least))
            raise InvalidInput(f"{values[row]} is below {least}", where=self.where(row, column))
        return values

    def words(self, column: str, allowed: Sequence[str]) -> list[str]:
        """A column whose values are among a few.

        Raises
        ------
        InvalidInput
            A value is another.
        """
        for row, text in enumerate(self.columns[column]):
            if text not in allowed:
                raise InvalidInput(
                    f"{text!r} is not one of {', '.join(allowed)}", where=self.where(row, column)
                )
        return self.columns[column]


def read_table(
    path: Path,
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
    others: bool = False,
    delimiter: str = ",",
) -> Table:
    """Read a table with a header.

    Parameters
    ----------
    path : Path
    required, optional : sequence of str
        Names of columns.
    others : bool
        Whether further columns may be there.
    delimiter : str

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        A column is missing, unknown or named twice, or a row has another number of values.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [row for row in csv.reader(stream, delimiter=delimiter) if row]
    except FileNotFoundError as error:
        raise MissingResource("the table is missing", where=str(path)) from error
    except (UnicodeDecodeError, csv.Error, IsADirectoryError) as error:
        raise InvalidInput(f"not a text table: {error}", where=str(path)) from error
    if not rows:
        raise InvalidInput("the table is empty", where=str(path))
    header = [name.strip() for name in rows[0]]
    _check_header(header, path, required, None if others else [*required, *optional])
    for number, row in enumerate(rows[1:], start=FIRST_ROW):
        if len(row) != len(header):
            raise InvalidInput(
                f"{len(row)} values under {len(header)} columns", where=f"{path}, row {number}"
            )
    values = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(header)
    columns = {
        name: [text.strip() for text in column] for name, column in zip(header, values, strict=True)
    }
    return Table(path, columns)


def _check_header(
    header: list[str], path: Path, required: Sequence[str], known: list[str] | None
) -> None:
    where = f"{path}, row 1"
    for name in required:
        if name not in header:
            raise InvalidInput(f"column {name!r} is missing", where=where)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InvalidInput(f"column {twice[0]!r} is there twice", where=where)
    unknown = [name for name in header if known is not None and name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known or [], n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"columns are {', '.join(known or [])}"
        raise InvalidInput(f"unknown column {unknown[0]!r}", where=where, fix=hint)
