"""The pictures behind found rows: a folder of files, tar shards, or the web when that is allowed.

A picture that is not at hand is skipped and counted; nothing ever stands in for it.
"""

from __future__ import annotations

import os
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mindeye_cli.core.neighbours.decode import SUFFIXES, NoPicture, Pixels, decode, not_blank
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

# Columns that name a picture, as clip-retrieval and img2dataset call them.
NAME_COLUMNS = ("image_path", "key")
URL_COLUMNS = ("url", "URL")
TIMEOUT_S = 10
MOST_BYTES = 20_000_000
KEY_DIGITS = 4  # of a sample in its shard, as img2dataset numbers them
TARS_OPEN = 256
OFFLINE = "MINDEYE_OFFLINE"


def refuse_offline() -> None:
    """Refuse downloads where the user forbids them.

    Raises
    ------
    UsageProblem
        MINDEYE_OFFLINE is set, as --offline does.
    """
    if os.environ.get(OFFLINE, "").lower() not in ("", "0", "false", "no"):
        raise UsageProblem("downloads are forbidden by --offline", where="--download")


class Pictures:
    """Finds pictures by metadata.

    Parameters
    ----------
    folder : Path or None
        Of picture files, or of tar shards.
    download : bool
        Fetch from the metadata's URLs what is not in the folder.
    columns : list of str
        The metadata's.

    Raises
    ------
    UsageProblem
        There is neither a folder nor permission to download, or no column tells where to look.
    MissingResource
        The folder is absent.
    """

    def __init__(self, folder: Path | None, download: bool, columns: list[str]) -> None:
        self.folder = None if folder is None else folder.resolve()
        self.name = next((c for c in NAME_COLUMNS if c in columns), None)
        self.url = next((c for c in URL_COLUMNS if c in columns), None) if download else None
        if folder is None and not download:
            raise UsageProblem(
                "the pictures of what is found are needed",
                where="--pictures",
                fix="--pictures DIR with files or tar shards, or --download",
            )
        if folder is not None and not folder.is_dir():
            raise MissingResource("no such folder", where=str(folder), fix="check --pictures")
        local = self.name if folder is not None else None
        if local is None and self.url is None:
            raise UsageProblem(
                "no metadata column tells where a picture is",
                where=f"columns: {', '.join(columns) or 'none'}",
                fix=f"name files in {' or '.join(NAME_COLUMNS)}, addresses in {URL_COLUMNS[0]}",
            )
        self.tars = [] if self.folder is None else sorted(self.folder.glob("*.tar"))

    def get(self, record: Mapping[str, Any]) -> Pixels:
        """The picture of one row.

        Raises
        ------
        NoPicture
            It is nowhere, or is no picture.
        """
        named = record.get(self.name) if self.name and self.folder is not None else None
        data = None if not named else self._local(str(named))
        if data is None and self.url is not None and record.get(self.url):
            data = _fetch(str(record[self.url]))
        if data is None:
            raise NoPicture("absent")
        return not_blank(decode(data))

    def _local(self, name: str) -> bytes | None:
        assert self.folder is not None
        for suffix in ("", *SUFFIXES):
            path = (self.folder / (name + suffix)).resolve()
            # The metadata may be anybody's: what it names must lie under the folder.
            if path.is_relative_to(self.folder) and path.is_file():
                return path.read_bytes()
        key = Path(name).stem
        first = [tar for tar in self.tars if tar.stem == key[:-KEY_DIGITS]]
        for tar in first or self.tars:
            if key in _members(tar):
                offset, size = _members(tar)[key]
                with tar.open("rb") as stream:
                    stream.seek(offset)
                    return stream.read(size)
        return None


@lru_cache(maxsize=TARS_OPEN)
def _members(tar: Path) -> dict[str, tuple[int, int]]:
    """Where each picture of a tar shard lies: key -> offset and size."""
    try:
        with tarfile.open(tar, "r:") as opened:
            return {
                Path(member.name).stem: (member.offset_data, member.size)
                for member in opened
                if member.isfile() and Path(member.name).suffix in SUFFIXES
            }
    except tarfile.TarError as problem:
        raise InvalidInput(
            f"not a whole tar file: {problem}", where=str(tar), fix="fetch the shard again"
        ) from problem


def _fetch(url: str) -> bytes:
    """Download one picture.

    Raises
    ------
    NoPicture
        There is no answer, or it is too long.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise NoPicture("absent")
    request = urllib.request.Request(url, headers={"User-Agent": "mindeye"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            data: bytes = answer.read(MOST_BYTES + 1)
    except (urllib.error.URLError, OSError, ValueError) as problem:
        raise NoPicture("not downloaded") from problem
    if len(data) > MOST_BYTES:
        raise NoPicture("not downloaded")
    return data
