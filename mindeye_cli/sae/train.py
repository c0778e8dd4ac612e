"""`mindeye sae train`: one autoencoder, others of further seeds beside it, scores and names.

Each seed's weights are kept under `RUN/seeds` as soon as it has finished, so that a run which was
stopped goes on with the next seed. Nothing that is computed here reads a test image.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.core.atomic import write_json
from mindeye_cli.core.checkpoint import load_tensors, save_tensors
from mindeye_cli.core.config import load_config, to_toml
from mindeye_cli.core.launch import world_size
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.progress import track
from mindeye_cli.core.runs import RunInfo, append_log, create_run, finish_run, trim_log
from mindeye_cli.core.sampler import derived_seed, rng
from mindeye_cli.core.signals import StopFlag
from mindeye_cli.core.threads import threads
from mindeye_cli.models.sae import SparseAutoencoder, sae_from_tensors
from mindeye_cli.sae import scores
from mindeye_cli.sae.atoms import describe_atoms, name_vectors
from mindeye_cli.sae.config import PRESETS, SaeRunConfig
from mindeye_cli.sae.data import BRAIN, Request, TrainingRows, training_rows
from mindeye_cli.sae.fit import fit_sae
from mindeye_store.errors import UsageProblem

ATOMS = "atoms.json"
SEEDS = "seeds"
HEADLINES = ("r2", "l0", "dead", "stability")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Options of `mindeye sae train` that are not about its rows.

    Attributes
    ----------
    preset : str or None
        `scene` or `paper`; by default the one that the space implies.
    config : Path or None
    overrides : tuple of str
    words : Path or None
        Text file of words to name atoms by, one a line.
    overwrite : bool
    """

    preset: str | None = None
    config: Path | None = None
    overrides: tuple[str, ...] = ()
    words: Path | None = None
    overwrite: bool = False


def train_sae(request: Request, run: Path, options: TrainOptions) -> Outcome:
    """Train a sparse autoencoder.

    Parameters
    ----------
    request : Request
    run : Path
        RUN folder to make, or to go on with.
    options : TrainOptions

    Returns
    -------
    Outcome
        Values `r2`, `cosine`, `l0`, `dead` (held-out images), `stability` (mean matched cosine over
        living atoms and seeds), `pca_r2` and, for responses, `nmf_r2`; `stable` and `named` atoms.

    Raises
    ------
    MindeyeError
        Bad input or options; Requeue after SIGTERM, when the finished seeds are kept.
    """
    if world_size() > 1:
        raise UsageProblem(
            "an autoencoder is trained in one process",
            where="WORLD_SIZE",
            fix="start it without the launcher, one task",
        )
    settings = load_config(
        SaeRunConfig,
        preset=_preset(request, options.preset),
        file=options.config,
        overrides=options.overrides,
    )
    rows, vocabulary = training_rows(request), _vocabulary(options.words)
    info = create_run(run, _info(rows, settings), to_toml(settings), overwrite=options.overwrite)
    if info.status == "finished":
        return outcome(run, info, status="notneeded")
    started = time.monotonic()
    train, held = _split(len(rows.ids), settings)
    with threads(), StopFlag() as stop:
        models = _all_seeds(run, rows.vectors[train], settings, stop)
        metrics = _score(models, rows, train, held, settings)
        living = [scores.living_atoms(model, rows.vectors[train]) for model in models]
        stable = scores.stability(living[0], living[1:])
        named = None
        if settings.seeds:  # Otherwise nothing is known to be stable, and nothing is named.
            named = name_vectors(rows.space, request.weights, vocabulary)
        atoms = describe_atoms(models[0], rows.vectors, rows.ids, stable, named, settings.seeds)
    metrics |= {
        "stability": _mean_stability(living[0], stable),
        "stable": sum(atom["stable"] for atom in atoms),
        "named": sum(bool(atom["words"]) for atom in atoms),
        "seconds": time.monotonic() - started,
    }
    write_json(run / ATOMS, atoms)
    info = finish_run(run, models[0].state_dict(), steps=settings.fit.steps, metrics=metrics)
    shutil.rmtree(run / SEEDS, ignore_errors=True)
    return outcome(run, info)


def outcome(run: Path, info: RunInfo, *, status: Any = "ok") -> Outcome:
    """What is printed about a finished autoencoder."""
    return Outcome(
        status=status,
        outputs=(run,),
        values={"kind": info.kind, "space": info.space, **dict(info.metrics)},
    )


def headline(info: RunInfo) -> dict[str, Any]:
    """The four numbers that every `mindeye sae` command repeats."""
    return {key: info.metrics.get(key) for key in HEADLINES}


def _preset(request: Request, name: str | None) -> dict[str, Any]:
    small = request.brain or str(request.space).startswith("scene-")
    chosen = name or ("scene" if small else "paper")
    if chosen not in PRESETS:
        raise UsageProblem(
            f"unknown preset {chosen!r}", where="--preset", fix=f"one of {', '.join(PRESETS)}"
        )
    return PRESETS[chosen]


def _vocabulary(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return ()
    found = tuple(
        line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()
    )
    if len(set(found)) < 2:
        raise UsageProblem("two different words or more are needed", where=str(file))
    return tuple(dict.fromkeys(found))


def _info(rows: TrainingRows, settings: SaeRunConfig) -> RunInfo:
    facts = rows.facts
    return RunInfo(
        kind="sae",
        space=rows.space,
        subjects=facts["subjects"],
        n_voxels=facts["n_voxels"],
        seed=settings.seed,
        voxels=(rows.targets,) * len(facts["subjects"]),
        targets=rows.targets,
        details={
            "masks": facts["masks"],
            "trained_images": rows.image_rows.tolist(),
            "trained_ids": list(rows.ids),
            "target_norm": rows.norm,
            "target_shape": list(rows.shape),
            "rois": facts.get("rois"),
            "voxel_places": facts.get("voxel_places"),
        },
    )


def _split(n: int, settings: SaeRunConfig) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the rows to train on and of those to score."""
    held = max(2, round(settings.validation * n))
    order = rng(settings.seed, "sae validation").permutation(n)
    return np.sort(order[held:]), np.sort(order[:held])


def _all_seeds(
    run: Path, train: np.ndarray, settings: SaeRunConfig, stop: StopFlag
) -> list[SparseAutoencoder]:
    """The autoencoder to keep, then those of the other seeds; finished ones are read back."""
    models = []
    with track("sae", (1 + settings.seeds) * settings.fit.steps, unit="steps") as bar:
        for number in range(1 + settings.seeds):
            file = run / SEEDS / f"{number}.safetensors"
            if file.exists():
                models.append(sae_from_tensors(settings.model, load_tensors(file)))
                bar.advance(settings.fit.steps)
                continue
            if number == 0:
                trim_log(run, 0)
            seed = settings.seed if number == 0 else derived_seed(settings.seed, "sae", number)
            watch = _watch(run, number, bar, stop)
            model = fit_sae(train, settings.model, settings.fit, seed, watch)
            save_tensors(file, model.state_dict())
            models.append(model)
    return models


def _watch(run: Path, number: int, bar: Any, stop: StopFlag) -> Callable[[dict[str, Any]], None]:
    last = 0

    def watch(state: dict[str, Any]) -> None:
        nonlocal last
        stop.raise_requeue(f"{run}, {number} seeds")
        if number == 0:
            append_log(run, **state)
        bar.advance(state["step"] - last, note=f"loss {state['loss']:.3f}")
        last = state["step"]

    return watch


def _score(
    models: list[SparseAutoencoder],
    rows: TrainingRows,
    train: np.ndarray,
    held: np.ndarray,
    settings: SaeRunConfig,
) -> dict[str, Any]:
    known, unknown = rows.vectors[train], rows.vectors[held]
    metrics: dict[str, Any] = scores.reconstruction(models[0], known, unknown)
    k, atoms = settings.model.k, settings.model.atoms
    metrics["pca_r2"] = scores.pca_r2(known, unknown, k)
    if rows.space.startswith(BRAIN):
        metrics["pca_r2_all"] = scores.pca_r2(known, unknown, atoms)
        metrics["nmf_r2"] = scores.nmf_r2(known, unknown, k, settings.seed)
        metrics["nmf_r2_all"] = scores.nmf_r2(known, unknown, atoms, settings.seed)
    metrics |= {"n_images": len(train), "n_held_out": len(held), "n_atoms": atoms, "k": k}
    return metrics


def _mean_stability(atoms: np.ndarray, stable: dict[str, Any]) -> float | None:
    living = np.linalg.norm(atoms, axis=1) > 0
    if stable["mean"] is None or not living.any():
        return None
    return float(stable["mean"][living].mean())
