"""A safetensors file, written piece by piece: its tensors are never all copied at once.

The library's own writer takes the bytes, or a host copy, of every tensor before the first one is
written: 12 GB more at a checkpoint of the published sizes. The bytes written here are the library's
(a JSON header of padded length, then the data, wider types first and then by name).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import torch
from torch import Tensor

# In the order of the file.
NAMES = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
ALIGNMENT = 8  # bytes, of the header with its length
PIECE = 2**24  # elements copied from a device at once


def write_tensors(stream: BinaryIO, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors on any device, contiguous or not, sharing memory or not.

    Parameters
    ----------
    stream : binary file
    tensors : mapping of str to Tensor
        The bytes written depend on names and values alone.

    Raises
    ------
    ValueError
        A tensor's type has no name in the format or is not used in this project.
    """
    strange = [name for name, tensor in tensors.items() if tensor.dtype not in NAMES]
    if strange:
        raise ValueError(f"{strange[0]}: {tensors[strange[0]].dtype} cannot be written")
    order = list(NAMES)
    names = sorted(tensors, key=lambda name: (order.index(tensors[name].dtype), name))
    header, start = {}, 0
    for name in names:
        tensor = tensors[name]
        stop = start + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, stop],
        }
        start = stop
    _write_header(stream, header)
    for name in names:
        for piece in _pieces(tensors[name]):
            stream.write(piece.view(torch.uint8).numpy().data)


def write_rows(stream: BinaryIO, name: str, rows: Iterable[Tensor], n: int) -> None:
    """Write one tensor whose rows come one after the other, (n, *row).

    Parameters
    ----------
    stream : binary file
    name : str
    rows : iterable of Tensor
        Of one shape and type; none is kept.
    n : int
        How many there are, at least 1.

    Raises
    ------
    ValueError
        A row of another shape or type than the first, or another number of them.
    """
    first, count = None, 0
    for count, row in enumerate(rows, start=1):
        if first is None:
            first = row
            size = n * row.numel() * row.element_size()
            facts = {"dtype": NAMES[row.dtype], "shape": [n, *row.shape], "data_offsets": [0, size]}
            _write_header(stream, {name: facts})
        if (row.shape, row.dtype) != (first.shape, first.dtype):
            raise ValueError(f"row {count - 1} of {name} has another shape or type than the first")
        for piece in _pieces(row):
            stream.write(piece.view(torch.uint8).numpy().data)
    if count != n:
        raise ValueError(f"{count} rows of {name} came, not {n}")


def _write_header(stream: BinaryIO, header: dict[str, Any]) -> None:
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    stream.write(len(text).to_bytes(8, "little") + text)


def _pieces(tensor: Tensor) -> Iterator[Tensor]:
    """A tensor's elements in order, in main memory; those that are there already are not copied."""
    flat = tensor.detach().contiguous().flatten()
    for start in range(0, flat.numel(), PIECE):
        yield flat[start : start + PIECE].cpu()
