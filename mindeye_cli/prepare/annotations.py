"""`scenes.jsonl`: captions and attribute records of pictures, one JSON object a line.

`{"row": 12, "caption": "...", "record": {...}, "group": 3}`; `image` names the file where pictures
are files. Every key but the picture's own is optional. Simulated data has the file; anybody may
write one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindeye_store.errors import InvalidInput

FILE = "scenes.jsonl"
KEYS = {"row", "image", "caption", "record", "group"}


@dataclass(frozen=True, slots=True)
class Annotations:
    """What is said of pictures, by row or file name."""

    captions: dict[int | str, str]
    records: dict[int | str, dict[str, Any]]

    def of_captions(self, keys: list[int] | list[str]) -> list[str] | None:
        """A caption for each picture, empty where there is none; None when no picture has one."""
        if not self.captions:
            return None
        return [self.captions.get(key, "") for key in keys]

    def of_records(self, keys: list[int] | list[str]) -> list[dict[str, Any]] | None:
        """A record for each picture, empty where there is none; None when no picture has one."""
        if not self.records:
            return None
        return [self.records.get(key, {}) for key in keys]


def read_annotations(path: Path) -> Annotations:
    """Read the file; one that is absent says nothing.

    Raises
    ------
    InvalidInput
        A line is no JSON object, or lacks or misuses a key.
    """
    captions: dict[int | str, str] = {}
    records: dict[int | str, dict[str, Any]] = {}
    if not path.exists():
        return Annotations(captions, records)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InvalidInput("not a text file", where=str(path)) from error
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        key, entry = _parse(text, f"{path}, line {number}")
        if "caption" in entry:
            captions[key] = entry["caption"]
        record = entry.get("record", {})
        if "group" in entry:
            record = record | {"group": entry["group"]}
        if record:
            records[key] = record
    return Annotations(captions, records)


def _parse(text: str, where: str) -> tuple[int | str, dict[str, Any]]:
    try:
        entry = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InvalidInput("not JSON", where=where) from error
    if not isinstance(entry, dict):
        raise InvalidInput("not a JSON object", where=where)
    unknown = sorted(set(entry) - KEYS)
    key = entry.get("row", entry.get("image"))
    if unknown or isinstance(key, bool) or not isinstance(key, int | str):
        what = f"unknown key {unknown[0]!r}" if unknown else "neither a row nor an image is named"
        raise InvalidInput(what, where=where, fix=f"keys are {', '.join(sorted(KEYS))}")
    caption, record = entry.get("caption", ""), entry.get("record", {})
    if not isinstance(caption, str) or not isinstance(record, dict):
        raise InvalidInput("caption is no text, or record no object", where=where)
    return key, entry
