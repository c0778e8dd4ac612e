"""Small collections of clustered unit vectors in the published layout, and oracles in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WORDS = ("face", "house", "cat", "tree")


def clustered(n: int, dim: int, seed: int = 0, clusters: int = 40) -> np.ndarray:
    """Unit rows around random centres, float16 (n, dim)."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((clusters, dim))
    rows = centres[generator.integers(clusters, size=n)] + generator.standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def write_shard(root: Path, number: int, rows: np.ndarray, metadata: bool = True) -> None:
    """`img_emb/img_emb_0000.npy` and `metadata/metadata_0000.parquet`."""
    (root / "img_emb").mkdir(parents=True, exist_ok=True)
    np.save(root / "img_emb" / f"img_emb_{number:04d}.npy", rows)
    if not metadata:
        return
    (root / "metadata").mkdir(exist_ok=True)
    at = np.arange(len(rows))
    table = pa.table(
        {
            "image_path": [f"{number:04d}{row:06d}" for row in at],
            "caption": [f"a {WORDS[row % 4]} number {row}" for row in at],
            "width": pa.array((at * 7 + number) % 1000, pa.int64()),
            "similarity": pa.array((at % 100) / 100, pa.float64()),
            "NSFW": [["UNLIKELY", "NSFW", None][row % 3] for row in at],
        }
    )
    file = root / "metadata" / f"metadata_{number:04d}.parquet"
    pq.write_table(table, file, row_group_size=256)


def write_shards(root: Path, sizes: tuple[int, ...], dim: int, seed: int = 0) -> np.ndarray:
    """Several shards of one collection; returns all rows."""
    rows = clustered(sum(sizes), dim, seed)
    ends = np.cumsum(sizes)
    for number, (low, high) in enumerate(zip(ends - sizes, ends, strict=True)):
        write_shard(root, number, rows[low:high])
    return rows


def brute_force(rows: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Positions of the k highest float32 products; of equal ones the first."""
    products = queries.astype(np.float32) @ rows.astype(np.float32).T
    return np.argsort(-products, axis=1, kind="stable")[:, :k]


def near(rows: np.ndarray, count: int, seed: int = 1, error: float = 0.5) -> np.ndarray:
    """Unit queries near some rows, float32."""
    generator = np.random.default_rng(seed)
    chosen = rows[generator.choice(len(rows), count, replace=False)].astype(np.float32)
    noise = generator.standard_normal(chosen.shape).astype(np.float32)
    queries = chosen + error * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return queries / np.linalg.norm(queries, axis=1, keepdims=True)


def names(sizes: tuple[int, ...], positions: np.ndarray) -> list[list[str]]:
    """SHARD:ROW of positions."""
    ends = np.cumsum(sizes)
    return [
        [
            f"img_emb_{(place := int(np.searchsorted(ends, p, side='right'))):04d}"
            f":{p - (ends[place] - sizes[place])}"
            for p in row.tolist()
        ]
        for row in positions
    ]
