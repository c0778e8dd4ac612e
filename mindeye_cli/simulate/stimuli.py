"""The pictures of one simulation, each subject's own and the shared ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mindeye_cli.core.progress import track
from mindeye_cli.core.scenes import Scene, near_duplicates, render, sample_scene, simulation_seed
from mindeye_cli.simulate.settings import DUPLICATES_PER_GROUP, IMAGE_LIMIT, SimulateConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Stimuli:
    """All pictures: first the shared ones, then each subject's own in turn.

    Parameters
    ----------
    scenes : list of Scene
    pixels : ndarray of uint8, shape (n, 64, 64, 3)
    group : ndarray of int32, shape (n,)
        Near-duplicate group, -1 for a picture without near-duplicates.
    """

    scenes: list[Scene]
    pixels: npt.NDArray[np.uint8]
    group: npt.NDArray[np.int32]


def make_stimuli(config: SimulateConfig) -> Stimuli:
    """Sample and draw every picture.

    A subject's pictures depend on the seed and its own number alone, so that adding a subject to
    a simulation changes nothing for the others.
    """
    draw = {"cooccurrence": config.cooccurrence}
    base = [sample_scene(simulation_seed(config.seed, i), **draw) for i in range(config.test)]
    scenes, group = list(base), [i if i < config.near_duplicates else -1 for i in range(len(base))]
    for number in range(config.near_duplicates):
        scenes += near_duplicates(base[number], DUPLICATES_PER_GROUP, config.seed)
        group += [number] * DUPLICATES_PER_GROUP
    for subject in config.subjects:
        first = subject * IMAGE_LIMIT
        scenes += [
            sample_scene(simulation_seed(config.seed, first + i), **draw)
            for i in range(config.images)
        ]
        group += [-1] * config.images
    pixels = []
    with track("draw", len(scenes), unit="images") as bar:
        for scene in scenes:
            pixels.append(render(scene))
            bar.advance()
    return Stimuli(scenes=scenes, pixels=np.stack(pixels), group=np.array(group, np.int32))
