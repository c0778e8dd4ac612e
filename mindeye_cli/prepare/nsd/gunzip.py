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
from typing import Any, Literal, Self

_BLOCK_BYTES = 2**18
# What one call may return: a damaged or hostile file inflates a thousandfold.
_MOST_BYTES = 2**22
Packing = Literal["none", "gzip", "zlib"]
# zlib's window bits for each kind of header and trailer.
_WINDOW_BITS = {"gzip": 31, "zlib": 15}


class Gunzip:
    """What a gzip file holds, of one member or several, from its beginning to its end.

    Parameters
    ----------
    path : Path
    packing : {"none", "gzip", "zlib"}, optional
        By default gzip when the name ends in `.gz` or `.mgz`, else none. What follows the first
        zlib stream is not looked at.
    start : int
        Byte of the file to begin at.
    """

    def __init__(self, path: Path, packing: Packing | None = None, start: int = 0) -> None:
        self._packing = packing or ("gzip" if path.suffix in (".gz", ".mgz") else "none")
        self._file = path.open("rb")
        self._file.seek(start)
        self._ended = False
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
        if self._packing == "none":
            return self._file.read(size)
        while len(self._ready) < size and self._inflate():
            pass
        found = self._ready[:size]
        del self._ready[:size]
        return found

    def _inflate(self) -> bool:
        """Inflate one block; False where the file has ended."""
        if self._ended:
            return False
        if not self._input:
            self._input = self._file.read(_BLOCK_BYTES)
        if self._member is None:
            if self._packing == "gzip":
                self._input = self._input.lstrip(b"\0")  # padding after a member is allowed
            if not self._input:
                return bool(self._file.peek(1))
            self._member = self._library.decompressobj(_WINDOW_BITS[self._packing])
        try:
            found = self._member.decompress(self._input, _MOST_BYTES)
        except self._library.error as error:
            raise zlib.error(str(error)) from error
        if not (self._input or found or self._member.eof):
            raise EOFError
        self._ready += found
        if self._member.eof:
            self._input, self._member = self._member.unused_data, None
            self._ended = self._packing == "zlib"
        else:
            self._input = self._member.unconsumed_tail
        return True


def _library() -> Any:
    """Whichever inflates; both modules have the same names."""
    if find_spec("isal") is None:
        return zlib
    from isal import isal_zlib

    return isal_zlib
