"""Files changed and compared, for tests of bad input."""

from __future__ import annotations

import hashlib
from pathlib import Path


def edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def tree(folder: Path) -> dict[str, str]:
    """Hash of every file, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
