"""Where the pictures and responses come from: simulated, NSD, or not known.

`mindeye prepare` records it in each subject's `SourceDatasets`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mindeye_cli.core.source_datasets import NSD, SIMULATION
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Evaluation, Explanation, Findings, Retrieval, Run
from mindeye_store import open_store

SIMULATED = (
    "These responses were simulated. What they can show: that every step of the path works, that"
    " the scores come from the pairing of responses and images (permuted pairings fall to chance),"
    " and how the parts compare when the tuning of every voxel is known. What they cannot show: how"
    " well anything works on a real brain. The scenes are small and simple, the built-in networks"
    " were trained on scenes of the same kind, the voxels are computed from the pictures by rules"
    " that we wrote, and the signal-to-noise ratio was set to resemble single-trial 7T data."
)
AGREEMENT = (
    "Pictures on this page come from the Natural Scenes Dataset, and through it from COCO. Whoever"
    " uses NSD has agreed to its data access agreement, and the pictures belong to their"
    " photographers: read the agreement and the pictures' licences before you pass this page on or"
    " publish it, and cite Allen et al. (2022)."
)


def sources(findings: Findings, context: Context) -> set[str]:
    """Ids of the data sets behind the page's stores.

    Returns
    -------
    set of str
        Such as `NSD` or `mindeye-simulation`. Scenes of built-in spaces count as simulated where no
        store says anything.
    """
    found: set[str] = set()
    for path in _stores(findings, context):
        store = open_store(path)
        for name in store.subjects:
            for source in store.attrs(f"subjects/{name}").get("SourceDatasets", []):
                found.add(str(source.get("id")))
    for item in findings.of(Explanation):
        found |= {str(source.get("id")) for source in item.result.get("datasets", [])}
    if not found and _scenes(findings):
        found.add(SIMULATION)
    return found


def notes(findings: Findings, context: Context) -> Iterable[tuple[str, str]]:
    """What a reader must know of the data: that it is simulated, or whose pictures these are."""
    found = sources(findings, context)
    if SIMULATION in found:
        yield "Simulated data", SIMULATED
    if NSD in found:
        yield "Data agreement", AGREEMENT


def _stores(findings: Findings, context: Context) -> set[Path]:
    recorded = {item.result["store"] for item in findings.of(Retrieval)}
    for item in findings.of(Evaluation):
        if item.scores["stimuli"]["kind"] == "store":
            recorded.add(item.scores["stimuli"]["path"])
    return {path for path in map(context.store, recorded) if path.exists()}


def _scenes(findings: Findings) -> bool:
    """Whether the page shows procedural scenes: runs to built-in spaces, or scene records."""
    spaces = [run.info["space"] for run in findings.of(Run)]
    spaces += [str(item.result.get("space", "")) for item in findings.of(Retrieval)]
    records = any("category_accuracy" in e.scores["metrics"] for e in findings.of(Evaluation))
    return records or any(space.startswith("scene-") for space in spaces)
