"""Building and searching on Dask workers of this machine, for `index.py`."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
from distributed import Client, LocalCluster
from numpy.typing import NDArray

from mindeye_cli.core.neighbours.cluster import runner
from mindeye_cli.core.neighbours.search import nearest, open_index
from mindeye_cli.index.build import build_index
from mindeye_cli.index.options import IndexOptions
from mindeye_cli.index.parts import build_part


def throughput(
    work: Path, queries: NDArray[np.float32], workers: int
) -> tuple[float, NDArray[np.int64]]:
    """Seconds that the parts take on so many one-thread workers, and what a search then finds."""
    with LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1",
        env={"MINDEYE_THREADS": "1", "OMP_NUM_THREADS": "1"},
    ) as cluster, Client(cluster):  # fmt: skip
        index = work / "cluster"
        shutil.rmtree(index, ignore_errors=True)
        opened = open_index(work / "parts")
        shutil.copytree(work / "parts" / "shared", index / "shared")
        plan, parts = opened.manifest.plan, opened.manifest.parts
        tasks = [(index, opened.root, plan, part.name, part.shards) for part in parts]
        with runner(cluster.scheduler_address) as run:
            # Every worker imports what it needs before the clock starts.
            list(run(_warm, [(number,) for number in range(4 * workers)]))
            start = time.perf_counter()
            list(run(build_part, tasks))
            taken = time.perf_counter() - start
        (index / "plan.json").write_bytes((work / "parts" / "plan.json").read_bytes())
        options = IndexOptions(
            source=opened.root, index=index, kind="ivf", scheduler=cluster.scheduler_address
        )
        build_index(options)
        with runner(cluster.scheduler_address) as run:
            found = nearest(open_index(index), queries, 16, run=run)[1]
        return taken, found


def _warm(number: int) -> int:
    import faiss
    import torch

    return int(faiss.omp_get_max_threads() + torch.get_num_threads() + number)
