"""The stages of the demo: each is one public command, what it waits for, and its thread count.

One thread each, two stages side by side on two cores: small models gain little from a second
thread. `benchmarks/threads.py` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One command of the demo.

    Attributes
    ----------
    name : str
    arguments : tuple of str
        After `mindeye`.
    after : tuple of str
        Stages that must have finished.
    threads : int
        Threads it is given, and cores it counts for.
    """

    name: str
    arguments: tuple[str, ...]
    after: tuple[str, ...] = ()
    threads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much the demo does."""

    images: int
    test: int
    voxels: int
    pool: int
    reconstructed: int
    candidates: int
    high: tuple[str, ...] = ()
    low: tuple[str, ...] = ()
    prior: tuple[str, ...] = ()


# More images than the preset was tuned for, in as many steps: the networks gain more from them.
FULL = Size(
    images=1600,
    test=100,
    voxels=3000,
    pool=100,
    reconstructed=32,
    candidates=4,
    high=("--set", "optim.epochs=36"),
    low=("--set", "optim.epochs=16"),
    prior=("--set", "prior.steps=20", "--set", "prior.samples=8"),
)
FAST = Size(
    images=120,
    test=20,
    voxels=600,
    pool=20,
    reconstructed=4,
    candidates=2,
    high=("--set", "optim.epochs=4", "--set", "optim.batch=32"),
    low=("--set", "optim.epochs=2"),
)

SUBJECT = "subj01"
CONTROLS = ("low-level", "high-level", "ridge", "prior-only", "nearest-training")


def stages(out: Path, seed: int, size: Size) -> tuple[Stage, ...]:
    """Lay the demo out.

    Parameters
    ----------
    out : Path
        The demo's folder.
    seed : int
        Given to every stage that draws.
    size : Size
    """
    return (*_data(out, seed, size), *_training(out, seed, size), *_scores(out, seed, size))


def _data(out: Path, seed: int, size: Size) -> tuple[Stage, ...]:
    nsd, store = str(out / "nsd"), str(out / "store.zarr")
    counts = ("--images", f"{size.images}", "--test", f"{size.test}", "--voxels", f"{size.voxels}")
    simulate = ("simulate", nsd, *counts, "--seed", f"{seed}")
    prepare = ("prepare", "nsd", nsd, store, "--subject", SUBJECT)
    targets = ("prepare", "targets", store, "--space")
    return (
        Stage(name="simulate", arguments=simulate),
        Stage(name="prepare", arguments=prepare, after=("simulate",)),
        Stage(name="tokens", arguments=(*targets, "scene-clip:tokens"), after=("prepare",)),
        Stage(name="latents", arguments=(*targets, "scene-vae"), after=("prepare",)),
    )


def _training(out: Path, seed: int, size: Size) -> tuple[Stage, ...]:
    store, runs = str(out / "store.zarr"), out / "runs"
    common = ("--subject", SUBJECT, "--set", f"seed={seed}")
    tokens = (*common, "--space", "scene-clip:tokens")
    latents = (*common, "--space", "scene-vae")
    preset = ("--preset", "scene")
    high = ("train", "high-level", store, str(runs / "high"), *tokens, *preset, *size.high)
    low = ("train", "low-level", store, str(runs / "low"), *latents, *preset, *size.low)
    ridge = ("train", "ridge", store, str(runs / "ridge"), *tokens)
    pool = ("--pool", f"{size.pool}", "--seed", f"{seed}")
    return (
        Stage(name="train high-level", arguments=high, after=("tokens", "latents")),
        Stage(name="train low-level", arguments=low, after=("tokens", "latents")),
        Stage(name="train ridge", arguments=ridge, after=("train low-level",)),
        *(
            Stage(
                name=f"retrieve {run}",
                arguments=("retrieve", "pool", store, str(runs / run), *pool)
                + ("--out", str(out / f"retrieval-{run}.json")),
                after=(trained,),
            )
            for run, trained in (("ridge", "train ridge"), ("high", "train high-level"))
        ),
    )


def _scores(out: Path, seed: int, size: Size) -> tuple[Stage, ...]:
    store, recon = str(out / "store.zarr"), out / "recon"
    high, low = ("--high", str(out / "runs/high")), ("--low", str(out / "runs/low"))
    ridge = ("--high", str(out / "runs/ridge"))
    one, many = ("--candidates", "1"), ("--candidates", f"{size.candidates}")
    mean_brain = (*high, *one, "--control", "mean-brain")
    limit = ("--limit", f"{size.reconstructed}", "--seed", f"{seed}")
    both = ("train high-level", "train low-level")
    plans = (
        ("low-level", ("--decoder", "low-level", *low), ("train low-level",)),
        ("ridge", (*ridge, *one), ("train ridge",)),
        ("both", (*high, *low, *many, *size.prior), both),
        ("high-level", (*high, *many, *size.prior), ("train high-level",)),
        ("prior-only", (*mean_brain, *size.prior), ("train high-level",)),
        ("nearest-training", (*high, "--decoder", "nearest"), ("train high-level",)),
    )
    draws = tuple(
        Stage(
            name=f"reconstruct {name}",
            arguments=("reconstruct", store, str(recon / name), *options, *limit),
            after=after,
        )
        for name, options, after in plans
    )
    controls = tuple(f"--control={name}={recon / name}" for name in CONTROLS)
    page = str(out / "report.html")
    report = ("report", str(out), "--out", page)
    evaluate = ("evaluate", str(recon / "both"), "--store", store, *controls)
    shown = ("evaluate", "retrieve high", "retrieve ridge")
    return (
        *draws,
        Stage(name="evaluate", arguments=evaluate, after=tuple(stage.name for stage in draws)),
        Stage(name="report", arguments=report, after=shown),
    )
