"""`mindeye sae map` and `synth`: atoms on the cortex, and patterns made for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sae.conftest import Study, mindeye

from mindeye_cli.core import trials
from mindeye_cli.core.significance import fdr, two_sided
from mindeye_cli.sae.encoder import fit_encoder
from mindeye_cli.sae.opened import open_sae
from mindeye_cli.sae.synth import RealResponses
from mindeye_store import open_store

KEYS = {"r2", "l0", "dead", "stability"}


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
