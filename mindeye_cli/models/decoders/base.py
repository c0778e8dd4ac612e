"""What a generator must offer to reconstruct pictures, whatever model is behind it.

Shapes: `B` batch, `T` tokens, `D` width, `C h w` a latent, `H W` a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a generator is run.

    Attributes
    ----------
    steps : int
        Denoising steps of the full trajectory.
    guidance : float
        Classifier-free guidance scale; 1 switches it off.
    strength : float
        Share of the trajectory that is run from the initial latent, in [0, 1]; 0 returns the
        latent's own picture and 1 starts from pure noise.
    """

    steps: int
    guidance: float
    strength: float

    @property
    def steps_run(self) -> int:
        """Denoising steps that are run from an initial latent."""
        return int(self.steps * self.strength)


class Decoder(Protocol):
    """A frozen generator: embeddings of one SPACE, and optionally a latent, to pictures.

    Attributes
    ----------
    name, space : str
    latent_space : str or None
        SPACE of the initial latents; None where the generator takes none.
    embedding_shape : tuple of int
        (T, D), or (D,) of a pooled vector.
    latent_shape : tuple of int or None
        (C, h, w); None where any size or no latent is taken.
    defaults : Sampling
    """

    name: str
    space: str
    latent_space: str | None
    embedding_shape: tuple[int, ...]
    latent_shape: tuple[int, ...] | None
    defaults: Sampling

    def generate(
        self, embeddings: Floats, seeds: Sequence[int], sampling: Sampling, latents: Floats | None
    ) -> Floats:
        """Draw one picture a row.

        Parameters
        ----------
        embeddings : float32 array (B, T, D) or (B, D)
            In the decoder's SPACE and with that SPACE's norm.
        seeds : B integers
            One noise seed a row: a picture depends on its own seed alone, not on its batch.
        sampling : Sampling
        latents : float32 array (B, C, h, w) or None
            Scaled initial latents (posterior mode times the scaling factor).

        Returns
        -------
        float32 array (B, H, W, 3) in [0, 1]. A row on which the generator failed is all NaN, for
        the caller to report; the others are not touched by it.

        Raises
        ------
        InvalidInput
            Embeddings or latents of another shape, or latents where none is taken.
        """

    def decode_latents(self, latents: Floats) -> Floats:
        """Return the latents' own pictures, (B, C, h, w) to (B, H, W, 3) in [0, 1]."""

    def save_memory(self, *, offload: bool = False, slicing: bool = False) -> None:
        """Trade time for memory.

        Parameters
        ----------
        offload : bool
            Keep only the part that computes on the accelerator (no effect on a CPU).
        slicing : bool
            Attention and autoencoder one row at a time.
        """


def to_pixels(pictures: Floats) -> Pixels:
    """Round pictures in [0, 1] to 8 bits.

    Parameters
    ----------
    pictures : float32 array (..., 3)

    Returns
    -------
    uint8 array of the same shape.
    """
    return np.rint(np.clip(pictures, 0.0, 1.0) * 255.0).astype(np.uint8)
