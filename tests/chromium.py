"""A real Chromium without a network: what a page asks for, shows and complains of."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NEEDED = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
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


def assert_good(browser: Any, file: Path, mode: str, least: int) -> None:
    """No request, no message, every picture decoded and not blank, no serious violation."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe")
    seen = Seen(browser, file, mode)
    tab = seen.tab
    pictures = tab.evaluate(PICTURES)
    assert len(pictures) >= least
    assert all(p["side"] > 0 and p["shown"] > 40 and p["range"] > 20 for p in pictures), pictures
    width = tab.evaluate("document.documentElement.scrollWidth")
    assert width <= MODES[mode]["viewport"]["width"], "the page itself scrolls sideways"
    assert [u for u in seen.requests if not u.startswith("data:")] == [file.as_uri()]
    assert seen.messages == []
    found = axe.Axe().run(tab).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert serious == [], [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in serious]
    seen.context.close()
