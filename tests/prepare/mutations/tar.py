"""Tar files with members that have no business there, and damaged ones."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from prepare.mutations.cases import Case
from prepare.packed import Entry, entry, read_tar, write_tar

BLOCK = tarfile.BLOCKSIZE
Change = Callable[[list[Entry], np.random.Generator], list[Entry]]


def odd(kind: bytes, name: str = "sample000000099.png", link: str = "/etc/passwd") -> Change:
    """Add a member of another type."""

    def change(entries: list[Entry], random: np.random.Generator) -> list[Entry]:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        place = int(random.integers(len(entries)))
        return [*entries[:place], (info, b""), *entries[place:]]

    return change


def named(pattern: str) -> Change:
    """Give one member a name that leads elsewhere."""

    def change(entries: list[Entry], random: np.random.Generator) -> list[Entry]:
        place = int(random.integers(len(entries)))
        _, data = entries[place]
        suffix = entries[place][0].name.partition(".")[2]
        return [*entries[:place], entry(pattern.format(suffix), data), *entries[place + 1 :]]

    return change


def twice(entries: list[Entry], random: np.random.Generator) -> list[Entry]:
    return [*entries, entries[0], entries[0]]


MEMBERS: dict[str, Change] = {
    "symbolic link": odd(tarfile.SYMTYPE),
    "link to the parent": odd(tarfile.SYMTYPE, link="../../../secret.npy"),
    "hard link": odd(tarfile.LNKTYPE),
    "named pipe": odd(tarfile.FIFOTYPE),
    "device": odd(tarfile.CHRTYPE, link=""),
    "absolute name": named("/tmp/evil.{}"),
    "name to the parent": named("../../evil.{}"),
    "name through a folder": named("a/../../evil.{}"),
    "backslashes": named("..\\evil.{}"),
    "member twice": twice,
}


def _members(tar: str, change: Change, folder: Path, random: np.random.Generator) -> None:
    path = folder / tar
    write_tar(path, change(read_tar(path), random))


def _header_places(data: bytes) -> list[int]:
    """Where the headers of members lie, the first one left out."""
    places = [n for n in range(BLOCK, len(data), BLOCK) if data[n + 257 : n + 262] == b"ustar"]
    return [n for n in places if data[n + 156 : n + 157] == b"0"]


def _signed(block: bytes) -> bytes:
    """A header with its checksum put right."""
    total = sum(block[:148]) + sum(block[156:BLOCK]) + 8 * 32
    return block[:148] + f"{total:06o}\0 ".encode() + block[156:]


def checksum(data: bytes, place: int) -> bytes:
    return data[: place + 10] + bytes([data[place + 10] ^ 0x55]) + data[place + 11 :]


def zeroed(data: bytes, place: int) -> bytes:
    return data[:place] + bytes(BLOCK) + data[place + BLOCK :]


def sized(field: bytes) -> Callable[[bytes, int], bytes]:
    def change(data: bytes, place: int) -> bytes:
        block = data[place : place + BLOCK]
        return data[:place] + _signed(block[:124] + field + block[136:]) + data[place + BLOCK :]

    return change


def typed(kind: bytes, size: bytes) -> Callable[[bytes, int], bytes]:
    def change(data: bytes, place: int) -> bytes:
        block = data[place : place + BLOCK]
        block = block[:124] + size + block[136:156] + kind + block[157:]
        return data[:place] + _signed(block) + data[place + BLOCK :]

    return change


HUGE, NEGATIVE = b"77777777777\0", b"\xff" * 11 + b"\x00"
BYTES: dict[str, Callable[[bytes, int], bytes]] = {
    "flipped bit in a header": checksum,
    "header of zeros": zeroed,
    "size beyond the file": sized(HUGE),
    "negative size": sized(NEGATIVE),
    "size that is no number": sized(b"not a number"),
    "huge extended header": typed(b"x", HUGE),
    "negative extended header": typed(b"x", NEGATIVE),
    "huge long name": typed(b"L", HUGE),
    "negative long name": typed(b"L", NEGATIVE),
    "huge global header": typed(b"g", HUGE),
    "sparse member": typed(b"S", b"00000001000\0"),
    "foreign data after the end": lambda data, place: data + b"PK\x03\x04" * 200,
}


def _bytes(
    tar: str, change: Callable[[bytes, int], bytes], folder: Path, random: np.random.Generator
) -> None:
    path = folder / tar
    data = path.read_bytes()
    path.write_bytes(change(data, int(random.choice(_header_places(data)))))


def _compressed(tar: str, folder: Path, random: np.random.Generator) -> None:
    path = folder / tar
    path.write_bytes(gzip.compress(path.read_bytes()))


def cases() -> Iterator[Case]:
    targets = (
        ("webdataset", "train/train_subj01_1.tar"),
        ("webdataset", "test/test_subj01_0.tar"),
        ("mindeye2", "wds/subj01/train/0.tar"),
        ("mindeye2", "wds/subj01/new_test/0.tar"),
    )
    for layout, tar in targets:
        where = f"in {tar}"
        for name, change in MEMBERS.items():
            yield Case(layout, f"{name} {where}", partial(_members, tar, change))
        for name, altered in BYTES.items():
            yield Case(layout, f"{name} {where}", partial(_bytes, tar, altered))
        yield Case(layout, f"compressed {tar}", partial(_compressed, tar))
