"""What `mindeye explain` found: the areas that answer for an image or a set of images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mindeye_cli.report.blocks import (
    Block,
    Bullets,
    Cell,
    Group,
    Heading,
    Note,
    PictureRow,
    PictureTable,
    Row,
    Section,
    Table,
    Text,
)
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Explanation, Findings
from mindeye_cli.report.names import words
from mindeye_cli.report.numbers import number
from mindeye_cli.report.pictures import SUFFIXES
from mindeye_cli.report.sections.explained_tables import RESPONDS, question
from mindeye_cli.report.sections.panel import text
from mindeye_store.errors import InvalidInput

ASKED = "asked-"
# Pictures asked about, in one row.
ACROSS = 8
# Trials that are listed; a set has one line an image.
LISTED = 12
SOURCES = {
    "measured": "The decoder read the subject's own responses to what was asked about.",
    "nearest seen": "The subject did not see this. The decoder read responses to the most similar"
    " images that it saw.",
    "model of a model": "The decoder read responses that the encoding model expects: a model of a"
    " model, not a measurement.",
}
MAPS = {
    "responds": "expected change of response, times r",
    "z": "the change over its spread under permuted images",
    "used": "share of the decoder's score",
    "glass": "on a glass brain",
}
NO_CAUSE = (
    "Three questions, three answers: only the first is about the brain, the others are about the"
    " decoder, and none is a cause."
)


def build(findings: Findings, context: Context) -> Section | None:
    """One part for each result of `mindeye explain`."""
    blocks: list[Block] = []
    for item in findings.of(Explanation):
        blocks.append(Heading(_name(item)))
        blocks += _explained(item, context) if "signal" in item.result else _any(item)
        blocks += _pictures(item, context)
    if not blocks:
        return None
    return Section(key="explained", title="Brain areas", blocks=(Text(NO_CAUSE), *blocks))


def _name(item: Explanation) -> str:
    """What was asked about, and the result's own name where another asked the same."""
    asked = str(item.result.get("asked", ""))
    own = item.path.parent.name if item.path.stem == "explanation" else item.name
    return own if asked in ("", own) else f"{asked} ({own})"


def _explained(item: Explanation, context: Context) -> Iterator[Block]:
    """A whole result of the command."""
    result = item.result
    yield Text(_asked(result))
    yield from _shown(item, context)
    if result["question"] == RESPONDS:
        yield Note(title="Finding", text=_finding(result["rois"]))
    for warning in result["warnings"]:
        yield Note(title=_name(item), text=str(warning), warning=True)
    if result["question"] == RESPONDS:
        yield from question(RESPONDS, result["rois"], _name(item))
        facts = tuple(_facts(result))
        if facts:
            yield Bullets(facts)
    for part in ("used", "needed"):
        if part in result:
            yield from question(result[part]["question"], result[part]["rois"], _name(item))
    if "trials" in result:
        yield from _trials(result["trials"], _name(item))


def _asked(result: dict[str, Any]) -> str:
    about = f"Asked about {result['asked']}"
    if "n" in result:
        about += f", a set of {result['n']}, compared with {result['against']}"
    return f"{about}. Subject {result['subject']}, space {result['space']}."


def _finding(rois: dict[str, Any]) -> str:
    named = [name for name, line in rois.items() if line.get("named")]
    rule = (
        "An area is named where its response is larger than any area's under permuted images in"
        " 95 % of refits, and where the encoding model predicts held-out responses."
    )
    if not named:
        return f"No area is named. {rule}"
    more = f" and {len(named) - 6} more" if len(named) > 6 else ""
    return f"{', '.join(named[:6])}{more}. {rule}"


def _facts(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What else was measured of the images and the encoding model."""
    coherence = result.get("coherence") or {}
    if coherence.get("random") is not None:
        yield (
            "coherence",
            f"mean cosine between two images of the set {number(coherence['value'])}, random sets"
            f" {number(coherence['random'])}, p = {number(coherence['p'])}",
        )
    training, signal = result.get("training"), result["signal"]
    if training:
        yield (
            "nearest training image",
            f"{training['nearest_training']}, mean cosine {number(training['cosine'])}",
        )
    yield "encoding model", f"mean cross-validated r {number(signal['encoding_r'])}"
    if signal["noise_ceiling"] is not None:
        share = f"{100 * signal['noise_ceiling']:.0f} % of a trial's variance"
        yield "noise ceiling", f"{share}; it bounds the encoding model's r, and nothing else here"
    if result.get("skipped_areas"):
        yield "areas of fewer than 3 voxels", ", ".join(result["skipped_areas"])


def _trials(trials: dict[str, Any], label: str) -> Iterator[Block]:
    """Which responses the decoder read."""
    yield Text(SOURCES.get(trials["source"], str(trials["source"])))
    images = trials["images"]
    if not images:
        return
    rows = tuple(
        Row(
            str(image["id"]),
            (
                Cell(str(image["trials"])),
                Cell(number(image["cosine"])),
                Cell("yes" if image["trained_decoder"] else "no"),
            ),
        )
        for image in images[:LISTED]
    )
    more = f" The first {LISTED} of {len(images)}." if len(images) > LISTED else ""
    yield Table(
        label=f"responses read: {label}",
        caption=f"Responses that the decoder read.{more}",
        columns=("image", "trials", "cosine with what was asked", "trained the decoder"),
        groups=(Group("", rows),),
    )


def _any(item: Explanation) -> Iterator[Block]:
    """A result of which no more is known than areas and their numbers."""
    if item.result.get("question"):
        yield Text(str(item.result["question"]))
    rois: dict[str, Any] = item.result["rois"]
    columns = list(dict.fromkeys(key for line in rois.values() for key in line))
    rows = tuple(
        Row(str(name), tuple(Cell(text(line.get(key))) for key in columns))
        for name, line in rois.items()
    )
    yield Table(
        label=f"areas: {_name(item)}",
        caption="Brain areas in the order of the result, with their scores.",
        columns=("area", *map(words, columns)),
        groups=(Group("", rows),),
    )


def _shown(item: Explanation, context: Context) -> Iterator[Block]:
    """The pictures that were asked about."""
    files = sorted(item.path.parent.glob(f"{ASKED}*.png"))
    names = [str(name) for name in item.result.get("names", [])]
    if not files:
        return
    if len(files) > len(names):
        raise InvalidInput(
            f"{len(files)} pictures '{ASKED}*' lie beside it, 'names' holds {len(names)}",
            where=str(item.path),
            fix="run mindeye explain again with --overwrite",
        )
    pictures = [
        context.picture(file, f"picture asked about: {name}", below=name)
        for file, name in zip(files, names[: len(files)], strict=True)
    ]
    width = min(ACROSS, len(pictures))
    rows = tuple(
        PictureRow(
            f"{start + 1} to {min(start + width, len(pictures))}" if len(pictures) > 1 else "image",
            tuple(pictures[start : start + width])
            + (None,) * max(0, start + width - len(pictures)),
        )
        for start in range(0, len(pictures), width)
    )
    more = f", the first {len(pictures)} of {len(names)}" if len(names) > len(pictures) else ""
    yield PictureTable(
        label=f"asked about: {_name(item)}",
        caption=f"What was asked about{more}.",
        columns=("", *("" for _ in range(width))),
        rows=rows,
    )


def _pictures(item: Explanation, context: Context) -> Iterator[Block]:
    """Maps that stand beside the result."""
    beside = sorted(item.path.parent.iterdir())
    files = [f for f in beside if f.suffix in SUFFIXES and not f.name.startswith(ASKED)]
    rows = tuple(
        PictureRow(
            MAPS.get(file.stem, file.stem),
            (context.picture(file, f"{file.stem} of {_name(item)}", wide=True),),
        )
        for file in files
    )
    if rows:
        yield PictureTable(
            label=f"pictures: {_name(item)}",
            caption="Maps on slices of the data's own volume; grey: less than 5 % signal.",
            columns=("map", "picture"),
            rows=rows,
            wide=True,
        )
    kept = [f.name for f in beside if f.name.endswith((".nii.gz", ".npy", "surface.html"))]
    if kept:
        yield Text(f"Files beside this result: {', '.join(kept)}.")
