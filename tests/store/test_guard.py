"""Values that would not survive storage are refused before anything is written."""

from __future__ import annotations

import numpy as np
import pytest

from mindeye_store import InvalidInput, Store
from mindeye_store.guard import checked
from mindeye_store.schema import make_spec


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float16", np.nan),
        ("float16", 65504.0),
        ("float16", -1e6),
        ("float32", np.inf),
        ("float32", 1e39),
        ("float32", -np.inf),
        ("int16", 40_000),
        ("uint8", -1),
    ],
)
def test_the_row_is_named(dtype: str, value: float) -> None:
    spec = make_spec("rows", (10, 4), dtype, shard_rows=5)
    values = np.zeros((5, 4), np.float64 if dtype.startswith("float") else np.int64)
    values[3, 2] = value
    with pytest.raises(InvalidInput, match="row 8"):
        checked(values, spec, 1)


def test_largest_float16_value_below_the_limit_is_kept() -> None:
    spec = make_spec("rows", (1, 2), "float16")
    array, largest = checked(np.array([[65472.0, -1.0]]), spec, 0)
    assert largest == 65472.0 and array.tolist() == [[65472.0, -1.0]]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.zeros((2, 3)), "int16"),
        (np.zeros((2, 4)), "float32"),
        (np.array([["a"] * 3] * 2), "float32"),
        (np.zeros((2, 3), complex), "float32"),
    ],
)
def test_other_shapes_and_kinds_are_refused(values: np.ndarray, dtype: str) -> None:
    with pytest.raises(InvalidInput, match="rows"):
        checked(values, make_spec("rows", (2, 3), dtype), 0)


def test_a_refused_shard_leaves_no_trace(store: Store) -> None:
    with store.write_bundle("subjects/s", plan={}) as writer:
        array = writer.array("voxels", shape=(4, 2), dtype="float32", shard_rows=2)
        array.write(0, np.ones((2, 2)))
        with pytest.raises(InvalidInput, match="NaN"):
            array.write(1, np.full((2, 2), np.nan))
        assert [shard for shard, _ in array.pending()] == [1]
        with pytest.raises(InvalidInput, match="not every shard"):
            writer.publish()
    assert store.subjects == []


def test_big_endian_and_other_integers_are_converted() -> None:
    spec = make_spec("x", (3,), "int16")
    array, _ = checked(np.array([1, -2, 3], ">i8"), spec, 0)
    assert array.dtype == np.int16 and array.tolist() == [1, -2, 3]


@pytest.mark.parametrize("attrs", [{"x": float("nan")}, {"x": object()}, {"mindeye": 1}])
def test_attributes_must_be_plain_json(store: Store, attrs: dict[str, object]) -> None:
    with (
        pytest.raises(InvalidInput, match="attribute"),
        store.write_bundle("subjects/s", plan={}, attrs=attrs) as writer,
    ):
        writer.publish()
    assert store.subjects == []


@pytest.mark.parametrize(("name", "dtype"), [("c", "int16"), ("../x", "int16"), ("x", "U5")])
def test_arrays_that_cannot_be_kept(name: str, dtype: str) -> None:
    with pytest.raises(InvalidInput):
        make_spec(name, (3,), dtype)
