"""Runs corruptions in forked children, so that a crash, a hang or a flood of memory is one result.

`python driver.py FOLDER ID...`: prints one JSON line per case. Everything is imported first; each
child copies the sound data, corrupts them, runs the command, and is watched from outside.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import h5py  # noqa: F401  (imported here, so that children need not)
import nibabel  # noqa: F401
import numpy as np
import scipy.io  # noqa: F401
from prepare import lab
from prepare.mutations.cases import WRITERS, Case, all_cases, bundle, command

from mindeye_cli.app import main
from mindeye_cli.prepare.arrays import run as arrays  # noqa: F401
from mindeye_cli.prepare.bids import run as bids  # noqa: F401
from mindeye_cli.prepare.mindeye2 import run as mindeye2  # noqa: F401
from mindeye_cli.prepare.nsd import run as nsd  # noqa: F401
from mindeye_cli.prepare.webdataset import run as webdataset  # noqa: F401
from mindeye_store import create_store, open_store

SECONDS = 60
ADDRESS_SPACE = 12 << 30


def tree(folder: Path) -> dict[str, str]:
    """Hash of every file, by path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def fingerprints(layout: str, store: Path) -> list[str]:
    """What the store holds, without what it says of its sources."""
    opened = open_store(store)
    return [opened.fingerprint(bundle(layout)), opened.fingerprint("images/0000")]


def child(layout: str, home: Path, case: Case | None) -> None:
    """Never returns; the result is in files below `home`."""
    code = 99
    try:
        with (home / "out").open("w") as out, (home / "err").open("w") as err:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
        folder, store = home / "data", home / "s.zarr"
        if case is not None:
            case.corrupt(folder, np.random.default_rng(case.seed))
            # Reset by what corrupting took: only reading is measured.
            resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        (home / "begun").write_text(str(peak()))
        code = main([*command(layout, folder, store), "--json"])
        (home / "peak").write_text(str(peak()))
        if code == 0:
            (home / "prints").write_text(json.dumps(fingerprints(layout, store)))
    except BaseException:
        (home / "crash").write_text(traceback.format_exc())
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def peak() -> int:
    """Most memory that this process has held, in kB (Linux, reset by writing 5 to clear_refs)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


def run(layout: str, home: Path, sound: Path, case: Case | None) -> dict[str, Any]:
    """One case, watched."""
    shutil.copytree(sound, home / "data")
    half = case is not None and case.seed % 2
    if half:  # a store that is there already must stay as it is
        create_store(home / "s.zarr")
    before = tree(home / "s.zarr")
    begin = time.monotonic()
    process = os.fork()
    if process == 0:
        child(layout, home, case)
    status = None
    while status is None and time.monotonic() - begin < SECONDS:
        done, found = os.waitpid(process, os.WNOHANG)
        status = found if done else None
        if status is None:
            time.sleep(0.01)
    if status is None:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    left = sorted(path.name for path in home.iterdir())
    text = {
        name: (home / name).read_text()
        for name in ("out", "err", "begun", "peak", "prints", "crash")
        if name in left
    }
    result = {
        "code": None if status is None else os.waitstatus_to_exitcode(status),
        "seconds": round(time.monotonic() - begin, 2),
        "megabytes": (int(text.get("peak", 0)) - int(text.get("begun", 0))) // 1024,
        "out": text.get("out", ""),
        "err": text.get("err", ""),
        "crash": text.get("crash"),
        "prints": json.loads(text["prints"]) if "prints" in text else None,
        "store": "none"
        if not (home / "s.zarr").exists()
        else "same"
        if tree(home / "s.zarr") == before
        else "changed",
        "left": [name for name in left if name.startswith(".s.zarr")],
    }
    shutil.rmtree(home)
    return result


def drive(home: Path, wanted: set[str]) -> None:
    """Run the cases of these ids, after each layout's sound data."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    cases = [case for case in all_cases() if case.id in wanted]
    for layout in WRITERS:
        mine = [case for case in cases if case.layout == layout]
        if not mine:
            continue
        sound = home / f"sound-{layout}"
        WRITERS[layout](sound, lab.make_lab())
        say({"id": f"{layout}: sound"} | run(layout, make(home), sound, None))
        for number, case in enumerate(mine):
            case = Case(case.layout, case.name, case.corrupt, case.expect, seed=number)
            result = run(layout, make(home), sound, case)
            say({"id": case.id, "expect": case.expect} | result)


def say(result: dict[str, Any]) -> None:
    """One JSON line."""
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


def make(home: Path) -> Path:
    folder = home / "case"
    folder.mkdir()
    return folder


if __name__ == "__main__":
    drive(Path(sys.argv[1]), set(json.loads(sys.stdin.read())))
