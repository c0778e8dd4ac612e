"""Weights of DALLE2-pytorch's stock prior, from a file in the format of `nousr/conditioned-prior`.

That prior maps CLIP ViT-L/14 text embeddings to image embeddings; the pooled model starts from it.
The file is older than the layout of the published pooled model and lacks its null embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mindeye_cli.models import published_names as names
from mindeye_cli.models.prior.diffusion import DiffusionPrior
from mindeye_cli.models.published import rename, stock_tables
from mindeye_cli.models.published_checks import check_recomputed
from mindeye_cli.models.torch_file import read_torch_file
from mindeye_store.errors import InvalidInput, UsageProblem

# What the older layout lacks; the published training started these at random values too.
ABSENT = ("net.null_text_encodings", "net.null_text_embeds", "net.null_image_embed")
# What it has and nobody reads: one null for all text, and the frozen CLIP of its training.
IGNORED = ("net.null_text_embed", "clip.")


def load_initial_prior(prior: DiffusionPrior, file: Path) -> tuple[str, ...]:
    """Overwrite the prior's weights by the file's, in place.

    Parameters
    ----------
    prior : DiffusionPrior
        With the stock prior's configuration and the file's sizes; its own random weights stay
        where the file has none.
    file : Path
        `best.pth`: a state dict, read as plain tensors.

    Returns
    -------
    tuple of str
        Our names of the tensors left at their random values.

    Raises
    ------
    MissingResource
        There is no such file.
    InvalidInput
        It is no such file, a key is unknown or missing, or a tensor does not fit.
    UsageProblem
        The prior is not configured as the stock one.
    """
    if prior.config.query != "token" or not prior.config.padding:
        raise UsageProblem(
            "prior.init is for the stock prior, this one is configured otherwise",
            where="model.prior.init",
            fix="--preset paper-pooled",
        )
    try:
        state = _tensors(read_torch_file(file))
        recomputed = set(check_recomputed(state, prior.config))
        held = {k: v for k, v in state.items() if k not in recomputed and not _ignored(k)}
        ours = prior.state_dict()
        random = tuple(n for n in ours if _published(n) in ABSENT and _published(n) not in held)
        wanted = {name: value for name, value in ours.items() if name not in random}
        found = rename(stock_tables(held), wanted, names.STOCK_PRIOR)
    except InvalidInput as problem:
        inside = "" if problem.where in (None, str(file)) else f": {problem.where}"
        raise InvalidInput(
            problem.message, where=f"{file}{inside}", fix="give nousr's best.pth for ViT-L/14"
        ) from problem
    prior.load_state_dict({**{name: ours[name] for name in random}, **found})
    return random


def _published(name: str) -> str:
    return names.published_name(name, names.STOCK_PRIOR)


def _ignored(key: str) -> bool:
    return key == IGNORED[0] or key.startswith(IGNORED[1])


def _tensors(content: object) -> Mapping[str, Tensor]:
    if not isinstance(content, Mapping) or "net.learned_query" not in content:
        raise InvalidInput("not the state dict of a DALLE2-pytorch prior: no 'net.learned_query'")
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise InvalidInput(
                f"a {type(value).__name__} where a tensor is expected", where=str(key)
            )
    return content
