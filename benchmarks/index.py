"""The index on clustered vectors: exact and approximate search, memory, resuming, two workers.

    python benchmarks/index.py --n 1000000 --work /tmp/index-benchmark

Writes the shards once under --work, builds an exact and an approximate index, and prints one line
a promise: what was measured, the bound, and whether it holds. `--rows exact,approximate` measures
some of them. Run it on an idle machine; every ratio is of numbers of the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from clustered import Mixture, Parameters
from numpy.typing import NDArray

from mindeye_cli.core.neighbours.search import nearest, open_index
from mindeye_cli.core.threads import thread_count

ROWS = ("exact", "approximate", "memory", "resume", "cluster")
QUERIES = 982  # the shared test images of NSD
COSINES = {"held-out": 1.0, "off-manifold 0.94": 0.94, "off-manifold 0.80": 0.8}
GB = 1e9
# Parts of a million vectors, as a collection of this size has them when it is built for speed.
IVF = ("--kind", "ivf", "--part-shards", "10")
TIE = 1e-6
failed: list[str] = []


def check(name: str, value: float, bound: float, *, at_least: bool) -> None:
    """Print a measurement beside its bound."""
    holds = value >= bound if at_least else value <= bound
    if not holds:
        failed.append(name)
    sign = ">=" if at_least else "<="
    print(f"{'ok  ' if holds else 'FAIL'} {name}: {value:.4g} ({sign} {bound:.4g})", flush=True)


def seconds(work: Callable[[], Any], rounds: int = 5) -> float:
    """Median seconds of a call after a first one."""
    work()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken)


def bandwidth(files: list[Path]) -> float:
    """Bytes a second at which mapped shards can be read by all threads."""
    maps = [np.load(file, mmap_mode="r").reshape(-1).view(np.uint64) for file in files]
    pieces = [m[low : low + 2**23] for m in maps for low in range(0, len(m), 2**23)]
    with ThreadPoolExecutor(thread_count() or os.cpu_count() or 1) as pool:

        def read() -> None:
            list(pool.map(np.bitwise_or.reduce, pieces))

        return sum(piece.nbytes for piece in pieces) / seconds(read)


def brute_force(
    files: list[Path], queries: NDArray[Any], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k nearest by numpy: cast a block to float32, multiply, keep the best."""
    scores = np.full((len(queries), k), -np.inf, np.float32)
    places = np.zeros((len(queries), k), np.int64)
    first = 0
    for file in files:
        rows = np.load(file, mmap_mode="r")
        for low in range(0, len(rows), 16384):
            found = queries @ rows[low : low + 16384].astype(np.float32).T
            both = np.concatenate([scores, found], axis=1)
            at = np.argpartition(-both, k - 1, axis=1)[:, :k]
            fresh = at >= k
            places = np.where(
                fresh, at - k + first + low, np.take_along_axis(places, np.minimum(at, k - 1), 1)
            )
            scores = np.take_along_axis(both, at, 1)
        first += len(rows)
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(scores, order, 1), np.take_along_axis(places, order, 1)


def build(shards: Path, index: Path, *options: str, wait: bool = True) -> Any:
    """Run `mindeye retrieve index`; its JSON, or the process."""
    command = [sys.executable, "-m", "mindeye_cli", "retrieve", "index", str(shards), str(index)]
    process = subprocess.Popen(
        [*command, *options, "--json"],
        stdout=subprocess.PIPE,
        stderr=None if wait else subprocess.DEVNULL,
        text=True,
    )
    if not wait:
        return process
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the build ended with {process.returncode}: {out}")
    return json.loads(out)


def anonymous(process: int) -> int:
    """Private memory of a process now, bytes."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return 0
    found = [line for line in status.splitlines() if line.startswith("RssAnon")]
    return int(found[0].split()[1]) * 1024 if found else 0


def peak_of_build(shards: Path, index: Path, *options: str) -> int:
    """Highest private memory of a build from nothing, bytes."""
    shutil.rmtree(index, ignore_errors=True)
    process = build(shards, index, *options, wait=False)
    peak = 0
    while process.poll() is None:
        peak = max(peak, anonymous(process.pid))
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit(f"the build ended with {process.returncode}")
    return peak


def files_of(shards: Path) -> list[Path]:
    """The shards in their order."""
    return sorted((shards / "img_emb").glob("*.npy"))


def exact_row(work: Path, mixture: Mixture) -> None:
    """Ids, bandwidth of one query, and a batch against numpy."""
    shards = work / "shards"
    build(shards, work / "exact", "--kind", "exact")
    opened = open_index(work / "exact")
    queries = mixture.queries(QUERIES, 0.94)
    size = sum(file.stat().st_size for file in files_of(shards))
    start = time.perf_counter()
    best, right = brute_force(files_of(shards), queries, 16)
    numpy_s = time.perf_counter() - start
    scores, found = nearest(opened, queries, 16)
    one_by_one = np.concatenate([nearest(opened, q[None], 16)[1] for q in queries[:50]])
    # Where float32 cannot tell two rows apart their order is nobody's.
    same = (found == right) | (np.abs(scores - best) < TIE)
    print(f"     ids equal {(found == right).mean():.6f}, others tie in float32")
    check("exact: ids equal up to ties", float(same.mean()), 1, at_least=True)
    alone = float((one_by_one == found[:50]).mean())
    check("exact: the same, one query at a time", alone, 1, at_least=True)
    limit = bandwidth(files_of(shards))
    one_s = seconds(lambda: nearest(opened, queries[:1], 16))
    print(
        f"     memory {limit / GB:.1f} GB/s, one query {one_s * 1e3:.1f} ms, numpy {numpy_s:.1f} s"
    )
    check("exact: one query, share of bandwidth", size / one_s / limit, 0.7, at_least=True)
    batch_s = seconds(lambda: nearest(opened, queries, 16), rounds=3)
    print(f"     batch of {QUERIES}: {batch_s:.2f} s")
    check("exact: batch over numpy", numpy_s / batch_s, 1.5, at_least=True)


def approximate_row(work: Path, mixture: Mixture) -> None:
    """Recall, size and speed at the settings that the build chose."""
    facts = build(work / "shards", work / "ivf", *IVF)
    print(f"     settings {facts['settings']}, own recall {facts['recall_at_16']:.3f}")
    build(work / "shards", work / "exact", "--kind", "exact")
    opened, exact = open_index(work / "ivf"), open_index(work / "exact")
    for name, cosine in COSINES.items():
        queries = mixture.queries(QUERIES, cosine)
        right = nearest(exact, queries, 300)[1]
        for k, bound in ((16, 0.95), (300, 0.9)):
            found = nearest(opened, queries, k)[1]
            shares = [len(np.intersect1d(a, b[:k])) / k for a, b in zip(found, right, strict=True)]
            check(f"approximate: recall@{k}, {name}", float(np.mean(shares)), bound, at_least=True)
    check("approximate: bytes a vector", facts["bytes_per_vector"], 130, at_least=False)
    queries = mixture.queries(QUERIES, 0.94)
    batch = seconds(lambda: nearest(opened, queries, 16), 3)
    exact_batch = seconds(lambda: nearest(exact, queries, 16), 1)
    one = seconds(lambda: nearest(opened, queries[:1], 16), 50)
    exact_one = seconds(lambda: nearest(exact, queries[:1], 16))
    print(
        f"     batch {batch:.3f} s of {exact_batch:.2f},"
        f" one {one * 1e3:.2f} ms of {exact_one * 1e3:.1f}"
    )
    check("approximate: batch over exact", exact_batch / batch, 10, at_least=True)
    check("approximate: one query over exact", exact_one / one, 20, at_least=True)


def memory_row(work: Path, mixture: Mixture, n: int) -> None:
    """Peak of the build at n and 2n; opening and searching under a limit."""
    mixture.write(work / "double", 2 * n, 20)
    peak = peak_of_build(work / "shards", work / "peak", *IVF)
    double = peak_of_build(work / "double", work / "peak", *IVF)
    shutil.rmtree(work / "peak")
    check("memory: build, GB", peak / GB, 1.5, at_least=False)
    check("memory: build of twice as many, ratio", double / peak, 1.1, at_least=False)
    build(work / "shards", work / "ivf", *IVF)
    np.save(work / "queries.npy", mixture.queries(64, 0.94))
    script = Path(__file__).with_name("index_memory.py")
    found = {}
    for limit in ("free", "limited"):
        out = subprocess.run(
            [sys.executable, script, work / "ivf", work / "queries.npy", limit],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        found[limit] = json.loads(out.stdout)
    size = sum(f.stat().st_size for f in (work / "ivf").rglob("*.faiss"))
    centroids = (work / "ivf" / "shared" / "centroids.faiss").stat().st_size
    opened = found["free"]["opened"]
    check("memory: opening, MB", opened / 1e6, (centroids + 0.05 * size) / 1e6, at_least=False)
    same = float(found["free"]["ids"] == found["limited"]["ids"])
    check("memory: same ids under a quarter of the index", same, 1, at_least=True)


def resume_row(work: Path) -> None:
    """Killed at random, continued; a rerun; a new shard."""
    index, generator = work / "killed", random.Random(0)
    shutil.rmtree(index, ignore_errors=True)
    total = len(files_of(work / "shards"))
    redone = 0
    while True:
        before = {f: f.stat().st_mtime_ns for f in index.glob("parts/img_emb_????/*")}
        process = build(work / "shards", index, "--kind", "ivf", wait=False)
        started = len(before) // 2
        while process.poll() is None:
            if len(list(index.glob("parts/img_emb_????"))) > started + generator.randrange(3):
                time.sleep(generator.uniform(0, 0.5))
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
        process.wait()
        touched = sum(f.stat().st_mtime_ns != t for f, t in before.items())
        check("resume: finished files touched", touched, 0, at_least=False)
        redone = max(redone, len(list(index.glob("parts/*.tmp-*"))))
        if (index / "index.json").exists():
            break
    check("resume: parts begun twice after a kill", redone, 1, at_least=False)
    facts = build(work / "shards", index, "--kind", "ivf")
    start = time.perf_counter()
    facts = build(work / "shards", index, "--kind", "ivf")
    check("resume: rerun, s", time.perf_counter() - start, 1, at_least=False)
    print(f"     {facts['status']}, {facts['parts']} of {total} parts")


def cluster_row(work: Path, mixture: Mixture) -> None:
    """One and two workers on loopback, building the parts and searching them."""
    from index_workers import throughput

    build(work / "shards", work / "parts", "--kind", "ivf")
    queries = mixture.queries(QUERIES, 0.94)
    alone = nearest(open_index(work / "parts"), queries, 16)[1]
    found = {count: throughput(work, queries, count) for count in (1, 2)}
    for count, (seconds_, ids) in found.items():
        print(f"     {count} workers: build {seconds_:.1f} s")
        check(
            f"cluster: ids equal, {count} workers", float((ids == alone).mean()), 1, at_least=True
        )
    bound = 1.5 if (os.cpu_count() or 1) >= 4 else 1.3
    check("cluster: two over one", found[1][0] / found[2][0], bound, at_least=True)


def main() -> None:
    """Print every row that was asked for; end with 1 when a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, required=True, help="Folder for shards and indexes.")
    parser.add_argument("--rows", default=",".join(ROWS))
    arguments = parser.parse_args()
    work, rows = arguments.work.resolve(), arguments.rows.split(",")
    mixture = Mixture(Parameters())
    print(f"{arguments.n} vectors, {asdict(mixture.p)}")
    mixture.write(work / "shards", arguments.n, 10)
    if "exact" in rows:
        exact_row(work, mixture)
    if "approximate" in rows:
        approximate_row(work, mixture)
    if "memory" in rows:
        memory_row(work, mixture, arguments.n)
    if "resume" in rows:
        resume_row(work)
    if "cluster" in rows:
        cluster_row(work, mixture)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
