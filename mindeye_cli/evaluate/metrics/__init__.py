"""The registry of metrics: the order here is the order of every table."""

from __future__ import annotations

from mindeye_cli.evaluate.metrics.attributes import ATTRIBUTES
from mindeye_cli.evaluate.metrics.pixcorr import PIXCORR
from mindeye_cli.evaluate.metrics.psnr import PSNR
from mindeye_cli.evaluate.metrics.spec import Metric, Scores
from mindeye_cli.evaluate.metrics.ssim import SSIM
from mindeye_cli.evaluate.metrics.twoway import TWOWAY_SCENE_CLIP, TWOWAY_SCENE_NET

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (PIXCORR, SSIM, PSNR, TWOWAY_SCENE_CLIP, TWOWAY_SCENE_NET, *ATTRIBUTES)
}

__all__ = ["METRICS", "Metric", "Scores"]
