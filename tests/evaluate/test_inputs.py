"""Anybody's reconstructions: tensor files, odd names, bad values; and the tables written."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluate.folders import noisy, save, stimuli
from safetensors.torch import save_file

METRICS = ("--metrics", "pixcorr,psnr,edges")


@pytest.fixture
def truth() -> dict[str, np.ndarray]:
    return {str(k): p for k, p in enumerate(stimuli(12).values())}


def tensor(pictures: dict[str, np.ndarray]) -> torch.Tensor:
    """As MindEye's scripts save them: float (n, 3, H, W) in [0, 1]."""
    return (
        torch.from_numpy(np.stack(list(pictures.values()))).permute(0, 3, 1, 2).contiguous() / 255
    )


def scores(file: Path) -> dict[str, list[float]]:
    document = json.loads(file.read_text())
    lines = {k: v["per_image"] for k, v in document["metrics"].items()}
    order = np.argsort([int(i) for i in document["ids"]])
    return {name: [values[k] for k in order] for name, values in lines.items()}


def test_every_form_scores_the_same(
    tmp_path: Path, truth: dict[str, np.ndarray], call_cli: Callable
) -> None:
    guess = noisy(truth, 60)
    folder, images = save(tmp_path / "folder", guess), save(tmp_path / "truth", truth)
    whole, safe, named = (tmp_path / n for n in ("a_recons.pt", "b.safetensors", "c.pt"))
    torch.save(tensor(guess), whole)
    save_file({"images": tensor(guess)}, safe)
    turned = dict(reversed(guess.items()))
    torch.save({"images": tensor(turned), "ids": list(turned)}, named)
    stored = tmp_path / "all_images.pt"
    torch.save(tensor(truth), stored)
    long = tmp_path / "long.csv"
    for kind in (images, stored):
        done = call_cli(
            "evaluate", folder, whole, safe, named, "--images", kind, *METRICS, "--json",
            "--csv", long, "--overwrite",
        )  # fmt: skip
        assert done.code == 0, done.stderr
        assert [Path(line["recon"]).name for line in done.lines] == [
            "folder", "a_recons.pt", "b.safetensors", "c.pt",
        ]  # fmt: skip
        known = scores(folder / "evaluation.json")
        for line in done.lines[1:]:
            for name, values in scores(Path(line["outputs"][0])).items():
                np.testing.assert_allclose(values, known[name], atol=1e-5)
    rows = list(csv.DictReader(long.read_text().splitlines()))
    entries = [r for r in rows if r["row"] == "entry" and r["metric"] == "psnr"]
    assert len(entries) == 4 * 12 and len({r["recon"] for r in entries}) == 4
    assert {r["name"] for r in rows if r["row"] == "control"} == {"chance", "permuted"}


def test_bad_tensor_files_are_one_line(
    tmp_path: Path, truth: dict[str, np.ndarray], call_cli: Callable
) -> None:
    images = save(tmp_path / "truth", truth)
    good = tensor(truth)
    holed, hot = good.clone(), good.clone()
    holed[3, 0, 0, 0], hot[4] = torch.nan, good[4] * 255
    cases = {
        "row 3": holed,
        "row 4": hot,
        "outside [0, 1]": good * 2 - 1,
        "11 pictures": good[:11],
        "of shape": good[0],
        "not a tensor": {"recons": good},
        "11 different ids": {"images": good, "ids": ["0", *map(str, range(11))]},
        "not among": {"images": good, "ids": [f"x{k}" for k in range(12)]},
    }
    for k, (words, saved) in enumerate(cases.items()):
        file = tmp_path / f"{k}.pt"
        torch.save(saved, file)
        done = call_cli("evaluate", file, "--images", images, *METRICS)
        assert done.code == 3, (words, done.stderr)
        assert words in done.stderr and len(done.stderr.strip().splitlines()) == 1
    (tmp_path / "p.pt").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (tmp_path / "p.safetensors").write_bytes(b"nothing")
    for name in ("p.pt", "p.safetensors"):
        assert call_cli("evaluate", tmp_path / name, "--images", images).code == 3


def test_constant_pictures_are_counted(
    tmp_path: Path, truth: dict[str, np.ndarray], call_cli: Callable
) -> None:
    guess = noisy(truth, 60)
    guess["5"] = np.full_like(guess["5"], 128)
    folder, images = save(tmp_path / "r", guess), save(tmp_path / "t", truth)
    result = call_cli("evaluate", folder, "--images", images, *METRICS, "--json").json
    for name in ("pixcorr", "edges"):
        line = result["metrics"][name]
        assert (line["n"], line["undefined"]) == (11, 1) and np.isfinite(line["value"])
    assert result["metrics"]["psnr"]["undefined"] == 0
    assert scores(folder / "evaluation.json")["pixcorr"][5] is None


def test_hostile_names_stay_text(
    tmp_path: Path, truth: dict[str, np.ndarray], call_cli: Callable
) -> None:
    odd = ["<img src=x onerror=alert(1)>", 'a|b,"c"', "50%_$&#{}~^\\", "line\nbreak", "=1+1"]
    pictures = {name: truth[str(k)] for k, name in enumerate(odd)}
    folder = save(tmp_path / "r_%&<b>", noisy(pictures, 60))
    images = save(tmp_path / "t", pictures)
    done = call_cli("evaluate", folder, "--images", images, *METRICS, "--json")
    assert done.code == 0, done.stderr
    with (folder / "evaluation.csv").open(newline="") as stream:
        names = {row["id"] for row in csv.DictReader(stream) if row["row"] == "entry"}
    assert names == set(odd)
    assert "<b>" not in (folder / "evaluation.md").read_text()
    head, *body = (folder / "evaluation.tex").read_text().splitlines()
    assert head.startswith("%") and not any("%" in line.replace(r"\%", "") for line in body)
    assert "hard\\_" not in head and r"\toprule" in body
