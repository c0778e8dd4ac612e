"""The encoding model that is kept in the run: reuse, refits, and what never reaches it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explain.conftest import SPACE, Study, mindeye
from explain.copies import SUBJECT, cache, change_subject, change_targets, copied, seen

from mindeye_cli.core import trials
from mindeye_cli.explain import encoder as module
from mindeye_store import open_store

FILES = ("encoding.json", "encoding.safetensors", "refits.safetensors")


def responds(study: Study, *words: object) -> dict[str, Any]:
    asked = seen(study)
    return mindeye("explain", "image", study.store, study.run, asked, "--ask", "responds", *words)


def contents(study: Study) -> dict[str, bytes]:
    return {name: (cache(study) / name).read_bytes() for name in FILES}


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every fit."""
    real, calls = module.fit_encoding, []

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        return real(*arguments, **named)

    monkeypatch.setattr(module, "fit_encoding", counted)
    return calls


def test_test_images_reach_no_tensor_of_the_encoder(
    study: Study, tmp_path: Path, fits: list[int]
) -> None:
    """Other responses to the test images and other embeddings of them: the same bytes."""
    plain, other = copied(study, tmp_path / "a"), copied(study, tmp_path / "b")
    test = trials.test_images_any_subject(open_store(study.store))

    def spoil(arrays: dict[str, Any]) -> None:
        shown = np.isin(arrays["image_index"], test)
        assert shown.any() and not shown.all()
        arrays["voxels"][shown] = 100 - 3 * arrays["voxels"][shown]

    def spoil_rows(rows: np.ndarray) -> None:
        rows[test] = 50 - rows[test]

    change_subject(other, spoil)
    change_targets(other, spoil_rows)
    for made in (plain, other):
        shutil.rmtree(made.run / "explain", ignore_errors=True)
        assert responds(made) == responds(made)
    assert len(fits) == 2  # one each: the second time it is read back
    one, two = contents(plain), contents(other)
    for name in FILES[1:]:
        assert one[name] == two[name]


def test_references_are_outside_every_fit(study: Study) -> None:
    store = open_store(study.store)
    encoder = module.open_encoder(store, study.run, None)
    test = trials.test_images_any_subject(store)
    assert not set(encoder.trained) & set(encoder.references)
    assert not set(encoder.trained) & set(test)
    subject = store.subject(SUBJECT)
    shown = np.unique(subject.image_index[subject.split == 0])
    np.testing.assert_array_equal(encoder.trained, np.setdiff1d(shown, test))


@pytest.mark.parametrize("what", ["targets", "responses"])
def test_changed_training_rows_are_fitted_anew(
    study: Study, tmp_path: Path, fits: list[int], what: str
) -> None:
    """Targets written anew by the same encoder, such as after other pictures, are told apart."""
    made = copied(study, tmp_path)
    before, old = responds(made), contents(made)
    del fits[:]

    def edit(rows: np.ndarray) -> None:
        rows[:200] = rows[:200][::-1].copy()

    if what == "targets":
        change_targets(made, edit)
    else:
        change_subject(made, lambda arrays: edit(arrays["voxels"]))
    after = responds(made)
    assert len(fits) == 1 and contents(made)["encoding.safetensors"] != old["encoding.safetensors"]
    assert after["rois"]["FFA-1"]["score"] != before["rois"]["FFA-1"]["score"]


def test_targets_of_another_encoder_are_refused(study: Study, tmp_path: Path) -> None:
    """The run's own check: its space was made by another encoder."""
    made = copied(study, tmp_path)
    store = open_store(made.store)
    target = store.target(SPACE)
    rows, attrs = target.read(np.arange(store.images.n)), dict(target.attrs)
    (segment,) = (p.name for p in (made.store / "targets" / SPACE).iterdir() if p.is_dir())
    store.remove(f"targets/{SPACE}")
    attrs["fingerprint"] = "0" * 64
    with store.write_bundle(f"targets/{SPACE}/{segment}", plan={"n": 2}, attrs=attrs) as writer:
        writer.array("rows", shape=rows.shape, dtype=rows.dtype).write_all(rows)
        writer.publish()
    from mindeye_store.errors import InvalidInput

    with pytest.raises(InvalidInput, match="another encoder"):
        module.open_encoder(open_store(made.store), made.run, None)


def test_a_fit_that_was_cut_off_is_made_again(
    study: Study, tmp_path: Path, fits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off between its files, the folder vouches for nothing."""
    made = copied(study, tmp_path)
    before = responds(made)
    change_targets(made, lambda rows: np.multiply(rows, 2, out=rows))
    real = module.save_encoding

    def stops(*arguments: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_encoding", stops)
    with pytest.raises(KeyboardInterrupt):
        module.open_encoder(open_store(made.store), made.run, None)
    monkeypatch.setattr(module, "save_encoding", real)
    change_targets(made, lambda rows: np.divide(rows, 2, out=rows))
    del fits[:]
    assert responds(made)["rois"] == before["rois"] and len(fits) == 1
