"""`mindeye report`: one page from the files of a small study, read back with a parser."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from evaluate.folders import noisy, recon, save
from PIL import Image
from retrieve.study import HOSTILE, Study, build

from mindeye_cli.app import main
from mindeye_cli.report.charts.curves import panels
from mindeye_cli.report.numbers import number, span
from mindeye_cli.report.sections.gallery import choose_rows

VOID = {"meta", "link", "br", "img", "line", "rect", "circle", "path", "polyline"}


class Page(HTMLParser):
    """Elements with their attributes, checked for balance while reading."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            while self.open[-1] in ("li", "dd", "dt", "p") and self.open[-1] != tag:
                self.open.pop()
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    """A folder laid out like the demo's: store, runs, retrieval, reconstructions with controls."""
    folder = tmp_path_factory.mktemp("demo")
    made = build(folder)
    truth = {name: made.pixels[k] for k, name in enumerate(made.ids[:12])}
    pictures = {name.replace("/", "_"): pixels for name, pixels in truth.items()}
    names = dict(zip(pictures, truth, strict=True))
    for kind, amount in (("both", 60), ("high-level", 90), ("prior-only", 250)):
        _recon(folder / "recon" / kind, noisy(pictures, amount), names, made.store)
    save(
        folder / "recon" / "both" / "blurry",
        {f"pic-{k}": pixels for k, pixels in noisy(pictures, 120, seed=2).items()},
    )
    out = folder / "retrieval-ridge.json"
    assert main(["retrieve", "pool", str(made.store), str(made.run), "--out", str(out)]) == 0
    recons = folder / "recon"
    controls = [f"--control={name}={recons / name}" for name in ("high-level", "prior-only")]
    metrics = ["--metrics", "pixcorr,psnr"]
    assert main(["evaluate", str(recons / "both"), *controls, *metrics]) == 0
    return folder, made


def _recon(folder: Path, pictures: dict, names: dict[str, str], store: Path) -> None:
    recon(folder, pictures, store=str(store), decoder="scene", seed=0)
    manifest = json.loads((folder / "manifest.json").read_text())
    for line in manifest["images"]:
        line["id"] = names[line["id"]]
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def page(study: tuple[Path, Study]) -> tuple[str, Page]:
    out = study[0] / "report.html"
    assert main(["report", str(study[0]), "--out", str(out), "--quiet"]) == 0
    text = out.read_text(encoding="utf-8")
    return text, Page(text)


def test_page_needs_nothing_beside_it(page: tuple[str, Page]) -> None:
    text, parsed = page
    for _, attributes in parsed.elements:
        for key in ("src", "href", "srcset", "data", "poster", "action"):
            assert (attributes.get(key) or "data:").startswith(("data:", "#")), attributes
    assert "url(" not in text and "@import" not in text
    assert not parsed.all("script") and not parsed.all("iframe")


def test_every_picture_is_a_png_that_is_not_blank(page: tuple[str, Page]) -> None:
    pictures = page[1].all("img")
    assert len(pictures) > 40
    for attributes in pictures:
        head, _, body = (attributes["src"] or "").partition(",")
        assert head == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(body))) as picture:
            assert picture.format == "PNG" and np.asarray(picture).std() > 5


def test_page_is_readable_by_assistive_technology(page: tuple[str, Page]) -> None:
    text, parsed = page
    assert parsed.all("html")[0]["lang"] == "en"
    assert any(meta.get("name") == "viewport" for meta in parsed.all("meta"))
    assert all(picture.get("alt") for picture in parsed.all("img"))
    assert len(parsed.all("caption")) == len(parsed.all("table")) >= 3
    assert all(head.get("scope") in ("col", "row", "rowgroup") for head in parsed.all("th"))
    assert all(chart.get("aria-label") or chart.get("aria-hidden") for chart in parsed.all("svg"))
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    ids = [attributes["id"] for _, attributes in parsed.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    anchors = {(link["href"] or "")[1:] for link in parsed.all("a")}
    assert anchors <= set(ids)
    assert "prefers-color-scheme: dark" in text and "@media print" in text


def contrast(first: str, second: str) -> float:
    """WCAG 2 contrast ratio of two colours."""

    def light(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(first), light(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_have_contrast_in_both_themes(page: tuple[str, Page]) -> None:
    themes = [
        dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in page[0].split("@media")[:2]
    ]
    assert len(themes) == 2
    for theme in themes:
        for ground in ("page", "band"):
            for ink in ("text", "quiet", "one", "good", "bad"):
                assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
            for mark in ("two", "null"):
                assert contrast(theme[mark], theme["page"]) >= 3.0


def test_hostile_names_are_text(page: tuple[str, Page]) -> None:
    text, parsed = page
    assert HOSTILE not in text and "&lt;script&gt;" in text
    assert HOSTILE in parsed.text
    assert any(HOSTILE in (picture["alt"] or "") for picture in parsed.all("img"))


def test_page_says_what_it_must(page: tuple[str, Page], study: tuple[Path, Study]) -> None:
    words = page[1].text
    for phrase in (
        "What they cannot show",
        "image retrieval (brain → image)",
        "brain retrieval (image → brain)",
        "permuted",
        "No row was picked by hand",
        "Scotti PS",
        "higher is better",
        "Configuration",
        "Fingerprints and versions",
        "How each metric is computed",
    ):
        assert phrase in words, phrase
    heads = words[words.index("No row was picked by hand") :]
    columns = ["stimulus", "low-level", "high-level", "both", "prior-only"]
    assert [heads.index(name) for name in columns] == sorted(heads.index(n) for n in columns)
    scores = json.loads((study[0] / "recon/both/evaluation.json").read_text())
    assert number(scores["metrics"]["pixcorr"]["value"]) in words
    assert span(scores["metrics"]["pixcorr"]["ci95"]) in words


def test_rows_follow_the_rule(page: tuple[str, Page], study: tuple[Path, Study]) -> None:
    scores = json.loads((study[0] / "recon/both/evaluation.json").read_text())
    values = dict(zip(scores["ids"], scores["metrics"]["pixcorr"]["per_image"], strict=True))
    best, worst = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
    reasons = re.findall(r'scope="row">(.*?)<br><span class="quiet">([^<]*)</span>', page[0])
    shown = {name: reason for name, reason in reasons if "rank" not in reason}
    assert "best" in shown[best] and "worst" in shown[worst]


def test_choose_rows() -> None:
    values = [0.1, 0.9, None, 0.5, 0.4, 0.8, 0.2]
    chosen = dict(choose_rows(values, 2))
    assert chosen[0] == "by id, worst" and chosen[1] == "by id, best" and chosen[5] == "best"
    assert chosen[6] == "worst" and "median" in chosen[3] and "median" in chosen[4]
    assert 2 not in chosen
    assert choose_rows([None, None], 1) == [(0, "by id")]
    assert choose_rows([], 3) == []


def test_the_same_inputs_give_the_same_page(study: tuple[Path, Study], call_cli: Callable) -> None:
    folder, made = study
    out = folder / "twice.html"
    assert call_cli("report", folder, "--out", out, "--json").json["status"] == "ok"
    assert call_cli("report", folder, "--out", out, "--json").json["status"] == "notneeded"
    other = call_cli("report", folder, "--out", out, "--title", "T & <b>")
    assert other.code == 2 and "--overwrite" in other.stderr
    command = ("report", folder, "--out", out, "--title", "T & <b>", "--overwrite")
    assert call_cli(*command).code == 0
    assert "<h1>T &amp; &lt;b&gt;</h1>" in out.read_text()


def test_a_moved_store_is_named_or_given(
    study: tuple[Path, Study], call_cli: Callable, tmp_path: Path
) -> None:
    folder, made = study
    document = json.loads((folder / "retrieval-ridge.json").read_text())
    document["store"] = str(tmp_path / "gone.zarr")
    moved = tmp_path / "moved.json"
    moved.write_text(json.dumps(document))
    out = tmp_path / "page.html"
    done = call_cli("report", moved, "--out", out)
    assert done.code == 4 and "--store" in done.stderr and not out.exists()
    assert call_cli("report", moved, "--out", out, "--store", made.store).code == 0


def test_bad_input_is_one_line(
    study: tuple[Path, Study], call_cli: Callable, tmp_path: Path
) -> None:
    good = json.loads((study[0] / "retrieval-ridge.json").read_text())
    files = {
        "not JSON": "{",
        "version 9": json.dumps({**good, "schema_version": 9}),
        "image_retrieval": json.dumps({k: v for k, v in good.items() if k != "image_retrieval"}),
        "not a JSON object": "[1]",
    }
    for words, content in files.items():
        file = tmp_path / "r.json"
        file.write_text(content)
        done = call_cli("report", file, "--out", tmp_path / "p.html")
        assert done.code == 3 and words in done.stderr, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    (tmp_path / "empty").mkdir()
    for path, code in ((tmp_path / "empty", 3), (tmp_path / "absent", 4)):
        assert call_cli("report", path, "--out", tmp_path / "p.html").code == code
    assert not (tmp_path / "p.html").exists()


def test_other_json_files_in_a_folder_are_passed_by(
    study: tuple[Path, Study], call_cli: Callable, tmp_path: Path
) -> None:
    (tmp_path / "log.json").write_text("")
    retrieval = study[0] / "retrieval-ridge.json"
    (tmp_path / "r.json").write_bytes(retrieval.read_bytes())
    assert call_cli("report", tmp_path, "--out", tmp_path / "p.html").code == 0


def test_curves_join_training_and_validation() -> None:
    log = [{"step": s, "epoch": 0, "loss": 4.0 - s, "seconds": 1.0} for s in range(4)]
    log += [{"step": s, "validation_loss": 5.0 - s} for s in (1, 3)]
    log += [{"step": 3, "error": "text", "once": 1.0, "flag": True, "gone": None}]
    (panel,) = panels(log)
    assert panel.caption == "loss: training (solid) ends at 1, validation (dashed) ends at 2"
    curves = {s.attributes["class"]: s for s in panel.shapes if s.tag == "polyline"}
    assert list(curves) == ["training", "validation"]
    points = str(curves["training"].attributes["points"]).split()
    xs, ys = zip(*(map(float, p.split(",")) for p in points), strict=True)
    assert list(xs) == sorted(xs) and list(ys) == sorted(ys)
