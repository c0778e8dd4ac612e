"""SoftCLIP: contrastive loss whose labels are the targets' similarities to one another.

Shapes: `B` batch, `F` features of a flattened row (Scotti et al. 2023, section 3.2 and
appendix A.4).
"""

from __future__ import annotations

import math

from torch import Tensor


def softclip(predicted: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of softened similarities, brain to image and image to brain, averaged.

    Parameters
    ----------
    predicted, target : Tensor, shape (B, F)
        Unit rows. No gradient flows into `target`'s side of the labels.
    temperature : float
        Divides the cosines of labels and predictions alike.

    Returns
    -------
    Tensor, scalar
    """
    fixed = target.detach()
    labels = (fixed @ fixed.T / temperature).softmax(dim=1)
    logits = predicted @ target.T / temperature
    forward = -(labels * logits.log_softmax(dim=1)).sum(dim=1).mean()
    # The published loss uses the same labels, row by row, for the other direction.
    backward = -(labels * logits.T.log_softmax(dim=1)).sum(dim=1).mean()
    return (forward + backward) / 2


def softclip_temperature(
    epoch: int, epochs: int, start: float = 0.004, end: float = 0.0075
) -> float:
    """Temperature of epoch `epoch` of the SoftCLIP phase: half a cosine from `start` to `end`.

    Parameters
    ----------
    epoch : int
        Counted from the phase's first epoch, 0.
    epochs : int
        Length of the phase; its last epoch has `end` exactly.
    start, end : float
        The paper's ramp goes up from .004 to .0075.
    """
    share = epoch / max(1, epochs - 1)
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
