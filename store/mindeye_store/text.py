"""Columns of text as two plain arrays: UTF-8 bytes end to end, and where each text starts.

zarr has no settled string type across versions; bytes and offsets read the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mindeye_store.errors import InvalidInput

UTF8, OFFSETS = "utf8", "offsets"


def encode_texts(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 bytes (total,) and int64 offsets (n + 1,)."""
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInput(f"{type(text).__name__} in a column of text", where=f"row {row}")
    parts = [text.encode() for text in texts]
    offsets = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    return np.frombuffer(b"".join(parts), dtype=np.uint8), offsets


def decode_texts(data: np.ndarray, offsets: np.ndarray) -> list[str]:
    """Return the texts of `encode_texts`."""
    joined = data.tobytes()
    pairs = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    return [joined[start:stop].decode() for start, stop in pairs]
