"""`.npy` arrays from bytes that nobody vouches for: the header is checked before anything is made.

A header may claim any shape, and a pickled array runs code when it is loaded; here the claimed
size must be the size that is there, and object arrays are refused.
"""

from __future__ import annotations

import io
import math
import tokenize
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mindeye_store.errors import InvalidInput

NUMBERS = "iufb"
FORMAT_ERRORS = (
    ValueError,
    TypeError,
    SyntaxError,
    EOFError,
    OverflowError,
    RecursionError,
    MemoryError,
    tokenize.TokenError,
)


def from_bytes(data: bytes, where: str) -> NDArray[Any]:
    """Read one array of plain numbers.

    Parameters
    ----------
    data : bytes
        A whole `.npy` file.
    where : str
        What it is, for messages.

    Returns
    -------
    ndarray
        In native byte order; it may share memory with `data` and be read-only.

    Raises
    ------
    InvalidInput
        Not a whole `.npy` file of numbers.
    """
    stream = io.BytesIO(data)
    try:
        version = npy.read_magic(stream)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, fortran, dtype = read(stream)
    except KeyError as error:
        raise InvalidInput("a .npy file of an unknown version", where=where) from error
    except FORMAT_ERRORS as error:
        raise InvalidInput(f"cannot be read as .npy: {reason(error)}", where=where) from error
    check_dtype(dtype, where)
    count = math.prod(shape)
    there = len(data) - stream.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize != there:
        raise InvalidInput(
            f"the header announces {dtype} {shape}, which is not the {there} bytes that follow",
            where=where,
        )
    flat = np.frombuffer(data, dtype, count, stream.tell())
    values = flat.reshape(shape, order="F" if fortran else "C")
    return values.astype(dtype.newbyteorder("="), copy=False)


def check_dtype(dtype: np.dtype[Any], where: str) -> None:
    """Refuse whatever is no plain number.

    Raises
    ------
    InvalidInput
        Objects (which are pickled), texts, records.
    """
    if dtype.hasobject:
        raise InvalidInput(
            "the array holds Python objects, which are pickled and are never loaded",
            where=where,
            fix="save it again as plain numbers",
        )
    if dtype.kind not in NUMBERS:
        raise InvalidInput(f"the array holds {dtype}, not numbers", where=where)


def reason(error: BaseException) -> str:
    """First line of an exception's text, cut to a length that fits into one line."""
    lines = str(error).splitlines()
    return lines[0][:120] if lines else type(error).__name__
