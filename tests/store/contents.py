"""A subject and a target to put into a store."""

from __future__ import annotations

import numpy as np

from mindeye_store import (
    Store,
)


def add_subject(store: Store, name: str = "subj01") -> np.ndarray:
    voxels = np.random.default_rng(2).standard_normal((12, 30)).astype(np.float32)
    attrs = {"affine": np.diag([1.8, 1.8, 1.8, 1]).tolist(), "roi_labels": {"streams": {"5": "v"}}}
    with store.write_bundle(f"subjects/{name}", plan={"name": name}, attrs=attrs) as writer:
        writer.array("voxels", shape=voxels.shape, dtype="float32").write_all(voxels)
        for column, dtype in (
            ("image_index", "int64"), ("session", "int16"), ("run", "int16"),
            ("repeat", "int16"), ("split", "uint8"),
        ):  # fmt: skip
            writer.array(column, shape=(12,), dtype=dtype).write_all(np.arange(12) % 2)
        writer.array("ijk", shape=(30, 3), dtype="int16").write_all(np.ones((30, 3), int))
        writer.array("roi/streams", shape=(30,), dtype="int16").write_all(np.full(30, -1))
        writer.publish()
    return voxels


def add_target(store: Store, space: str, fingerprint: str = "f") -> np.ndarray:
    rows = np.arange(store.images.n * 6, dtype=np.float16).reshape(-1, 2, 3)
    start = 0
    for segment, count in zip(store.images.segments, store.images.counts, strict=True):
        name = f"targets/{space}/{segment}"
        if not store.has_bundle(name):
            attrs = {"fingerprint": fingerprint, "space": space}
            with store.write_bundle(name, plan={"f": fingerprint}, attrs=attrs) as writer:
                array = writer.array("rows", shape=(count, 2, 3), dtype="float16")
                array.write_all(rows[start : start + count])
                writer.publish()
        start += count
    return rows
