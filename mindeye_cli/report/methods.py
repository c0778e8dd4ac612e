"""The methods paragraph, its citations, and what simulated data can and cannot show."""

from __future__ import annotations

from mindeye_cli.report.collect import Findings

CITATIONS = {
    "mindeye": "Scotti PS, Banerjee A, Goode J, et al. (2023). Reconstructing the Mind's Eye:"
    " fMRI-to-Image with Contrastive Learning and Diffusion Priors. NeurIPS 36. arXiv:2305.18274.",
    "nsd": "Allen EJ, St-Yves G, Wu Y, et al. (2022). A massive 7T fMRI dataset to bridge cognitive"
    " neuroscience and artificial intelligence. Nature Neuroscience 25, 116-126.",
    "diffuser": "Ozcelik F, VanRullen R (2023). Natural scene reconstruction from fMRI signals"
    " using generative latent diffusion. Scientific Reports 13, 15666.",
    "ssim": "Wang Z, Bovik AC, Sheikh HR, Simoncelli EP (2004). Image quality assessment: from"
    " error visibility to structural similarity. IEEE Transactions on Image Processing 13,"
    " 600-612.",
    "bootstrap": "Hesterberg TC (2015). What teachers should know about the bootstrap. The American"
    " Statistician 69, 371-386.",
}
SIMULATED = (
    "These responses were simulated. What they can show: that every step of the path works, that"
    " the scores come from the pairing of responses and images (permuted pairings fall to chance),"
    " and how the parts compare when the tuning of every voxel is known. What they cannot show: how"
    " well anything works on a real brain. The scenes are small and simple, the built-in networks"
    " were trained on scenes of the same kind, the voxels are computed from the pictures by rules"
    " that we wrote, and the signal-to-noise ratio was set to resemble single-trial 7T data."
)


def is_simulated(findings: Findings) -> bool:
    """Whether the page shows procedural scenes: runs to built-in spaces, or scene records."""
    spaces = [run.info["space"] for run in findings.runs]
    spaces += [str(item.result.get("space", "")) for item in findings.retrievals]
    records = any("category_accuracy" in item.scores["metrics"] for item in findings.evaluations)
    return records or any(space.startswith("scene-") for space in spaces)


def paragraphs(findings: Findings) -> list[str]:
    """How the numbers were made, in words that a paper can take over."""
    text = [_models(findings)] if findings.runs else []
    text += [_retrieval(findings)] if findings.retrievals else []
    text += [_images(findings)] if findings.evaluations else []
    return text


def citations(findings: Findings) -> list[str]:
    """The works that the paragraphs name."""
    keys = ["mindeye", "nsd", "bootstrap"]
    if findings.evaluations:
        keys += ["diffuser", "ssim"]
    return sorted(CITATIONS[key] for key in keys)


def _models(findings: Findings) -> str:
    kinds = sorted({f"{run.info['kind']} ({run.info['space']})" for run in findings.runs})
    voxels = sorted({str(n) for run in findings.runs for n in run.info["n_voxels"]})
    return (
        f"Models were trained on {' and '.join(voxels)} voxels: {', '.join(kinds)}. High-level and"
        " low-level models follow the architecture of Scotti et al. (2023). Ridge regression is the"
        " linear baseline, its penalty chosen by inner folds grouped by image. No test trial took"
        " part in training, normalisation or selection."
    )


def _retrieval(findings: Findings) -> str:
    first = findings.retrievals[0].result
    return (
        f"Retrieval: {first['draws']} pools of {first['pool']} of {first['n']} {first['split']}"
        " images were drawn without replacement. Image retrieval ranks the images of the pool for a"
        " brain response, brain retrieval ranks the responses for an image; a tie counts as the"
        " middle of the tied places. Intervals resample images with the pools fixed (expanded"
        " percentile bootstrap, Hesterberg 2015). The permuted control pairs responses and images"
        " at random 1,000 times at test time and gives the mean over all pools."
    )


def _images(findings: Findings) -> str:
    scores = findings.evaluations[0].scores
    return (
        f"Reconstructions of {scores['images']} images were scored by the published protocol"
        " (Ozcelik & VanRullen 2023; Scotti et al. 2023; SSIM after Wang et al. 2004): pictures"
        " resized bilinearly without antialiasing, two-way identification by Pearson correlation"
        f" with strict inequality. Intervals come from {scores['bootstrap']['draws']} resamples of"
        " images, in which pairs of copies of one image are left out. The permuted control pairs"
        " reconstructions and stimuli at random 1,000 times."
    )
