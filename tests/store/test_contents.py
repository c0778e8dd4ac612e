"""A store's own contents: creation, versions, images, subjects, targets, and the commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest
from store.contents import add_subject, add_target

from mindeye_store import (
    InvalidInput,
    MissingResource,
    Store,
    UsageProblem,
    create_store,
    open_store,
    opening,
    verify_store,
)
from mindeye_store.errors import MindeyeError
from mindeye_store.text import decode_texts, encode_texts


def test_creating_twice_and_in_the_wrong_place(tmp_path: Path) -> None:
    first = create_store(tmp_path / "deep" / "s")
    stamp = (first.path / "zarr.json").read_bytes()
    assert create_store(first.path).path == first.path
    assert (first.path / "zarr.json").read_bytes() == stamp
    (tmp_path / "empty").mkdir()
    assert create_store(tmp_path / "empty").subjects == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    for wrong in ("other", "other/file"):
        with pytest.raises(InvalidInput, match="no store"):
            create_store(tmp_path / wrong)
    with pytest.raises(InvalidInput, match="not a mindeye store"):
        open_store(tmp_path / "other")
    with pytest.raises(MissingResource, match="no store"):
        open_store(tmp_path / "absent")
    with pytest.raises(UsageProblem, match="tensorstore"):
        open_store(first.path, reader="fast")


def test_losing_the_race_to_create_a_store(store: Store, tmp_path: Path) -> None:
    before = (store.path / "zarr.json").read_bytes()
    opening._make(store.path)
    assert (store.path / "zarr.json").read_bytes() == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(OSError, match="not empty"):
        opening._make(tmp_path / "full")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full", "s.zarr"]


def test_another_schema_version_is_refused_and_left_alone(store: Store) -> None:
    path = store.path / "zarr.json"
    meta = json.loads(path.read_text())
    meta["attributes"]["mindeye"]["schema_version"] = 2
    path.write_text(json.dumps(meta))
    before = path.read_bytes()
    for use in (open_store, create_store, verify_store):
        with pytest.raises(InvalidInput, match="schema version 2, this program reads 1") as caught:
            use(store.path)
        assert str(store.path) == caught.value.where
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"attributes": 3}', '{"attributes": {"x": 1}}'])
def test_other_folders_are_no_stores(store: Store, text: str) -> None:
    (store.path / "zarr.json").write_text(text)
    with pytest.raises(InvalidInput):
        open_store(store.path)


def test_images_are_kept_once_and_in_order(with_images: Store, pixels: np.ndarray) -> None:
    images = with_images.images
    assert (images.n, images.shape, images.segments) == (20, (20, 8, 8, 3), ["0000"])
    assert images.captions is None and images.records is None
    first = images.ids.copy()
    more = np.concatenate([pixels[[7]], 255 - pixels[:3], pixels[[0]]])
    names = ["image-7", "b", "c", "d", "image-0"]
    rows = with_images.add_images(
        names, lambda k: more[k], (8, 8, 3),
        captions=list("vwxyz"), records=[{"n": i} for i in range(5)], plan={"seed": 1},
    )  # fmt: skip
    assert rows.dtype == np.int64 and rows.tolist() == [7, 20, 21, 22, 0]
    images = with_images.images
    assert images.ids == [*first, "b", "c", "d"] and images.segments == ["0000", "0001"]
    assert images.captions == [None] * 20 + ["w", "x", "y"]
    assert images.records is not None and images.records[20] == {"n": 1}
    wanted = np.concatenate([pixels, more[1:4]])
    order = np.array([22, 3, 3, 19, 20])
    np.testing.assert_array_equal(images.read(order), wanted[order])
    assert verify_store(with_images.path) == []


def test_appending_leaves_old_files_alone(with_images: Store, pixels: np.ndarray) -> None:
    old = {p: p.stat().st_mtime_ns for p in (with_images.path / "images/0000").rglob("*")}
    with_images.add_images(["new"], lambda rows: pixels[rows], (8, 8, 3), plan={})
    assert {p: p.stat().st_mtime_ns for p in old} == old


def test_images_that_contradict_the_store(with_images: Store, pixels: np.ndarray) -> None:
    def add(names: list[str], shape: tuple[int, ...] = (8, 8, 3), **more: object) -> None:
        with_images.add_images(names, lambda rows: pixels[rows], shape, plan={}, **more)

    for names, match in (
        (["image-1"], "image-1.*|other pixels"),
        (["x", "x"], "twice.*'x'"),
        (["x", "subjects/../y", "x"], "twice"),
    ):
        with pytest.raises(InvalidInput, match=match):
            add(names)
    with pytest.raises(InvalidInput, match="shape"):
        add(["x"], (16, 16, 3))
    with pytest.raises(InvalidInput, match="height"):
        add(["x"], (8, 8))
    with pytest.raises(InvalidInput, match="captions"):
        add(["x"], captions=[])
    assert with_images.images.n == 20


def add_in_process(folder: str, names: list[str]) -> None:
    def draw(rows: np.ndarray) -> np.ndarray:
        values = [int(names[row]) for row in rows]
        return np.broadcast_to(
            np.array(values, np.uint8)[:, None, None, None], (len(rows), 4, 4, 3)
        )

    open_store(folder).add_images(names, draw, (4, 4, 3), plan={})


def test_jobs_that_add_images_at_once_wait_for_each_other(
    store: Store, processes: ForkServerContext
) -> None:
    lists = [[str(n) for n in range(start, start + 12)] for start in (0, 6, 12)]
    jobs = [processes.Process(target=add_in_process, args=(str(store.path), x)) for x in lists]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    images = store.images
    assert sorted(map(int, images.ids)) == list(range(24))
    found = images.read(np.arange(24))[:, 0, 0, 0]
    assert found.tolist() == [int(name) for name in images.ids]
    assert verify_store(store.path) == []


def test_subject(with_images: Store) -> None:
    voxels = add_subject(with_images)
    subject = with_images.subject("subj01")
    np.testing.assert_array_equal(subject.voxels.read([11, 0, 11]), voxels[[11, 0, 11]])
    assert subject.image_index.dtype == np.int64 and subject.split.dtype == np.uint8
    for column in (subject.session, subject.run, subject.repeat):
        assert column.dtype == np.int16 and column.tolist() == [0, 1] * 6
    assert subject.ncsnr is None and subject.ijk is not None and subject.ijk.shape == (30, 3)
    assert subject.affine is not None and subject.affine[0, 0] == 1.8
    assert subject.rois["streams"].names == {5: "v"}
    assert subject.rois["streams"].labels.tolist() == [-1] * 30
    assert subject.fingerprint == with_images.fingerprint("subjects/subj01")
    with pytest.raises(InvalidInput, match="no array 'betas'"):
        subject.column("betas")
    with pytest.raises(MissingResource, match="subj09.*subj01"):
        with_images.subject("subj09")


def test_targets_follow_the_segments(with_images: Store, pixels: np.ndarray) -> None:
    space = "open_clip:hub/model:tag:tokens"
    with pytest.raises(MissingResource, match="mindeye prepare targets .* --space"):
        with_images.target(space)
    rows = add_target(with_images, space)
    assert with_images.spaces == [space] and with_images.missing_segments(space) == []
    with_images.add_images(["new"], lambda k: pixels[k], (8, 8, 3), plan={})
    target = with_images.target(space)
    assert target.shape == (21, 2, 3) and target.attrs["space"] == space
    np.testing.assert_array_equal(target.read([19, 0, 0]), rows[[19, 0, 0]])
    assert with_images.missing_segments(space) == ["0001"]
    for reader in (target, open_store(with_images.path, reader="preload").target(space)):
        with pytest.raises(MissingResource, match="some images"):
            reader.read([20])
    rows = add_target(with_images, space)
    np.testing.assert_array_equal(with_images.target(space).read([20, 1]), rows[[20, 1]])


def test_targets_of_two_encoders_do_not_mix(with_images: Store, pixels: np.ndarray) -> None:
    add_target(with_images, "x", "one")
    with_images.add_images(["new"], lambda k: pixels[k], (8, 8, 3), plan={})
    add_target(with_images, "x", "two")
    with pytest.raises(InvalidInput, match="different encoders.*mindeye store rm"):
        with_images.target("x")


def test_targets_must_match_their_images(with_images: Store) -> None:
    with with_images.write_bundle("targets/x/0000", plan={}) as writer:
        writer.array("rows", shape=(3, 2), dtype="float32").write_all(np.zeros((3, 2)))
        writer.publish()
    with pytest.raises(InvalidInput, match="3 targets for 20 images"):
        with_images.target("x")


def test_removing(with_images: Store) -> None:
    add_subject(with_images)
    add_target(with_images, "a/b:c")
    with pytest.raises(InvalidInput, match="images cannot be removed"):
        with_images.remove("images/0000")
    for missing in ("subjects/two", "targets/x/0000"):
        with pytest.raises(MissingResource):
            with_images.remove(missing)
        with pytest.raises(MissingResource):
            with_images.attrs(missing)
    with_images.remove("subjects/subj01")
    with_images.remove("targets/a/b:c")
    assert with_images.subjects == [] and with_images.spaces == []
    assert verify_store(with_images.path) == [] and with_images.images.n == 20
    add_subject(with_images)
    assert with_images.subjects == ["subj01"]


def test_two_stores_from_one_input_are_equal(
    tmp_path: Path, pixels: np.ndarray, stored_bytes: Callable[[Path], dict[str, bytes]]
) -> None:
    found = []
    for name in ("a", "b"):
        store = create_store(tmp_path / name)
        names = [str(i) for i in range(20)]
        store.add_images(names, lambda k: pixels[k], (8, 8, 3), captions=names, plan={})
        add_subject(store)
        bundles = ("images/0000", "subjects/subj01")
        found.append({b: (stored_bytes(store.path / b), store.fingerprint(b)) for b in bundles})
    assert found[0] == found[1]


def test_text_survives(store: Store) -> None:
    texts = ["", "é\n", "日本", "\0", "a" * 300]
    assert decode_texts(*encode_texts(texts)) == texts
    assert decode_texts(*encode_texts([])) == []
    with pytest.raises(InvalidInput, match="row 1"):
        encode_texts(["a", None])  # type: ignore[list-item]


def test_errors_say_where_and_how_to_mend() -> None:
    import pickle

    error = MissingResource("no model", where="run/x", fix="mindeye train")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  (made here)
    assert str(copy) == "no model (run/x); mindeye train" and isinstance(copy, MissingResource)
    assert str(MindeyeError("only this")) == "only this"


def test_names_load_on_first_use() -> None:
    import mindeye_store

    for name in mindeye_store.__all__:
        assert getattr(mindeye_store, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        _ = mindeye_store.nothing


def test_commands(with_images: Store, call_cli: Callable[..., object]) -> None:
    add_subject(with_images)
    add_target(with_images, "x")
    path = with_images.path
    info = call_cli("store", "info", path, "--json")
    assert info.code == 0 and info.json["n_images"] == 20
    shapes = {array["name"]: array["shape"] for array in info.json["arrays"]}
    assert shapes["subjects/subj01/voxels"] == [12, 30] and shapes["targets/x/0000/rows"]
    assert "subjects/subj01/roi/streams" in call_cli("store", "info", path).stderr
    assert call_cli("store", "verify", path, "--json").json["problems"] == []
    removed = call_cli("store", "rm", path, "targets/x", "subjects/subj01", "--json")
    assert removed.json["removed"] == ["targets/x", "subjects/subj01"]
    assert call_cli("store", "rm", path, "subjects/subj01").code == 4
    assert call_cli("store", "rm", path, "images/0000").code == 3
    (path / "images/0000/pixels/c/0/0/0/0").unlink()
    broken = call_cli("store", "verify", path, "--json")
    assert broken.code == 3 and broken.json["status"] == "error"
    assert [problem["kind"] for problem in broken.json["problems"]] == ["missing"]
    assert "pixels/c/0/0/0/0" in broken.json["error"]["where"]
    shutil.rmtree(path)
    assert call_cli("store", "verify", path, "--json").code == 4
