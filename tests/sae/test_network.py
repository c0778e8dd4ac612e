"""The autoencoder against planted atoms, and its parts against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from mindeye_cli.models.sae import SaeConfig, SparseAutoencoder, sae_from_tensors
from mindeye_cli.sae import scores
from mindeye_cli.sae.fit import FitConfig, fit_sae

WIDTH, ATOMS, ACTIVE = 32, 40, 3


def planted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sparse positive sums of fixed atoms, and the atoms."""
    atoms = np.random.default_rng(9).standard_normal((ATOMS, WIDTH))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    draw = np.random.default_rng(seed)
    codes = np.zeros((n, ATOMS))
    for row in codes:
        row[draw.choice(ATOMS, ACTIVE, replace=False)] = draw.uniform(0.5, 1.5, ACTIVE)
    rows = codes @ atoms + 0.03 * draw.standard_normal((n, WIDTH)) + 0.2
    return rows.astype(np.float32), atoms


def config(**more: object) -> SaeConfig:
    return SaeConfig(**{"atoms": ATOMS, "k": ACTIVE, **more})  # type: ignore[arg-type]


FIT = FitConfig(steps=600, batch=200, lr=1e-2)


@pytest.mark.parametrize("form", ["topk", "batchtopk"])
def test_planted_atoms_are_found(form: str) -> None:
    rows, atoms = planted(4000, 0)
    fresh, _ = planted(500, 1)
    model = fit_sae(rows, config(form=form), FIT, 0)
    cosine = model.dictionary.numpy() @ atoms.T
    found = cosine[linear_sum_assignment(-cosine)]
    assert np.median(found) > 0.97 and found.mean() > 0.85
    result = scores.reconstruction(model, rows, fresh)
    made = model.vectors(model.codes(fresh))
    total = ((fresh - rows.mean(axis=0)) ** 2).sum()
    assert result["r2"] == pytest.approx(1 - ((fresh - made) ** 2).sum() / total, abs=1e-5)
    assert result["r2"] > 0.85 > scores.pca_r2(rows, fresh, ACTIVE)
    assert result["l0"] == pytest.approx(ACTIVE, abs=0.5) and result["dead"] < 0.1
    assert np.linalg.norm(model.dictionary.numpy(), axis=1) == pytest.approx(1, abs=1e-5)


def test_codes_of_a_row_do_not_depend_on_the_rows_beside_it() -> None:
    rows, _ = planted(300, 0)
    for form in ("topk", "batchtopk"):
        model = fit_sae(rows, config(form=form), FitConfig(steps=30, batch=64), 0)
        together = model.codes(rows)
        alone = np.concatenate([model.codes(row[None]) for row in rows[:20]])
        np.testing.assert_allclose(alone, together[:20], atol=1e-6)


def test_encoding_equals_plain_numpy_and_starts_at_the_mean() -> None:
    rows, _ = planted(200, 0)
    model = SparseAutoencoder(config(), WIDTH)
    model.begin(torch.from_numpy(rows), torch.Generator().manual_seed(0))
    centred = rows - rows.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=1).mean())
    drive = np.maximum(centred / scale @ model.dictionary.detach().numpy().T, 0)
    kept = np.sort(drive, axis=1)[:, -ACTIVE][:, None]
    np.testing.assert_allclose(model.codes(rows), drive * (drive >= kept), atol=1e-5)
    empty = np.zeros((1, ATOMS), np.float32)
    np.testing.assert_allclose(model.vectors(empty)[0], rows.mean(axis=0), atol=1e-5)


def test_a_fit_is_a_function_of_the_seed_and_prefixes_come_first() -> None:
    rows, _ = planted(600, 0)
    fit = FitConfig(steps=120, batch=128)
    one, same, other = (fit_sae(rows, config(), fit, seed) for seed in (0, 0, 1))
    assert torch.equal(one.dictionary, same.dictionary)
    assert not torch.equal(one.dictionary, other.dictionary)
    nested = fit_sae(rows, config(prefixes=(8,)), fit, 0)
    errors = []
    for model in (one, nested):
        codes = model.codes(rows)
        codes[:, 8:] = 0
        errors.append(((model.vectors(codes) - rows) ** 2).sum())
    assert errors[1] < errors[0]
    back = sae_from_tensors(config(), one.state_dict())
    np.testing.assert_array_equal(back.codes(rows), one.codes(rows))


def test_dead_atoms_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the atoms start silent on every row; without their own loss they stay so."""
    rows, _ = planted(1500, 0)
    begin, dead = SparseAutoencoder.begin, []

    def silent(self: SparseAutoencoder, *arguments: object) -> None:
        begin(self, *arguments)  # type: ignore[arg-type]
        self.encoder_bias.data[: ATOMS // 2] = -0.8

    monkeypatch.setattr(SparseAutoencoder, "begin", silent)
    for aux in (0.0, 1 / 32):
        fit = FitConfig(steps=250, batch=128, lr=1e-2, aux=aux, dead_after=20)
        dead.append(scores.reconstruction(fit_sae(rows, config(), fit, 0), rows, rows)["dead"])
    assert dead[0] >= 0.4 and dead[1] < 0.2


@pytest.mark.parametrize("wrong", [{"k": 0}, {"k": 99}, {"prefixes": (5, 3)}, {"prefixes": (40,)}])
def test_impossible_sizes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        config(**wrong)


def test_matching_is_one_to_one_and_finds_a_shuffled_dictionary() -> None:
    draw = np.random.default_rng(0)
    atoms = draw.standard_normal((20, 16))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    assert scores.matched_cosines(atoms, atoms[draw.permutation(20)]) == pytest.approx(1.0)
    noisy = atoms + 0.1 * draw.standard_normal(atoms.shape)
    noisy[3] = 0
    found = scores.matched_cosines(
        atoms, noisy / np.maximum(np.linalg.norm(noisy, axis=1), 1)[:, None]
    )
    assert np.median(found) > 0.7 and found.min() < 0.5
    record = scores.stability(atoms, [atoms[::-1], noisy])
    assert record["found"].max() == 2 and scores.stability(atoms, [])["mean"] is None


def test_linear_codes_against_their_definitions() -> None:
    draw = np.random.default_rng(0)
    parts = draw.standard_normal((3, 10))
    train, held = (draw.random((n, 3)) @ parts for n in (200, 50))
    assert scores.pca_r2(train, held, 3) == pytest.approx(1.0)
    assert 0.9 < scores.nmf_r2(train, held, 4, 0) <= 1.0
    assert scores.nmf_r2(train, held, 1, 0) < scores.nmf_r2(train, held, 4, 0)
