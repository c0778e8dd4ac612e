"""Distance between predicted and true latents, in the autoencoder's own units.

Shapes: `B` batch, `C` latent channels, `H`/`W` latent side.
"""

from __future__ import annotations

from torch import Tensor

KINDS = ("mae", "mse")


def latent_loss(
    predicted: Tensor, target: Tensor, scaling_factor: float, kind: str = "mae"
) -> Tensor:
    """Mean absolute or squared error of scaled latents, with the scaling factor divided out.

    Parameters
    ----------
    predicted, target : Tensor, shape (B, C, H, W)
        Posterior mode times `scaling_factor`.
    scaling_factor : float
        The autoencoder's (0.18215 for Stable Diffusion's).
    kind : {"mae", "mse"}
        The paper trains with the absolute error.

    Returns
    -------
    Tensor, scalar

    Raises
    ------
    ValueError
        For another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"latent loss {kind!r} is not one of {', '.join(KINDS)}")
    error = (predicted - target) / scaling_factor
    return error.abs().mean() if kind == "mae" else error.square().mean()
