"""Members of a tar file by place: nothing is extracted, and no name in it is believed.

A name only groups members into samples (`KEY.SUFFIX`, as WebDataset writes them); the bytes are
read at the offset that the header gives, within bounds. Links, devices and names that point
elsewhere are refused, because they have no business in a dataset.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mindeye_cli.prepare.npy import reason
from mindeye_store.errors import InvalidInput, MissingResource

# Extended headers hold a name or a time; one of more bytes is no header.
MAX_HEADER = 1 << 20
# Tar files end in zeros up to a multiple of 10 KiB.
_MAX_PADDING = 1 << 20
_FETCH = "fetch the file again; its checksum is listed where it came from"
_TAR_ERRORS = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, LookupError)


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a tar file."""

    tar: Path
    name: str
    offset: int
    size: int

    @property
    def where(self) -> str:
        """Its place, for messages."""
        return f"{self.tar}, member {shown(self.name)}"


Sample = dict[str, Member]


def read_samples(path: Path, limits: Mapping[str, int]) -> dict[str, Sample]:
    """List the samples of one tar file in their order.

    Parameters
    ----------
    path : Path
        An uncompressed tar file.
    limits : mapping of str to int
        Suffixes that are of interest (what follows the first dot of a name), and the most bytes
        that such a member may have. Other members are passed over unread.

    Returns
    -------
    dict of str to dict
        By key; the members of a sample by suffix.

    Raises
    ------
    MissingResource
        No such file.
    InvalidInput
        Not a whole tar file; a link or device; a name that leads elsewhere or comes twice; a
        member beyond its bound.
    """
    samples: dict[str, Sample] = {}
    for member in _members(path):
        folder, _, base = member.name.rpartition("/")
        stem, _, suffix = base.partition(".")
        if suffix not in limits:
            continue
        if member.size > limits[suffix]:
            raise InvalidInput(
                f"{member.size} bytes are more than the {limits[suffix]} that .{suffix} may have",
                where=member.where,
            )
        sample = samples.setdefault(f"{folder}/{stem}", {})
        if suffix in sample:
            raise InvalidInput("a member is there twice", where=member.where, fix=_FETCH)
        sample[suffix] = member
    return samples


def read_members(members: Iterable[Member]) -> Iterator[bytes]:
    """Bytes of members in the order given; neighbours of one file share one opening.

    Raises
    ------
    InvalidInput
        The file ends before the member does: it changed since it was listed.
    """
    stream: BinaryIO | None = None
    current: Path | None = None
    try:
        for member in members:
            if stream is None or member.tar != current:
                if stream is not None:
                    stream.close()
                stream, current = member.tar.open("rb"), member.tar
            stream.seek(member.offset)
            data = stream.read(member.size)
            if len(data) < member.size:
                raise InvalidInput("the file ends inside a member", where=member.where, fix=_FETCH)
            yield data
    finally:
        if stream is not None:
            stream.close()


def shown(name: str) -> str:
    """A name from a file as it may stand in a message: quoted, escaped and short."""
    return ascii(name if len(name) <= 80 else name[:77] + "...")


class _Headers:
    """A stream on which `tarfile` may read headers alone, none beyond a bound."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.tell, self.seek = stream.tell, stream.seek

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        if not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)


def _members(path: Path) -> Iterator[Member]:
    """Regular files of a tar file, every one checked."""
    try:
        total = path.stat().st_size
        with path.open("rb") as stream:
            bounded: Any = _Headers(stream)
            opened: Any
            with tarfile.open(fileobj=bounded, mode="r:") as opened:
                while (info := opened.next()) is not None:
                    _check(info, path, total)
                    if info.isfile():
                        yield Member(path, info.name, info.offset_data, info.size)
                    opened.members = []  # or every header would be kept
                # tarfile takes a damaged header for the end
                end = opened.offset
            _check_end(stream, end, total, path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise MissingResource("the tar file is missing", where=str(path)) from error
    except _TAR_ERRORS as error:
        raise InvalidInput(
            f"cannot be read as an uncompressed tar file: {reason(error)}",
            where=str(path),
            fix=_FETCH,
        ) from error


def _check(info: tarfile.TarInfo, path: Path, total: int) -> None:
    where = f"{path}, member {shown(info.name)}"
    if not (info.isfile() or info.isdir()) or info.issparse():
        raise InvalidInput(
            "a link, device or sparse file in a tar file of data is refused", where=where
        )
    parts = info.name.split("/")
    if info.name.startswith("/") or ".." in parts or "\\" in info.name:
        raise InvalidInput("a name that leads out of the tar file is refused", where=where)
    if info.size < 0 or info.offset_data + info.size > total:
        raise InvalidInput(
            f"a member of {info.size} bytes goes beyond the end of the file",
            where=where,
            fix=_FETCH,
        )


def _check_end(stream: BinaryIO, end: int, total: int, path: Path) -> None:
    """After the last member a tar file holds zeros and nothing else."""
    stream.seek(end)
    rest = stream.read(_MAX_PADDING + 1)
    if len(rest) < tarfile.BLOCKSIZE or rest.strip(b"\0") or len(rest) > _MAX_PADDING:
        raise InvalidInput(
            f"the tar file is damaged or ends early at byte {end} of {total}",
            where=os.fspath(path),
            fix=_FETCH,
        )
