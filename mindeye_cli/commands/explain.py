"""`mindeye explain`: which areas of a brain answer for an image, or for a set of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import group_app

app = group_app("Tell which brain areas answer for an image, or for a set of images.")

Subject = Annotated[
    str | None, typer.Option("--subject", metavar="S", help="Subject, where the run has several.")
]
Ask = Annotated[
    str, typer.Option("--ask", help="Questions: responds (encoding), used, needed (by decoder).")
]
EncodedSpace = Annotated[
    str | None,
    typer.Option("--space", metavar="SPACE", help="Predict voxels from this one, not the run's."),
]
Predicted = Annotated[
    bool, typer.Option("--predicted", help="Let the decoder read predicted responses.")
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder of result, maps and pictures.")
]
MaskFile = Annotated[
    Path | None,
    typer.Option("--mask", metavar="FILE", help="NIfTI mask of the voxels, if the store has none."),
]
Anatomy = Annotated[
    str | None, typer.Option("--anatomy", help="Declare the data's space: native, mni, fsaverage.")
]
Standard = Annotated[
    bool, typer.Option("--standard", help="Also draw a glass brain and a surface (extra viz).")
]


@app.command("image")
def image(
    store: shared.Store,
    run: shared.Run,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A picture, or image:ID.")],
    subject: Subject = None,
    ask: Ask = "responds,used,needed",
    space: EncodedSpace = None,
    predicted: Predicted = False,
    weights: shared.Weights = None,
    out: Out = None,
    mask: MaskFile = None,
    anatomy: Anatomy = None,
    standard: Standard = False,
    seed: shared.Seed = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Tell which areas respond to an image, and which a decoder uses and needs for it."""
    from mindeye_cli.explain.options import ExplainOptions, parse_questions
    from mindeye_cli.explain.run import explain_image

    options = ExplainOptions(
        subject=subject,
        questions=parse_questions(ask),
        space=space,
        predicted=predicted,
        weights=weights,
        out=out,
        mask=mask,
        anatomy=anatomy,
        standard=standard,
        overwrite=overwrite,
        seed=seed,
    )
    outcome = explain_image(store, run, file, options)
    columns = ("score", "percentile", "deviation", "p", "named")
    output.emit("explain image", outcome, human=_table(outcome.values, columns))


@app.command("set")
def set_(
    store: shared.Store,
    run: shared.Run,
    images: Annotated[
        str,
        typer.Argument(metavar="DIR", help="A folder, caption:WORD, or where:KEY=VALUE."),
    ],
    vs: Annotated[
        str | None, typer.Option("--vs", metavar="DIR", help="Compare with these instead.")
    ] = None,
    subject: Subject = None,
    ask: Ask = "responds,used,needed",
    space: EncodedSpace = None,
    predicted: Predicted = False,
    weights: shared.Weights = None,
    out: Out = None,
    mask: MaskFile = None,
    anatomy: Anatomy = None,
    standard: Standard = False,
    seed: shared.Seed = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Tell which areas respond to what a set of images shares."""
    from mindeye_cli.explain.options import ExplainOptions, parse_questions
    from mindeye_cli.explain.run import explain_set

    options = ExplainOptions(
        subject=subject,
        questions=parse_questions(ask),
        space=space,
        predicted=predicted,
        weights=weights,
        out=out,
        mask=mask,
        anatomy=anatomy,
        standard=standard,
        overwrite=overwrite,
        seed=seed,
    )
    outcome = explain_set(store, run, images, vs, options)
    columns = ("score", "q", "unusual", "t", "named")
    output.emit("explain set", outcome, human=_table(outcome.values, columns))


def _table(values: dict[str, Any], columns: tuple[str, ...]) -> str:
    """Areas with what answers the first question, then the decoder's parts."""
    rois, parts = values["rois"], []
    if rois and all(column in line for line in rois.values() for column in columns):
        rows = [
            (name, *("yes" if line[c] is True else _plain(line[c]) for c in columns))
            for name, line in rois.items()
        ]
        parts.append(f"{values['question']}:\n" + output.table(rows, header=("area", *columns)))
    if "used" in values:
        rows = [(name, line["share"], *line["ci95"]) for name, line in _rois(values, "used")]
        header = ("area", "share of the cosine", "from", "to")
        parts.append(f"{values['used']['question']}:\n" + output.table(rows, header=header))
    if "needed" in values:
        rows = [
            (name, line["loss"], line["control"], line["p"])
            for name, line in _rois(values, "needed")
        ]
        header = ("area", "loss without it", "without random voxels", "p")
        parts.append(f"{values['needed']['question']}:\n" + output.table(rows, header=header))
    return "\n\n".join(parts)


def _rois(values: dict[str, Any], part: str) -> list[tuple[str, dict[str, Any]]]:
    return list(values[part]["rois"].items())


def _plain(value: Any) -> Any:
    return "" if value is False else value
