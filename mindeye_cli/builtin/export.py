"""Export of a trained model: fp16 safetensors, configuration and model card."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from mindeye_cli.builtin.loop import LoopConfig
from mindeye_cli.core.atomic import staged_dir, write_json, write_text

SHARD = "3900KB"  # no shipped file above 4 MiB

_CARD = """# {name}

{what}

| | |
|---|---|
{rows}

Retrain: `{command}`

Drawn scenes only; neither a photograph nor a person's data was seen. Weights are stored as float16
and loaded as float32. Licence: the package's.
"""


def half(module: nn.Module) -> dict[str, torch.Tensor]:
    """State dict with floating tensors as contiguous float16."""
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().clone()
        for name, tensor in module.state_dict().items()
    }


def card(
    name: str, what: str, config: LoopConfig, step: int, command: str, facts: Mapping[str, str]
) -> str:
    """Model card in Markdown."""
    rows = {
        **facts,
        "training": f"{step} steps of {config.batch} scenes, "
        f"AdamW, peak learning rate {config.lr:g}, seed {config.seed}",
    }
    lines = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return _CARD.format(name=name, what=what, rows=lines, command=command)


def export_plain(folder: Path, model: nn.Module, config: dict[str, Any], text: str) -> None:
    """Write `config.json`, `model.safetensors` and the card, replacing an older export."""
    with staged_dir(folder, overwrite=True) as staged:
        write_json(staged / "config.json", config)
        save_file(half(model), str(staged / "model.safetensors"))
        write_text(staged / "README.md", text)
        _readable(staged)


def export_diffusers(folder: Path, model: Any, text: str) -> None:
    """Write a diffusers model as float16 in files below 4 MiB, with its card."""
    with staged_dir(folder, overwrite=True) as staged:
        # Not from_config: it falls back to defaults where a value was registered afterwards.
        copy.deepcopy(model).half().save_pretrained(str(staged), max_shard_size=SHARD)
        config = json.loads((staged / "config.json").read_text())
        config.pop("_name_or_path", None)
        write_json(staged / "config.json", config)
        write_text(staged / "README.md", text)
        _readable(staged)


def _readable(folder: Path) -> None:
    """Let everyone read the files: safetensors writes them for their owner alone."""
    for path in folder.iterdir():
        path.chmod(0o644)
