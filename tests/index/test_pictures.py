"""From pictures and brain responses to ranked pictures: a folder index and the second stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mindeye_store import open_store

POOLED, TOKENS = "scene-clip:pooled", "scene-clip:tokens"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, ridge runs of both spaces, and a folder with every picture."""
    from mindeye_cli.app import main

    root = tmp_path_factory.mktemp("world")
    store = root / "s.zarr"
    simulate = ["simulate", root / "data", "--layout", "arrays", "--images", "120"]
    for command in (
        [*simulate, "--test", "20", "--voxels", "300", "--repeats", "2"],
        ["prepare", "arrays", root / "data", store, "--subject", "me"],
        *(["prepare", "targets", store, "--space", space] for space in (POOLED, TOKENS)),
        *(
            ["train", "ridge", store, root / name, "--subject", "me", "--space", space]
            for name, space in (("pooled", POOLED), ("tokens", TOKENS))
        ),
    ):
        assert main([str(word) for word in (*command, "--quiet")]) == 0
    opened = open_store(store)
    (root / "pictures" / "half").mkdir(parents=True)
    for row, pixels in enumerate(opened.images.read(np.arange(opened.images.n))):
        folder = root / "pictures" / ("half" if row % 2 else ".")
        Image.fromarray(pixels).save(folder / f"{opened.images.ids[row]}.png")
    return root


def test_a_folder_is_embedded_once_and_searched(
    world: Path, tmp_path: Path, call_cli: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("mindeye_cli.index.folder.PIECE", 32)
    make = ("retrieve", "index", world / "pictures", tmp_path / "i")
    assert call_cli(*make).code == 2  # pictures want a SPACE
    assert call_cli(*make, "--space", TOKENS).code == 2  # a pooled one
    built = call_cli(*make, "--space", POOLED, "--json")
    assert built.code == 0, built.stderr
    opened = open_store(world / "s.zarr")
    assert built.json["n_vectors"] == opened.images.n and built.json["space"] == POOLED
    assert call_cli(*make, "--space", POOLED, "--json").json["status"] == "notneeded"

    pieces = sorted((tmp_path / "i/embeddings/img_emb").iterdir())
    pieces[1].unlink()  # as if the build had been cut short before this piece
    kept = {p: p.stat().st_mtime_ns for p in pieces if p.exists()}
    (tmp_path / "i" / "index.json").unlink()
    for folder in (tmp_path / "i" / "parts").iterdir():
        if folder.name == pieces[1].stem:
            for file in (*folder.iterdir(), folder):
                file.rmdir() if file.is_dir() else file.unlink()
    again = call_cli(*make, "--space", POOLED, "--json")
    assert again.code == 0, again.stderr
    assert again.json["n_vectors"] == opened.images.n
    assert {p: p.stat().st_mtime_ns for p in kept} == kept

    ask = ("retrieve", "search", tmp_path / "i", "--store", world / "s.zarr", "--subject", "me")
    wrong = call_cli(*ask, "--run", world / "tokens")
    assert wrong.code == 3 and POOLED in wrong.stderr
    coarse = call_cli(*ask, "--run", world / "pooled", "--k", "10")
    assert coarse.code == 0, coarse.stderr
    rows = {name: row for row, name in enumerate(opened.images.ids)}
    targets = np.asarray(opened.target(POOLED).read(np.arange(opened.images.n)), np.float64)
    for line in coarse.lines:
        assert line["query"] in rows
        found = [rows[Path(record["image_path"]).stem] for record in line["metadata"]]
        assert len(set(found)) == 10
        assert line["scores"] == sorted(line["scores"], reverse=True)
    far = call_cli(*ask, "--run", world / "pooled", "--k", "5", "--drop-near", "0.999")
    for line in far.lines:
        own = targets[rows[line["query"]]]
        for record in line["metadata"]:
            other = targets[rows[Path(record["image_path"]).stem]]
            assert other @ own < 0.9995


def test_the_second_stage_ranks_what_is_at_hand(world: Path, tmp_path: Path, call_cli: Any) -> None:
    from mindeye_cli.models.encoders import load_encoder
    from mindeye_cli.models.run_model import load_run

    index = tmp_path / "i"
    built = call_cli("retrieve", "index", world / "pictures", index, "--space", POOLED)
    assert built.code == 0, built.stderr
    ask = ("retrieve", "search", index, "--store", world / "s.zarr", "--run", world / "pooled")
    coarse = call_cli(*ask, "--k", "60").lines
    # Half of the pictures are lost: those that the metadata finds in the folder itself.
    second = (*ask, "--rerank", world / "tokens", "--k", "8", "--candidates", "60")
    everything = call_cli(*second)  # the index knows the folder that it was made from
    assert everything.code == 0 and "absent" not in everything.stderr, everything.stderr
    assert all(len(line["ids"]) == 8 for line in everything.lines)
    (tmp_path / "some" / "half").mkdir(parents=True)
    for file in (world / "pictures" / "half").iterdir():
        (tmp_path / "some" / "half" / file.name).write_bytes(file.read_bytes())
    found = call_cli(*second, "--pictures", tmp_path / "some")
    assert found.code == 0, found.stderr
    assert "'absent'" in found.stderr

    store = open_store(world / "s.zarr")
    subject = store.subject("me")
    voxels, index_of = np.asarray(subject.voxels.read(np.arange(len(subject.split)))), {}
    for image in np.unique(np.asarray(subject.image_index)[np.asarray(subject.split) == 1]):
        mean = voxels[np.asarray(subject.image_index) == image].mean(axis=0, keepdims=True)
        index_of[store.images.ids[image]] = mean.astype(np.float32)
    run, encoder = load_run(world / "tokens", "me"), load_encoder(TOKENS)
    for at in (0, 7, 19):
        line, before = found.lines[at], coarse[at]
        names = [record["image_path"] for record in before["metadata"]]
        there = [place for place, name in enumerate(names) if name.startswith("half/")][:8]
        brain = run.predict(index_of[line["query"]])["prediction"].ravel()
        scores = []
        for place in there:
            pixels = np.asarray(Image.open(world / "pictures" / names[place]).convert("RGB"))
            row = encoder.encode(pixels[None]).ravel()
            scores.append(row @ brain / np.linalg.norm(row) / np.linalg.norm(brain))
        order = np.argsort(-np.array(scores))
        assert line["ids"] == [before["ids"][there[i]] for i in order]
        assert np.allclose(line["scores"], np.array(scores)[order], atol=1e-5)
        assert [r["coarse_rank"] for r in line["metadata"]] == [there[i] + 1 for i in order]

    (tmp_path / "none").mkdir()
    nothing = call_cli(*second, "--pictures", tmp_path / "none")
    assert nothing.code == 5 and "no picture" in nothing.stderr
    assert all(line["ids"] == [] for line in nothing.lines)


def test_the_nearest_picture_of_a_prediction(world: Path, tmp_path: Path, call_cli: Any) -> None:
    """What another capability is handed: pixels, name and score, None where nothing is left."""
    from mindeye_cli.core.neighbours.at_hand import NearestPictures
    from mindeye_store.errors import InvalidInput

    index = tmp_path / "i"
    built = call_cli("retrieve", "index", world / "pictures", index, "--space", POOLED)
    assert built.code == 0, built.stderr
    store = open_store(world / "s.zarr")
    vectors = np.asarray(store.target(POOLED).read(np.array([3, 4])))
    pixels = store.images.read(np.array([3, 4]))
    for at, found in enumerate(NearestPictures(index, POOLED)(vectors)):
        assert found is not None and (found.pixels == pixels[at]).all()
        assert found.coarse_rank == 1 and found.score == pytest.approx(1, abs=1e-3)
    (tmp_path / "some").mkdir()
    names = [record["image_path"] for record in _metadata(index)]
    Image.open(world / "pictures" / names[0]).save(tmp_path / "some" / names[0])
    some = NearestPictures(index, POOLED, tmp_path / "some")
    found = some(vectors, candidates=len(names))
    assert all(one is not None and one.id == "img_emb_0000:0" for one in found)
    assert some.tally.reasons["absent"] > 0
    assert None in some(vectors, candidates=1)
    with pytest.raises(InvalidInput, match=POOLED):
        NearestPictures(index, TOKENS)


def _metadata(index: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    files = sorted((index / "embeddings" / "metadata").iterdir())
    return [record for file in files for record in pq.read_table(file).to_pylist()]
