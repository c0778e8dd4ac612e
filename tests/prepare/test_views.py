"""`prepare targets --views K`: targets of augmented pictures beside the plain ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindeye_cli.models.encoders import augmented
from mindeye_store import (
    InvalidInput,
    Store,
    create_store,
    open_store,
    split_view,
    verify_store,
    view_space,
)

N, SIDE = 46, 12
SPACE = f"pixels:{SIDE}"


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, SIDE, SIDE, 3), dtype=np.uint8)


def add(store: Store, pixels: np.ndarray, start: int, stop: int) -> None:
    names = [f"i{row}" for row in range(start, stop)]
    shape = pixels.shape[1:]
    store.add_images(names, lambda rows: pixels[start + rows], shape, plan={"from": start})


@pytest.fixture
def store(tmp_path: Path, pixels: np.ndarray) -> Store:
    """Images in two segments."""
    store = create_store(tmp_path / "s.zarr")
    add(store, pixels, 0, 30)
    add(store, pixels, 30, 40)
    return store


@pytest.fixture
def prepare(store: Store, call_cli: Callable[..., Any]) -> Callable[..., Any]:
    def call(*more: str, space: str = SPACE) -> Any:
        return call_cli("prepare", "targets", store.path, "--space", space, *more, "--json")

    return call


def expected(pixels: np.ndarray, view: int, seed: int = 0) -> np.ndarray:
    rows = augmented(pixels, [f"i{row}" for row in range(len(pixels))], view, seed)
    return rows.reshape(len(pixels), -1)


def read(store: Store, space: str) -> np.ndarray:
    return open_store(store.path).target(space).read(np.arange(store.images.n))


def test_names() -> None:
    for space in ("pixels:8", "open_clip:hub/model:tag:tokens", "array:a@b"):
        assert view_space(space, 0) == space
        assert view_space(space, 3) == f"{space}@view3"
        assert split_view(space) == (space, 0)
        assert split_view(f"{space}@view12") == (space, 12)
    assert split_view("pixels:8@view0") == ("pixels:8@view0", 0)
    with pytest.raises(InvalidInput, match="itself a view"):
        view_space("pixels:8@view1", 1)
    with pytest.raises(InvalidInput, match="not the number of a view"):
        view_space("pixels:8", -1)


def test_views_beside_the_plain_targets(
    store: Store, pixels: np.ndarray, prepare: Callable[..., Any], call_cli: Callable[..., Any]
) -> None:
    made = prepare("--views=2", "--seed=5")
    assert made.code == 0, made.stderr
    names = [view_space(SPACE, view) for view in (1, 2)]
    assert made.json["space"] == SPACE
    assert [view["space"] for view in made.json["views"]] == names
    assert all(view["rows_done"] == 40 and view["published"] for view in made.json["views"])
    assert len(made.json["outputs"]) == 3
    plain = pixels[:40].reshape(40, -1) / np.float32(255)
    np.testing.assert_allclose(read(store, SPACE), plain, rtol=1e-6)
    for view, name in enumerate(names, start=1):
        np.testing.assert_allclose(read(store, name), expected(pixels[:40], view, 5), rtol=1e-6)
        attrs = store.target(name).attrs
        assert attrs["norm"] == "raw"
        assert attrs["encoder"]["view"]["of"] == store.target(SPACE).attrs["fingerprint"]
    assert prepare("--views=2", "--seed=5").json["status"] == "notneeded"
    assert prepare().json["status"] == "notneeded"
    info = call_cli("store", "info", store.path, "--json").json
    assert set(info["spaces"]) == {SPACE, *names}
    assert verify_store(store.path) == []
    assert call_cli("store", "rm", store.path, f"targets/{names[0]}").code == 0
    assert store.spaces == [SPACE, names[1]]


def test_images_and_views_added_later_and_parts_give_the_same_rows(
    store: Store, pixels: np.ndarray, prepare: Callable[..., Any]
) -> None:
    assert prepare("--views=1").code == 0
    add(store, pixels, 40, N)
    half = prepare("--views=3", "--shard=1/2")
    assert not half.json["views"][2]["published"]
    whole = prepare("--views=3", "--shard=0/2")
    assert [view["published"] for view in whole.json["views"]] == [True] * 3
    for view in (1, 2, 3):
        found = read(store, view_space(SPACE, view))
        np.testing.assert_allclose(found, expected(pixels, view), rtol=1e-6)


def test_a_killed_run_goes_on(
    store: Store, pixels: np.ndarray, prepare: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mindeye_cli.prepare import target_sources

    calls: list[int] = []

    def fail(images: np.ndarray, *rest: Any) -> np.ndarray:
        calls.append(len(images))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return augmented(images, *rest)

    monkeypatch.setattr(target_sources, "augmented", fail)
    assert prepare("--views=1").code == 130
    done = prepare("--views=1")
    assert done.code == 0 and sum(calls) == 40 + 10
    np.testing.assert_allclose(
        read(store, view_space(SPACE, 1)), expected(pixels[:40], 1), rtol=1e-6
    )


def test_another_seed_is_not_mixed_in(store: Store, prepare: Callable[..., Any]) -> None:
    assert prepare("--views=1").code == 0
    before = store.fingerprint(f"targets/{SPACE}@view1/0000")
    refused = prepare("--views=1", "--seed=1")
    assert refused.code == 3
    assert "another encoder, seed or augmentation" in refused.stderr
    assert f"store rm {store.path} targets/{SPACE}@view1" in refused.stderr
    assert store.fingerprint(f"targets/{SPACE}@view1/0000") == before


def test_a_view_of_another_encoder_than_the_plain_one(
    store: Store, prepare: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mindeye_cli.prepare import target_sources

    assert prepare("--views=1").code == 0
    store.remove(f"targets/{SPACE}")
    store.target(f"{SPACE}@view1")
    known = target_sources.load_encoder(SPACE)
    other = replace(known, description={**known.description, "weights": "other"})
    monkeypatch.setattr(target_sources, "load_encoder", lambda *a: other)
    assert prepare().code == 0
    with pytest.raises(InvalidInput, match=f"another encoder.*rm .*{SPACE}@view1; .* --views 1"):
        store.target(f"{SPACE}@view1")


def test_what_cannot_be(store: Store, prepare: Callable[..., Any], tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((40, 3), np.float32))
    given = f"--from={tmp_path / 'rows.npy'}"
    for call, says in (
        (prepare(space=f"{SPACE}@view2"), f"--space {SPACE} --views 2"),
        (prepare("--views=-1"), "not a number of views"),
        (prepare("--views=1", given, space="array:mine"), "--space array:mine@view1 --from"),
    ):
        assert call.code == 2
        assert says in call.stderr
    assert store.spaces == []
    # A user may bring the rows of pictures that the user altered.
    assert prepare(given, space="array:mine@view1").code == 0
    assert store.spaces == ["array:mine@view1"]
