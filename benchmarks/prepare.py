"""`prepare nsd` at NSD's real size against gunzip and a mask alone.

    python benchmarks/prepare.py --sessions 40

Sessions of 750 volumes of 81 x 104 x 83 int16 are made on the fly: a head of 226,000 voxels of
noise in zeros. Two are made, the others are hard links to them, so that forty take the room of two;
what they cost to read is the same on both sides, but for the disk. Pictures are 73,000 of 425 x 425
in a sparse file.

`bare` is the least that anyone has to do: two processes that inflate every session with zlib and
index each volume, keeping nothing. `prepare` is the command in a process of its own, from its start
to the published subject; its rate leaves out the pictures' seconds, which are told apart. Then it
is killed after a few sessions and run again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

TESTS = Path(__file__).resolve().parent.parent / "tests" / "prepare"
sys.path.insert(0, str(TESTS))

import real_size  # noqa: E402

from mindeye_cli.prepare.nsd.betas import open_betas  # noqa: E402
from mindeye_cli.prepare.nsd.volumes import read_mask  # noqa: E402
from mindeye_store import open_store, verify_store  # noqa: E402

SHAPE, VOLUMES, VOXELS, HEAD = (81, 104, 83), 750, 15_724, 226_000
DISTINCT, PROCESSES = 2, 2

# The command's own process; prints its seconds and peak memory.
CHILD = """
import json, resource, sys, time
begin = time.perf_counter()
import zlib
from mindeye_cli.prepare.nsd import gunzip, run
from mindeye_cli.prepare.nsd.check import NsdOptions
from mindeye_cli.prepare.nsd.layout import NsdLayout
from pathlib import Path

root, store, sessions, library = sys.argv[1:]
if library == "zlib":
    gunzip._library = lambda: zlib
pictures, add = [], run.add_pictures
def timed(*arguments):
    start = time.perf_counter()
    found = add(*arguments)
    pictures.append(time.perf_counter() - start)
    return found
run.add_pictures = timed
layout = NsdLayout(root=Path(root), subject=1)
chosen = tuple(range(1, int(sessions) + 1))
run.prepare_nsd(NsdOptions(layout=layout, store=Path(store), sessions=chosen))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": time.perf_counter() - begin, "pictures": sum(pictures), "peak": peak}))
"""


def make_root(root: Path, sessions: int) -> real_size.RealSize:
    """Tables, mask and sessions of subject 1."""
    made = real_size.RealSize(root)
    made.write()
    made.write_subject(1)
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij"))
    radius = np.square(places).sum(axis=0).ravel()
    nearest = np.argsort(radius, kind="stable")
    mask = np.zeros(radius.size, np.int16)
    mask[np.random.default_rng(1).choice(nearest[:HEAD], VOXELS, replace=False)] = 1
    roi = root / "nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz"
    nibabel.save(nibabel.Nifti1Image(mask.reshape(SHAPE), np.eye(4)), roi)
    folder = root / "nsddata_betas/ppdata/subj01/func1pt8mm" / real_size.BETAS
    head = np.sort(np.ravel_multi_index(np.unravel_index(nearest[:HEAD], SHAPE), SHAPE, order="F"))
    for session in range(1, 41):
        file = folder / f"betas_session{session:02d}.nii.gz"
        file.unlink()
        if session <= min(DISTINCT, sessions):
            write_session(file, head, session)
        elif session <= sessions:
            os.link(folder / f"betas_session{(session - 1) % DISTINCT + 1:02d}.nii.gz", file)
    return made


def write_session(file: Path, head: np.ndarray, seed: int) -> None:
    """One session, a volume at a time."""
    import gzip

    draw = np.random.default_rng(seed)
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((*SHAPE, VOLUMES))
    header.set_slope_inter(1, 0)
    header["vox_offset"] = 352
    with gzip.open(file, "wb", compresslevel=1) as stream:
        stream.write(header.binaryblock + bytes(4))
        volume = np.zeros(int(np.prod(SHAPE)), "<i2")
        for _ in range(VOLUMES):
            volume[head] = draw.normal(0, 600, head.size)
            stream.write(volume.tobytes())


def bare(files: list[Path], mask: Path) -> None:
    """Inflate sessions and index their volumes."""
    import zlib

    positions = read_mask(mask, "nsdgeneral").stored_positions
    for file in files:
        series = open_betas(file)
        size = int(np.prod(series.shape)) * series.dtype.itemsize
        inflate, ready, skipped = zlib.decompressobj(31), bytearray(), False
        with file.open("rb") as stream:
            while block := stream.read(2**18):
                ready += inflate.decompress(block)
                if not skipped and len(ready) >= series.offset:
                    del ready[: series.offset]
                    skipped = True
                while skipped and len(ready) >= size:
                    np.frombuffer(bytes(ready[:size]), series.dtype)[positions]
                    del ready[:size]


def run_bare(root: Path, sessions: int) -> float:
    """Seconds of two processes, their start included as the command's is."""
    folder = root / "nsddata_betas/ppdata/subj01/func1pt8mm" / real_size.BETAS
    files = [folder / f"betas_session{number:02d}.nii.gz" for number in range(1, sessions + 1)]
    mask = root / "nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz"
    context = multiprocessing.get_context("fork")
    begin = time.perf_counter()
    workers = [
        context.Process(target=bare, args=(files[part::PROCESSES], mask))
        for part in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            raise SystemExit("the bare side failed")
    return time.perf_counter() - begin


def command(root: Path, store: Path, sessions: int, library: str) -> list[str]:
    """The child's arguments."""
    return [sys.executable, "-c", CHILD, str(root), str(store), str(sessions), library]


def environment() -> dict[str, str]:
    """Two threads, as the other side has two processes."""
    return os.environ | {"MINDEYE_THREADS": str(PROCESSES)}


def run_prepare(root: Path, store: Path, sessions: int, library: str) -> dict[str, float]:
    """The command in a new process."""
    arguments = command(root, store, sessions, library)
    done = subprocess.run(
        arguments, env=environment(), stdout=subprocess.PIPE, check=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def killed_and_continued(root: Path, work: Path, sessions: int, whole: Path) -> dict[str, Any]:
    """Kill the command after half the sessions; what was cut must stay as it is."""
    store = work / "killed.zarr"
    child = subprocess.Popen(
        command(root, store, sessions, "auto"), env=environment(), stdout=subprocess.DEVNULL
    )
    while len(notes := list(work.glob(".killed.zarr.*/session-*.json"))) < sessions // 2:
        if child.poll() is not None:
            raise SystemExit("prepare ended before it could be killed")
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    notes = list(work.glob(".killed.zarr.*/session-*.json"))
    before = {note: note.stat().st_mtime_ns for note in notes}
    second = subprocess.Popen(
        command(root, store, sessions, "auto"), env=environment(), stdout=subprocess.DEVNULL
    )
    kept = set(before)
    while second.poll() is None:
        for note in list(kept):
            try:
                if note.stat().st_mtime_ns != before[note]:
                    kept.discard(note)
            except FileNotFoundError:
                pass  # the subject is published, the cut sessions are removed
        time.sleep(0.02)
    prints = [open_store(path).fingerprint("subjects/subj01") for path in (whole, store)]
    return {
        "finished_when_killed": len(before),
        "kept": len(kept),
        "equal": prints[0] == prints[1] and second.returncode == 0,
        "problems": verify_store(store),
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--work", type=Path, help="folder for the files")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.work) as place:
        work = Path(place)
        root = work / "nsd"
        make_root(root, chosen.sessions)
        times: dict[str, list[float]] = {"bare": [], "auto": [], "zlib": []}
        peaks, pictures = [], []
        for number in range(chosen.rounds):
            times["bare"].append(run_bare(root, chosen.sessions))
            for library in ("auto", "zlib"):
                store = work / f"{library}-{number}.zarr"
                found = run_prepare(root, store, chosen.sessions, library)
                times[library].append(found["seconds"] - found["pictures"])
                pictures.append(found["pictures"])
                peaks.append(found["peak"])
        median = {name: statistics.median(each) for name, each in times.items()}
        volumes = chosen.sessions * VOLUMES
        print(
            json.dumps(
                {
                    "sessions": chosen.sessions,
                    "volumes_per_second": {n: volumes / each for n, each in median.items()},
                    "share_of_bare": {n: median["bare"] / median[n] for n in ("auto", "zlib")},
                    "pictures_seconds": statistics.median(pictures),
                    "peak_gb": max(peaks) / 1e9,
                    "killed": killed_and_continued(
                        root, work, chosen.sessions, work / "auto-0.zarr"
                    ),
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
