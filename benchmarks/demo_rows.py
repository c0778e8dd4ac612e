"""What a demo's scores say against its controls: the first one's table, and one line a claim.

    python benchmarks/demo_rows.py DEMO [DEMO ...]

DEMO is a folder that `mindeye demo` has left; several are averaged (seeds).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

TWOWAY = ("twoway_scene_net", "twoway_scene_clip")
ROWS = {
    "pixcorr": "PixCorr",
    "twoway_scene_net": "`scene-net` two-way",
    "twoway_scene_clip": "`scene-clip` two-way",
    "category_accuracy": "main object's category",
    "colour_accuracy": "main object's colour",
}
COLUMNS = {
    "high-level": "high-level",
    "low-level": "low-level",
    "ridge": "ridge, same generator",
    "nearest-training": "nearest training image",
    "prior-only": "no image (mean brain)",
    "permuted": "permuted pairing",
}


def claims(demo: Path) -> dict[str, float]:
    """Named numbers of one demo."""
    metrics = json.loads((demo / "recon/both/evaluation.json").read_text())["metrics"]
    pixcorr = metrics["pixcorr"]
    low, high = (pixcorr["controls"][name]["value"] for name in ("low-level", "high-level"))
    found = {
        "pixcorr, both": pixcorr["value"],
        "pixcorr, both minus permuted": pixcorr["value"] - pixcorr["controls"]["permuted"]["mean"],
        "pixcorr, low-level": low,
        "pixcorr, high-level": high,
        "pixcorr, both / low-level": pixcorr["value"] / low,
        "pixcorr, prior only": pixcorr["controls"]["prior-only"]["value"],
        "pixcorr, ridge": pixcorr["controls"]["ridge"]["value"],
        "pixcorr, nearest training": pixcorr["controls"]["nearest-training"]["value"],
    }
    for name in TWOWAY:
        both, alone = metrics[name]["value"], metrics[name]["controls"]["high-level"]["value"]
        found |= {f"{name}, both": both, f"{name}, both minus high-level": both - alone}
    for name in ("category_accuracy", "colour_accuracy", "ssim"):
        found[f"{name}, both"] = metrics[name]["value"]
    return found | retrieval(demo)


def retrieval(demo: Path) -> dict[str, float]:
    """Top-1 of both directions and of the permuted pairing, for both runs."""
    found = {}
    for run in ("high", "ridge"):
        scores: dict[str, Any] = json.loads((demo / f"retrieval-{run}.json").read_text())
        for direction in ("image_retrieval", "brain_retrieval"):
            found[f"{direction}, {run}"] = scores[direction]["top1"]
            found[f"{direction}, {run}, permuted"] = scores[direction]["permuted"]["mean"]
    return found


def table(demo: Path) -> str:
    """One demo's scores beside their controls, in Markdown."""
    metrics = json.loads((demo / "recon/both/evaluation.json").read_text())["metrics"]
    lines = ["| | both (95 %) | " + " | ".join(COLUMNS.values()) + " |"]
    lines.append("|---" * (len(COLUMNS) + 2) + "|")
    for name, title in ROWS.items():
        entry = metrics[name]
        cells = [f"{entry['value']:.3f} ({entry['ci95'][0]:.3f} to {entry['ci95'][1]:.3f})"]
        for control in COLUMNS:
            given = entry["controls"][control]
            cells.append(f"{given['mean' if control == 'permuted' else 'value']:.3f}")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the first demo's table, then name and mean over demos, with each demo's own number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demos", type=Path, nargs="+")
    demos = parser.parse_args().demos
    print(table(demos[0]) + "\n")
    found = [claims(demo) for demo in demos]
    for name in found[0]:
        values = [one[name] for one in found]
        print(f"{name:<40} {mean(values):>8.4f}   " + " ".join(f"{v:.4f}" for v in values))


if __name__ == "__main__":
    main()
