"""The only place where zarr arrays are made and opened.

zarr fixes an array's codec pipeline when the array is opened, hence the one configured context.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec
from zarr.storage import LocalStore

from mindeye_store.errors import InvalidInput
from mindeye_store.schema import MEND, ArraySpec

_FUSED = "zarr.core.codec_pipeline.FusedCodecPipeline"


def pipeline_settings(version: str) -> dict[str, Any]:
    """Return zarr's settings for a version of it.

    The fused pipeline is used from 3.3 on: before its release it could return reordered fancy
    reads wrongly (zarr-python pull request 4203). `read_missing_chunks` is known from there too.
    """
    settings: dict[str, Any] = {"array.write_empty_chunks": True}
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) >= (3, 3):
        settings |= {"codec_pipeline.path": _FUSED, "array.read_missing_chunks": False}
    return settings


@contextmanager
def configured() -> Iterator[None]:
    """Hold zarr's configuration for making or opening an array."""
    with zarr.config.set(pipeline_settings(zarr.__version__)):
        yield


def create_array(bundle: Path, spec: ArraySpec) -> zarr.Array[Any]:
    """Make an empty array: chunks inside shards, crc32c innermost, zstd only when asked.

    Parameters
    ----------
    bundle : Path
        Folder of a staged bundle.
    spec : ArraySpec
    """
    rest = spec.shape[1:]
    codecs: list[Any] = [ZstdCodec(level=3)] if spec.compressed else []
    with configured():
        return zarr.create_array(
            LocalStore(bundle),
            name=spec.name,
            shape=spec.shape,
            dtype=spec.dtype,
            chunks=(spec.chunk_rows, *rest),
            shards=(spec.shard_rows, *rest),
            filters=None,
            serializer=BytesCodec(endian="little"),
            compressors=[*codecs, Crc32cCodec()],
            fill_value=math.nan if spec.dtype.startswith("float") else 0,
            config={"write_empty_chunks": True},
        )


def open_array(bundle: Path, name: str, *, mode: str = "r") -> zarr.Array[Any]:
    """Open one array; ``r`` to read, ``r+`` to write shards."""
    try:
        with configured():
            opened = zarr.open_array(
                LocalStore(bundle, read_only=mode == "r"), path=name, mode=mode, zarr_format=3
            )
    except (FileNotFoundError, KeyError, ValueError, TypeError) as error:
        raise _broken(bundle, name) from error
    return opened


def spec_of(array: zarr.Array[Any], bundle: Path, name: str) -> ArraySpec:
    """Return the description of an array that `create_array` made."""
    if array.shards is None or array.chunks[1:] != array.shape[1:]:
        raise _broken(bundle, name)
    codecs = array.compressors
    return ArraySpec(
        name=name,
        shape=array.shape,
        dtype=array.dtype.name,
        shard_rows=array.shards[0],
        chunk_rows=array.chunks[0],
        compressed=any(isinstance(codec, ZstdCodec) for codec in codecs),
    )


def _broken(bundle: Path, name: str) -> InvalidInput:
    return InvalidInput(
        "the array's description is missing or damaged",
        where=str(bundle / name / "zarr.json"),
        fix=MEND,
    )
