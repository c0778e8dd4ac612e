"""What can befall any file: it is gone, cut, empty, something else, or a bomb."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
from prepare.mutations.cases import FILES, OPTIONAL, Case
from prepare.packed import png

TEXTS = (".csv", ".tsv", ".json", ".jsonl")


@cache
def bomb() -> bytes:
    """300 MB of zeros in 300 KB."""
    return gzip.compress(bytes(300 << 20), 6)


def _content(path: Path, kind: str, random: np.random.Generator) -> bytes:
    data = path.read_bytes()
    if kind.startswith("cut"):
        # Tar files end in padding, which is not missed.
        size = len(data.rstrip(b"\0")) if path.suffix == ".tar" else len(data)
        share = int(kind.removeprefix("cut")) / 100
        return data[: max(1, int(size * share) - int(random.integers(4)))]
    if kind == "head":
        return random.bytes(64) + data[64:]
    return {
        "empty": b"",
        "prose": b"this is not the file that its name says\n" * 30,
        "noise": random.bytes(3000),
        "picture": png(np.zeros((6, 8, 3), np.uint8)) if path.suffix != ".png" else b"GIF89a",
        "bomb": bomb(),
    }[kind]


def _replace(name: str, kind: str, folder: Path, random: np.random.Generator) -> None:
    path = folder / name
    if kind in ("gone", "folder"):
        path.unlink()
        if kind == "folder":
            path.mkdir()
        return
    path.write_bytes(_content(path, kind, random))


def cases() -> Iterator[Case]:
    kinds = ("gone", "folder", "empty", "cut15", "cut50", "cut90", "prose", "noise", "head")
    for layout, names in FILES.items():
        for name in names:
            for kind in (*kinds, "picture", "bomb"):
                text = name.endswith(TEXTS)
                if kind == "gone" and name in OPTIONAL:
                    continue
                # A .mat file begins with free text, and HDF5 after a block of anything.
                if kind == "head" and (text or name.endswith(".mat")):
                    continue
                yield Case(layout, f"{kind} {name}", partial(_replace, name, kind))
