"""The page in a real Chromium without a network: requests, pictures, accessibility, print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chromium import MODES, NEEDED, Seen, assert_good
from report.pages import crowded

pytestmark = [NEEDED, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crowded(tmp_path_factory.mktemp("browser"))


@pytest.mark.parametrize("mode", MODES)
def test_page_in_chromium(browser: Any, file: Path, mode: str) -> None:
    assert_good(browser, file, mode, least=10)


def test_keyboard_reaches_the_content_and_every_wide_table(browser: Any, file: Path) -> None:
    seen = Seen(browser, file, "phone")
    tab = seen.tab
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.getAttribute('href')") == "#main"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"
    names = tab.evaluate(
        "[...document.querySelectorAll('[tabindex=\"0\"][role=region]')].map(e => e.ariaLabel)"
    )
    assert len(names) > 3 and len(set(names)) == len(names)
    seen.context.close()


def test_print_shows_what_the_screen_does(browser: Any, file: Path) -> None:
    seen = Seen(browser, file, "dark")
    tab = seen.tab
    tab.emulate_media(media="print")
    colours = (
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    ground, ink = tab.evaluate(colours)
    assert ground == "rgb(255, 255, 255)" and ink != ground
    assert tab.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert tab.pdf(format="A4").startswith(b"%PDF")
    assert seen.messages == []
    seen.context.close()
