"""Every published generator, tiny and random, through the code that loads the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoders import layouts
from decoders.layouts import SAVE

from mindeye_cli.models.decoders import DECODERS, load_decoder
from mindeye_cli.models.decoders.base import Decoder, Sampling
from mindeye_cli.models.decoders.latents import LatentDecoder
from mindeye_store.errors import InvalidInput


@dataclass(frozen=True)
class Case:
    decoder: Decoder
    folder: Path
    embeddings: Any
    latents: Any


@pytest.fixture(scope="module", params=SAVE)
def case(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("generator")
    SAVE[request.param](folder)
    decoder = load_decoder(request.param, folder)
    draw = np.random.default_rng(0)
    embeddings = draw.standard_normal((3, *decoder.embedding_shape)).astype(np.float32)
    latents = draw.standard_normal((3, 4, layouts.SIDE, layouts.SIDE)).astype(np.float32)
    return Case(decoder, folder, embeddings, latents if decoder.latent_space else None)


def sampling(strength: float, steps: int = 4) -> Sampling:
    return Sampling(steps=steps, guidance=3.0, strength=strength)


def test_all_generators_are_here() -> None:
    assert {*SAVE, "scene"} == {*DECODERS}


def test_a_picture_depends_on_its_own_row_alone(case: Case) -> None:
    for latents, strength in ((None, 1.0), (case.latents, 0.5)):
        for guidance in (1.0, 3.0):
            settings = Sampling(steps=4, guidance=guidance, strength=strength)
            together = case.decoder.generate(case.embeddings, [5, 6, 7], settings, latents)
            one = None if latents is None else latents[1:2]
            alone = case.decoder.generate(case.embeddings[1:2], [6], settings, one)
            np.testing.assert_allclose(together[1:2], alone, atol=1e-5)
            assert together.shape[1:3] == (2 * layouts.SIDE, 2 * layouts.SIDE)


def test_embedding_seed_and_guidance_all_matter(case: Case) -> None:
    rows = case.embeddings[:1]
    base = case.decoder.generate(rows, [1], sampling(1.0), None)
    others = {
        "embedding": case.decoder.generate(case.embeddings[1:2], [1], sampling(1.0), None),
        "seed": case.decoder.generate(rows, [2], sampling(1.0), None),
        "guidance": case.decoder.generate(
            rows, [1], Sampling(steps=4, guidance=1.0, strength=1.0), None
        ),
    }
    for what, other in others.items():
        assert np.abs(base - other).max() > 1e-3, what
    np.testing.assert_array_equal(base, case.decoder.generate(rows, [1], sampling(1.0), None))


def test_the_ends_of_strength(case: Case) -> None:
    if case.latents is None:
        with pytest.raises(InvalidInput, match="stable-unclip takes no initial latent"):
            case.decoder.generate(case.embeddings, [1, 2, 3], sampling(0.5), case.embeddings)
        return
    own = LatentDecoder("sd-vae", case.folder).decode(case.latents)
    # 0.2 of 4 steps is none of them.
    for strength in (0.0, 0.2):
        blurry = case.decoder.generate(case.embeddings, [1, 2, 3], sampling(strength), case.latents)
        np.testing.assert_allclose(blurry, own, atol=1e-6)
    noise = case.decoder.generate(case.embeddings, [1, 2, 3], sampling(1.0), None)
    pure = case.decoder.generate(case.embeddings, [1, 2, 3], sampling(1.0), case.latents)
    np.testing.assert_array_equal(pure, noise)
    half = case.decoder.generate(case.embeddings, [1, 2, 3], sampling(0.5), case.latents)
    assert np.abs(half - noise).max() > 1e-2 and np.abs(half - own).max() > 1e-2


def test_a_row_that_fails_leaves_the_others(case: Case) -> None:
    fine = case.decoder.generate(case.embeddings, [1, 2, 3], sampling(0.5), case.latents)
    bad = case.embeddings.copy()
    bad[1] = np.nan
    drawn = case.decoder.generate(bad, [1, 2, 3], sampling(0.5), case.latents)
    assert np.isnan(drawn[1]).all()
    np.testing.assert_array_equal(drawn[[0, 2]], fine[[0, 2]])


def test_embeddings_of_another_space(case: Case) -> None:
    with pytest.raises(InvalidInput, match=case.decoder.space) as caught:
        case.decoder.generate(case.embeddings[..., :-1], [1, 2, 3], sampling(1.0), None)
    assert "mindeye train high-level" in str(caught.value)


def test_saving_memory_changes_nothing(case: Case) -> None:
    before = case.decoder.generate(case.embeddings, [1, 2, 3], sampling(0.5), case.latents)
    saving = load_decoder(case.decoder.name, case.folder)
    saving.save_memory(offload=True, slicing=True)
    after = saving.generate(case.embeddings, [1, 2, 3], sampling(0.5), case.latents)
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_a_single_token_is_read_as_the_vector(case: Case) -> None:
    if len(case.decoder.embedding_shape) == 2:
        return
    tokens = case.embeddings[:, None]
    np.testing.assert_array_equal(
        case.decoder.generate(tokens, [1, 2, 3], sampling(1.0, 2), None),
        case.decoder.generate(case.embeddings, [1, 2, 3], sampling(1.0, 2), None),
    )
