"""Reading one part of a folder in diffusers' layout: offline, strictly, with faults named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mindeye_store.errors import InvalidInput, MissingResource

# Keys named in a message; the rest are counted.
_NAMED = 3
# What a UNet's configuration says of conditions beside its cross-attention.
_CONDITIONS = (
    "class_embed_type",
    "num_class_embeds",
    "addition_embed_type",
    "encoder_hid_dim_type",
    "time_cond_proj_dim",
)


def read_part(kind: Any, folder: Path, *, dtype: torch.dtype = torch.float32) -> Any:
    """Load a network with all of its weights and no others, in evaluation mode.

    Parameters
    ----------
    kind : class
        A class of diffusers with `from_pretrained`, such as `AutoencoderKL`.
    folder : Path
        It holds `config.json` and the weights.
    dtype : torch.dtype

    Raises
    ------
    MissingResource
        The folder or its weights are absent.
    InvalidInput
        The folder is of another class, or its weights are damaged or do not fit it.
    """
    _check_class(kind, folder)
    try:
        with quiet():
            model, info = kind.from_pretrained(
                str(folder), local_files_only=True, dtype=dtype, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise _unreadable(kind, folder, error) from error
    refuse_keys(info["missing_keys"], info["unexpected_keys"], folder)
    model.eval().requires_grad_(False)
    return model


def refuse_keys(missing: Any, unexpected: Any, where: Path) -> None:
    """Name the weights that a file lacks or has too many.

    Raises
    ------
    InvalidInput
        There are such weights.
    """
    parts = [
        f"{len(keys)} weights {what}: {', '.join(sorted(keys)[:_NAMED])}"
        + (" ..." if len(keys) > _NAMED else "")
        for what, keys in (("are missing", list(missing)), ("do not belong", list(unexpected)))
        if keys
    ]
    if parts:
        raise InvalidInput(
            f"weights of another architecture; {'; '.join(parts)}",
            where=str(where),
            fix="give --weights the decoder's own folder",
        )


def refuse_conditions(unet: Any, where: Path, **expected: str) -> None:
    """Refuse a UNet that is told what to draw by other ways than the decoder's.

    Its weights may all be there and still ask for a condition that is never given.

    Parameters
    ----------
    unet : UNet2DConditionModel
    where : Path
        Its folder, for the message.
    expected : str
        The entries of its configuration that a UNet of this decoder has; all others are empty.

    Raises
    ------
    InvalidInput
        It is the UNet of another generator.
    """
    for key in _CONDITIONS:
        found, wanted = unet.config.get(key), expected.get(key)
        if found != wanted:
            raise InvalidInput(
                f"a UNet of another generator: its {key} is {found}, not {wanted}",
                where=str(where / "config.json"),
                fix="give --weights the decoder's own folder",
            )


def one_line(error: Exception) -> str:
    """What an error says, in one line; torch lists keys and sizes on lines of their own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])[:400] or type(error).__name__


def _check_class(kind: Any, folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise MissingResource(
            f"no {kind.__name__} in diffusers' layout",
            where=str(config),
            fix="give --weights a folder in diffusers' layout with this part in it",
        )
    try:
        name = json.loads(config.read_text(encoding="utf-8")).get("_class_name", kind.__name__)
    except (ValueError, AttributeError) as error:
        raise InvalidInput(f"not a configuration: {one_line(error)}", where=str(config)) from error
    if name != kind.__name__:
        raise InvalidInput(f"the part is a {name}, not a {kind.__name__}", where=str(config))


def _unreadable(kind: Any, folder: Path, error: Exception) -> MissingResource | InvalidInput:
    files = [path for path in folder.iterdir() if path.suffix in (".safetensors", ".bin")]
    if not files:
        return MissingResource(
            f"the weights of the {kind.__name__} are absent",
            where=str(folder),
            fix="it needs diffusion_pytorch_model.safetensors",
        )
    return InvalidInput(
        f"the {kind.__name__} cannot be loaded: {one_line(error)}", where=str(folder)
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep diffusers' and transformers' own bars and remarks off stderr; ours say what matters."""
    import warnings

    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    loggers = (diffusers_logging, transformers_logging)
    before = [log.get_verbosity() for log in loggers]
    for log in loggers:
        log.set_verbosity_error()
        log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # numpy 2.4 on diffusers' schedulers, which call np.array(tensor).
            warnings.filterwarnings("ignore", message=".*__array__.*", category=DeprecationWarning)
            yield
    finally:
        for log, level in zip(loggers, before, strict=True):
            log.set_verbosity(level)
