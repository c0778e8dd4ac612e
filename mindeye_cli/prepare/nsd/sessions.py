"""Sessions of betas cut to the mask, kept beside the store until the subject is published.

Which voxels are dropped, and their reliability, is known only after the last session; each session
is therefore gunzipped once, cut to the mask, and kept as stored (int16: half the size of what the
store gets). A killed run goes on after the last whole session.

Shapes: `N` trials, `V` voxels of the mask.
"""

from __future__ import annotations

import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.atomic import write_bytes, write_json
from mindeye_cli.core.fingerprint import of_array, of_json
from mindeye_cli.core.jsonable import to_jsonable
from mindeye_cli.core.machine import processors
from mindeye_cli.core.progress import track
from mindeye_cli.core.signals import StopFlag
from mindeye_cli.core.threads import thread_count
from mindeye_cli.prepare.nsd.betas import percent_signal
from mindeye_cli.prepare.nsd.series import Series
from mindeye_cli.prepare.nsd.volumes import Mask
from mindeye_cli.prepare.voxels import Floats, Rows
from mindeye_store.files import read_json

# Inflating is all that takes time: more sessions at once would wait for the disk.
MOST_THREADS = 8


class _Stopped(Exception):
    """Another session failed, or the user pressed Ctrl-C."""


@dataclass(frozen=True, slots=True)
class CutSessions:
    """Responses of several sessions, read by trial; one array (K, V) per session."""

    arrays: list[NDArray[Any]]

    @property
    def shape(self) -> tuple[int, int]:
        """`N` and `V`."""
        return sum(len(array) for array in self.arrays), self.arrays[0].shape[1]

    def read(self, rows: Rows) -> Floats:
        """Percent signal change of trials, float32 (len(rows), V)."""
        edges = np.cumsum([len(array) for array in self.arrays])
        owner = np.searchsorted(edges, rows, side="right")
        values = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        for index in np.unique(owner):
            chosen = owner == index
            start = edges[index] - len(self.arrays[index])
            values[chosen] = percent_signal(self.arrays[index][rows[chosen] - start])
        return values


class SessionCache:
    """Folder of cut sessions.

    Parameters
    ----------
    folder : Path
        Beside the store; made when the first session is written.
    mask : Mask
    """

    def __init__(self, folder: Path, mask: Mask) -> None:
        self.folder, self.mask = folder, mask
        self._mask_print = of_array(np.c_[mask.ijk, np.broadcast_to(mask.shape, mask.ijk.shape)])

    def fill(self, series: dict[int, Series], stop: StopFlag) -> CutSessions:
        """Cut every session that is not there yet, several at once, then open all of them.

        Parameters
        ----------
        series : dict of int to Series
            By session, in the order of the trials.
        stop : StopFlag
            No session is begun once it is set.

        Raises
        ------
        InvalidInput
            A session's file is damaged; the sessions that were whole by then are kept.
        Requeue
            A stop signal came; sessions that had begun were ended.
        """
        todo = [number for number in series if not self._holds(number, series[number])]
        volumes = sum(series[number].n_volumes for number in todo)
        most = thread_count() or min(processors(), MOST_THREADS)
        lock, failed = Lock(), Event()

        def cut(number: int) -> None:
            if not stop.is_set:
                self._keep(number, series[number], series[number].read(self.mask, advance))

        def advance(count: int) -> None:
            with lock:
                if failed.is_set():
                    raise _Stopped
                bar.advance(count)

        with (
            track("read betas", volumes, unit="volumes") as bar,
            ThreadPoolExecutor(most) as pool,
        ):
            try:
                for _ in pool.map(cut, todo):
                    pass
            except BaseException:
                failed.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        stop.raise_requeue(str(self.folder))
        return CutSessions([np.load(self._values(number), mmap_mode="r") for number in series])

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _holds(self, number: int, source: Series) -> bool:
        note = self.folder / f"session-{number:02d}.json"
        if not note.is_file() or not self._values(number).is_file():
            return False
        return read_json(note) == self._facts(source)

    def _keep(self, number: int, source: Series, values: NDArray[Any]) -> None:
        stream = io.BytesIO()
        np.save(stream, values, allow_pickle=False)
        write_bytes(self._values(number), stream.getvalue())
        write_json(self.folder / f"session-{number:02d}.json", self._facts(source))

    def _values(self, number: int) -> Path:
        return self.folder / f"session-{number:02d}.npy"

    def _facts(self, source: Series) -> dict[str, Any]:
        """What the cut array depends on; the modification time catches a file put in its place."""
        states = [path.stat() for path in source.files]
        facts: dict[str, Any] = to_jsonable(
            {
                "files": [str(path.resolve()) for path in source.files],
                "bytes": [state.st_size for state in states],
                "modified_ns": [state.st_mtime_ns for state in states],
                "volumes": source.n_volumes,
                "mask": self._mask_print,
            }
        )
        return facts


def cache_folder(store: Path, subject: str, betas: str, mask: Mask) -> Path:
    """Where cut sessions are kept: hidden, beside the store, whatever the other settings are."""
    what = of_json([betas, of_array(mask.ijk)])
    return store.parent / f".{store.name}.{subject}-{what[:12]}"
