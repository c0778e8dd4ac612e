"""The page of atoms in a real Chromium without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chromium import MODES, NEEDED, assert_good
from sae.conftest import Study, mindeye

pytestmark = [NEEDED, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def page(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("atoms") / "atoms.html"
    mindeye("sae", "show", study.store, study.sae, "--out", out)
    return out


@pytest.mark.parametrize("mode", MODES)
def test_page_in_chromium(browser: Any, page: Path, mode: str) -> None:
    assert_good(browser, page, mode, least=10)
