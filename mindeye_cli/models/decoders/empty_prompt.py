"""The embedding of an empty prompt, for generators that were trained with words beside pictures."""

from __future__ import annotations

from pathlib import Path

import torch

from mindeye_cli.models.diffusers_files import one_line, quiet, refuse_keys
from mindeye_store.errors import InvalidInput, MissingResource


def empty_prompt(folder: Path, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Encode the empty prompt once; the text encoder is not kept.

    Parameters
    ----------
    folder : Path
        Holds `tokenizer/` and `text_encoder/` of Stable Diffusion.
    device : torch.device
    dtype : torch.dtype

    Returns
    -------
    tensor (1, T, D)

    Raises
    ------
    MissingResource
        One of the two is absent.
    InvalidInput
        One of the two cannot be read, or is of another architecture.
    """
    from transformers import CLIPTextModel, CLIPTokenizer

    for part, file in (("tokenizer", "vocab.json"), ("text_encoder", "config.json")):
        if not (folder / part / file).is_file():
            raise MissingResource(
                f"the {part.replace('_', ' ')} is absent",
                where=str(folder / part / file),
                fix="this decoder reads an empty prompt: give --weights a folder with"
                " tokenizer/ and text_encoder/",
            )
    where = folder / "text_encoder"
    try:
        with quiet():
            tokenizer = CLIPTokenizer.from_pretrained(
                str(folder / "tokenizer"), local_files_only=True
            )
            encoder, info = CLIPTextModel.from_pretrained(
                str(where), local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise InvalidInput(f"not a text encoder: {one_line(error)}", where=str(where)) from error
    refuse_keys(info["missing_keys"], info["unexpected_keys"], where)
    length = int(encoder.config.max_position_embeddings)
    words = tokenizer(
        "", padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        embedded: torch.Tensor = encoder.eval()(words.input_ids)[0]
    return embedded.to(device, dtype)
