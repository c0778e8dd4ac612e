"""The choice among candidates against a plain double loop."""

from __future__ import annotations

import ast
import inspect

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mindeye_cli.reconstruct import choose as module
from mindeye_cli.reconstruct.choose import choose


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 10_000))
def test_equals_a_double_loop(n: int, k: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    candidates = draw.standard_normal((n, k, 3, 4)).astype(np.float32)
    brain = draw.standard_normal((n, 3, 4)).astype(np.float32)
    for i, choice in enumerate(choose(candidates, brain)):
        cosines = []
        for j in range(k):
            a, b = candidates[i, j].ravel().astype(float), brain[i].ravel().astype(float)
            cosines.append(a @ b / np.sqrt((a @ a) * (b @ b)))
        np.testing.assert_allclose(choice.scores, cosines, atol=1e-12)
        assert choice.best == int(np.argmax(cosines))
        assert (choice.agreement is None) == (k == 1)


def test_agreement_of_equal_candidates_is_one() -> None:
    candidates = np.ones((1, 3, 2), dtype=np.float32)
    [choice] = choose(candidates, np.ones((1, 2), dtype=np.float32))
    assert choice.best == 0
    assert choice.agreement is not None
    np.testing.assert_allclose(choice.agreement, 1.0)


def test_no_way_to_a_stimulus() -> None:
    """The chooser gets two arrays, and its module imports nothing that reads files."""
    assert list(inspect.signature(choose).parameters) == ["candidates_nkd", "brain_nd"]
    tree = ast.parse(inspect.getsource(module))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert imported == {"__future__", "dataclasses", "numpy", "numpy.typing"}
