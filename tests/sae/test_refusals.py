"""`mindeye sae` refuses what it cannot answer, in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sae.conftest import SPACE, Study, mindeye, settings

from mindeye_cli.models.run_model import load_run
from mindeye_store import open_store

KEYS = {"r2", "l0", "dead", "stability"}


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
