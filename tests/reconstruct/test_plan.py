"""The plan: names, seeds, batches, and refusal of another reconstruction's folder."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindeye_cli.reconstruct.options import Options, read_ids
from mindeye_cli.reconstruct.plan import Plan, fix_plan, make_items, safe_name, select
from mindeye_cli.reconstruct.rounding import Rounding
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem


def rounded(items: int, pictures: int) -> Rounding:
    return Rounding(items, pictures, threads=1, device="cpu")


ALONE = {"decoder": "low-level", "low": Path("r"), "high": None}


def items_of(rows: list[int], seed: int = 0, candidates: int = 2) -> tuple:
    ids = [f"image{row}" for row in rows]
    return make_items(ids, rows, [None] * len(rows), candidates=candidates, seed=seed)


@settings(deadline=None)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=8, unique=True))
def test_an_image_keeps_its_seeds_whatever_else_is_asked_for(rows: list[int]) -> None:
    alone = {item.image_row: item.seeds for row in rows for item in items_of([row])}
    assert all(alone[item.image_row] == item.seeds for item in items_of(rows))


def test_more_candidates_keep_the_first_ones() -> None:
    assert items_of([3], candidates=4)[0].seeds[:2] == items_of([3], candidates=2)[0].seeds


def test_seeds_differ_by_image_candidate_and_seed() -> None:
    drawn = [s for seed in (0, 1) for item in items_of([1, 2], seed) for s in item.seeds]
    assert len(set(drawn)) == len(drawn)


@given(st.text(max_size=40))
def test_names_are_plain(image_id: str) -> None:
    name = safe_name(image_id)
    assert name and "/" not in name and not name.startswith(".")


def test_clashing_names_are_told_apart() -> None:
    items = make_items(["a/b", "a b"], [4, 5], [None, None], candidates=1, seed=0)
    assert len({item.name for item in items}) == 2


def test_batches_cover_the_items_in_order() -> None:
    plan = Plan(items_of(list(range(7))), rounded(3, 32), {})
    batches = list(plan.batches())
    assert [number for number, _ in batches] == [0, 1, 2]
    assert [i.image_row for _, batch in batches for i in batch] == list(range(7))


def test_the_folder_of_another_reconstruction_is_refused(tmp_path: Path) -> None:
    plan = Plan(items_of([1, 2]), rounded(2, 32), {"strength": 0.5})
    assert fix_plan(tmp_path / "out", plan) == plan
    assert fix_plan(tmp_path / "out", plan) == plan
    other = Plan(items_of([1, 2]), rounded(2, 32), {"strength": 0.6})
    with pytest.raises(InvalidInput, match=r"strength was 0\.5 and is now 0\.6"):
        fix_plan(tmp_path / "out", other)
    (tmp_path / "busy").mkdir()
    (tmp_path / "busy" / "file").write_text("x")
    with pytest.raises(InvalidInput, match="not empty"):
        fix_plan(tmp_path / "busy", plan)


def test_select() -> None:
    ids = ["c", "a", "b"]
    base = {"store": Path("s"), "out": Path("o"), "high": Path("r")}
    assert select(Options(**base), ids) == [0, 1, 2]
    assert select(Options(**base, ids=("b", "c")), ids) == [0, 2]
    assert select(Options(**base, limit=2), ids) == [0, 1]
    with pytest.raises(InvalidInput, match="first 'x'"):
        select(Options(**base, ids=("a", "x")), ids)


def test_the_first_start_fixes_the_batch_size(tmp_path: Path) -> None:
    """A machine with other memory goes on with the batches that there are."""
    fix_plan(tmp_path / "out", Plan(items_of([1, 2, 3]), rounded(2, 32), {}))
    assert fix_plan(
        tmp_path / "out", Plan(items_of([1, 2, 3]), rounded(1, 8), {})
    ).rounding == rounded(2, 32)


def test_a_damaged_batch_size_is_named(tmp_path: Path) -> None:
    plan = Plan(items_of([1, 2]), rounded(2, 32), {})
    fix_plan(tmp_path, plan)
    file = tmp_path / "plan.json"
    file.write_text(file.read_text().replace('"batch_pictures": 32', '"batch_pictures": 0'))
    with pytest.raises(InvalidInput, match="batch_pictures is no positive"):
        fix_plan(tmp_path, plan)


def test_what_a_killed_start_left_is_removed(tmp_path: Path) -> None:
    """Killed between writing the plan and linking it, or after that: nothing stays beside it."""
    host, gone = socket.gethostname().split(".")[0].replace("-", "_"), 2**22 + 1
    for number in range(2):
        (tmp_path / f"plan.json.tmp-{host}-{gone}-{number:08x}").write_text("{")
        fix_plan(tmp_path, Plan(items_of([1, 2]), rounded(2, 32), {}))
        assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize("where", ["file", "file/out"])
def test_a_file_in_the_way(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageProblem, match="a file where a folder"):
        Options(store=Path("s"), out=tmp_path / where, high=Path("r"))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"strength": 1.5}, "outside"),
        ({"strength": -0.1}, "outside"),
        ({"average": "median"}, "unknown value"),
        ({"control": "noise"}, "unknown value"),
        ({"candidates": 0}, "less than 1"),
        ({"limit": 0}, "less than 1"),
        ({"limit": -1}, "less than 1"),
        ({"overwrite": True, "shard": (1, 2)}, "other shards"),
        ({"decoder": "low-level"}, "needs --low"),
        ({"high": None}, "needs --high"),
        ({"guidance": float("nan")}, "no scale"),
        ({"guidance": float("inf")}, "no scale"),
        ({"strength": float("nan")}, "outside"),
        ({"strength": 0.5}, "needs a latent"),
        (ALONE | {"high": Path("r")}, "does not read it .--high"),
        (ALONE | {"strength": 0.5}, "does not read it .--strength"),
        (ALONE | {"steps": 5, "decoder": "latent-rgb"}, "does not read it .--steps"),
        (ALONE | {"guidance": 2.0}, "does not read it .--guidance"),
        (ALONE | {"keep_candidates": True}, "does not read it .--keep-candidates"),
        ({"decoder": "nearest", "low": Path("r")}, "does not read it .--low"),
        ({"decoder": "nearest", "strength": 1.0}, "does not read it .--strength"),
    ],
)
def test_wrong_options(changes: dict, word: str) -> None:
    with pytest.raises(UsageProblem, match=word):
        Options(**{"store": Path("s"), "out": Path("o"), "high": Path("r")} | changes)


def test_options_that_are_read() -> None:
    base = {"store": Path("s"), "out": Path("o")}
    Options(**base, high=Path("r"), strength=1.0, guidance=0.0)
    Options(**base, high=Path("r"), low=Path("r"), strength=0.5)
    Options(**base | ALONE)


def test_ids_are_read_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("a\n\n b \n")
    assert read_ids(tmp_path / "ids") == ("a", "b")
    (tmp_path / "none").write_text("\n")
    with pytest.raises(InvalidInput, match="holds no id"):
        read_ids(tmp_path / "none")
    with pytest.raises(MissingResource):
        read_ids(tmp_path / "absent")
