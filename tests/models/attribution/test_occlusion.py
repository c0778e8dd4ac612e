"""Occlusion against a loop in numpy, and the controls it is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mindeye_cli.core.kept_voxels import matched_voxels
from mindeye_cli.models.attribution.occlusion import losses

V, B = 20, 5


@dataclass
class Responses:
    """What `matched_voxels` reads of a subject."""

    ncsnr: np.ndarray | None


def test_losses_of_a_linear_score_are_its_parts() -> None:
    weight, responses = torch.linspace(-1, 1, V), torch.ones(B, V)
    parts = [np.arange(V) // 5 == k for k in range(4)]
    found = losses(lambda x: x @ weight, responses, parts)
    np.testing.assert_allclose(found.sum(dim=0), (responses @ weight).double(), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.02, 1), count=st.sampled_from([30, 97, 200]))
def test_controls_match_in_size_and_in_every_tenth_of_the_signal(
    seed: int, share: float, count: int
) -> None:
    draw = np.random.default_rng(seed)
    ncsnr = draw.gamma(1.0, 0.3, count).astype(np.float32)
    ncsnr[draw.random(count) < 0.2] = 0  # voxels without signal tie
    mask = draw.random(count) < share
    mask[0] = True
    edges = np.quantile(ncsnr, np.arange(1, 10) / 10)
    tenth = (ncsnr[:, None] >= edges[None]).sum(axis=1)
    for chosen in matched_voxels(Responses(ncsnr), mask, 5, seed):  # type: ignore[arg-type]
        assert chosen.sum() == mask.sum()
        for k in range(10):
            assert chosen[tenth == k].sum() == mask[tenth == k].sum()


def test_controls_without_a_noise_ceiling_match_in_size() -> None:
    mask = np.arange(V) < 7
    sets = matched_voxels(Responses(None), mask, 30, 0)  # type: ignore[arg-type]
    assert [chosen.sum() for chosen in sets] == [7] * 30
    assert len({chosen.tobytes() for chosen in sets}) > 20
    again = matched_voxels(Responses(None), mask, 30, 0)  # type: ignore[arg-type]
    np.testing.assert_array_equal(sets, again)
    shares = np.mean(sets, axis=0)
    assert shares.min() > 0.05 and shares.max() < 0.75


def test_controls_of_every_voxel_are_every_voxel() -> None:
    whole = np.ones(V, dtype=bool)
    (chosen,) = matched_voxels(Responses(np.linspace(0, 1, V)), whole, 1, 0)  # type: ignore[arg-type]
    assert chosen.all()


@pytest.mark.parametrize("size", [1, 3])
def test_losses_take_any_number_of_masks(size: int) -> None:
    found = losses(lambda x: x.sum(dim=1), torch.ones(2, V), [np.ones(V, dtype=bool)] * size)
    assert found.shape == (size, 2) and bool((found == V).all())
