"""Pages for tests: a study with two systems, retrieval, a run, a panel, an explanation, a page."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
from evaluate.folders import noisy, recon
from PIL import Image
from retrieve.study import HOSTILE, build

from mindeye_cli.app import main

PANEL = {
    "space": "scene-clip:pooled",
    "novelty": {
        "likeness": [0.5] * 100,
        "quartiles": [
            {"quartile": "1 (nearest)", "images": 3, "pixcorr": {"value": 0.5, "ci95": [0.4, 0.6]}},
            {"quartile": HOSTILE, "images": 3, "pixcorr": {"value": 0.25, "ci95": [0.1, 0.375]}},
        ],
    },
    "effective_rank": {"ratio": 0.4375, "predicted": {"effective_rank": 3.5}},
    "skipped": {"sessions": "one number of training sessions makes no curve"},
}
EXPLAINED = {
    "question": f"Which areas answer for {HOSTILE}?",
    "rois": {
        "V1": {"score": 0.125, "ci95": [0.1, 0.15], "percentile": 71.5},
        HOSTILE: {"score": 2},
    },
}


def picture(seed: int) -> str:
    """A `data:` URI of a noisy picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def other_page() -> str:
    """A page of another command, with what must not come over."""
    strips = "".join(
        f'<li><img src="{picture(k)}" alt="p{k}"><span>0.{k}</span></li>' for k in (1, 2)
    )
    return f"""<!doctype html><html><head><title>no</title><style>p {{ color: red }}</style></head>
<body onload="alert(1)"><h1>Atoms</h1><p>Atom &lt;b&gt; of <a href="https://example.org">it</a></p>
<script>alert(2)</script><img src="https://example.org/x.png" alt="far"><dl><dt>l0</dt><dd>16</dd>
</dl><h2>Atom 7: <i>face</i></h2><ul>{strips}</ul>
<table><tr><th>area</th><th>r</th></tr><tr><td>V4</td><td>0.3</td></tr></table></body></html>"""


def study(folder: Path) -> Path:
    """Two systems on 12 images, retrieval and a run, as commands leave them."""
    made = build(folder)
    truth = {f"p{k:02d}": made.pixels[k] for k in range(12)}
    ids = dict(zip(truth, made.ids, strict=False))
    for kind, amount in (("one", 60), ("two", 120), ("prior-only", 250)):
        _recon(folder / "recon" / kind, noisy(truth, amount), ids, made.store)
    recons = folder / "recon"
    control = f"--control=prior-only={recons / 'prior-only'}"
    for kind in ("one", "two"):
        command = ["evaluate", str(recons / kind), control, "--metrics", "pixcorr,psnr"]
        assert main(command) == 0
    pair, found = (str(recons / kind) for kind in ("one", "two")), str(folder / "compare.json")
    assert main(["compare", *pair, "--seed", "3", "--out", found]) == 0
    out = folder / "retrieval-ridge.json"
    assert main(["retrieve", "pool", str(made.store), str(made.run), "--out", str(out)]) == 0
    return folder


def _recon(folder: Path, pictures: dict, ids: dict[str, str], store: Path) -> None:
    recon(folder, pictures, store=str(store), decoder="scene", seed=0)
    manifest = json.loads((folder / "manifest.json").read_text())
    for line in manifest["images"]:
        line["id"] = ids[line["id"]]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def crowded(folder: Path) -> Path:
    """A page that has every section."""
    demo = study(folder / "demo")
    scores = demo / "recon" / "one" / "evaluation.json"
    document = json.loads(scores.read_text())
    warning = {"code": "rows-shifted", "message": f"shifted by one {HOSTILE}"}
    scores.write_text(json.dumps({**document, "panel": PANEL, "warnings": [warning]}))
    (folder / "explain").mkdir()
    (folder / "explain" / "face.json").write_text(json.dumps(EXPLAINED))
    page = folder / "atoms.html"
    page.write_text(other_page())
    out = folder / "out" / "report.html"
    out.parent.mkdir()
    given = (demo, folder / "explain", page)
    command = ["report", *map(str, given), "--out", str(out), "--published", "--quiet"]
    assert main([*command, "--format", "html,md,tex"]) == 0
    return out
