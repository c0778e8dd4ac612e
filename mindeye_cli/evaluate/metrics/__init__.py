"""The registry of metrics: the order here is the order of every table."""

from __future__ import annotations

from mindeye_cli.evaluate.metrics import perceptual as by
from mindeye_cli.evaluate.metrics.attributes import ATTRIBUTES
from mindeye_cli.evaluate.metrics.pixcorr import PIXCORR
from mindeye_cli.evaluate.metrics.psnr import PSNR
from mindeye_cli.evaluate.metrics.spec import Metric, Scores
from mindeye_cli.evaluate.metrics.ssim import SSIM
from mindeye_cli.evaluate.metrics.statistics import COLOURS, EDGES, NMI

# The eight of the published tables, in their order.
PUBLISHED = (
    PIXCORR,
    SSIM,
    *(by.two_way_metric(judge) for judge in (by.ALEXNET2, by.ALEXNET5, by.INCEPTION, by.CLIP)),
    *(by.distance_metric(judge) for judge in (by.EFFICIENTNET, by.SWAV)),
)
_SCENES = tuple(by.two_way_metric(judge) for judge in (by.SCENE_CLIP, by.SCENE_NET))
_IDENTIFIED = (by.CLIP, by.SCENE_NET)
_ON_DEMAND = (by.ALEXNET2, by.ALEXNET5, by.INCEPTION, by.SCENE_CLIP)

# Without `--metrics`, in this order.
DEFAULT = (
    *PUBLISHED,
    PSNR,
    NMI,
    COLOURS,
    EDGES,
    *_SCENES,
    *(metric for judge in _IDENTIFIED for metric in by.identification_metrics(judge)),
    *ATTRIBUTES,
)
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *DEFAULT,
        *(metric for judge in _ON_DEMAND for metric in by.identification_metrics(judge)),
    )
}
# As the published tables write them, in lower case.
ALIASES = {
    "alexnet(2)": "twoway_alexnet2",
    "alexnet(5)": "twoway_alexnet5",
    "alexnet2": "twoway_alexnet2",
    "alexnet5": "twoway_alexnet5",
    "inception": "twoway_inception",
    "inceptionv3": "twoway_inception",
    "clip": "twoway_clip",
    "effnet-b": "corrdist_efficientnet",
    "efficientnet": "corrdist_efficientnet",
    "swav": "corrdist_swav",
    "scene-clip": "twoway_scene_clip",
    "scene-net": "twoway_scene_net",
}

__all__ = ["ALIASES", "DEFAULT", "METRICS", "PUBLISHED", "Metric", "Scores"]
