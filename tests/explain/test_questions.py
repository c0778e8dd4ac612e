"""`mindeye explain image` and `explain set` from store and run to answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explain.conftest import Study, mindeye
from explain.copies import SUBJECT, seen, seen_row
from PIL import Image

from mindeye_cli.core import trials
from mindeye_cli.explain.encoder import open_encoder
from mindeye_store import open_store

# Areas of the simulator that are tuned to each category.
TUNED = {
    "face": {"FFA-1", "FFA-2", "OFA"},
    "body": {"EBA", "FBA-1", "FBA-2"},
    "word": {"OWFA", "VWFA-1", "VWFA-2"},
    "house": {"OPA", "PPA", "RSC"},
}


def explain(kind: str, study: Study, *words: object) -> dict:
    return mindeye("explain", kind, study.store, study.run, *words)


def test_one_image_answers_all_three_questions(study: Study) -> None:
    found = explain("image", study, seen(study))
    assert (found["command"], found["status"], found["outputs"]) == ("explain image", "ok", [])
    assert found["question"] == "responds" and found["maps"] == []
    assert found["used"]["question"] == "used by decoder"
    assert found["needed"]["question"] == "needed by decoder"
    areas = set(found["rois"])
    assert {"FFA-1", "V1v", "PPA"} <= areas
    assert areas == set(found["used"]["rois"]) == set(found["needed"]["rois"])
    for line in found["rois"].values():
        low, high = line["ci95"]
        assert low <= line["score"] <= high and 0 <= line["percentile"] <= 100
    deviations = [line["deviation"] for line in found["rois"].values()]
    assert deviations == sorted(deviations, reverse=True)
    # The subject saw it: its own trials are read.
    assert found["trials"]["source"] == "measured"
    (image,) = found["trials"]["images"]
    assert image == {
        "id": seen(study).removeprefix("image:"),
        "trials": 3,
        "cosine": 1.0,
        "trained_decoder": False,
    }
    assert found["training"]["nearest_training"] != image["id"] and found["training"]["cosine"] < 1


def test_scores_are_those_of_the_encoding_model(study: Study) -> None:
    """Against numpy on the kept tensors: mean over an area of prediction times r."""
    store = open_store(study.store)
    encoder = open_encoder(store, study.run, None)
    row = seen_row(study)
    every = store.target(encoder.space).read(np.arange(store.images.n)).reshape(store.images.n, -1)
    test = trials.test_images_any_subject(store)
    np.testing.assert_array_equal(encoder.references, test)
    model = encoder.refits.model
    others = np.setdiff1d(test, [row])
    centre = every[test].mean(axis=0)
    r = np.maximum(model.r.numpy(), 0)
    maps = (every - centre) @ model.weight.numpy() * r
    found = explain("image", study, seen(study), "--ask", "responds")["rois"]
    subject = store.subject(SUBJECT)
    for name, atlas, label in (("FFA-1", "floc-faces", 2), ("V1v", "prf-visualrois", 1)):
        scores = maps[:, subject.rois[atlas].labels == label].mean(axis=1)
        assert found[name]["score"] == pytest.approx(scores[row], abs=1e-4)
        below = (scores[others] < scores[row]).mean() * 100
        assert found[name]["percentile"] == pytest.approx(below, abs=1e-6)
        away = (scores[row] - scores[others].mean()) / scores[others].std(ddof=1)
        assert found[name]["deviation"] == pytest.approx(away, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("category", list(TUNED))
def test_a_planted_area_comes_first_for_its_category(study: Study, category: str) -> None:
    found = explain("set", study, f"where:category={category}", "--ask", "responds")
    first = next(iter(found["rois"]))
    assert first in TUNED[category]
    line = found["rois"][first]
    assert line["named"] and line["q"] < 0.05 and line["unusual"] < 0.05
    assert line["ci95"][0] <= line["score"] <= line["ci95"][1] and line["score"] > 0
    assert found["coherence"]["value"] > found["coherence"]["random"]


def test_the_opposite_contrast_has_the_opposite_sign(study: Study) -> None:
    sets = ("where:category=face", "where:category=house")
    one = explain("set", study, sets[0], "--vs", sets[1], "--ask", "responds")
    two = explain("set", study, sets[1], "--vs", sets[0], "--ask", "responds")
    assert one["against"] == sets[1]
    for name, line in one["rois"].items():
        assert line["score"] == pytest.approx(-two["rois"][name]["score"], abs=1e-5)
    assert next(iter(one["rois"])) in TUNED["face"]


def test_the_decoder_reads_the_areas_of_a_category(faces: tuple[Path, dict[str, Any]]) -> None:
    _, found = faces
    wide = ("ventral", "lateral", "midlateral")
    for part, size in (("used", "share"), ("needed", "loss")):
        best = next(name for name in found[part]["rois"] if name not in wide)
        assert best in TUNED["face"] and found[part]["rois"][best][size] > 0
    for line in found["needed"]["rois"].values():
        low, high = line["ci95"]
        assert low <= line["loss"] <= high and line["p"] <= line["q"] + 1e-6


@pytest.mark.parametrize(("ask", "question"), [("used", "used"), ("needed", "needed")])
def test_every_question_alone_keeps_the_contract(study: Study, ask: str, question: str) -> None:
    """`rois` holds `score` and `ci95` whatever is asked; the first question is named."""
    found = explain("image", study, seen(study), "--ask", ask)
    assert found["question"] == f"{question} by decoder" == found[ask]["question"]
    for name, line in found["rois"].items():
        size = found[ask]["rois"][name]["share" if ask == "used" else "loss"]
        assert line["score"] == size and "ci95" in line


def test_predicted_responses_are_marked(study: Study) -> None:
    found = explain("image", study, seen(study), "--predicted", "--ask", "used,needed")
    assert found["trials"] == {"source": "model of a model", "images": []}
    for question in (found["question"], found["used"]["question"]):
        assert question == "used by decoder (model of a model)"
    assert found["needed"]["question"] == "needed by decoder (model of a model)"


def test_an_unseen_picture_names_its_nearest_seen(study: Study, tmp_path: Path) -> None:
    """Against numpy: the most similar test images, by centred cosine of the features."""
    store = open_store(study.store)
    pixels = store.images.read([seen_row(study)])[0]
    mirrored = pixels[:, ::-1] // 2 + 60
    Image.fromarray(mirrored.astype(np.uint8)).save(tmp_path / "new.png")
    found = explain("image", study, tmp_path / "new.png", "--ask", "needed")
    assert found["trials"]["source"] == "nearest seen"
    ids = [image["id"] for image in found["trials"]["images"]]
    values = [image["cosine"] for image in found["trials"]["images"]]
    assert len(ids) == 5 and values == sorted(values, reverse=True)
    assert any(ids[0] in text and "did not see" in text for text in found["warnings"])
    encoder = open_encoder(store, study.run, None)
    from mindeye_cli.models.encoders import load_encoder

    vector = load_encoder(encoder.space).encode(mirrored[None].astype(np.uint8)).reshape(1, -1)
    test = trials.test_images_any_subject(store)
    centre = encoder.refits.model.basis.mean.numpy()
    a, b = vector - centre, encoder.vectors(test) - centre
    likeness = (a @ b.T)[0] / np.linalg.norm(a) / np.linalg.norm(b, axis=1)
    best = np.argsort(-likeness)[:5]
    assert ids == [store.images.ids[row] for row in test[best]]
    np.testing.assert_allclose(values, likeness[best], atol=1e-4)


def test_queries_find_what_the_store_says(study: Study) -> None:
    store = open_store(study.store)
    records, captions = store.images.records, store.images.captions
    faces = sum(any(o["category"] == "face" for o in r["objects"]) for r in records)
    words = ("--ask", "responds")
    assert explain("set", study, "where:objects.category=face", *words)["n"] == faces
    first = sum(r["objects"][0]["category"] == "face" for r in records)
    assert explain("set", study, "where:objects.0.category=face", *words)["n"] == first
    both = sum(
        r["background"]["kind"] == "night" and any(o["category"] == "face" for o in r["objects"])
        for r in records
    )
    query = "where:background.kind=night,category=face"
    assert explain("set", study, query, *words)["n"] == both
    said = sum("striped" in text.split() for text in captions)
    assert explain("set", study, "caption:Striped", *words)["n"] == said
    # A word, not a piece of one.
    assert sum("stripe" in text for text in captions) == said


def test_the_table_for_people_names_each_question(study: Study, call_cli: Callable) -> None:
    done = call_cli("explain", "image", study.store, study.run, seen(study))
    assert done.code == 0
    text = done.stdout + done.stderr
    places = [text.index(f"{word}:") for word in ("responds", "used by decoder")]
    assert places == sorted(places) and "needed by decoder:" in text
    assert "percentile" in text and "FFA-1" in text
