"""A forward-only stream of a gzip file, in blocks so large that threads can run side by side.

Python's own `gzip` asks zlib for 8 KiB at a time and holds the interpreter's lock in between; here
the lock is free while a block is inflated. Intel's ISA-L, where the package `isal` is installed,
does the same work about twice as fast.
"""

from __future__ import annotations

import zlib
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_BLOCK_BYTES = 2**18
# What one call may return: a damaged or hostile file inflates a thousandfold.
_MOST_BYTES = 2**22
_GZIP_FORMAT = 31  # zlib's window bits for a gzip header and trailer


class Gunzip:
    """What a gzip file holds, of one member or several, from its beginning to its end.

    Parameters
    ----------
    path : Path
        Read as it is when its name does not end in `.gz`.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._plain = path.suffix != ".gz"
        self._library = _library()
        self._member: Any = None
        self._input, self._ready = b"", bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def skip(self, size: int) -> None:
        """Leave out the next bytes."""
        self.read(size)

    def read(self, size: int) -> bytes | bytearray:
        """Read `size` bytes, fewer at the end alone.

        Raises
        ------
        EOFError
            The file ends inside a member.
        zlib.error
            A member is damaged; its own checksum is compared at its end.
        """
        if self._plain:
            return self._file.read(size)
        while len(self._ready) < size and self._inflate():
            pass
        found = self._ready[:size]
        del self._ready[:size]
        return found

    def _inflate(self) -> bool:
        """Inflate one block; False where the file has ended."""
        if not self._input:
            self._input = self._file.read(_BLOCK_BYTES)
        if self._member is None:
            self._input = self._input.lstrip(b"\0")  # padding after a member is allowed
            if not self._input:
                return bool(self._file.peek(1))
            self._member = self._library.decompressobj(_GZIP_FORMAT)
        try:
            found = self._member.decompress(self._input, _MOST_BYTES)
        except self._library.error as error:
            raise zlib.error(str(error)) from error
        if not (self._input or found or self._member.eof):
            raise EOFError
        self._ready += found
        if self._member.eof:
            self._input, self._member = self._member.unused_data, None
        else:
            self._input = self._member.unconsumed_tail
        return True


def _library() -> Any:
    """Whichever inflates; both modules have the same names."""
    if find_spec("isal") is None:
        return zlib
    from isal import isal_zlib

    return isal_zlib
