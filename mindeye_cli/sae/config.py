"""The whole configuration of `mindeye sae train`, and its presets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mindeye_cli.models.sae import SaeConfig
from mindeye_cli.sae.fit import FitConfig

# An atom is found again in another seed when the best match has at least this cosine with it.
FOUND = 0.7
# In how many of five seeds an atom must be found again before it is given a name.
SHARE_FOUND = 3 / 5
PRESETS: dict[str, dict[str, Any]] = {
    # Scenes are few attributes: 40 directions of 128 hold nearly all of `scene-clip:pooled`.
    "scene": {
        "model": {"atoms": 48, "k": 16},
        "fit": {"steps": 2000, "batch": 256, "lr": 3e-3},
    },
    "paper": {
        "model": {"atoms": 2048, "k": 32},
        "fit": {"steps": 10_000, "batch": 2048, "lr": 1e-3},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SaeRunConfig:
    """What `config.toml` of an autoencoder's RUN holds.

    Attributes
    ----------
    seed : int
        Of the autoencoder that is kept, and of the held-out images.
    seeds : int
        Further autoencoders of other seeds, in which every atom is looked for.
    validation : float
        Share of the rows held out for the printed scores; they are not trained on.
    model : SaeConfig
    fit : FitConfig
    """

    seed: int = 0
    seeds: int = 5
    validation: float = 0.1
    model: SaeConfig = field(default_factory=SaeConfig)
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        if self.seeds < 0:
            raise ValueError("seeds must not be negative")
        if not 0.0 < self.validation < 1.0:
            raise ValueError("validation must lie in (0, 1)")
