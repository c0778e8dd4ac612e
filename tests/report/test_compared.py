"""Systems in order, and what `mindeye compare` found, on a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare.test_compare import synthetic
from report.test_sections import Words
from retrieve.study import HOSTILE

from mindeye_cli.report.findings import Evaluation
from mindeye_cli.report.ranking import ranked_by, ranking

LINE: dict[str, Any] = {"difference": -0.25, "ci95": [None, None], "p": None, "n": 7}
LINE |= {"direction": "lower", "p_holm": None, "better": None}


def evaluation(name: str, ids: str = "abc", **metrics: list[float | None]) -> Evaluation:
    lines = {}
    for key, each in metrics.items():
        known = [v for v in each if v is not None]
        mean = sum(known) / len(known) if known else None
        lines[key] = {"value": mean, "per_image": each, "direction": "higher"}
    scores = {"ids": list(ids), "metrics": lines}
    return Evaluation(name=name, path=Path(name), scores=scores, manifest=None)


def order(*group: Evaluation) -> list[tuple[str, float]]:
    return [(item.name, rank) for item, rank in ranking(group)]


def test_systems_are_ranked_only_by_what_all_have_on_the_same_pictures() -> None:
    honest = evaluation("honest", pixcorr=[0.4, 0.5, 0.6], ssim=[0.3, 0.3, 0.3])
    # Constant pictures but one: its mean over the one is the higher, and says nothing.
    lazy = evaluation("lazy", pixcorr=[None, None, 0.9], ssim=[0.2, 0.2, 0.2])
    assert ranked_by([lazy, honest]) == ["ssim"]
    assert order(lazy, honest) == [("honest", 1.0), ("lazy", 2.0)]
    # A constant stimulus is constant for all.
    one = evaluation("one", pixcorr=[None, 0.5, 0.6], ssim=[0.2, 0.2, 0.2])
    two = evaluation("two", pixcorr=[None, 0.8, 0.9], ssim=[0.3, 0.3, 0.3])
    three = evaluation("three", pixcorr=[None, 0.7, 0.7], ssim=[0.5, 0.5, 0.5])
    assert dict(order(one, two, three)) == {"one": 3.0, "two": 1.5, "three": 1.5}


def test_single_trials_are_counted_and_not_their_images() -> None:
    honest = evaluation("honest", "aabb", pixcorr=[0.8] * 4)
    lazy = evaluation("lazy", "aabb", pixcorr=[None, 0.9, None, 0.9])
    assert ranked_by([lazy, honest]) == []
    # Without anything in common the order is that of the names.
    assert [name for name, _ in order(lazy, honest)] == ["honest", "lazy"]


def comparison(*systems: str, **more: Any) -> dict[str, Any]:
    head = {"schema": "mindeye-comparison", "schema_version": 1, "systems": list(systems)}
    asked = {"metrics": None, "seed": 0}
    pairs = [
        {"first": systems[0], "second": other, "metrics": {"swav": LINE}, "rows": {}}
        for other in systems[1:]
    ]
    return {**head, "asked": asked, "comparisons": pairs, **more}


@pytest.fixture
def shown(call_cli: Callable, tmp_path: Path) -> Callable[..., str]:
    """Write a comparison and read the page that is made of it."""

    def show(document: dict[str, Any], *more: Path) -> str:
        (tmp_path / "c.json").write_text(json.dumps(document))
        out = tmp_path / "page" / "p.html"
        options = ("--out", out, "--overwrite")
        assert call_cli("report", tmp_path / "c.json", *more, *options).code == 0
        return Words(out.read_text(encoding="utf-8")).text

    return show


def test_a_line_without_numbers_and_a_metric_left_out(shown: Callable[..., str]) -> None:
    document = comparison("/far/one", "/far/two")
    document["comparisons"][0]["metrics"]["swav"] = {**LINE, "note": "few subjects"}
    document["comparisons"][0]["skipped"] = {HOSTILE: "not there"}
    text = shown(document)
    assert "This page shows 1 comparison." in text and "one against two" in text
    assert "SwAV ↓ −0.250 – – – 7 –" in text and "Over all rows: few subjects." in text
    assert f"{HOSTILE} not there" in text.replace(" :", "")


def test_no_name_stands_for_two_systems(shown: Callable[..., str]) -> None:
    text = shown(comparison("/far/exp0/a", "/far/exp1/recon", "/far/exp2/recon"))
    assert "a against exp1/recon" in text and "a against exp2/recon" in text
    text = shown(comparison("/far/exp0/recon", "/far/exp1/recon", "/far/exp2/b"))
    assert "exp0/recon against exp1/recon" in text and "exp0/recon against b" in text
    # Folders beyond what tells them apart are nobody's business.
    assert "/far" not in text


def test_the_command_is_the_one_that_was_given(shown: Callable[..., str]) -> None:
    asked = {"metrics": "swav,ssim", "seed": 5}
    text = shown(comparison("/far/one", "/far/two", "/far/three", asked=asked))
    assert "mindeye compare one two three --metrics swav,ssim --seed 5 --out" in text
    text = shown(comparison("/far/one", "/far/two"))
    assert "mindeye compare one two --out" in text


def test_rows_of_subjects_stand_below_all_rows(
    call_cli: Callable, tmp_path: Path, shown: Callable[..., str]
) -> None:
    draw = np.random.default_rng(0)
    for kind, shift in (("one", 0.2), ("two", 0.0)):
        for row in ("s1", "s2"):
            synthetic(tmp_path / kind / row, draw.normal(shift, 0.01, 30), subject=row)
    found = tmp_path / "made.json"
    assert call_cli("compare", tmp_path / "one", tmp_path / "two", "--out", found).code == 0
    text = shown(json.loads(found.read_text()))
    part = text[text.rindex("one against two") :]
    places = [part.index(words) for words in ("All rows score", "s1 score", "s2 score")]
    assert places == sorted(places) and "Over all rows: fewer than 8 subjects" in part
    assert "(rows: over all of those too)" in part


def test_damaged_comparisons_are_one_line(call_cli: Callable, tmp_path: Path) -> None:
    whole = comparison("/far/one", "/far/two")
    file = tmp_path / "c.json"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"schema_version": 0}, "version 1"),
        ({"comparisons": []}, "comparisons"),
        ({"comparisons": None}, "comparisons"),
        ({"comparisons": [{"first": "a"}]}, "metrics"),
        ({"systems": ["/far/one"]}, "systems"),
    ]
    for change, words in cases:
        file.write_text(json.dumps({**whole, **change}))
        done = call_cli("report", file, "--out", tmp_path / "p.html")
        assert done.code == 3 and "c.json" in done.stderr and words in done.stderr, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
