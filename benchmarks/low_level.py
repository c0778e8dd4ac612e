"""The low-level network's losses: absolute or squared error, and the auxiliary loss in its forms.

    python benchmarks/low_level.py --seeds 0,1,2

Every seed simulates a brain of its own and trains every model on it with that seed; the preset is
`scene`, the teacher its built-in encoder, and its augmented view follows the published teacher's
policy. Scores are of the decoded low-level picture of test images, from averaged repeats. Prints
Markdown: means with the 95 % interval over the seeds (Student's t), and the paired differences. The
commands keep what is finished under --work, so a rerun does only what is missing; other settings
need another folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from command import mindeye
from paired import Scores, differences, table

SPACE, TEACHER = "scene-vae", "scene-clip:tokens"
SCORES = {"PSNR (dB)": "psnr", "SSIM": "ssim", "PixCorr": "pixcorr"}
THREE, PLAIN, NONE = "losses.form=three-set", "losses.form=softclip", "losses.contrastive=0"
MODELS: dict[str, tuple[str, ...]] = {
    f"{error}, {name}": (f"losses.error={error}", form)
    for error in ("mae", "mse")
    for name, form in (("three sets", THREE), ("SoftCLIP", PLAIN), ("no auxiliary loss", NONE))
}
# An earlier version of the published training script had this weight, ten times the last one.
MODELS["mae, three sets, weight 1"] = (*MODELS["mae, three sets"], "losses.contrastive=1")
FORMS = ("three sets", "SoftCLIP", "no auxiliary loss")
PAIRS = (
    *((f"mae, {form}", f"mse, {form}") for form in FORMS),
    *((f"{e}, {form}", f"{e}, {FORMS[2]}") for e in ("mae", "mse") for form in FORMS[:2]),
    *((f"{e}, {FORMS[0]}", f"{e}, {FORMS[1]}") for e in ("mae", "mse")),
    ("mae, three sets, weight 1", "mae, no auxiliary loss"),
)


def brain(folder: Path, seed: int, test: int) -> Path:
    """The store of one simulated brain."""
    store = folder / "store.zarr"
    mindeye("simulate", folder / "nsd", "--seed", seed, "--test", test)
    mindeye("prepare", "nsd", folder / "nsd", store, "--subject", "subj01")
    mindeye("prepare", "targets", store, "--space", SPACE)
    view = ("--views", 1, "--augment", "teacher", "--seed", seed)
    mindeye("prepare", "targets", store, "--space", TEACHER, *view)
    return store


def scores(store: Path, seed: int, name: str, extra: tuple[str, ...]) -> Scores:
    """Train one model on one brain, decode its pictures of the test images, and score them."""
    label = name.replace(", ", "-").replace(" ", "-")
    run, out = store.parent / label, store.parent / f"pictures-{label}"
    changes = (f"seed={seed}", "loop.checkpoint_every=10", *MODELS[name], *extra)
    options = [text for change in changes for text in ("--set", change)]
    preset = ("--preset", "scene", "--subject", "subj01", "--space", SPACE)
    mindeye("train", "low-level", store, run, *preset, *options)
    mindeye("reconstruct", store, out, "--decoder", "low-level", "--low", run, "--seed", seed)
    metrics = mindeye("evaluate", out, "--store", store, "--metrics", ",".join(SCORES.values()))
    return {title: metrics["metrics"][key]["value"] for title, key in SCORES.items()}


def main() -> None:
    """Print both tables, after every seed what there is so far."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--models", help="Some rows only, separated by semicolons.")
    parser.add_argument("--test", type=int, default=300, help="Test images.")
    parser.add_argument("--set", action="append", default=[], help="For every network.")
    parser.add_argument("--work", type=Path, default=Path("low-level-study"))
    options = parser.parse_args()
    titles = tuple(SCORES)
    names = options.models.split(";") if options.models else list(MODELS)
    found: dict[str, list[Scores]] = {name: [] for name in names}
    for seed in map(int, options.seeds.split(",")):
        store = brain(options.work / f"seed-{seed}", seed, options.test)
        for name, seeds in found.items():
            seeds.append(scores(store, seed, name, tuple(options.set)))
            print(f"seed {seed}, {name}: {seeds[-1]}", file=sys.stderr, flush=True)
        print(f"\nAfter seed {seed}:\n\n{table(found, titles)}\n", flush=True)
        print(differences(found, PAIRS, titles), flush=True)


if __name__ == "__main__":
    main()
