"""`mindeye checkpoint import mindeye1`: a published MindEye (2023) file becomes a RUN."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mindeye_cli.core.atomic import refuse_existing, staged_dir
from mindeye_cli.core.config import to_toml
from mindeye_cli.core.fingerprint import of_file
from mindeye_cli.core.jsonable import to_jsonable
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.run_subjects import UNNAMED
from mindeye_cli.core.runs import RunInfo, create_run, finish_run, read_run
from mindeye_cli.models.high_level import HighLevelConfig
from mindeye_cli.models.lowlevel import LowLevelConfig
from mindeye_cli.models.published import Layout, Published, from_published
from mindeye_cli.models.torch_file import read_torch_file
from mindeye_store.errors import InvalidInput, UsageProblem

WEIGHTS = "model_state_dict"
KINDS: dict[Layout, Literal["high", "low"]] = {
    "prior_257": "high",
    "prior_1x768": "high",
    "autoencoder": "low",
}
# The SPACE of each file and its norm: 257 tokens over the norm of the first, the pooled embedding
# and the scaled latents as they come (Scotti et al. 2023, section 3.3 and appendix A.3.2).
SPACES: dict[Layout, tuple[str, str]] = {
    "prior_257": ("clip-vit-l14:tokens", "cls"),
    "prior_1x768": ("clip-vit-l14:pooled", "raw"),
    "autoencoder": ("sd-vae", "raw"),
}
# Voxels of nsdgeneral tell the published subjects apart.
SUBJECTS = {15724: "subj01", 14278: "subj02", 13039: "subj05", 12682: "subj07"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """Options of the command.

    Attributes
    ----------
    file, run : Path
        The published file, and the RUN folder to write.
    kind : {"high", "low"} or None
        What the file must be; None takes what it is.
    subject : str or None
        Whose responses the model reads. None takes the published subject with as many voxels; where
        there is none, commands that read a store ask for it.
    overwrite : bool
    """

    file: Path
    run: Path
    kind: Literal["high", "low"] | None = None
    subject: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedConfig:
    """The configuration of an imported run: its model, nothing about a training of ours."""

    model: HighLevelConfig | LowLevelConfig


def import_mindeye1(request: ImportRequest) -> Outcome:
    """Write the RUN, whole or not at all.

    Parameters
    ----------
    request : ImportRequest

    Returns
    -------
    Outcome
        Values `kind`, `layout`, `space`, `shape`, `n_voxels`, `subjects`, `parameters`, `used`,
        `recomputed`, `unused`, `missing` (keys of the file), `ignored` (what it holds beside the
        weights), `epoch`, `sha256`.

    Raises
    ------
    MissingResource
        There is no such file.
    InvalidInput
        It is not one of the published layouts, key by key, or not of the kind asked for.
    UsageProblem
        Something else is at RUN.
    """
    content = _checkpoint(read_torch_file(request.file), request.file)
    try:
        published = from_published(content[WEIGHTS])
    except (InvalidInput, UsageProblem) as problem:
        # Sizes that contradict each other are the file's fault here, not the command line's.
        inside = f": {problem.where}" if problem.where else ""
        raise InvalidInput(
            problem.message,
            where=f"{request.file}{inside}",
            fix="give a published prior_257, prior_1x768 or autoencoder file",
        ) from problem
    found = KINDS[published.layout]
    if request.kind not in (None, found):
        raise InvalidInput(
            f"the file is a {found}-level checkpoint ({published.layout})",
            where=str(request.file),
            fix=f"--kind {found}, or leave --kind out",
        )
    if published.note:
        logging.getLogger("mindeye").warning("%s; its keys are not used", published.note)
    info = _describe(request, published, content)
    if (request.run / "run.json").exists() and not request.overwrite:
        if _same(read_run(request.run), info):
            return Outcome("notneeded", (request.run,), _values(info, published))
        refuse_existing(request.run, overwrite=False)
    _write(request, info, published)
    return Outcome(outputs=(request.run,), values=_values(info, published))


def _checkpoint(content: Any, file: Path) -> Mapping[str, Any]:
    """The file's dictionary, with the weights in it."""
    if isinstance(content, Mapping) and isinstance(content.get(WEIGHTS), Mapping):
        return content
    raise InvalidInput(
        f"not a published MindEye checkpoint: it holds no {WEIGHTS!r}",
        where=str(file),
        fix="give the file as published, such as last.pth or epoch120.pth",
    )


def _describe(request: ImportRequest, published: Published, content: Mapping[str, Any]) -> RunInfo:
    config = published.config
    space, norm = SPACES[published.layout]
    if isinstance(config, HighLevelConfig):
        shape = [config.width] if config.tokens == 1 else [config.tokens, config.width]
    else:
        shape = [config.latent_channels, config.latent_size, config.latent_size]
    subject = request.subject or SUBJECTS.get(config.n_voxels[0], UNNAMED)
    epoch = content.get("epoch")
    return RunInfo(
        kind="high-level" if isinstance(config, HighLevelConfig) else "low-level",
        space=space,
        subjects=(subject,),
        n_voxels=config.n_voxels,
        seed=0,
        # Empty: the file does not tell which responses and which encoder's targets trained it.
        voxels=("",),
        targets="",
        details={
            "masks": [""],
            "trained_images": [],
            "target_norm": norm,
            "target_shape": shape,
            "imported": {
                "format": "mindeye1",
                "layout": published.layout,
                "sha256": of_file(request.file),
                "epoch": epoch if isinstance(epoch, int) else None,
                "recomputed": list(published.recomputed),
                "unused": list(published.unused),
                "ignored": sorted(map(str, set(content) - {WEIGHTS, "epoch"})),
                "note": published.note,
            },
        },
    )


def _same(found: RunInfo, wanted: RunInfo) -> bool:
    """Whether the finished run there is this import of this file."""
    names = ("kind", "subjects", "details", "n_voxels", "space")
    same = all(to_jsonable(getattr(found, n)) == to_jsonable(getattr(wanted, n)) for n in names)
    return same and found.status == "finished"


def _write(request: ImportRequest, info: RunInfo, published: Published) -> None:
    occupied = request.run.exists() and (request.run.is_file() or any(request.run.iterdir()))
    if occupied and not (request.run / "run.json").exists():
        raise UsageProblem(
            "what is here is not a run and is never replaced",
            where=str(request.run),
            fix="give another RUN",
        )
    with staged_dir(request.run, overwrite=request.overwrite) as staged:
        create_run(staged, info, to_toml(ImportedConfig(model=published.config)))
        finish_run(staged, published.tensors, steps=0, metrics={})


def _values(info: RunInfo, published: Published) -> dict[str, Any]:
    imported = info.details["imported"]
    return {
        "kind": info.kind,
        "layout": published.layout,
        "space": info.space,
        "shape": info.details["target_shape"],
        "n_voxels": info.n_voxels,
        "subjects": [name for name in info.subjects if name],
        "parameters": sum(tensor.numel() for tensor in published.tensors.values()),
        "used": published.used,
        "recomputed": published.recomputed,
        "unused": published.unused,
        "missing": [],
        "ignored": imported["ignored"],
        "epoch": imported["epoch"],
        "sha256": imported["sha256"],
        "note": published.note or None,
    }
