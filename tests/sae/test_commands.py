"""`mindeye sae` from store and runs to answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sae.conftest import SPACE, Study, mindeye, settings

from mindeye_cli.core import trials
from mindeye_cli.core.runs import read_run
from mindeye_cli.core.significance import fdr, two_sided
from mindeye_cli.models.run_model import load_run
from mindeye_cli.sae.encoder import fit_encoder
from mindeye_cli.sae.opened import open_sae, space_vectors
from mindeye_cli.sae.synth import RealResponses
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


def test_maps_are_those_of_the_encoding_model(study: Study, tmp_path: Path) -> None:
    sae = open_sae(study.sae)
    number = max(sae.atoms, key=lambda atom: atom["frequency"])["atom"]
    file = tmp_path / "maps.npz"
    result = mindeye("sae", "map", study.store, study.sae, f"atom:{number}", "--out", file)
    assert result["maps"][0]["atoms"] == [number] and result["outputs"] == [str(file)]
    fitted = fit_encoder(open_store(study.store), sae, None, "codes")
    with np.load(file, allow_pickle=False) as maps:
        change = fitted.model.weight.numpy()[number] * sae.atoms[number]["peak"]
        np.testing.assert_allclose(maps["change"][0], change, rtol=1e-4, atol=1e-6)
        assert maps["q"].shape == maps["z"].shape and maps["ijk"].shape[1] == 3


def test_z_of_a_map_is_that_of_permuted_rows(study: Study) -> None:
    """Refit on permuted image rows at the same alphas: mean 0, and the spread that z divides by."""
    fitted = fit_encoder(open_store(study.store), open_sae(study.sae), None, "codes")
    contrast = np.eye(fitted.features.shape[1], dtype=np.float32)[:1]
    change, z = fitted.maps(contrast)
    weights = fitted.trials.counts / fitted.trials.counts.mean()
    basis, draw = fitted.model.basis, np.random.default_rng(0)
    x = (fitted.features - basis.mean.numpy()) * weights[:, None]
    alpha = fitted.model.alpha.numpy()
    voxels = np.arange(0, len(alpha), 40)
    hat = [
        x
        @ basis.vectors.numpy()
        @ np.diag(1 / (basis.values.numpy() + basis.alpha_unit * alpha[v]))
        @ (basis.vectors.numpy().T @ contrast[0])
        for v in voxels
    ]
    null = np.array(
        [
            [h @ fitted.responses[order, v] for h, v in zip(hat, voxels, strict=True)]
            for order in (draw.permutation(len(x)) for _ in range(400))
        ]
    )
    spread = change[0, voxels] / z[0, voxels]
    assert np.median(np.abs(null.std(axis=0) / spread - 1)) < 0.06
    q = fdr(two_sided(null[:1] / spread))
    assert (q < 0.05).mean() < 0.2


def test_fdr_equals_scipy() -> None:
    from scipy.stats import false_discovery_control

    p = np.random.default_rng(0).random((3, 50)) ** 2
    np.testing.assert_allclose(fdr(p), false_discovery_control(p, axis=1), rtol=1e-5)


def test_synth_keeps_to_the_prior_and_is_decoded_back(study: Study, tmp_path: Path) -> None:
    store, file = open_store(study.store), tmp_path / "patterns.npy"
    result = mindeye(
        "sae",
        "synth",
        study.store,
        study.sae,
        "--brain",
        study.brain,
        "--rank",
        20,
        "--pool",
        20,
        "--out",
        file,
    )
    assert result["n"] == 40 and result["pool"] == 20 and result["top1"] > 5 * result["chance"]
    subject = store.subject("subj01")
    real = trials.average_trials(subject, trials.training_trials(store, subject))
    centred = np.load(file).astype(np.float64) - real.mean(axis=0, dtype=np.float64)
    lengths = np.linalg.norm(real - real.mean(axis=0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(centred, axis=1), np.median(lengths), rtol=1e-4)
    right = np.linalg.svd(real - real.mean(axis=0), full_matrices=False)[2][:20]
    np.testing.assert_allclose(centred @ right.T @ right, centred, atol=1e-3)
    assert result["distance"]["pattern"] < 1.5 * result["distance"]["real_p95"]
    one = mindeye("sae", "synth", study.store, study.sae, "a red face", "--brain", study.brain)
    assert one["n"] == 1 and one["mean_rank"] >= 1


def test_the_prior_of_few_voxels_equals_that_of_many() -> None:
    rows = np.random.default_rng(0).standard_normal((30, 12)).astype(np.float32)
    tall = RealResponses.of(rows, 3).near(rows[:5])
    wide = RealResponses.of(np.concatenate([rows, np.zeros((30, 40), np.float32)], axis=1), 3)
    padded = np.concatenate([rows[:5], np.zeros((5, 40), np.float32)], axis=1)
    np.testing.assert_allclose(wide.near(padded)[:, :12], tall, atol=1e-4)


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


def test_other_commands_refuse_an_autoencoder(study: Study, call_cli: Callable) -> None:
    for command in (
        ("retrieve", "pool", study.store, study.sae),
        ("predict", study.sae, "--store", study.store, "--split", "test", "--out", "x.npz"),
    ):
        done = call_cli(*command)
        assert done.code == 3 and "sae run" in done.stderr, done.stderr
    with pytest.raises(Exception, match="predicts nothing"):
        load_run(study.sae)


def test_bad_input_is_one_line_with_its_code(
    study: Study, call_cli: Callable, tmp_path: Path
) -> None:
    base, brain = (study.store, study.sae), ("--brain", study.brain)
    cases = [
        (("query", *base, "a unicorn", *brain), 2, "unicorn"),
        (("query", *base, "atom:999", *brain), 2, "0 to 23"),
        (("query", *base, "image:none", *brain), 4, "none"),
        (("query", *base, "./nowhere", *brain), 4, "nowhere"),
        (("query", *base, " ", *brain), 2, "nothing is asked"),
        (("query", *base, "face", "--brain", study.sae), 3, "decodes no embedding"),
        (("query", study.store, study.brain, "face", *brain), 3, "not an autoencoder"),
        (("clamp", *base, "x", *brain), 2, "no atom 'x'"),
        (("clamp", *base, "1", *brain, "--to", "-1"), 2, "--to"),
        (("clamp", *base, "1", *brain, "--decoder", "scene"), 2, "--pictures"),
        (("synth", *base, *brain, "--rank", "0"), 2, "--rank"),
        (("show", *base, "--sort", "size"), 2, "--sort"),
        (("train", study.store, tmp_path / "r"), 2, "--space"),
        (("train", study.store, tmp_path / "r", "--space", "array:none"), 4, "array:none"),
        (("train", study.store, tmp_path / "r", "--from", "brain"), 2, "--subject"),
        (("train", study.store, tmp_path / "r", "--from", "mind"), 2, "--from"),
        (
            ("train", study.store, tmp_path / "r", "--space", SPACE, "--set", "model.kk=3"),
            2,
            "model.k",
        ),
        (("train", study.store, tmp_path / "r", "--space", SPACE, "--rois", "V1"), 2, "--rois"),
    ]
    for words, code, text in cases:
        done = call_cli("sae", *words)
        assert (done.code, text in done.stderr) == (code, True), (words, done.stderr)
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_dead_atom_and_a_space_without_text_are_told(
    study: Study, call_cli: Callable, tmp_path: Path
) -> None:
    import shutil

    run = tmp_path / "run"
    shutil.copytree(study.sae, run)
    atoms = json.loads((run / "atoms.json").read_text())
    atoms[5]["images"] = []
    (run / "atoms.json").write_text(json.dumps(atoms))
    done = call_cli("sae", "clamp", study.store, run, "5", "--brain", study.brain)
    assert done.code == 3 and "dead" in done.stderr
    plain, small = tmp_path / "plain", settings("seeds=0", "fit.steps=10")
    store = open_store(study.store)
    np.save(tmp_path / "rows.npy", store.target(SPACE).read(np.arange(store.images.n)))
    rows = ("--from", tmp_path / "rows.npy")
    mindeye("prepare", "targets", study.store, "--space", "array:plain", *rows)
    mindeye("sae", "train", study.store, plain, "--space", "array:plain", *small)
    wrong = call_cli("sae", "query", study.store, plain, "face", "--brain", study.brain)
    assert wrong.code == 3 and "array:plain" in wrong.stderr  # the brain run is of another space
    done = call_cli("sae", "map", study.store, plain, "face")
    assert done.code == 2 and "has no text" in done.stderr


def test_space_vectors_are_the_store_s(study: Study) -> None:
    store, sae = open_store(study.store), open_sae(study.sae)
    rows = np.array([5, 2])
    np.testing.assert_array_equal(space_vectors(store, sae, rows), store.target(SPACE).read(rows))
