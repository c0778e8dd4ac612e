"""Random batches of 32 rows (257 x 768 float16 and voxels): the store's readers against others.

    python benchmarks/store.py --rows 2000 --rounds 7

The same rows lie in a STORE, in WebDataset tars, in HDF5 and in zarr arrays made with zarr's own
defaults (one row a chunk, uncompressed; and 128 rows a shard). Every reader is compared with the
source, byte for byte, before it is timed. In every round all readers take the same batches, in an
order drawn anew; the table gives medians over all batches. `evicted` asks the kernel to drop the
pages of all files before each reader (posix_fadvise DONTNEED, which needs no rights; what a
hypervisor caches stays). WebDataset reads in order, its best case: it has no random access.

`auto, in RAM` is what `--reader auto` takes when a quarter of the free memory holds an array, after
its first pass; that pass is told apart. `auto, larger` is what it takes otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from rivals import HDF5, Layout, PlainZarr, WebDataset

from mindeye_store import create_store
from mindeye_store.readers import ReaderKind, check_kind, in_memory, open_array_reader

BATCH, SHAPE, VOXELS = 32, (257, 768), 15_724
BUNDLE = "subjects/bench"
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class Entry:
    """A reader of both arrays, and the files it reads."""

    name: str
    read: Callable[[np.ndarray], Pair]
    folder: Path
    ordered: bool = False


def blocks(rows: int) -> Iterator[tuple[np.ndarray, Pair]]:
    """The source, a few rows at a time; the same at every call."""
    for start in range(0, rows, 128):
        chosen = np.arange(start, min(start + 128, rows))
        draw = np.random.default_rng(start)
        features = draw.standard_normal((len(chosen), *SHAPE), dtype=np.float32)
        voxels = draw.standard_normal((len(chosen), VOXELS), dtype=np.float32)
        yield chosen, (features.astype(np.float16), voxels)


def write_store(folder: Path, rows: int) -> None:
    """Rows as `prepare targets` and `prepare nsd` keep them: uncompressed, with checksums."""
    store = create_store(folder)
    with store.write_bundle(BUNDLE, plan={"rows": rows}) as writer:
        arrays = (
            writer.array("features", shape=(rows, *SHAPE), dtype="float16", shard_rows=128),
            writer.array("voxels", shape=(rows, VOXELS), dtype="float32", shard_rows=128),
        )
        for number, (_, values) in enumerate(blocks(rows)):
            for array, part in zip(arrays, values, strict=True):
                array.write(number, part)
        writer.publish()


def of_store(folder: Path, kind: ReaderKind, *, room: bool = True) -> Callable[[np.ndarray], Pair]:
    """Both arrays of the store through one kind of reader, chosen as the package chooses it."""
    with mock.patch("mindeye_store.readers.free_memory", lambda: 2**40 if room else 0):
        pair = [
            in_memory(open_array_reader(folder / BUNDLE, name, kind), kind)
            for name in ("features", "voxels")
        ]
    return lambda rows: (pair[0].read(rows), pair[1].read(rows))


def entries(work: Path, rows: int) -> tuple[list[Entry], dict[str, float]]:
    """Write every layout and open every reader; seconds that each took to write."""
    layouts: list[Layout] = [HDF5(work), WebDataset(work), PlainZarr(work, 1), PlainZarr(work, 128)]
    seconds = {}
    for layout in layouts:
        begin = time.perf_counter()
        layout.write(rows, SHAPE, VOXELS, blocks(rows))
        seconds[layout.name] = time.perf_counter() - begin
    folder = work / "store.zarr"
    begin = time.perf_counter()
    write_store(folder, rows)
    seconds["store"] = time.perf_counter() - begin
    kinds: dict[str, Callable[[np.ndarray], Pair]] = {
        "auto, in RAM": of_store(folder, "auto"),
        "auto, larger": of_store(folder, "auto", room=False),
    }
    for kind in ("map", "zarr", "tensorstore"):
        kinds[kind] = of_store(folder, check_kind(kind))
    own = [Entry(name, read, folder) for name, read in kinds.items()]
    others = [Entry(each.name, each.read, each.folder, each.ordered) for each in layouts]
    return own + others, seconds


def check(entry: Entry, rows: int) -> None:
    """Compare rows with the source."""
    chosen, source = next(iter(blocks(rows)))
    order = np.arange(BATCH) if entry.ordered else np.random.default_rng(5).permutation(chosen)
    for found, wanted in zip(entry.read(order), source, strict=True):
        if not np.array_equal(found, wanted[order]) or found.dtype != wanted.dtype:
            raise SystemExit(f"{entry.name} does not return the source's rows")


def evict(folder: Path) -> None:
    """Ask the kernel to forget the pages of a folder's files."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.fdatasync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def measure(all_entries: list[Entry], rows: int, rounds: int, batches: int) -> dict[str, Any]:
    """Rows a second of every reader, in both states of the page cache."""
    rates: dict[str, dict[str, list[float]]] = {}
    for state in ("warm", "evicted"):
        for number in range(rounds):
            order = random.Random(number).sample(all_entries, len(all_entries))
            draw = np.random.default_rng(number)
            asked = [draw.choice(rows, BATCH, replace=False) for _ in range(batches)]
            for entry in order:
                if state == "evicted":
                    evict(entry.folder)
                else:
                    for batch in asked:
                        entry.read(batch)
                for batch in asked:
                    begin = time.perf_counter()
                    entry.read(batch)
                    rate = BATCH / (time.perf_counter() - begin)
                    rates.setdefault(entry.name, {}).setdefault(state, []).append(rate)
    return {
        name: {state: statistics.median(each) for state, each in states.items()}
        for name, states in rates.items()
    }


def main() -> None:
    """Print the table, and one JSON object with `--json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=12, help="read in a round by each reader")
    parser.add_argument("--work", type=Path, help="folder for the files, about 5 x rows x 0.46 MB")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    work = Path(tempfile.mkdtemp(dir=chosen.work))
    try:
        found = run(work, chosen.rows, chosen.rounds, chosen.batches)
    finally:
        shutil.rmtree(work)
    if chosen.json:
        print(json.dumps(found))
        return
    print(", ".join(f"{name} {text}" for name, text in found["versions"].items()))
    print(
        f"{chosen.rows} rows; the first pass of `auto` into RAM: {found['first_pass']:.0f} rows/s"
    )
    print(f"{'reader':<22}{'warm':>9}{'evicted':>9}  rows/s{'GB':>8}{'written in s':>14}")
    for name, line in found["readers"].items():
        size, took = found["gigabytes"][name], found["written"].get(name)
        wrote = "" if took is None else f"{took:14.1f}"
        print(f"{name:<22}{line['warm']:9.0f}{line['evicted']:9.0f}{size:16.3f}{wrote}")
    for name, line in found["ratios"].items():
        print(f"{name} / the best of the others: {line['warm']:.2f} warm, {line['evicted']:.2f}")


def run(work: Path, rows: int, rounds: int, batches: int) -> dict[str, Any]:
    """Everything that is printed."""
    everyone, seconds = entries(work, rows)
    for entry in everyone:
        check(entry, rows)
    whole = next(entry for entry in everyone if entry.name == "auto, in RAM")
    begin = time.perf_counter()
    for start in range(0, rows, 512):
        whole.read(np.arange(start, min(start + 512, rows)))
    first_pass = rows / (time.perf_counter() - begin)
    readers = measure(everyone, rows, rounds, batches)
    peers = [entry.name for entry in everyone if entry.folder != whole.folder]
    states = ("warm", "evicted")
    best = {state: max(readers[name][state] for name in peers) for state in states}
    packages = ("zarr", "h5py", "webdataset", "tensorstore", "numpy")
    return {
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
        "first_pass": first_pass,
        "readers": readers,
        "written": seconds | {whole.name: seconds["store"]},
        "gigabytes": {entry.name: size_of(entry.folder) / 1e9 for entry in everyone},
        "ratios": {
            entry.name: {state: readers[entry.name][state] / best[state] for state in states}
            for entry in everyone
            if entry.name not in peers
        },
    }


def size_of(folder: Path) -> int:
    """Bytes of a folder's files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    sys.exit(main())
