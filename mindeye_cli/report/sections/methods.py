"""The methods paragraph, generated from the facts of the page, and the works that it cites."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from mindeye_cli.core.source_datasets import NSD, SIMULATION
from mindeye_cli.report.blocks import Block, Bullets, Heading, Section, Text
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import (
    Comparison,
    Evaluation,
    Explanation,
    Findings,
    Retrieval,
    Run,
)
from mindeye_cli.report.names import metric
from mindeye_cli.report.sections import origin

CITATIONS = Path(__file__).parent.parent / "citations.toml"
DATA = {
    SIMULATION: "Responses were simulated with known tuning; the pictures are drawn scenes.",
    NSD: "Responses and pictures are those of the Natural Scenes Dataset (Allen et al. 2022).",
}


AREAS = (
    "Which areas respond was asked of a voxelwise encoding model: ridge regression from embeddings"
    " to responses, fitted to images that are nobody's test image, its penalty chosen for every"
    " voxel by cross-validation. Areas are named by the maximum statistic over areas of refits on"
    " permuted images; intervals come from a wild bootstrap over images (Liu 1988). What the"
    " decoder uses is told by expected gradients (Sundararajan et al. 2017; Erion et al. 2021) and"
    " Shapley values; what it needs by occlusion, beside random voxels of equal number and noise"
    " ceiling."
)


COMPARED = (
    "Systems were compared image by image: intervals and two-sided p values of the mean difference"
    " come from the bootstrap-t over images (Efron & Tibshirani 1993; Student's t below eight"
    " images), for two-way identification over the jackknife's pseudo-values (Efron & Stein 1981);"
    " from eight subjects on, subjects and images are resampled together (expanded percentile"
    " bootstrap, Hesterberg 2015). p values are corrected over metrics and pairs of systems, those"
    " of single subjects or seeds over these too (Holm 1979)."
)


RESAMPLED = (
    "Fractions of the way to the ceiling and bottleneck curves have the expanded percentile"
    " bootstrap (Hesterberg 2015)."
)


def build(findings: Findings, context: Context) -> Section:
    """How the numbers were made, in words that a paper can take over."""
    sources = origin.sources(findings, context)
    texts = [DATA[name] for name in sorted(sources) if name in DATA]
    texts += [_models(findings)] if findings.of(Run) else []
    texts += [_retrieval(findings)] if findings.of(Retrieval) else []
    texts += [_images(findings)] if findings.of(Evaluation) else []
    texts += [COMPARED] if findings.of(Comparison) else []
    texts += [AREAS] if findings.of(Explanation) else []
    blocks: list[Block] = [Text(text) for text in texts]
    works = Bullets(cited(findings, nsd=NSD in sources))
    return Section(key="methods", title="Methods", blocks=(*blocks, Heading("References"), works))


def cited(findings: Findings, *, nsd: bool) -> tuple[str, ...]:
    """The works that the paragraphs name and those behind the metrics, by first author."""
    works = tomllib.loads(CITATIONS.read_text(encoding="utf-8"))
    used = {name for item in findings.of(Evaluation) for name in item.scores["metrics"]}
    keys = {"mindeye"} | ({"nsd"} if nsd else set())
    if findings.of(Retrieval):
        keys |= {"student", "wilson", "bootstrap"}
    if findings.of(Evaluation):
        keys |= {"student", "wilson", "jackknife", "skewness", "diffuser", "bits", "spurious"}
    if findings.of(Comparison):
        keys |= {"student", "jackknife", "bootstrap", "holm"}
    if _resampled(findings):
        keys |= {"bootstrap"}
    if findings.of(Explanation):
        keys |= {"path", "expected", "wild"}
    keys |= {key for key, work in works.items() if used & set(work.get("metrics", ()))}
    return tuple(sorted(works[key]["text"] for key in keys))


def _models(findings: Findings) -> str:
    runs = findings.of(Run)
    kinds = sorted({f"{run.info['kind']} ({run.info['space']})" for run in runs})
    voxels = sorted({n for run in runs for n in run.info["n_voxels"]})
    ridge = any(run.info["kind"] == "ridge" for run in runs)
    linear = (
        " Ridge regression is the linear baseline, its penalty chosen by inner folds grouped by"
        " image."
    )
    return (
        f"Models were trained on {' and '.join(map(str, voxels))} voxels: {', '.join(kinds)}."
        " High-level and low-level models follow the architecture of Scotti et al. (2023)."
        f"{linear if ridge else ''} No test trial took part in training, normalisation or"
        " selection."
    )


def _retrieval(findings: Findings) -> str:
    first = findings.of(Retrieval)[0].result
    return (
        f"Retrieval: {_pools(first)} of {first['n']} {first.get('split', '')} images drawn without"
        " replacement. Image retrieval ranks"
        " the images of the pool for a brain response, brain retrieval ranks the responses for an"
        " image;"
        " a tie counts as the middle of the tied places. Intervals (95 %) are over images with the"
        " pools fixed: Wilson's limits (1927) for shares, the bootstrap-t (Efron & Tibshirani 1993)"
        " for mean ranks, the expanded percentile bootstrap (Hesterberg 2015) for median ranks. The"
        " permuted control pairs responses and images at random 1,000 times at test time and gives"
        " the mean over all pools."
    )


def _pools(result: dict[str, Any]) -> str:
    many = "one pool" if result["draws"] == 1 else f"{result['draws']} pools"
    return f"{many} of {result['pool']}"


def _images(findings: Findings) -> str:
    items = findings.of(Evaluation)
    scores = items[0].scores
    counts = sorted({item.scores.get("images", len(set(item.scores["ids"]))) for item in items})
    names = ", ".join(metric(name) for name in scores["metrics"])
    protocol = scores.get("protocol") or scores.get("inputs", {}).get("protocol") or "mindeye"
    published = "Ozcelik & VanRullen 2023" if protocol == "brain-diffuser" else "Scotti et al. 2023"
    draws = scores.get("bootstrap", {}).get("draws")
    resamples = f"{draws:,} resamples" if isinstance(draws, int) else "resamples"
    more = f" {RESAMPLED}" if _resampled(findings) else ""
    return (
        f"Reconstructions of {' and '.join(map(str, counts))} images were scored by {names}, with"
        f" the {protocol} protocol ({published}): pictures resized bilinearly without antialiasing,"
        " two-way identification by Pearson correlation with strict inequality. Intervals (95 %)"
        f" are over images: the bootstrap-t with {resamples} (Efron & Tibshirani 1993; Student's t"
        " below eight images) for means;"
        " Wilson's limits (1927) for shares; the same for two-way identification, with the number"
        " of independent images that the jackknife gives (Efron & Stein 1981) and the longer tail"
        f" moved out by the skewness over images (Johnson 1978).{more} The permuted control pairs"
        " reconstructions and stimuli at random 1,000 times; controls that share the generator"
        " separate what it does by itself from what the brain adds (Mayo et al. 2024; Shirakawa et"
        " al. 2024)."
    )


def _resampled(findings: Findings) -> bool:
    """Whether the page shows intervals that are percentiles of resampled scores."""
    sheets = [item.scores for item in findings.of(Evaluation)]
    lines = [line for scores in sheets for line in scores["metrics"].values()]
    curves = [scores.get("panel") or {} for scores in sheets]
    return any(line.get("fraction") for line in lines) or any("bottleneck" in c for c in curves)
