"""What an evaluation depends on: the same of it is the same evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mindeye_cli.core import stats
from mindeye_cli.core.fingerprint import environment, of_array, of_json
from mindeye_cli.evaluate.metrics import DEFAULT, METRICS, PUBLISHED
from mindeye_cli.evaluate.options import Options
from mindeye_cli.evaluate.pictures import Pictures
from mindeye_cli.evaluate.scoring import facts
from mindeye_store.errors import MissingResource


def metric_names(options: Options) -> tuple[str, ...]:
    """Metrics that are asked for, in their order."""
    group = PUBLISHED if options.published else DEFAULT
    return options.metrics or tuple(metric.name for metric in group)


def _weights(names: Sequence[str], truth: Pictures) -> dict[str, Any]:
    """What each metric's network is read from now; None where it is not there."""
    found = dict[str, Any]()
    for name in names:
        if METRICS[name].facts is not None:
            try:
                found[name] = of_json(facts(METRICS[name], truth))
            except MissingResource:
                found[name] = None
    return found


def identity(
    options: Options, recons: Pictures, truth: Pictures, controls: Mapping[str, Pictures]
) -> dict[str, Any]:
    """Pictures, settings and networks by their fingerprints."""
    return {
        "reconstructions": recons.fingerprint,
        "stimuli": truth.fingerprint,
        "ids": of_json(recons.ids),
        "pictures": of_json(
            {name: of_array(pixels) for name, pixels in zip(truth.ids, truth.pixels, strict=True)}
        ),
        "controls": {name: pictures.fingerprint for name, pictures in controls.items()},
        "metrics": metric_names(options),
        "weights": _weights(metric_names(options), truth),
        "protocol": options.protocol,
        "seed": options.seed,
        "permutations": stats.PERMUTATIONS,
        **({"panel": [str(path.resolve()) for path in options.runs]} if options.panel else {}),
        "version": environment().get("mindeye"),
    }
