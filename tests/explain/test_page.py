"""The page of explanations: what it says, and in a real Chromium without a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chromium import MODES, NEEDED, assert_good
from explain.conftest import Study, mindeye

from mindeye_store import open_store


@pytest.fixture(scope="module")
def page(
    study: Study, faces: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("page")
    image = open_store(study.store).images.ids[0]
    what = ("explain", "image", study.store, study.run, f"image:{image}")
    mindeye(*what, "--out", folder / "one", "--ask", "responds,needed")
    mindeye(
        "report", faces[0], folder / "one", "--out", folder / "p.html", "--format", "html,md,tex"
    )
    return folder / "p.html"


def test_every_question_is_named_with_its_areas(
    page: Path, faces: tuple[Path, dict[str, Any]]
) -> None:
    text = page.read_text()
    for words in ("(encoding)", "(attribution)", "(occlusion)", "Finding", "coherence"):
        assert words in text
    named = [name for name, line in faces[1]["rois"].items() if line["named"]]
    assert ", ".join(named[:6]) in text
    markdown, latex = (
        page.with_suffix(".md").read_text().replace("\\", ""),
        page.with_suffix(".tex").read_text(),
    )
    for name, line in faces[1]["needed"]["rois"].items():
        assert f"{line['loss']:.3f}".replace("-", "\u2212") in markdown and name in markdown
    assert "(occlusion)" in latex
    assert "NSD" not in text  # the responses are simulated


def test_pictures_without_a_name_are_not_dropped(
    faces: tuple[Path, dict[str, Any]], call_cli: Callable[..., Any], tmp_path: Path
) -> None:
    shutil.copytree(faces[0], tmp_path / "faces")
    first = next((tmp_path / "faces").glob("asked-*.png"))
    for number in range(100, 400):
        shutil.copy(first, first.with_name(f"asked-{number}.png"))
    done = call_cli("report", tmp_path / "faces", "--out", tmp_path / "p.html")
    assert done.code == 3 and "'names' holds" in done.stderr and "explanation.json" in done.stderr


@NEEDED
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", MODES)
def test_page_in_chromium(browser: Any, page: Path, mode: str) -> None:
    assert_good(browser, page, mode, least=12)
