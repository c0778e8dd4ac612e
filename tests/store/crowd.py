"""Four writers and four readers of one store; any of them may be killed at any moment.

In every round the writers share one new subject, a part each; in every third each adds images of
its own (the list of images is read from as many places as images were ever added from).
What everything must hold follows from its name, so that a reader can judge alone.
"""

from __future__ import annotations

import time
import zlib
from pathlib import Path

import numpy as np

from mindeye_store import Store, open_store

SHAPE, SHARD_ROWS, PARTS = (22, 40), 3, 4
PIXELS = (4, 4, 3)


def responses(name: str) -> np.ndarray:
    """What subject `name` holds."""
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(SHAPE).astype("f4")


def picture(name: str) -> np.ndarray:
    """What image `name` shows."""
    return np.frombuffer((zlib.crc32(name.encode()).to_bytes(4) * 12), np.uint8).reshape(PIXELS)


def own_images(number: int, part: int) -> list[str]:
    """Ids that one writer adds in one round; the first one is added by all of them."""
    if number % 3:
        return []
    return [f"all-{number}", *(f"image-{number}-{part}-{k}" for k in range(2))]


def write(folder: str, number: int, part: int) -> None:
    """One writer's work of one round."""
    store, name = open_store(folder, reader="zarr"), f"round-{number}"
    values = responses(name)
    with store.write_bundle(f"subjects/{name}", plan={"of": name}, part=(part, PARTS)) as writer:
        array = writer.array("voxels", shape=SHAPE, dtype="float32", shard_rows=SHARD_ROWS)
        for shard, rows in array.pending():
            array.write(shard, values[rows])
            time.sleep(0.005)
        writer.publish()
    names = own_images(number, part)
    if not names:
        return
    store.add_images(
        names, lambda rows: np.stack([picture(names[i]) for i in rows]), PIXELS, plan={"of": names}
    )


def read(folder: str, until: str) -> None:
    """Read all that is there, over and over; whatever was once there must stay."""
    subjects, images, passes = 0, 0, 0
    while True:
        last = Path(until).exists()
        store = open_store(folder, reader="zarr")
        there = store.subjects
        # The newest and one of the others: each is read often enough over many rounds.
        for name in {*there[-1:], *there[passes % max(1, len(there)) :][:1]}:
            found = store.subject(name).voxels.read(np.arange(len(responses(name))))
            np.testing.assert_array_equal(found, responses(name))
        assert len(there) >= subjects
        subjects = len(there)
        if last or passes % 4 == 0:  # the list of images grows with every round
            images = check_images(store, images)
        if last:
            return
        passes += 1
        time.sleep(0.3)


def check_images(store: Store, before: int) -> int:
    """The list is whole, no shorter than before, and its ends show what they should."""
    images = store.images
    assert len(set(images.ids)) == images.n >= before
    for row in {0, images.n - 1} if images.n else ():
        np.testing.assert_array_equal(images.read([row])[0], picture(images.ids[row]))
    return images.n
