"""`mindeye sae` from store and runs to answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sae.conftest import SPACE, Study, mindeye, settings

from mindeye_cli.core import trials
from mindeye_cli.core.runs import read_run
from mindeye_cli.sae.opened import open_sae, space_vectors
from mindeye_store import open_store

KEYS = {"r2", "l0", "dead", "stability"}


def test_training_sees_no_test_image_and_is_finished_once(study: Study, call_cli: Callable) -> None:
    store, info = open_store(study.store), read_run(study.sae)
    rows = set(info.details["trained_images"])
    test = set(trials.test_images_any_subject(store).tolist())
    assert test and not rows & test and rows | test == set(range(store.images.n))
    shown = {name for atom in open_sae(study.sae).atoms for name, _ in atom["images"]}
    assert not shown & {store.images.ids[row] for row in test}
    again = call_cli(
        "sae", "train", study.store, study.sae, "--space", SPACE, *settings(), "--json"
    )
    assert again.json["status"] == "notneeded" and KEYS <= set(again.json)
    other = call_cli("sae", "train", study.store, study.sae, "--space", SPACE)
    assert other.code == 2 and "--overwrite" in other.stderr


def test_changing_the_test_images_changes_nothing(study: Study, tmp_path: Path) -> None:
    """The same training with other targets of the test images gives the same bytes."""
    store = open_store(study.store)
    target = store.target(SPACE)
    rows = target.read(np.arange(store.images.n))
    test = trials.test_images_any_subject(store)
    runs = []
    for number, noise in enumerate((0.0, 5.0)):
        values = rows.copy()
        values[test] += noise
        np.save(tmp_path / f"{number}.npy", values)
        space = f"array:t{number}"
        mindeye(
            "prepare",
            "targets",
            study.store,
            "--space",
            space,
            "--from",
            tmp_path / f"{number}.npy",
        )
        run = tmp_path / f"run{number}"
        mindeye(
            "sae", "train", study.store, run, "--space", space, *settings("seeds=0", "fit.steps=40")
        )
        runs.append((run / "model.safetensors").read_bytes())
    assert runs[0] == runs[1]


def test_an_unfinished_training_goes_on_with_the_next_seed(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call_cli: Callable
) -> None:
    from mindeye_cli.sae import train

    command = ("sae", "train", study.store, tmp_path / "run", "--space", SPACE, *settings())
    real, calls = train.fit_sae, []

    def stops(*arguments, **named):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(train, "fit_sae", stops)
    assert call_cli(*command).code == 130
    assert read_run(tmp_path / "run").status == "training"
    done = call_cli(*command, "--json")
    assert done.code == 0 and len(calls) == 4
    for name in ("model.safetensors", "atoms.json"):
        assert (tmp_path / "run" / name).read_bytes() == (study.sae / name).read_bytes()
    assert not (tmp_path / "run" / "seeds").exists()


def test_show_makes_a_page_without_links(study: Study, call_cli: Callable, tmp_path: Path) -> None:
    page = tmp_path / "atoms.html"
    done = call_cli("sae", "show", study.store, study.sae, "--out", page, "--top", 3, "--json")
    assert KEYS <= set(done.json) and done.json["outputs"] == [str(page)]
    text = page.read_text()
    assert text.count("data:image/png;base64,") == sum(len(a["images"]) for a in done.json["atoms"])
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    sizes = [a["stability"] for a in done.json["atoms"]]
    assert sizes == sorted(sizes, reverse=True)
    assert all(bool(a["words"]) <= a["stable"] for a in done.json["atoms"])
    assert call_cli("sae", "show", study.store, study.sae, "--out", page, "--top", 3).code == 0


def test_read_agrees_above_permuted_pairing(study: Study) -> None:
    result = mindeye("sae", "read", study.store, study.sae, "--brain", study.brain)
    found = result["agreement"]
    assert result["n"] == 40 and found["permuted"]["p"] < 0.01
    assert found["value"] > 0.1 > abs(found["permuted"]["mean"])
    one = mindeye(
        "sae",
        "read",
        study.store,
        study.sae,
        "--brain",
        study.brain,
        "--image",
        result["images"][3]["id"],
    )
    assert one["images"] == [result["images"][3]] and one["agreement"] == found


def test_query_finds_an_image_s_own_trial(study: Study, tmp_path: Path) -> None:
    store = open_store(study.store)
    rows = trials.image_trials(store.subject("subj01"), "test").image_rows
    places = []
    for row in rows[:4]:
        asked = f"image:{store.images.ids[row]}"
        result = mindeye(
            "sae",
            "query",
            study.store,
            study.sae,
            asked,
            "--brain",
            study.brain,
            "--top",
            40,
            "--no-areas",
        )
        places.append([item["image_row"] for item in result["found"]].index(row))
        scores = [item["score"] for item in result["found"]]
        assert scores == sorted(scores, reverse=True) and result["areas"] == []
    assert np.mean(places) < 10  # 19.5 by chance
    Image.fromarray(store.images.read(rows[:1])[0]).save(tmp_path / "picture.png")
    asked = (f"image:{store.images.ids[rows[0]]}", str(tmp_path / "picture.png"))
    command = ("--brain", study.brain, "--no-areas")
    two = [mindeye("sae", "query", study.store, study.sae, xyz, *command)["found"] for xyz in asked]
    assert [item["id"] for item in two[0]] == [item["id"] for item in two[1]]


def test_query_by_words_tells_areas(study: Study) -> None:
    result = mindeye("sae", "query", study.store, study.sae, "face", "--brain", study.brain)
    assert result["question"] == "responds" and result["query"]["kind"] == "text"
    assert len(result["areas"]) == 5 and KEYS <= set(result)
    scores = [area["score"] for area in result["areas"]]
    assert scores == sorted(scores, reverse=True)


def test_clamping_an_atom_raises_it_in_what_is_retrieved(study: Study) -> None:
    sae = open_sae(study.sae)
    stable = sorted(sae.atoms, key=lambda atom: -(atom["stability"] or 0))[:3]
    for atom in stable:
        command = ("sae", "clamp", study.store, study.sae, atom["atom"], "--brain", study.brain)
        code = mindeye(*command)["code"]
        assert code["after"] > code["before"] and code["after"] > code["control"]["mean"]
        gone = mindeye(*command, "--to", 0)["code"]
        assert gone["after"] <= code["before"] + 1e-6


def test_brain_areas_have_atoms_too(study: Study, tmp_path: Path) -> None:
    run = tmp_path / "brain"
    command = ("sae", "train", study.store, run, "--from", "brain", "--subject", "subj01")
    result = mindeye(*command, "--rois", "V1 | V2", *settings("seeds=1"))
    assert result["space"] == "brain:subj01" and {"pca_r2", "pca_r2_all", "nmf_r2"} <= set(result)
    info = read_run(run)
    subject = open_store(study.store).subject("subj01")
    labels = subject.rois["prf-visualrois"].labels
    assert info.details["voxel_places"] == np.flatnonzero((labels >= 1) & (labels <= 4)).tolist()
    number = next(a["atom"] for a in open_sae(run).atoms if a["images"])
    maps = mindeye("sae", "map", study.store, run, f"atom:{number}")["maps"]
    assert not {area["area"] for area in maps[0]["areas"] if area["score"] != 0} & {"V1v", "V2d"}


def test_any_folder_of_pictures(study: Study, tmp_path: Path, call_cli: Callable) -> None:
    """A folder alone, and beside a store, where copies of test images are left out."""
    store = open_store(study.store)
    test, train = trials.test_images_any_subject(store)[:4], np.arange(store.images.n)
    train = np.setdiff1d(train, trials.test_images_any_subject(store))[:30]
    folder = tmp_path / "pictures"
    folder.mkdir()
    for row in [*test, *train]:
        Image.fromarray(store.images.read([row])[0]).save(folder / f"{row:04d}.png")
    small = settings("seeds=0", "fit.steps=20")
    alone = mindeye("sae", "train", folder, tmp_path / "a", "--space", SPACE, *small)
    assert alone["n_images"] + alone["n_held_out"] == 34 and alone["stability"] is None
    shown = call_cli("sae", "show", folder, tmp_path / "a", "--out", tmp_path / "a.html")
    assert shown.code == 0, shown.stderr
    both = ("sae", "train", study.store, tmp_path / "b", "--space", SPACE, "--images", folder)
    done = call_cli(*both, *small, "--json")
    assert "4 pictures" in done.stderr and "test images" in done.stderr
    ids = read_run(tmp_path / "b").details["trained_ids"]
    assert not {f"{row:04d}.png" for row in test} & set(ids) and f"{train[0]:04d}.png" in ids


def test_clamp_draws_before_and_after(study: Study, tmp_path: Path, call_cli: Callable) -> None:
    space = "scene-clip:tokens"
    mindeye("prepare", "targets", study.store, "--space", space)
    sae, brain, file = tmp_path / "sae", tmp_path / "brain", tmp_path / "clamp.png"
    folds = ("--set", "inner_folds=2", "--set", "alpha=shared", "--set", "alphas=[1.0]")
    mindeye("train", "ridge", study.store, brain, "--subject", "subj01", "--space", space, *folds)
    mindeye("sae", "train", study.store, sae, "--space", space, *settings("seeds=0"))
    number = max(open_sae(sae).atoms, key=lambda atom: atom["frequency"])["atom"]
    command = ("sae", "clamp", study.store, sae, number, "--brain", brain, "--limit", "1")
    mindeye(*command, "--decoder", "scene", "--pictures", file)
    with Image.open(file) as picture:
        pixels = np.asarray(picture).astype(float)
    columns = [pixels[:, i * 132 : i * 132 + 128] for i in range(3)]
    assert all(column.std() > 10 for column in columns)
    assert np.abs(columns[1] - columns[2]).mean() > 1
    wrong = call_cli(*command, "--decoder", "kandinsky-2.2", "--pictures", tmp_path / "x.png")
    assert wrong.code == 2 and space in wrong.stderr


def test_space_vectors_are_the_store_s(study: Study) -> None:
    store, sae = open_store(study.store), open_sae(study.sae)
    rows = np.array([5, 2])
    np.testing.assert_array_equal(space_vectors(store, sae, rows), store.target(SPACE).read(rows))
