"""Soft contrastive loss over three sets: student, teacher, and the teacher's augmented view.

Shapes: `N` rows (every position of every image of the batch), `M` width. The auxiliary loss of the
low-level pipeline's published code.
"""

from __future__ import annotations

from torch import Tensor

TEMPERATURE = 0.075


def soft_contrastive(
    student: Tensor, teacher: Tensor, augmented: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """How far the student stands from the teacher in its relations to the augmented view.

    Parameters
    ----------
    student, teacher, augmented : Tensor, shape (N, M)
        Unit rows, aligned. No gradient flows into the teachers.
    temperature : float
        Divides the cosines.

    Returns
    -------
    Tensor, scalar
        Mean of the cross-entropies of (student, augmented) with labels (teacher, augmented), and
        of (augmented, student) with labels (augmented, teacher).
    """
    teacher, augmented = teacher.detach(), augmented.detach()
    labels = teacher @ augmented.T / temperature
    logits = student @ augmented.T / temperature
    forward = -(labels.softmax(dim=1) * logits.log_softmax(dim=1)).sum(dim=1).mean()
    backward = -(labels.softmax(dim=0) * logits.log_softmax(dim=0)).sum(dim=0).mean()
    return (forward + backward) / 2
