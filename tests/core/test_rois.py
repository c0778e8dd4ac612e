"""Expressions over areas against numpy's own set logic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindeye_cli.core.rois import area_voxels, list_areas, resolve
from mindeye_store import InvalidInput, UsageProblem

V = 60


@dataclass(frozen=True)
class Labels:
    labels: np.ndarray
    names: dict[int, str]


def atlases(seed: int, hemispheres: bool = True) -> dict[str, Labels]:
    random = np.random.default_rng(seed)

    def drawn(names: list[str]) -> Labels:
        labels = random.integers(-1, len(names) + 1, V).astype(np.int16)
        return Labels(labels, {0: "Unknown"} | dict(enumerate(names, start=1)))

    found = {
        "prf-visualrois": drawn(["V1v", "V1d", "V2v", "V2d", "hV4"]),
        "floc-faces": drawn(["OFA", "FFA-1", "FFA-2", "mTL-faces"]),
        "streams": drawn(["early", "ventral"]),
        "HCP_MMP1": drawn(["V1", "4", "p9-46v"]),
    }
    if hemispheres:
        found["hemisphere"] = drawn(["lh", "rh"])
    return found


NAMES = ("V1", "V1v", "hV4", "FFA", "FFA-1", "mTL-faces", "streams", "ventral", "p9-46v", "4")
SETS: dict[str, tuple[str, tuple[int, ...]]] = {
    "V1": ("prf-visualrois", (1, 2)),
    "V1v": ("prf-visualrois", (1,)),
    "hV4": ("prf-visualrois", (5,)),
    "FFA": ("floc-faces", (2, 3)),
    "FFA-1": ("floc-faces", (2,)),
    "mTL-faces": ("floc-faces", (4,)),
    "streams": ("streams", (1, 2)),
    "ventral": ("streams", (2,)),
    "p9-46v": ("HCP_MMP1", (3,)),
    "4": ("HCP_MMP1", (2,)),
}


def members(found: dict[str, Labels], name: str) -> np.ndarray:
    atlas, labels = SETS[name]
    return np.isin(found[atlas].labels, labels)


# A tree is a name with a side, or (sign, left, right).
LEAVES = st.tuples(st.sampled_from(["", "lh.", "rh."]), st.sampled_from(NAMES))
TREES: Any = st.recursive(
    LEAVES, lambda inner: st.tuples(st.sampled_from("|&-"), inner, inner), max_leaves=7
)


def spelled(tree: Any) -> str:
    if len(tree) == 2:
        return "".join(tree)
    sign, left, right = tree
    return f"({spelled(left)}) {sign} ({spelled(right)})"


def truth(tree: Any, found: dict[str, Labels]) -> np.ndarray:
    if len(tree) == 2:
        side, name = tree
        voxels = members(found, name)
        half = found["hemisphere"].labels
        return voxels if not side else voxels & (half == (1 if side == "lh." else 2))
    sign, left, right = tree[0], truth(tree[1], found), truth(tree[2], found)
    return {"|": left | right, "&": left & right, "-": left & ~right}[sign]


@settings(max_examples=150, deadline=None)
@given(tree=TREES, seed=st.integers(0, 10_000))
def test_every_expression_is_set_logic(tree: Any, seed: int) -> None:
    found = atlases(seed)
    expected = truth(tree, found)
    if expected.any():
        assert np.array_equal(resolve(found, spelled(tree)), expected)
    else:
        with pytest.raises(InvalidInput, match="holds no voxel"):
            resolve(found, spelled(tree))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("V1v | V1d & early", "V1v | (V1d & early)"),
        ("V1 - V1v | hV4", "(V1 - V1v) | hV4"),
        ("hV4 | V1 - V1v", "(hV4 | V1) - V1v"),
        ("V1|V2-V2v", "(V1 | V2) - V2v"),
        ("FFA-FFA-1", "FFA - FFA-1"),
        ("  ((V1))\t", "V1v | V1d"),
        ("HCP_MMP1:V1", "HCP_MMP1 - 4 - p9-46v"),
    ],
)
def test_precedence_and_spelling(text: str, same: str) -> None:
    found = atlases(3)
    assert np.array_equal(resolve(found, text), resolve(found, same))


def test_a_hemisphere_from_the_atlas_of_its_own() -> None:
    found = atlases(5, hemispheres=False)
    whole = found["prf-visualrois"]
    left = np.arange(V) < 25
    found["lh.prf-visualrois"] = Labels(np.where(left, whole.labels, -1), whole.names)
    v1 = members(found, "V1")
    assert np.array_equal(resolve(found, "lh.V1"), v1 & left)
    assert np.array_equal(resolve(found, "lh.prf-visualrois"), (whole.labels > 0) & left)
    assert np.array_equal(resolve(found, "V1 - lh.V1"), v1 & ~left)
    with pytest.raises(InvalidInput, match="needs the hemisphere"):
        resolve(found, "rh.V1")
    assert {area.atlas for area in list_areas(found)}.isdisjoint({"lh.prf-visualrois"})
    assert area_voxels(found, "nobody") is None


@pytest.mark.parametrize(
    ("text", "character", "problem"),
    [
        ("", 1, "name is missing"),
        ("V1 |", 5, "name is missing"),
        ("V1 | & V2", 6, "before '&'"),
        ("V1 V2", 4, "'V2' is not expected"),
        ("V1 | (V2 & early", 6, "not closed"),
        ("V1)", 3, "')' is not expected"),
        ("V1 | $", 6, "'$' is not expected"),
        ("V1 + V2", 4, "'+' is not expected"),
        ("(" * 5000, 501, "more than"),
    ],
)
def test_what_is_no_expression(text: str, character: int, problem: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        resolve(atlases(0), text)
    said = str(caught.value)
    assert problem in said
    assert f"character {character} of" in said
    assert "floc-faces" in said
    assert "\n" not in said


def test_an_area_that_nobody_knows() -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve(atlases(0), "V1 | (V9 & early)")
    said = str(caught.value)
    assert "no area 'V9' (character 7 of 'V1 | (V9 & early)')" in said
    assert "hV4" in said
    assert "\n" not in said
