"""The page in a real Chromium without a network: requests, pictures, accessibility, print."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report.pages import crowded

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
    pytest.mark.timeout(300),
]
MODES = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}
# Of each picture: whether it was decoded, and how much its pixels differ.
PICTURES = """async () => {
  const out = [];
  for (const img of document.images) {
    await img.decode();
    const canvas = new OffscreenCanvas(img.naturalWidth, img.naturalHeight);
    const draw = canvas.getContext('2d');
    draw.drawImage(img, 0, 0);
    const data = draw.getImageData(0, 0, canvas.width, canvas.height).data;
    let low = 255, high = 0;
    for (let k = 0; k < data.length; k += 4) {
      low = Math.min(low, data[k], data[k + 1], data[k + 2]);
      high = Math.max(high, data[k], data[k + 1], data[k + 2]);
    }
    const shown = img.getBoundingClientRect().width;
    out.push({ side: img.naturalWidth, shown, range: high - low });
  }
  return out;
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crowded(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Seen:
    """A tab that is open on the page, and what it complained of or asked for."""

    def __init__(self, browser: Any, file: Path, mode: str) -> None:
        self.context = browser.new_context(offline=True, bypass_csp=False, **MODES[mode])
        self.tab = self.context.new_page()
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda message: self.messages.append(message.text))
        self.tab.on("pageerror", lambda problem: self.messages.append(str(problem)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(file.as_uri())


@pytest.mark.parametrize("mode", MODES)
def test_page_in_chromium(browser: Any, file: Path, mode: str) -> None:
    seen = Seen(browser, file, mode)
    tab = seen.tab
    pictures = tab.evaluate(PICTURES)
    assert len(pictures) > 10
    assert all(p["side"] > 0 and p["shown"] > 40 and p["range"] > 20 for p in pictures)
    width = tab.evaluate("document.documentElement.scrollWidth")
    assert width <= MODES[mode]["viewport"]["width"], "the page itself scrolls sideways"
    assert [u for u in seen.requests if not u.startswith("data:")] == [file.as_uri()]
    assert seen.messages == []
    found = axe.Axe().run(tab).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert serious == [], [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in serious]
    seen.context.close()


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
