"""Parts whose lists are searched as one answer as they do one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_helpers import near, write_shards

pytest.importorskip("faiss")

from mindeye_cli.core.neighbours.search import Setting, nearest, open_index  # noqa: E402


def one_by_one(work: Any, tasks: Any) -> Iterator[Any]:
    """A runner that is not the embedded one, so that parts are asked for themselves."""
    return (work(*task) for task in tasks)


@pytest.mark.parametrize("codes", ["rabitq", "pq"])
def test_a_stack_equals_its_parts(tmp_path: Path, call_cli: Any, codes: str) -> None:
    shards, index = tmp_path / "shards", tmp_path / "index"
    # The smallest parts leave many of the lists empty.
    rows = write_shards(shards, (1500, 3, 700, 1, 900), dim=32)
    options = ("--kind", "ivf", "--codes", codes, "--lists", "16", "--recall", "0.2")
    assert call_cli("retrieve", "index", shards, index, *options).code == 0
    opened = open_index(index)
    assert len(opened.places) == 5
    queries = near(rows, 200)
    for setting in (Setting(lists=3, candidates=40), Setting(lists=16, candidates=3104)):
        stacked = nearest(opened, queries, 10, setting=setting)
        apart = nearest(opened, queries, 10, setting=setting, run=one_by_one)
        np.testing.assert_array_equal(stacked[0], apart[0])
        np.testing.assert_array_equal(stacked[1], apart[1])
    # With every list and every candidate the answer is the exact one.
    exact = nearest(opened, queries, 10, exact=True)
    np.testing.assert_array_equal(stacked[1], exact[1])
