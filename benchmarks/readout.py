"""What some areas of the simulated brain alone retrieve and reconstruct, beside random voxels.

    python benchmarks/readout.py WORK --seeds 0,1,2 --strip docs/readout.png

For each seed: simulate, prepare, train a ridge and a high-level run (preset `scene`), and retrieve
in one pool of all test images from each area alone and from all but it. `same kind` is the share
of faces (of houses, of the others) for which the nearest image shows the same kind of main object;
20 sets of random voxels of the same number and noise-ceiling SNR are averaged beside it. Then, for
the first seed, the same areas reconstruct (low-level run included), each beside its random voxels,
are scored, and the first faces, houses and others become a picture strip. WORK keeps everything:
a second run goes on where the first stopped.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from command import mindeye
from PIL import Image, ImageDraw

from mindeye_cli.core.kept_voxels import Mask, kept_voxels, matched_voxels
from mindeye_cli.reconstruct.save import GRID_GAP, grid, read_png, write_png
from mindeye_cli.retrieve.areas import CONTROLS
from mindeye_cli.retrieve.embeddings import Comparison, compare
from mindeye_store import open_store

SUBJECT, TOKENS, LATENTS = "subj01", "scene-clip:tokens", "scene-vae"
CATEGORY = "floc-faces | floc-places | floc-bodies | floc-words"
# Name and what is kept; None is every voxel.
AREAS: dict[str, str | None] = {
    "all": None,
    "V1": "V1",
    "early": "early",
    "FFA": "FFA",
    "PPA": "PPA",
    "category": CATEGORY,
}
DROPPED = ("early", "category")
DRAWN = ("V1", "early", "FFA", "PPA", "category")
KINDS = ("face", "house")
SCORES = ("pixcorr", "twoway_scene_net", "category_accuracy", "colour_accuracy")
SCALE, HEADER = 2, 44


def prepare(folder: Path, seed: int, images: int, test: int) -> None:
    """A store with targets, and a run of each kind; what is there already stays."""
    store, nsd = folder / "store.zarr", folder / "nsd"
    mindeye("simulate", nsd, "--images", images, "--test", test, "--seed", seed)
    mindeye("prepare", "nsd", nsd, store, "--subject", SUBJECT)
    for space in (TOKENS, LATENTS):
        mindeye("prepare", "targets", store, "--space", space)
    common = ("--subject", SUBJECT, "--set", f"seed={seed}")
    mindeye("train", "ridge", store, folder / "ridge", *common, "--space", TOKENS)
    scene = (*common, "--preset", "scene")
    mindeye("train", "high-level", store, folder / "high", *scene, "--space", TOKENS)
    mindeye("train", "low-level", store, folder / "low", *scene, "--space", LATENTS)


def cases() -> list[tuple[str, str | None, str | None]]:
    """Name, what is kept and what is dropped, of every row of the retrieval table."""
    alone = [(name, keep, None) for name, keep in AREAS.items()]
    return [*alone, *((f"all but {name}", None, AREAS[name]) for name in DROPPED)]


def asked(keep: str | None, drop: str | None) -> tuple[str, ...]:
    """The options that name them."""
    kept = () if keep is None else ("--keep-rois", keep)
    return kept if drop is None else (*kept, "--drop-rois", drop)


def retrieval(folder: Path, run: str, test: int) -> list[list[str]]:
    """A row a case: voxels, top-1 beside the random voxels', and same kind beside theirs."""
    store, rows = open_store(folder / "store.zarr"), []
    subject = store.subject(SUBJECT)
    for name, keep, drop in cases():
        pool = ("--pool", test, "--draws", 1)
        found = mindeye("retrieve", "pool", store.path, folder / run, *pool, *asked(keep, drop))
        kept = kept_voxels(subject, keep, drop)
        random = [] if kept is None else matched_voxels(subject, kept, CONTROLS, 0)
        masks: list[Mask | None] = [kept, *random]
        ours, *others = compare(store, folder / run, "test", "voxels", None, masks)
        kinds, controls = same_kind(store, ours), [same_kind(store, one) for one in others]
        top = found["image_retrieval"]["scores"]["top1"]
        low, high = top["ci95"]
        row = [name, f"{kept.sum() if kept is not None else subject.voxels.shape[1]}"]
        row.append(f"{top['value']:.3f} ({low:.3f} to {high:.3f})")
        row.append(beside(found))
        for k, value in enumerate(kinds):
            mean = np.mean([control[k] for control in controls]) if controls else np.nan
            row.append(f"{value:.2f}" + (f" ({mean:.2f})" if controls else ""))
        rows.append(row)
    return rows


def beside(found: dict[str, Any]) -> str:
    """Top-1 of the random voxels: mean and 95 % range."""
    if "readout" not in found:
        return ""
    control = found["readout"]["controls"]["image_retrieval"]
    low, high = control["range95"]
    return f"{control['top1']:.3f} ({low:.3f} to {high:.3f})"


def same_kind(store: Any, compared: Comparison) -> list[float]:
    """Share of faces, houses and others whose nearest image shows the same kind of object."""
    records = store.images.records
    kinds = np.array([records[row]["objects"][0]["category"] for row in compared.image_rows])
    right = kinds[compared.similarity.argmax(axis=1)] == kinds
    parts = [kinds == kind for kind in KINDS]
    parts.append(~np.logical_or.reduce(parts))
    return [float(right[part].mean()) for part in parts]


def reconstructions(folder: Path, limit: int) -> dict[str, Path]:
    """Reconstruct from every voxel, each area alone, and random voxels like each."""
    store, made = folder / "store.zarr", {}
    runs = ("--high", folder / "high", "--low", folder / "low", "--candidates", 2)
    few = ("--set", "prior.steps=20", "--limit", limit)
    made["all"] = folder / "recon" / "all"
    mindeye("reconstruct", store, made["all"], *runs, *few)
    mindeye("evaluate", made["all"], "--store", store, "--metrics", ",".join(SCORES))
    for name in DRAWN:
        keep = ("--keep-rois", str(AREAS[name]))
        for title, control in ((name, "none"), (f"like {name}", "random-voxels")):
            made[title] = folder / "recon" / title.replace(" ", "-")
            mindeye("reconstruct", store, made[title], *runs, *few, *keep, "--control", control)
        control = f"random-voxels={made[f'like {name}']}"
        score = ("--store", store, "--metrics", ",".join(SCORES))
        mindeye("evaluate", made[name], *score, "--control", control)
        mindeye("evaluate", made[f"like {name}"], *score)
    return made


def scores(made: dict[str, Path]) -> list[list[str]]:
    """A row a reconstruction: every score with its interval, and the random voxels' in brackets."""
    rows = []
    for name in ("all", *DRAWN):
        metrics = json.loads((made[name] / "evaluation.json").read_text())["metrics"]
        row = [name]
        for score in SCORES:
            low, high = metrics[score]["ci95"]
            control = metrics[score]["controls"].get("random-voxels")
            row.append(f"{metrics[score]['value']:.3f} ({low:.3f} to {high:.3f})")
            row.append("" if control is None else f"{control['value']:.3f}")
        rows.append(row)
    return rows


def strip(folder: Path, made: dict[str, Path], each: int, out: Path) -> None:
    """The first faces, houses and others: stimulus, all voxels, each area beside random voxels."""
    store = open_store(folder / "store.zarr")
    files = {name: lines(path) for name, path in made.items()}
    rows = chosen_rows(store, list(files["all"]), each)
    columns = [list(store.images.read(np.asarray(rows)))]
    columns += [[read_png(found[row]) for row in rows] for found in files.values()]
    titles = [name.replace("like ", "random\nlike ") for name in made]
    sheet = np.kron(grid(columns), np.ones((SCALE, SCALE, 1), dtype=np.uint8))
    titled = np.full((sheet.shape[0] + HEADER, *sheet.shape[1:]), 255, dtype=np.uint8)
    titled[HEADER:] = sheet
    picture = Image.fromarray(titled)
    pen = ImageDraw.Draw(picture)
    width = (columns[0][0].shape[1] + GRID_GAP) * SCALE
    for k, title in enumerate(("stimulus", *titles)):
        place = (k * width + width // 2, HEADER // 2)
        pen.text(place, title, fill="black", anchor="mm", align="center", font_size=14)
    write_png(out, np.asarray(picture))


def lines(path: Path) -> dict[int, Path]:
    """The picture of every image row of a reconstruction."""
    manifest = json.loads((path / "manifest.json").read_text())
    return {line["image_row"]: path / line["file"] for line in manifest["images"]}


def chosen_rows(store: Any, rows: list[int], each: int) -> list[int]:
    """The first images in the store's order of each kind, then of all other kinds."""
    kinds = {row: store.images.records[row]["objects"][0]["category"] for row in rows}
    parts = [[row for row in rows if kinds[row] == kind] for kind in KINDS]
    parts.append([row for row in rows if kinds[row] not in KINDS])
    return [row for part in parts for row in part[:each]]


def show(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown."""
    print(f"\n{title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Print every table, and write the strip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--images", type=int, default=1600)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--limit", type=int, default=60, help="images to reconstruct")
    parser.add_argument("--strip", type=Path)
    parser.add_argument("--each", type=int, default=2, help="rows of a kind in the strip")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    header = ["voxels read", "number", "top-1", "random voxels"]
    header += [f"same kind: {kind}s" for kind in KINDS] + ["others"]
    for seed in seeds:
        folder = options.work / f"seed{seed}"
        prepare(folder, seed, options.images, options.test)
        for run in ("ridge", "high"):
            show(f"seed {seed}, {run}", header, retrieval(folder, run, options.test))
    folder = options.work / f"seed{seeds[0]}"
    made = reconstructions(folder, options.limit)
    columns = [name for score in SCORES for name in (score, "random")]
    show(
        f"seed {seeds[0]}, {options.limit} reconstructions", ["area alone", *columns], scores(made)
    )
    if options.strip is not None:
        strip(folder, made, options.each, options.strip)


if __name__ == "__main__":
    main()
