"""Metrics and controls in words, and which controls a score must beat."""

from __future__ import annotations

from typing import Any

METRICS = {
    "pixcorr": "PixCorr",
    "ssim": "SSIM",
    "psnr": "PSNR",
    "alexnet2": "AlexNet(2)",
    "alexnet5": "AlexNet(5)",
    "inception": "Inception",
    "clip": "CLIP",
    "effnet": "EffNet-B",
    "swav": "SwAV",
    "twoway_scene_net": "two-way, scene-net",
    "twoway_scene_clip": "two-way, scene-clip",
    "category_accuracy": "main object's category",
    "colour_accuracy": "main object's colour",
}
RECORDED = {"ci95": "95 % interval", "range95": "95 % range", "q": "q (false discovery rate)"}
# What each control is, for the reader of a table.
CONTROLS = {
    "chance": "what guessing scores, where the definition says so",
    "permuted": "reconstructions and stimuli paired at random 1,000 times: mean and 95 % range",
    "prior-only": "mean brain through the same decoder: what the generator makes by itself",
    "random-voxels": "as many random voxels of the same noise ceiling, through the same decoder",
    "shuffled-fit": "a refit on shuffled training rows",
    "nearest-training": "the training image nearest to the predicted embedding, copied",
    "ridge": "a linear model's prediction through the same decoder",
    "low-level": "the low-level picture alone (a blurred picture has a high SSIM)",
    "high-level": "the high-level pipeline alone",
    "ceiling": "the true embedding through the same decoder: what the generator could reach",
    "stimulus": "the same reader on the true picture",
}
OTHER = "pictures of that name, scored in the same way"
# A system that knows something of the brain is better than every one of these; the others above are
# other systems, or bounds.
MUST_BEAT = ("chance", "permuted", "prior-only", "shuffled-fit", "nearest-training")
# The summary's scores, the first four that were computed.
HEADLINES = (
    "pixcorr",
    "ssim",
    "alexnet5",
    "clip",
    "twoway_scene_net",
    "category_accuracy",
)


def metric(name: str) -> str:
    """A metric as the field writes it."""
    return words(name)


def words(key: str) -> str:
    """A key of a record as words."""
    return METRICS.get(key) or RECORDED.get(key) or key.replace("_", " ")


def meaning(control: str) -> str:
    """What a control is."""
    return CONTROLS.get(control, OTHER)


def controls_of(metrics: dict[str, Any]) -> list[str]:
    """Every control that stands beside any metric: known ones first, in the order above."""
    found = dict.fromkeys(name for line in metrics.values() for name in line.get("controls", {}))
    known = [name for name in CONTROLS if name in found]
    return known + [name for name in found if name not in CONTROLS]


def areas(record: dict[str, Any]) -> str:
    """Which areas a reconstruction or a retrieval was made from; empty where from all.

    Parameters
    ----------
    record : dict
        A manifest or a result, with `readout` where areas were named.
    """
    readout = record.get("readout") or {}
    kept = f"{readout['keep']} alone" if readout.get("keep") else ""
    dropped = f"without {readout['drop']}" if readout.get("drop") else ""
    told = ", ".join(filter(None, (kept, dropped)))
    random = told and record.get("control") == "random-voxels"
    return f"random voxels like {told}" if random else told


def around(entry: dict[str, Any]) -> list[float] | None:
    """The range or interval of a value, if it has one."""
    pair = entry.get("range95") or entry.get("ci95")
    return None if pair is None or any(v is None for v in pair) else [float(v) for v in pair]
