"""Every section from a page that has them all, in its three formats; what is hostile stays text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report.pages import crowded
from retrieve.study import HOSTILE, build

from mindeye_cli.report.sections.published import read
from mindeye_cli.report.verdict import verdict


class Words(HTMLParser):
    """The text of a page, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not [key for key, _ in attrs if key.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crowded(tmp_path_factory.mktemp("crowded"))


@pytest.fixture(scope="module")
def page(made: Path) -> Words:
    return Words(made.read_text(encoding="utf-8"))


def test_every_section_is_there(page: Words) -> None:
    titles = (
        "Summary, Systems side by side, Differences between systems, Published scores,"
        " Reconstruction, Generalisation, Retrieval, Brain areas, Further pages, Training,"
        " Methods, Provenance"
    ).split(", ")
    places = [page.text.rindex(f" {title} ") for title in titles]
    assert len(set(places)) == len(titles)


def test_warnings_of_evaluate_stand_in_the_summary(page: Words) -> None:
    summary = page.text[: page.text.index("How to read the cards")]
    assert f"Warning: recon/one: rows-shifted shifted by one {HOSTILE}" in summary
    assert "Warning: recon/one, recon/two only 12 images" in summary and "1 comparison;" in summary


def test_systems_are_ordered_by_the_stated_rule(page: Words) -> None:
    table = page.text[page.text.rindex("Systems side by side") :]
    assert table.index("recon/one 1.0") < table.index("recon/two 2.0")


def test_differences_stand_with_their_intervals_and_corrected_p(page: Words, made: Path) -> None:
    part = page.text[page.text.rindex("Differences between systems") :]
    found = json.loads((made.parent.parent / "demo" / "compare.json").read_text())["metrics"]
    for name, unit, places in (("PixCorr", "pixcorr", 3), ("PSNR", "psnr", 2)):
        line = found[unit]
        low, high = line["ci95"]
        words = f"{name} ↑ +{line['difference']:.{places}f} {low:.{places}f} to {high:.{places}f}"
        assert words in part, words
        # Half the noise on every one of 12 images: 2 of 2,001, twice that by Holm, 2 of 2^12.
        assert part.split(words)[1].startswith(" < 0.001 0.002 < 0.001 12 recon/one")
    assert "mindeye compare one two --seed 3 --out compare.json" in part
    assert "(Holm 1979)" in part and "Holm S (1979)" in part


def test_panel_shows_tables_and_what_was_not_measured(page: Words) -> None:
    part = page.text[page.text.rindex("Generalisation") :]
    for words in ("1 (nearest) 3 0.5 (0.400 to 0.600)", "0.4375", "Not measured: recon/one"):
        assert words in part
    assert "100 entries" not in part and "likeness 0" not in part


def test_areas_and_pages_of_other_commands(page: Words, made: Path) -> None:
    part = page.text[page.text.index("face Which areas") :]
    assert f"Which areas answer for {HOSTILE}?" in part
    assert "V1 0.125 0.100 to 0.150 71.5" in part
    for words in ("Atom <b> of it", "l0 : 16", "Atom 7: face", "V4 0.3"):
        assert words in part, words
    text = made.read_text()
    assert "example.org" not in text and "alert(2)" not in text and "color: red" not in text
    assert not page.tags & {"script", "iframe", "object", "base", "form"}


def test_published_scores_have_a_source_and_stand_apart(page: Words) -> None:
    part = page.text[page.text.index("Warning: Not comparable") :]
    assert "the two are not comparable" in part and "On this page" not in part
    document = read()
    for entry in document["system"]:
        assert entry["source"] and set(entry["source"]) <= set(document["sources"])
        assert entry["name"] in part
    shown = {entry["name"]: entry["scores"] for entry in document["system"]}
    # Known only from memory: they must not be filled in.
    assert "inception" not in shown["MindEye"] and "alexnet5" not in shown["MindTuner, 1 h"]


def test_markdown_has_the_tables_and_no_live_markup(made: Path) -> None:
    text = made.with_suffix(".md").read_text(encoding="utf-8")
    assert "<script" not in text.replace("\\<script", "")
    assert "> [!WARNING]" in text
    for block in re.findall(r"(?:^\|.*\|$\n)+", text, re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(cells) == 1, block


def test_latex_is_balanced_and_compiles_where_it_can(made: Path, tmp_path: Path) -> None:
    file = made.with_suffix(".tex")
    text = file.read_text(encoding="utf-8")
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    for name in ("longtable", "itemize", "document"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") > 0
    if shutil.which("pdflatex"):
        command = ["pdflatex", "-halt-on-error", "-interaction=batchmode", str(file)]
        assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0


def test_pictures_of_nsd_come_with_its_agreement(
    made: Path, call_cli: Callable, tmp_path: Path
) -> None:
    study, out = build(tmp_path, source="NSD"), tmp_path / "report.html"
    scores = tmp_path / "retrieval.json"
    assert call_cli("retrieve", "pool", study.store, study.run, "--out", scores).code == 0
    assert call_cli("report", scores, "--out", out).code == 0
    reminder = "has agreed to its data access agreement"
    assert reminder in Words(out.read_text(encoding="utf-8")).text
    assert reminder not in made.read_text(encoding="utf-8")


def test_verdict_needs_the_whole_interval_beyond_the_hardest_control() -> None:
    controls = {
        "chance": {"value": 0.5},
        "prior-only": {"value": 0.6, "ci95": [0.5, 0.7]},
        "ceiling": {"value": 0.99},
    }
    line = {"value": 0.8, "ci95": [0.71, 0.9], "direction": "higher", "controls": controls}
    found = verdict(line)
    assert found is not None and found.control == "prior-only" and found.clear
    near = verdict({**line, "ci95": [0.69, 0.9]})
    assert near is not None and not near.clear
    lower = verdict({**line, "value": 0.3, "ci95": [0.2, 0.49], "direction": "lower"})
    assert lower is not None and lower.clear
    assert verdict({**line, "ci95": [None, None]}) is None
    assert verdict({**line, "controls": {}}) is None


def test_bad_pages_are_one_line(call_cli: Callable, tmp_path: Path) -> None:
    cases = {
        "a.html": (b"\xff\xfe\xfa", "UTF-8"),
        "b.html": (b'<img src="data:image/png;base64,AAAA">', "damaged"),
        "c.json": (json.dumps({"rois": [1], "question": "q"}).encode(), "rois"),
        "d.png": (b"no picture", "not a readable picture"),
    }
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        done = call_cli("report", tmp_path / name, "--out", tmp_path / "out" / "p.html")
        assert done.code == 3 and words in done.stderr and name in done.stderr, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    for option in (("--format", "pdf"), ("--rows", "-1")):
        done = call_cli("report", tmp_path, "--out", tmp_path / "p.html", *option)
        assert done.code == 2 and option[0] in done.stderr
    assert call_cli("report", tmp_path, "--out", tmp_path / "p.txt").code == 2
