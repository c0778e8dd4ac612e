"""Does `evaluate` rank systems whose order is known, and call out those that cheat?

    python benchmarks/referee.py OUT

On one simulated brain: both pipelines together, each alone, and ridge; the controls of
docs/evaluate.md beside the first; and two cheats made from its own pictures. `misaligned` shows
every picture under the next image's name. `picked` publishes, of each image's candidates, the one
most like the true image. All stand in one report, OUT/report.html. Prints the table, every claim of
`CLAIMS`, which were written down before the first run, and what was called out; ends with exit code
1 if a claim fails or the wrong systems are called out. A rerun does only what is missing.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from command import mindeye

from mindeye_cli.demo.runner import Runner
from mindeye_cli.demo.stages import Stage
from mindeye_cli.reconstruct.save import read_png, write_png
from mindeye_store import open_store

SYSTEMS = ("both", "high-level", "low-level", "ridge")
CONTROLS = ("ceiling", "prior-only", "shuffled-fit", "nearest-training", "low-level", "ridge")
CHEATS = {"misaligned": "rows-shifted", "picked": "picked-by-ground-truth"}
# Warnings that accuse a system of something.
ACCUSING = ("rows-shifted", "rows-scrambled", "picked-by-ground-truth", "picked-otherwise")

PIXELS, MEANING = ("pixcorr", "ssim"), ("twoway_scene_net", "twoway_scene_clip")
KNOWS = (*MEANING, "pixcorr")
# (better, worse, by which metrics): right by construction.
CLAIMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    # The same generator knows the truth, a brain's guess of it, or nothing.
    ("ceiling", "both", KNOWS),
    ("both", "prior-only", KNOWS),
    ("both", "shuffled-fit", KNOWS),
    # Places come from the low-level picture, objects from the embedding.
    ("both", "high-level", PIXELS),
    ("low-level", "high-level", PIXELS),
    ("high-level", "low-level", MEANING),
    ("both", "low-level", MEANING),
    # Whatever has seen the brain knows more than a random pairing, on everything.
    *((system, "permuted", (*KNOWS, "ssim")) for system in SYSTEMS),
    ("ridge", "prior-only", MEANING),
    # Another photo's pixels are not in the right places.
    ("both", "nearest-training", PIXELS),
)

SIZE = ("--images", "1200", "--test", "100", "--voxels", "2000")
# Half the sampling from the low-level picture, so that it decides where things are.
DRAWING = ("--candidates", "4", "--steps", "10", "--strength", "0.5")
# Where nothing is known, there is nothing to choose by.
BLIND = ("--candidates", "1", *DRAWING[2:])
PRIOR = ("--set", "prior.steps=20", "--set", "prior.samples=2")
LIMIT = ("--limit", "64")


def stages(out: Path, seed: int) -> tuple[Stage, ...]:
    """Data, the runs and their refits on shuffled rows, and all pictures."""
    store, runs, nsd = str(out / "store.zarr"), out / "runs", str(out / "nsd")
    targets = ("prepare", "targets", store, "--space")
    data = (
        ("simulate", ("simulate", nsd, *SIZE, "--seed", f"{seed}"), ()),
        ("prepare", ("prepare", "nsd", nsd, store, "--subject", "subj01"), ("simulate",)),
        ("tokens", (*targets, "scene-clip:tokens"), ("prepare",)),
        ("latents", (*targets, "scene-vae"), ("prepare",)),
    )
    common = ("--subject", "subj01", "--set", f"seed={seed}")
    tokens, latents = ("--space", "scene-clip:tokens"), ("--space", "scene-vae")
    high = ("train", "high-level", store, *tokens, "--preset", "scene", *common)
    low = ("train", "low-level", store, *latents, "--preset", "scene", *common)
    epochs = ("--set", "optim.epochs=36"), ("--set", "optim.epochs=16")
    shuffle = ("--set", "data.shuffle_rows=true")
    plans = {
        "high": (*high, *epochs[0]),
        "high-shuffled": (*high, *epochs[0], *shuffle),
        "low": (*low, *epochs[1]),
        "low-shuffled": (*low, *epochs[1], *shuffle),
        "ridge": ("train", "ridge", store, *tokens, *common),
        # For the panel's curve over sessions.
        "ridge-1": ("train", "ridge", store, *tokens, *common, "--set", "sessions=1"),
    }
    training = (
        (f"train {name}", (*words[:3], str(runs / name), *words[3:]), ("tokens", "latents"))
        for name, words in plans.items()
    )
    return tuple(
        Stage(name=name, arguments=words, after=after)
        for name, words, after in (*data, *training, *_drawings(out, store, seed))
    )


def _drawings(out: Path, store: str, seed: int) -> list[tuple[str, tuple[str, ...], Any]]:
    """Reconstructions by name."""
    runs = {path: str(out / "runs" / path) for path in ("high", "low", "ridge")}
    both = ("--high", runs["high"], "--low", runs["low"])
    shuffled = ("--high", runs["high"] + "-shuffled", "--low", runs["low"] + "-shuffled")
    plans = {
        "both": (*both, *DRAWING, *PRIOR, "--keep-candidates"),
        "ceiling": (*both, *DRAWING, "--control", "ceiling"),
        "prior-only": (*both, *BLIND, *PRIOR, "--control", "mean-brain"),
        "shuffled-fit": (*shuffled, *BLIND, *PRIOR),
        "high-level": ("--high", runs["high"], *DRAWING[:4], *PRIOR),
        "low-level": ("--low", runs["low"], "--decoder", "low-level"),
        "ridge": ("--high", runs["ridge"], *DRAWING[:4]),
        "nearest-training": ("--high", runs["high"], "--decoder", "nearest"),
    }
    needs = {"ridge": ("ridge",), "shuffled-fit": ("high-shuffled", "low-shuffled")}
    return [
        (
            f"reconstruct {name}",
            ("reconstruct", store, str(out / "recon" / name), *words, *LIMIT, "--seed", f"{seed}"),
            tuple(f"train {run}" for run in needs.get(name, ("high", "low"))),
        )
        for name, words in plans.items()
    ]


def missing(plan: tuple[Stage, ...], logs: Path) -> tuple[Stage, ...]:
    """Stages that no earlier call has finished, waiting for each other alone."""
    left = [stage for stage in plan if not _finished(logs / f"{stage.name.replace(' ', '-')}.json")]
    names = {stage.name for stage in left}
    return tuple(replace(s, after=tuple(n for n in s.after if n in names)) for s in left)


def _finished(log: Path) -> bool:
    text = log.read_text(encoding="utf-8").strip() if log.is_file() else ""
    return bool(text) and json.loads(text.splitlines()[-1])["status"] in ("ok", "notneeded")


def misalign(honest: Path, cheat: Path) -> None:
    """Every picture of a reconstruction under the name of the image before it."""
    manifest = _manifest(honest)
    names = [line["name"] for line in manifest["images"]]
    for k, name in enumerate(names):
        pixels = read_png(honest / "images" / f"{names[(k + 1) % len(names)]}.png")
        write_png(cheat / "images" / f"{name}.png", pixels)
    _write(cheat, manifest)


def pick(honest: Path, cheat: Path, store: Path) -> None:
    """Of each image's candidates, the one with the highest PixCorr; the manifest says nothing."""
    manifest = _manifest(honest)
    images = open_store(store).images
    for line in manifest["images"]:
        inner = Path("candidates") / line["name"]
        shutil.copytree(honest / inner, cheat / inner, dirs_exist_ok=True)
        files = sorted((cheat / inner).glob("*.png"))
        true = images.read(np.array([line["image_row"]]))[0]
        made = [read_png(file) for file in files]
        best = int(np.argmax([_pixcorr(true, pixels) for pixels in made]))
        write_png(cheat / "images" / f"{line['name']}.png", made[best])
        line.pop("scores", None)
        line.pop("chosen", None)
    _write(cheat, manifest)


def _pixcorr(true: np.ndarray, made: np.ndarray) -> float:
    return float(np.corrcoef(true.ravel().astype(float), made.ravel().astype(float))[0, 1])


def _manifest(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return loaded


def _write(folder: Path, manifest: dict[str, Any]) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def sheet(evaluations: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Every system and control: metric to its line; the controls are those beside `both`.

    Each system's own permuted pairings are called `permuted SYSTEM`.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name, document in evaluations.items():
        lines = document["metrics"]
        found[name] = {
            metric: {key: line[key] for key in ("value", "ci95", "direction")}
            for metric, line in lines.items()
        }
        for metric, line in lines.items():
            for control, entry in line["controls"].items():
                key = f"permuted {name}" if control == "permuted" else control
                if name == "both" or control == "permuted":
                    beside = {**entry, "direction": line["direction"]}
                    found.setdefault(key, {}).setdefault(metric, beside)
    return found


def judge(lines: dict[str, dict[str, dict[str, Any]]]) -> list[tuple[str, bool]]:
    """Each claim and metric in words, and whether it holds.

    A system beats its permuted pairings if its score lies outside their 95 % range, on the better
    side.
    """
    verdicts = []
    for better, worse, metrics in CLAIMS:
        for metric in metrics:
            sign = 1 if lines[better][metric]["direction"] == "higher" else -1
            one = lines[better][metric]["value"]
            if worse == "permuted":
                entry = lines[f"permuted {better}"][metric]
                two = entry["range95"][1 if sign > 0 else 0]
            else:
                two = lines[worse][metric]["value"]
            told = f"{metric}: {better} {one:.3f} better than {worse} {two:.3f}"
            verdicts.append((told, sign * (one - two) > 0))
    return verdicts


def called_out(evaluations: dict[str, dict[str, Any]]) -> list[tuple[str, bool]]:
    """Each system's accusing warnings, and whether they are the right ones."""
    found = []
    for name, document in evaluations.items():
        codes = [w["code"] for w in document["warnings"] if w["code"] in ACCUSING]
        right = [CHEATS[name]] if name in CHEATS else []
        found.append((f"{name}: {', '.join(codes) or 'nothing to say'}", codes == right))
    return found


def table(lines: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Markdown: value and 95 % interval of every system and control."""
    metrics = list(lines["both"])
    rows = ["| | " + " | ".join(metrics) + " |", "|---" * (len(metrics) + 1) + "|"]
    for name, entries in lines.items():
        cells = []
        for metric in metrics:
            entry = entries.get(metric, {})
            value, ends = entry.get("value"), entry.get("range95") or entry.get("ci95")
            told = "" if value is None else f"{value:.3f}"
            cells.append(told + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if told and ends else ""))
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def run(out: Path, seed: int, cores: int) -> dict[str, dict[str, Any]]:
    """Everything up to the report; what `evaluate` wrote about each system and cheat."""
    Runner(out / "logs", cores).run(missing(stages(out, seed), out / "logs"))
    recon, store = out / "recon", out / "store.zarr"
    misalign(recon / "both", recon / "misaligned")
    pick(recon / "both", recon / "picked", store)
    beside = [f"--control={name}={recon / name}" for name in CONTROLS]
    more = ["--run", out / "runs/ridge-1", "--run", out / "runs/ridge"]
    folders = [recon / name for name in (*SYSTEMS, *CHEATS)]
    for folder in folders:
        words: list[Any] = ["evaluate", folder, "--store", store, "--seed", seed]
        words += [*beside, "--panel", *more] if folder.name == "both" else []
        mindeye(*words, "--overwrite")
    mindeye("report", *folders, "--out", out / "report.html", "--overwrite")
    return {f.name: json.loads((f / "evaluation.json").read_text("utf-8")) for f in folders}


def main() -> None:
    """Run all, print the table and the verdicts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    evaluations = run(options.out, options.seed, options.cores)
    lines = sheet(evaluations)
    print(table(lines) + "\n")
    verdicts = [*judge(lines), *called_out(evaluations)]
    for told, right in verdicts:
        print(f"{'holds' if right else 'FAILS'}  {told}")
    if not all(right for _, right in verdicts):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
