"""A finished RUN as one object that predicts, whatever its kind.

Shapes: `B` rows of one subject's responses, `V` its voxels, `T` tokens, `D` width,
`Q` flattened target.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mindeye_cli.core.checkpoint import load_tensors
from mindeye_cli.core.config import load_config
from mindeye_cli.core.run_subjects import subject_place
from mindeye_cli.core.runs import CONFIG, MODEL, RunInfo, read_run
from mindeye_cli.models.high_level import HighLevelConfig, HighLevelModel
from mindeye_cli.models.lowlevel import LowLevelConfig, LowLevelModel
from mindeye_cli.models.predictors import (
    BATCH,
    Embedding,
    HighLevelPredictor,
    LowLevelPredictor,
    Predictor,
    RidgePredictor,
)
from mindeye_cli.models.ridge_model import RidgeModel
from mindeye_store import InvalidInput, MissingResource, UsageProblem

Floats = NDArray[np.float32]


class RunModel:
    """A run ready to predict; made by `load_run`.

    Attributes
    ----------
    kind, space : str
    info : RunInfo
    config : dict
        The run's resolved configuration.
    subject : str
        The one of the run's subjects that it predicts for.
    n_voxels : int
        That subject's.
    target_norm : str
    outputs : tuple of str
        What `predict` can return: `backbone`, `retrieval`, `prior` (high-level), `latent`
        (low-level), `prediction` (ridge).
    """

    def __init__(
        self, run: Path, info: RunInfo, config: dict[str, Any], inner: Predictor, place: int
    ) -> None:
        self.run, self.info, self.config, self._inner = run, info, config, inner
        self.kind, self.space = info.kind, info.space
        self.subject, self.n_voxels = info.subjects[place], info.n_voxels[place]
        self.target_norm: str = info.details["target_norm"]
        self.outputs = inner.outputs

    @property
    def trunk(self) -> nn.Linear | None:
        """The linear map that reads the subject's voxels; None for ridge, which is one map."""
        inner = self._inner
        if isinstance(inner, HighLevelPredictor):
            return inner.model.backbone.stem.linears[inner.place]  # type: ignore[return-value]
        if isinstance(inner, LowLevelPredictor):
            return inner.model.backbone.stem.linears[inner.place]  # type: ignore[return-value]
        return None

    @property
    def embedding(self) -> Embedding:
        """The part that decodes an embedding, for gradients.

        Raises
        ------
        InvalidInput
            The run decodes latents, not an embedding.
        """
        if not isinstance(self._inner, Embedding):
            raise InvalidInput(
                f"a {self.kind} run decodes no embedding",
                where=str(self.run),
                fix="give a run of `mindeye train high-level` or `mindeye train ridge`",
            )
        return self._inner

    def predict(
        self, voxels: Any, seed: int = 0, outputs: Sequence[str] | None = None
    ) -> dict[str, Floats]:
        """Predict from z-scored responses.

        Parameters
        ----------
        voxels : float array or Tensor (B, V)
            Of `self.subject`.
        seed : int
            Of the prior's samples; row `i` depends on (seed, i) alone.
        outputs : sequence of str, optional
            None gives all of `self.outputs`.

        Returns
        -------
        dict of float32 arrays (B, ...)
            In the shape of the SPACE's targets.

        Raises
        ------
        InvalidInput
            Another number of voxels, or values that are not finite.
        UsageProblem
            An output that this kind of run does not have.
        """
        rows = self._checked(voxels)
        wanted = self.outputs if outputs is None else tuple(outputs)
        unknown = [name for name in wanted if name not in self.outputs]
        if unknown:
            raise UsageProblem(
                f"a {self.kind} run has no output {unknown[0]!r}",
                where=str(self.run),
                fix=f"one of {', '.join(self.outputs)}",
            )
        parts = [
            self._inner.predict(rows[i : i + BATCH], wanted, seed, i)
            for i in range(0, len(rows), BATCH)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in wanted}

    def sample_prior(
        self, tokens: Any, seeds: Sequence[int], steps: int | None = None, samples: int = 1
    ) -> Floats:
        """Draw target embeddings given backbone tokens.

        Parameters
        ----------
        tokens : float array (B, T, D)
            The `backbone` output; repeat a row for several samples of it.
        seeds : sequence of int
            One a row; a sample depends on its own seed alone.
        steps : int, optional
            None runs the prior's whole schedule.
        samples : int
            Draws that are averaged into one sample, before the SPACE's norm is imposed.

        Returns
        -------
        float32 array (B, T, D), in the SPACE's norm.

        Raises
        ------
        UsageProblem
            The run has no prior.
        """
        if not isinstance(self._inner, HighLevelPredictor):
            raise UsageProblem(f"a {self.kind} run has no prior", where=str(self.run))
        return self._inner.sample(np.asarray(tokens, dtype=np.float32), seeds, steps, samples)

    def _checked(self, voxels: Any) -> Floats:
        rows = np.asarray(voxels, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.n_voxels:
            raise InvalidInput(
                f"voxels of shape {rows.shape}, the run reads (n, {self.n_voxels})",
                where=str(self.run),
                fix="give responses of the voxels that it was trained on",
            )
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            raise InvalidInput(f"{len(bad)} rows are not finite", where=f"voxels row {bad[0]}")
        if not len(rows):
            raise InvalidInput("there are no rows to predict from", where="voxels")
        return rows


def load_run(run: Path, subject: str | None = None) -> RunModel:
    """Load a finished run to predict for one of its subjects.

    Parameters
    ----------
    run : Path
    subject : str, optional
        None means the run's only one.

    Raises
    ------
    UsageProblem
        The run has several subjects and none was named, or it has none of that name.
    MissingResource
        There is no run, one of its files is absent, or it has not finished training.
    InvalidInput
        A file is damaged, its weights do not fit its configuration, or it is an autoencoder.
    """
    info = read_run(run)
    if info.kind == "sae":
        raise InvalidInput(
            "an sae run predicts nothing from voxels",
            where=str(run),
            fix="give a run of `mindeye train high-level` or `mindeye train ridge`",
        )
    if info.status != "finished":
        raise MissingResource(
            "the run has not finished training",
            where=str(run),
            fix=f"start the same `mindeye train {info.kind}` again to continue it",
        )
    place = subject_place(run, info, subject)
    config = _read_config(run / CONFIG)
    tensors = load_tensors(run / MODEL)
    shape = tuple(info.details["target_shape"])
    inner: Predictor
    try:
        if info.kind == "ridge":
            inner = RidgePredictor(RidgeModel.from_tensors(tensors), shape)
        elif info.kind == "high-level":
            high = HighLevelModel(load_config(HighLevelConfig, preset=config["model"]))
            high.load_state_dict(tensors)
            inner = HighLevelPredictor(high.eval(), info.details["target_norm"], shape, place)
        else:
            low = LowLevelModel(load_config(LowLevelConfig, preset=config["model"]))
            low.load_state_dict(tensors)
            inner = LowLevelPredictor(low.eval(), place)
    except (RuntimeError, KeyError) as problem:
        raise InvalidInput(
            "the weights do not fit the run's configuration",
            where=str(run / MODEL),
            fix="train the run again with --overwrite",
        ) from problem
    return RunModel(run, info, config, inner, place)


def _read_config(file: Path) -> dict[str, Any]:
    fix = "restore the file, or train the run again with --overwrite"
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as problem:
        raise MissingResource("the file is absent", where=str(file), fix=fix) from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise InvalidInput(f"not TOML: {problem}", where=str(file), fix=fix) from problem
