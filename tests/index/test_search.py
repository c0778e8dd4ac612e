"""Filters, near-duplicates, and pictures of the second stage."""

from __future__ import annotations

import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import index_helpers as made
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

SIZES, DIM = (1500, 1100), 48


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, list[Any]]:
    """Shards, an exact and an inverted index of them, all rows and all metadata."""
    from mindeye_cli.index.build import build_index
    from mindeye_cli.index.options import IndexOptions

    root = tmp_path_factory.mktemp("search")
    rows = made.write_shards(root / "s", SIZES, DIM)
    for kind in ("exact", "ivf"):
        build_index(IndexOptions(source=root / "s", index=root / kind, kind=kind, lists=32))
    tables = [pq.read_table(f).to_pylist() for f in sorted((root / "s/metadata").iterdir())]
    return root, rows, [record for table in tables for record in table]


FILTERS = {
    "width >= 500 and width < 900": lambda r: 500 <= r["width"] < 900,
    'NSFW == "UNLIKELY"': lambda r: r["NSFW"] == "UNLIKELY",
    "NSFW == None or similarity > 0.9": lambda r: r["NSFW"] is None or r["similarity"] > 0.9,
    '"cat" in caption and not (width < 100)': lambda r: (
        "cat" in r["caption"] and not r["width"] < 100
    ),
    "width in [7, 14, 21, 701]": lambda r: r["width"] in (7, 14, 21, 701),
    "NSFW != 'NSFW'": lambda r: r["NSFW"] is not None and r["NSFW"] != "NSFW",
    "similarity > -1": lambda r: True,
}


@pytest.mark.parametrize("kind", ["exact", "ivf"])
@pytest.mark.parametrize("expression", FILTERS)
def test_filters(
    built: tuple[Path, np.ndarray, list[Any]], call_cli: Any, expression: str, kind: str
) -> None:
    root, rows, records = built
    kept = np.flatnonzero([FILTERS[expression](record) for record in records])
    queries = made.near(rows, 9)
    np.save(root / "q.npy", queries)
    k = min(8, len(kept))
    result = call_cli(
        "retrieve", "search", root / kind, "--queries", root / "q.npy",
        "--where", expression, "--k", k,
    )  # fmt: skip
    assert result.code == 0, result.stderr
    right = kept[made.brute_force(rows[kept], queries, k)]
    assert [line["ids"] for line in result.lines] == made.names(SIZES, right)
    at = right[0].tolist()
    assert result.lines[0]["metadata"] == [records[position] for position in at]


def test_a_filter_on_codes(built: Any, call_cli: Any, monkeypatch: Any) -> None:
    """Where too many rows are left to scan, codes are searched with the same filter."""
    root, rows, records = built
    monkeypatch.setattr("mindeye_cli.core.neighbours.search.FILTERED_EXACT_ROWS", 10)
    np.save(root / "q.npy", made.near(rows, 12))
    ask = (
        "retrieve",
        "search",
        root / "ivf",
        "--queries",
        root / "q.npy",
        "--where",
        "width > 300",
    )
    found = call_cli(*ask)
    assert found.code == 0, found.stderr
    assert all(m["width"] > 300 for line in found.lines for m in line["metadata"])
    right = [set(line["ids"]) for line in call_cli(*ask, "--exact").lines]
    shares = [len(set(a["ids"]) & b) / 16 for a, b in zip(found.lines, right, strict=True)]
    assert np.mean(shares) > 0.9


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "width", "1 < 2", "width < 1 < 2", "width + 1 > 2",
        "width > len('a')", "caption.x == 1", "lambda: 1", "width = 3", "(" * 500, "[] in width",
        "width == [1]", "width < None", "x" * 3000, "-'a' == width", "width in caption",
    ],
)  # fmt: skip
def test_what_is_no_filter(text: str) -> None:
    from mindeye_cli.core.neighbours.where import parse_where
    from mindeye_store.errors import UsageProblem

    with pytest.raises(UsageProblem):
        parse_where(text)


def test_near_duplicates_of_the_stimulus_are_dropped(tmp_path: Path, call_cli: Any) -> None:
    rows = made.clustered(800, 48)
    generator = np.random.default_rng(4)
    stimuli = rows[[10, 20]].astype(np.float32)
    for at in range(100, 160):  # 60 near copies of the first stimulus
        copy = stimuli[0] + 0.02 * generator.standard_normal(48)
        rows[at] = copy / np.linalg.norm(copy)
    made.write_shard(tmp_path / "s", 0, rows)
    assert call_cli("retrieve", "index", tmp_path / "s", tmp_path / "i").code == 0
    np.save(tmp_path / "q.npy", made.near(stimuli, 2, error=0.3))
    np.save(tmp_path / "t.npy", stimuli)
    queries = np.load(tmp_path / "q.npy")
    order = np.array([int(np.argmax(stimuli @ q)) for q in queries])
    np.save(tmp_path / "t.npy", stimuli[order])
    found = call_cli(
        "retrieve", "search", tmp_path / "i", "--queries", tmp_path / "q.npy", "--k", "5",
        "--stimuli", tmp_path / "t.npy", "--drop-near", "0.9",
    )  # fmt: skip
    assert found.code == 0, found.stderr
    true = rows.astype(np.float64) @ stimuli[order].astype(np.float64).T
    for at, line in enumerate(found.lines):
        kept = np.flatnonzero(true[:, at] < 0.9)
        right = kept[made.brute_force(rows[kept], queries[at : at + 1], 5)]
        assert [line["ids"]] == made.names((800,), right)


def _jpeg(colour: tuple[int, int, int]) -> bytes:
    pixels = np.full((8, 8, 3), colour, np.uint8)
    pixels[0] = 255 - pixels[0]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def web() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = {"/good.png": _jpeg((9, 8, 7)), "/text.png": b"<html>gone</html>"}
            self.send_response(200 if self.path in answers else 404)
            self.end_headers()
            self.wfile.write(answers.get(self.path, b""))

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_pictures_from_files_tars_and_the_web(tmp_path: Path, web: str) -> None:
    from mindeye_cli.core.neighbours.decode import NoPicture
    from mindeye_cli.core.neighbours.pictures import Pictures

    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.png").write_bytes(_jpeg((1, 2, 3)))
    (folder / "blank.png").write_bytes(_jpeg((0, 0, 0)))
    Image.new("RGB", (5, 5), (250, 250, 250)).save(folder / "blank.png")
    (folder / "broken.jpg").write_bytes(_jpeg((1, 1, 1))[:40])
    (tmp_path / "secret.png").write_bytes(_jpeg((5, 5, 5)))
    with tarfile.open(folder / "00003.tar", "w") as tar:
        for name, data in (("000030007.png", _jpeg((4, 5, 6))), ("000030007.txt", b"words")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    pictures = Pictures(folder, True, ["image_path", "url"])
    assert tuple(pictures.get({"image_path": "sub/a"})[4, 4]) == (1, 2, 3)
    assert tuple(pictures.get({"image_path": "000030007"})[4, 4]) == (4, 5, 6)
    assert tuple(pictures.get({"image_path": "no", "url": f"{web}/good.png"})[4, 4]) == (9, 8, 7)
    for record, why in (
        ({"image_path": "nowhere"}, "absent"),
        ({"image_path": "../secret"}, "absent"),
        ({"image_path": "blank"}, "blank"),
        ({"image_path": "broken"}, "damaged"),
        ({"url": f"{web}/text.png"}, "damaged"),
        ({"url": f"{web}/gone.png"}, "not downloaded"),
        ({"url": "file:///etc/hostname"}, "absent"),
        ({}, "absent"),
    ):
        with pytest.raises(NoPicture, match=why):
            pictures.get(record)
    local = Pictures(folder, False, ["image_path", "url"])
    with pytest.raises(NoPicture, match="absent"):
        local.get({"url": f"{web}/good.png"})


def test_download_is_forbidden_offline(built: Any, call_cli: Any) -> None:
    result = call_cli(
        "retrieve", "search", built[0] / "exact", "--queries", built[0] / "q.npy", "--download"
    )
    assert result.code == 2 and "--offline" in result.stderr
