"""Policies of augmented views: what may happen to a picture, and how often.

`published` is the augmentation of the pictures behind the high-level targets, `teacher` that of the
second view that the low-level pipeline's teacher sees (both from MindEye's released training code).
"""

from __future__ import annotations

from dataclasses import dataclass

from mindeye_store.errors import UsageProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Chances and ranges; the defaults are the published ones.

    Attributes
    ----------
    crop, flip, jitter, grey : float
        Chance of each step, in this order.
    crop_area, crop_ratio : (float, float)
        Range of the crop's share of the picture, and of its width over its height, the latter
        uniform in its logarithm. The crop is brought back to the picture's size.
    brightness, contrast, saturation : float
        The factor is uniform in 1 +- this.
    hue : float
        The shift is uniform in +- this share of a turn.
    """

    crop: float = 0.3
    crop_area: tuple[float, float] = (0.6, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.3
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    grey: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherAugmentation(Augmentation):
    """The teacher's second view: jitter, grey, solarise, blur, then always a crop.

    Attributes
    ----------
    solarize, blur : float
        Chance of each.
    solarize_shift, solarize_reach : float
        What is added to all values is uniform in +- the first; the threshold from which values are
        inverted is uniform in .5 +- the second.
    blur_width : int
        Of the Gaussian kernel, in pixels.
    blur_sigma : (float, float)
        Its deviation is uniform between these, in pixels.
    side : int
        The picture is brought to this side first.
    """

    crop: float = 1.0
    crop_area: tuple[float, float] = (0.5, 1.0)
    flip: float = 0.0
    jitter: float = 0.8
    grey: float = 0.2
    solarize: float = 0.2
    solarize_shift: float = 0.1
    solarize_reach: float = 0.1
    blur: float = 0.1
    blur_width: int = 7
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    side: int = 512


PUBLISHED = Augmentation()
TEACHER = TeacherAugmentation()
POLICIES: dict[str, Augmentation] = {"published": PUBLISHED, "teacher": TEACHER}


def find_policy(name: str | None, space: str) -> Augmentation:
    """The policy of a name; without one, the policy that the space's views were published with.

    Raises
    ------
    UsageProblem
        No such policy.
    """
    if name is None:
        return TEACHER if space.startswith("vicregl-") else PUBLISHED
    if name not in POLICIES:
        raise UsageProblem(
            f"{name!r} is not one of {', '.join(POLICIES)}",
            where="--augment",
        )
    return POLICIES[name]
