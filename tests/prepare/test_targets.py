"""`prepare targets`: one row per image, resumable, shared by processes, never mixed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindeye_cli.models.encoders import Encoder
from mindeye_cli.prepare import target_sources
from mindeye_cli.prepare.target_sources import TargetOptions
from mindeye_cli.prepare.targets import prepare_targets
from mindeye_store import (
    InvalidInput,
    MissingResource,
    Requeue,
    Store,
    UsageProblem,
    create_store,
)

N, SIDE = 70, 4


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture
def store(tmp_path: Path, pixels: np.ndarray) -> Store:
    """Images in two segments of 50 and 20."""
    store = create_store(tmp_path / "s.zarr")
    for start, stop in ((0, 50), (50, N)):
        names = [f"i{row}" for row in range(start, stop)]
        store.add_images(
            names, lambda rows, a=start: pixels[a + rows], (SIDE, SIDE, 3), plan={"from": start}
        )
    return store


def fake_encoder(weights: str = "one", encode: Callable[..., Any] | None = None) -> Encoder:
    def flat(images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), -1).astype(np.float32)

    return Encoder(
        space="open_clip:fake:x",
        shape=(SIDE * SIDE * 3,),
        norm="raw",
        dtype="float32",
        description={"weights": weights},
        encode=encode or flat,
    )


def run(store: Store, **changes: Any) -> Any:
    return prepare_targets(TargetOptions(store=store.path, **changes))


def read(store: Store, space: str) -> np.ndarray:
    return store.target(space).read(np.arange(N))


def test_rows_follow_the_images_and_a_second_run_does_nothing(
    store: Store, pixels: np.ndarray
) -> None:
    outcome = run(store, space=f"pixels:{SIDE}")
    assert outcome.status == "ok"
    assert outcome.values["rows_done"] == outcome.values["rows_total"] == N
    expected = pixels.reshape(N, -1) / np.float32(255)
    np.testing.assert_allclose(read(store, f"pixels:{SIDE}"), expected, rtol=1e-6)
    attrs = store.target(f"pixels:{SIDE}").attrs
    assert attrs["norm"] == "raw"
    assert attrs["fingerprint"] == outcome.values["fingerprint"]
    assert run(store, space=f"pixels:{SIDE}").status == "notneeded"


def test_images_added_later_cost_only_themselves(
    store: Store, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def count(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return images.reshape(len(images), -1).astype(np.float32)

    monkeypatch.setattr(target_sources, "load_encoder", lambda *a: fake_encoder(encode=count))
    run(store, space="open_clip:fake:x")
    assert sum(seen) == N
    store.add_images(["new"], lambda rows: pixels[:1], (SIDE, SIDE, 3), plan={"from": "new"})
    seen.clear()
    assert run(store, space="open_clip:fake:x").status == "ok"
    assert sum(seen) == 1


def test_an_interrupted_run_goes_on_at_its_shard(
    store: Store, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def fail(images: np.ndarray) -> np.ndarray:
        calls.append(len(images))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return images.reshape(len(images), -1).astype(np.float32)

    monkeypatch.setattr(target_sources, "load_encoder", lambda *a: fake_encoder(encode=fail))
    with pytest.raises(KeyboardInterrupt):
        run(store, space="open_clip:fake:x")
    assert store.missing_segments("open_clip:fake:x") == ["0001"]
    outcome = run(store, space="open_clip:fake:x")
    assert sum(calls) == N + 20
    assert outcome.values["published"]
    assert np.array_equal(read(store, "open_clip:fake:x"), pixels.reshape(N, -1))


def test_parts_together_equal_the_whole(
    store: Store, tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(store, space=f"pixels:{SIDE}", part=(1, 2))
    assert not first.values["published"]
    # As a launcher would number it.
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    last = run(store, space=f"pixels:{SIDE}")
    assert last.values["published"]
    assert last.values["rows_done"] == N
    expected = pixels.reshape(N, -1) / np.float32(255)
    np.testing.assert_allclose(read(store, f"pixels:{SIDE}"), expected, rtol=1e-6)


def test_another_encoder_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_sources, "load_encoder", lambda *a: fake_encoder("one"))
    run(store, space="open_clip:fake:x")
    before = store.fingerprint("targets/open_clip:fake:x/0000")
    monkeypatch.setattr(target_sources, "load_encoder", lambda *a: fake_encoder("two"))
    with pytest.raises(InvalidInput, match="another encoder.*mindeye store rm .* targets/open"):
        run(store, space="open_clip:fake:x")
    assert store.fingerprint("targets/open_clip:fake:x/0000") == before
    store.remove("targets/open_clip:fake:x")
    assert run(store, space="open_clip:fake:x").status == "ok"


def test_values_that_do_not_fit_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def poison(images: np.ndarray) -> np.ndarray:
        rows = images.reshape(len(images), -1).astype(np.float32)
        rows[0, 0] = np.nan
        return rows

    monkeypatch.setattr(target_sources, "load_encoder", lambda *a: fake_encoder(encode=poison))
    with pytest.raises(InvalidInput):
        run(store, space="open_clip:fake:x")
    assert store.spaces == []


def test_rows_of_a_user_in_the_store_order_or_by_name(store: Store, tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(N, 3, 2)).astype(np.float16)
    np.save(tmp_path / "rows.npy", values)
    outcome = run(store, space="array:mine", given=tmp_path / "rows.npy")
    assert outcome.values["dtype"] == "float16"
    assert outcome.values["shape"] == [3, 2]
    assert np.array_equal(read(store, "array:mine"), values)
    order = np.random.default_rng(2).permutation(N)
    np.save(tmp_path / "mixed.npy", values[order].astype(np.float64))
    (tmp_path / "ids.txt").write_text("".join(f"i{row}\n" for row in order))
    run(store, space="array:named", given=tmp_path / "mixed.npy", ids=tmp_path / "ids.txt")
    assert np.array_equal(read(store, "array:named"), values.astype(np.float32))


BAD = [
    (np.zeros((N - 1, 3), np.float32), "69 rows for 70 images"),
    (np.zeros((N, 3), int), "not a float array"),
    (np.zeros(N, np.float32), "not a float array"),
    (np.full((N, 3), np.inf, np.float32), "row 0"),
]


@pytest.mark.parametrize(("values", "says"), BAD, ids=[case[1] for case in BAD])
def test_rows_that_do_not_fit(store: Store, tmp_path: Path, values: np.ndarray, says: str) -> None:
    np.save(tmp_path / "rows.npy", values)
    with pytest.raises(InvalidInput, match=says):
        run(store, space="array:mine", given=tmp_path / "rows.npy")
    assert store.spaces == []


def test_names_that_do_not_fit(store: Store, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((N, 2), np.float32))
    (tmp_path / "ids.txt").write_text("i0\n" * N)
    with pytest.raises(InvalidInput, match="1 different ids on 70 lines"):
        run(store, space="array:m", given=tmp_path / "rows.npy", ids=tmp_path / "ids.txt")
    (tmp_path / "ids.txt").write_text("".join(f"j{row}\n" for row in range(N)))
    with pytest.raises(InvalidInput, match="'i0' of the store has no row"):
        run(store, space="array:m", given=tmp_path / "rows.npy", ids=tmp_path / "ids.txt")
    with pytest.raises(MissingResource, match="image ids"):
        run(store, space="array:m", given=tmp_path / "rows.npy", ids=tmp_path / "none.txt")
    with pytest.raises(MissingResource, match="target rows"):
        run(store, space="array:m", given=tmp_path / "none.npy")
    (tmp_path / "text.npy").write_text("text")
    with pytest.raises(InvalidInput, match=r"\.npy"):
        run(store, space="array:m", given=tmp_path / "text.npy")


def test_options_that_do_not_belong_together(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="belong together"):
        run(store, space="array:mine")
    with pytest.raises(UsageProblem, match="belong together"):
        run(store, space="pixels:4", given=tmp_path / "rows.npy")
    with pytest.raises(UsageProblem, match="--ids"):
        run(store, space="pixels:4", ids=tmp_path / "ids.txt")
    with pytest.raises(UsageProblem, match="no encoder"):
        run(store, space="clip")
    with pytest.raises(MissingResource, match="no images"):
        run(create_store(tmp_path / "empty.zarr"), space="pixels:4")


def test_a_stop_signal_is_answered_when_the_shard_is_written(
    store: Store, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def encode(images: np.ndarray) -> np.ndarray:
        calls.append(len(images))
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return images.reshape(len(images), -1).astype(np.float32)

    monkeypatch.setattr(target_sources, "load_encoder", lambda *a: fake_encoder(encode=encode))
    with pytest.raises(Requeue, match="SIGTERM"):
        run(store, space="open_clip:fake:x")
    assert run(store, space="open_clip:fake:x").values["published"]
    assert sum(calls) == N
    assert np.array_equal(read(store, "open_clip:fake:x"), pixels.reshape(N, -1))
