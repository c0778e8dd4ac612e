"""The stream of a gzip file against Python's own module, with either library."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest

from mindeye_cli.prepare.nsd import gunzip

DATA = np.random.default_rng(0).integers(-40, 40, 300_000).astype("<i2").tobytes()
BOMB = bytes(9_000_000)


@pytest.fixture(params=["zlib", "isal"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "isal":
        pytest.importorskip("isal", reason="isal is not installed")
    else:
        monkeypatch.setattr(gunzip, "_library", lambda: zlib)


def everything(path: Path, step: int) -> bytes:
    found = bytearray()
    with gunzip.Gunzip(path) as stream:
        while part := stream.read(step):
            found += part
    return bytes(found)


@pytest.mark.parametrize(
    "stored",
    [
        gzip.compress(DATA),
        gzip.compress(DATA, 1) + gzip.compress(b"more") + bytes(700),
        gzip.compress(BOMB),
        gzip.compress(b""),
        b"",
    ],
    ids=["one member", "members and padding", "inflates a thousandfold", "nothing in it", "empty"],
)
def test_equals_the_standard_library(stored: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(stored)
    for step in (70_001, 20_000_000):
        assert everything(path, step) == gzip.decompress(stored)


def test_a_plain_file_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.nii").write_bytes(DATA)
    assert everything(tmp_path / "x.nii", 50_000) == DATA


@pytest.mark.parametrize("kept", [1, 12, 100_000, -9, -8, -4, -1])
def test_a_cut_file_is_refused_at_its_end(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(DATA)[:kept])
    with pytest.raises((EOFError, zlib.error)):
        everything(path, 70_001)


@pytest.mark.parametrize("place", [0, 3000, 200_000, -6, -2])
def test_a_changed_byte_is_found(place: int, tmp_path: Path) -> None:
    stored = bytearray(gzip.compress(DATA))
    stored[place] ^= 64
    (tmp_path / "x.gz").write_bytes(stored)
    with pytest.raises((EOFError, zlib.error)):
        everything(tmp_path / "x.gz", 70_001)


def test_bytes_after_the_end_that_are_no_gzip_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(DATA) + b"something else")
    with pytest.raises((EOFError, zlib.error)):
        everything(tmp_path / "x.gz", 70_001)
