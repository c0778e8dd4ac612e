"""Private memory of a process that opens an index and searches it, with or without a limit.

Run by `index.py`. The limit is on private memory (RLIMIT_DATA), set when everything is imported:
what the process has then, and a quarter of the index. Mapped pages are the kernel's to drop.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np
import torch

from mindeye_cli.core.neighbours.needs import need_faiss
from mindeye_cli.core.neighbours.search import nearest, open_index


def status(name: str) -> int:
    """A line of this process' status, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"no {name} in /proc/self/status")


def _start_libraries() -> None:
    """Let every library make its threads and buffers, whose size is no matter of an index."""
    faiss, rows = need_faiss(), np.ones((1024, 768), np.float32)
    flat = faiss.IndexFlatL2(768)
    flat.add(rows)
    rotation = faiss.RandomRotationMatrix(768, 768)
    rotation.init(0)
    for count in (1, len(rows)):
        flat.search(rotation.apply(rows[:count]), 4)
    torch.bmm(torch.ones(8, 64, 768), torch.ones(8, 768, 1))
    torch.from_numpy(rows) @ torch.from_numpy(rows).T


def main() -> None:
    """Print `opened` (bytes) and the ids."""
    index, queries = Path(sys.argv[1]), np.load(sys.argv[2], allow_pickle=False)
    _start_libraries()
    before = status("RssAnon")
    if sys.argv[3] == "limited":
        size = sum(file.stat().st_size for file in index.rglob("*.faiss"))
        limit = status("VmData") + size // 4
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    opened = open_index(index)
    for part in range(len(opened.places)):
        opened.lists(part)
    private = status("RssAnon") - before
    ids = [nearest(opened, query[None], 16)[1][0].tolist() for query in queries]
    sys.stdout.write(json.dumps({"opened": private, "ids": ids}))


if __name__ == "__main__":
    main()
