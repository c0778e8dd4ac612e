"""`mindeye prepare` as people call it: exit codes, JSON keys, human text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from prepare.nsd_fixture import write_tiny_nsd

Call = Callable[..., Any]


def test_nsd_then_targets(call_cli: Call, tmp_path: Path) -> None:
    data, store = write_tiny_nsd(tmp_path / "nsd"), tmp_path / "s.zarr"
    plan = call_cli("prepare", "nsd", data.root, store, "--subject", "1", "--dry-run", "--json")
    assert (plan.code, plan.json["missing"]) == (0, [])
    assert not store.exists()
    done = call_cli("prepare", "nsd", data.root, store, "--subject", "subj01", "--json")
    assert done.code == 0
    assert done.json["status"] == "ok"
    assert done.json["outputs"] == [str(store / "subjects/subj01")]
    assert done.json["n_trials"] == 90
    assert done.json["splits"]["test"]["images"] == 5
    assert {"n_voxels", "n_images"} <= set(done.json)
    targets = call_cli("--json", "prepare", "targets", store, "--space", "pixels:4")
    assert targets.json["rows_done"] == targets.json["rows_total"] == done.json["n_images"]
    assert {"space", "shape", "dtype", "fingerprint"} <= set(targets.json)
    again = call_cli("prepare", "targets", store, "--space", "pixels:4", "--json")
    assert again.json["status"] == "notneeded"
    people = call_cli("prepare", "nsd", data.root, store, "--subject", "1")
    assert "subj01: " in people.stderr


def test_failures_end_in_their_codes(call_cli: Call, tmp_path: Path) -> None:
    data, store = write_tiny_nsd(tmp_path / "nsd"), tmp_path / "s.zarr"
    command = ("prepare", "nsd", data.root, store, "--subject")
    assert call_cli(*command, "9").code == 2
    assert call_cli(*command, "1", "--zscore", "none").code == 2
    assert call_cli(*command, "1", "--max-invalid", "2").code == 2
    assert call_cli(*command, "2").code == 4
    assert call_cli(*command, "1", "--sessions", "1-9").code == 4
    data.beta_file(1).write_bytes(b"text")
    failed = call_cli(*command, "1", "--json")
    assert failed.code == failed.json["error"]["code"] == 3
    assert "betas_session01" in failed.json["error"]["where"]
    assert failed.stderr.count("\n") == 1
    assert not store.exists()


def test_arrays(call_cli: Call, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    random = np.random.default_rng(0)
    np.save(folder / "voxels.npy", random.normal(size=(8, 5)).astype(np.float32))
    np.save(folder / "images.npy", random.integers(0, 256, (4, 6, 6), dtype=np.uint8))
    rows = [f"{trial % 4},{'test' if trial % 4 == 3 else 'train'}" for trial in range(8)]
    (folder / "trials.csv").write_text("\n".join(["image,split", *rows]) + "\n")
    done = call_cli("prepare", "arrays", folder, tmp_path / "s.zarr", "--subject", "me", "--json")
    assert done.code == 0
    assert (done.json["n_voxels"], done.json["n_trials"], done.json["n_images"]) == (5, 8, 4)
    assert done.json["splits"] == {
        "train": {"trials": 6, "images": 3},
        "test": {"trials": 2, "images": 1},
    }


def test_absent_weights_name_repository_and_size(call_cli: Call, tmp_path: Path) -> None:
    from mindeye_store import create_store

    store = create_store(tmp_path / "s.zarr")
    store.add_images(["a"], lambda rows: np.zeros((1, 8, 8, 3), np.uint8), (8, 8, 3), plan={})
    for space, name, size in (
        ("sd-vae", "lambdalabs/sd-image-variations-diffusers", "335 MB"),
        ("clip-vit-l14:tokens", "vit_large_patch14_clip_224.openai", "1.7 GB"),
    ):
        failed = call_cli("--offline", "prepare", "targets", store.path, "--space", space)
        assert failed.code == 4
        assert name in failed.stderr
        assert size in failed.stderr
