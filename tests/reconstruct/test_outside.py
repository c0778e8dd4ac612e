"""`--decoder nearest --index`: pictures of an indexed collection, found by a numpy scan."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from reconstruct.study import TOKENS, build_store
from safetensors.numpy import load_file

from mindeye_cli.app import main

pytest.importorskip("faiss")
from index_helpers import clustered, write_shard  # noqa: E402  needs pyarrow

SIZES, WIDTH = (7, 5), 17 * 128
ABSENT = (3, 8)  # rows without a picture


@dataclass(frozen=True)
class Collection:
    store: Path
    ridge: Path
    index: Path
    pictures: Path
    rows: np.ndarray

    def words(self, out: Path, *more: str | Path) -> list[Any]:
        near = ("--decoder", "nearest", "--high", self.ridge, "--index", self.index)
        return ["reconstruct", self.store, out, *near, *more, "--json"]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    folder = tmp_path_factory.mktemp("outside")
    store, ridge = build_store(folder / "store.zarr"), folder / "ridge"
    given = ["train", "ridge", str(store), str(ridge), "--subject", "s1", "--space", TOKENS]
    assert main([*given, "--quiet"]) == 0
    rows = clustered(sum(SIZES), WIDTH)
    (folder / "pictures").mkdir()
    draw = np.random.default_rng(0)
    for number, part in enumerate(np.split(rows, [SIZES[0]])):
        write_shard(folder / "shards", number, part)
        for row in range(len(part)):
            if number * SIZES[0] + row not in ABSENT:
                pixels = draw.integers(0, 256, size=(40 + row, 90, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "pictures" / f"{number:04d}{row:06d}.png")
    index = folder / "index"
    made = ["retrieve", "index", str(folder / "shards"), str(index), "--space", TOKENS, "--quiet"]
    assert main(made) == 0
    return Collection(store, ridge, index, folder / "pictures", rows)


def order(collection: Collection, tmp_path: Path, call_cli: Any) -> np.ndarray:
    """Rows of the collection by cosine with each prediction, nearest first."""
    out = tmp_path / "predicted.npz"
    given = ("predict", collection.ridge, "--store", collection.store, "--split", "test")
    assert call_cli(*given, "--out", out).code == 0
    with np.load(out) as file:
        predicted = file["prediction"].reshape(-1, WIDTH)
    return np.argsort(-(predicted @ collection.rows.astype(np.float64).T), axis=1)


def place(position: int) -> tuple[str, str]:
    """SHARD:ROW and the picture's name."""
    number, row = divmod(position, SIZES[0]) if position < SIZES[0] else (1, position - SIZES[0])
    return f"img_emb_{number:04d}:{row}", f"{number:04d}{row:06d}.png"


def test_the_nearest_picture_at_hand(collection: Collection, tmp_path: Path, call_cli: Any) -> None:
    out = tmp_path / "out"
    given = collection.words(out, "--pictures", collection.pictures)
    assert call_cli(*given).json["n"] == 5
    manifest = json.loads((out / "manifest.json").read_text())
    tensors = load_file(out / "images.safetensors")["images"]
    ranked = order(collection, tmp_path, call_cli)
    for line, positions, tensor in zip(manifest["images"], ranked, tensors, strict=True):
        at_hand = [k for k, position in enumerate(positions) if position not in ABSENT]
        source, name = place(int(positions[at_hand[0]]))
        assert (line["source"], line["coarse_rank"]) == (source, at_hand[0] + 1)
        with Image.open(collection.pictures / name) as picture:
            cut = ImageOps.fit(picture, (64, 64), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(tensor, np.asarray(cut).transpose(2, 0, 1))
    assert call_cli(*given).json["status"] == "notneeded"
    again = call_cli(
        "reconstruct", collection.store, tmp_path / "again", "--replay", out / "manifest.json"
    )
    assert "5 as recorded" in again.stdout + again.stderr


def test_a_second_run_chooses_as_the_search_does(
    collection: Collection, tmp_path: Path, call_cli: Any
) -> None:
    more = ("--pictures", collection.pictures, "--rerank", collection.ridge)
    given = collection.words(tmp_path / "out", *more, "--candidates", "4")
    assert call_cli(*given).code == 0
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    brain = ("--store", collection.store, "--run", collection.ridge, "--k", "4")
    search = call_cli("retrieve", "search", collection.index, *brain, *more)
    lines = [json.loads(text) for text in search.stdout.splitlines()]
    assert [line["source"] for line in manifest["images"]] == [line["ids"][0] for line in lines]
    for ours, theirs in zip(manifest["images"], lines, strict=True):
        assert sorted(ours["scores"], reverse=True) == pytest.approx(theirs["scores"], abs=1e-6)


def test_an_image_without_any_picture_is_an_error_of_its_own(
    collection: Collection, tmp_path: Path, call_cli: Any
) -> None:
    (tmp_path / "few").mkdir()
    result = call_cli(*collection.words(tmp_path / "out", "--pictures", tmp_path / "few"))
    assert (result.code, result.json["status"], result.json["n"]) == (5, "partial", 0)
    assert "at hand" in result.json["errors"]["img000"]
    given = collection.words(tmp_path / "out", "--pictures", collection.pictures)
    assert call_cli(*given).json["n"] == 5, "the same command with the pictures goes on"


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ((), 2, "--pictures DIR"),
        (("--decoder", "scene", "--pictures", "."), 2, "does not read it"),
        (("--pictures", "nowhere"), 4, "no such folder"),
        (("--index", "nowhere", "--pictures", "."), 4, "no index there"),
        (("--download", "--offline"), 2, "forbidden"),
    ],
)
def test_bad_requests(
    collection: Collection, tmp_path: Path, call_cli: Any, more: Any, code: int, words: str
) -> None:
    result = call_cli(*collection.words(tmp_path / "out", *more))
    assert (result.code, result.json["error"]["code"]) == (code, code)
    assert words in str(result.json["error"])
    assert not (tmp_path / "out").exists()


def test_an_index_of_another_space(collection: Collection, tmp_path: Path, call_cli: Any) -> None:
    ridge = tmp_path / "pixels"
    given = ("train", "ridge", collection.store, ridge, "--subject", "s1", "--space", "scene-vae")
    assert call_cli(*given).code == 0
    pictures = ("--pictures", collection.pictures, "--high", ridge)
    result = call_cli(*collection.words(tmp_path / "out", *pictures))
    assert result.code == 3 and TOKENS in result.json["error"]["message"]
    alone = ("reconstruct", collection.store, tmp_path / "out", "--high", collection.ridge)
    result = call_cli(*alone, "--decoder", "nearest", "--rerank", ridge, "--json")
    assert result.code == 2 and "--index alone" in result.json["error"]["message"]
