"""`mindeye sae`: sparse autoencoders between brain activity and embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindeye_cli import options as shared
from mindeye_cli import output
from mindeye_cli.lazy import group_app

app = group_app("Train a sparse autoencoder and ask for brain activity like something.")

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the autoencoder.")]
Asked = Annotated[
    str,
    typer.Argument(
        metavar="XYZ", help="Words, a picture or folder (./DIR), image:ID, or atom:NUMBER."
    ),
]
MaybeAsked = Annotated[
    str | None,
    typer.Argument(metavar="[XYZ]", help="Words, ./pictures, image:ID or atom:NUMBER."),
]
Brain = Annotated[
    Path, typer.Option("--brain", metavar="RUN", help="Brain run that decodes the same space.")
]
Subject = Annotated[str | None, typer.Option("--subject", help="Subject, where there are several.")]


@app.command("train")
def train(
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="Feature store, or a folder of pictures.")
    ],
    run: Run,
    space: Annotated[
        str | None, typer.Option(metavar="SPACE", help="Space, such as scene-clip:pooled.")
    ] = None,
    source: Annotated[
        str, typer.Option("--from", help="Train on images or on the responses of a brain area.")
    ] = "images",
    subject: Annotated[str | None, typer.Option(help="With --from brain: whose responses.")] = None,
    rois: Annotated[
        str | None, typer.Option(metavar="E", help='With --from brain: areas, such as "FFA-1".')
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Train on these pictures too.")
    ] = None,
    weights: shared.Weights = None,
    words: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Words to name atoms by, one a line.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="Named sizes and schedule: scene or paper.")
    ] = None,
    config: shared.Config = None,
    set_: shared.Set = None,
    overwrite: shared.Overwrite = False,
) -> None:
    """Train on every image that is nobody's test image, and look for its atoms in other seeds."""
    from mindeye_cli.sae.data import Request
    from mindeye_cli.sae.train import TrainOptions, train_sae
    from mindeye_store.errors import UsageProblem

    if source not in ("images", "brain"):
        raise UsageProblem(f"{source!r} is neither images nor brain", where="--from")
    request = Request(
        source=store,
        space=space,
        brain=source == "brain",
        subject=subject,
        rois=rois,
        images=images,
        weights=weights,
    )
    options = TrainOptions(
        preset=preset,
        config=config,
        overrides=tuple(set_ or ()),
        words=words,
        overwrite=overwrite,
    )
    outcome = train_sae(request, run, options)
    output.emit("sae train", outcome, human=_pairs(outcome.values))


@app.command("show")
def show(
    store: shared.Store,
    run: Run,
    atoms: Annotated[str | None, typer.Option(metavar="N[,N]", help="Only these atoms.")] = None,
    sort: Annotated[str, typer.Option(help="stability, frequency or atom.")] = "stability",
    limit: Annotated[int, typer.Option(help="Atoms shown.")] = 50,
    top: Annotated[int, typer.Option(help="Images of each atom.")] = 8,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder that --images was at training.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Page of the atoms' top images.")
    ] = None,
    overwrite: shared.Overwrite = False,
) -> None:
    """List atoms with their names, and write a page of their top images."""
    from mindeye_cli.sae.show import show_atoms

    outcome = show_atoms(
        store,
        run,
        atoms=atoms,
        sort=sort,
        limit=limit,
        top=top,
        images=images,
        out=out,
        overwrite=overwrite,
    )
    rows = [
        (a["atom"], a["frequency"], a["stability"], " ".join(w for w, _ in a["words"]))
        for a in outcome.values["atoms"]
    ]
    header = ("atom", "frequency", "stability", "nearest words")
    output.emit("sae show", outcome, human=output.table(rows, header=header))


@app.command("map")
def map_(
    store: shared.Store,
    run: Run,
    asked: MaybeAsked = None,
    subject: Subject = None,
    weights: shared.Weights = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.npz", help="Maps over voxels.")] = None,
    overwrite: shared.Overwrite = False,
) -> None:
    """Map XYZ, or every stable atom, onto the voxels that respond to it."""
    from mindeye_cli.sae.map import map_atoms

    outcome = map_atoms(
        store, run, asked, subject=subject, weights=weights, out=out, overwrite=overwrite
    )
    rows = [
        (m["name"], m["significant"], *((a["area"], a["score"]) if a else ("-", None)))
        for m in outcome.values["maps"]
        for a in (m["areas"][:1] or [None])
    ]
    header = ("map", "voxels q<.05", "first area", "score")
    output.emit("sae map", outcome, human=output.table(rows, header=header))


@app.command("read")
def read(
    store: shared.Store,
    run: Run,
    brain: Brain,
    split: shared.Split = "test",
    subject: Subject = None,
    image: Annotated[str | None, typer.Option(metavar="ID", help="List this image alone.")] = None,
    seed: shared.Seed = 0,
) -> None:
    """Read measured responses as codes, and check them against the images' own codes."""
    from mindeye_cli.sae.read import read_trials

    outcome = read_trials(store, run, brain, split=split, subject=subject, image=image, seed=seed)
    found = outcome.values["agreement"]
    text = (
        f"decoded and own codes agree by {found['value']:.3f} over {outcome.values['n']} images,"
        f" permuted {found['permuted']['mean']:.3f}, p = {found['permuted']['p']:.4f}"
    )
    output.emit("sae read", outcome, human=text)


@app.command("query")
def query(
    store: shared.Store,
    run: Run,
    asked: Asked,
    brain: Brain,
    split: shared.Split = "test",
    subject: Subject = None,
    top: Annotated[int, typer.Option(help="Images listed.")] = 10,
    weights: shared.Weights = None,
    areas: Annotated[bool, typer.Option(help="Also tell which areas respond to XYZ.")] = True,
) -> None:
    """Rank measured responses by how like XYZ what they decode to is."""
    from mindeye_cli.sae.query import QueryOptions, query_trials

    options = QueryOptions(split=split, subject=subject, top=top, weights=weights, areas=areas)
    outcome = query_trials(store, run, asked, brain, options)
    rows = [(f["id"], f["score"], f["embedding"], f["codes"]) for f in outcome.values["found"]]
    table = output.table(rows, header=("image", "score", "embedding", "codes"))
    places = [f"{a['area']} {a['score']:.3f}" for a in outcome.values["areas"]]
    note = f"\nareas that respond to it: {', '.join(places)}" if places else ""
    output.emit("sae query", outcome, human=table + note)


@app.command("synth")
def synth(
    store: shared.Store,
    run: Run,
    brain: Brain,
    asked: MaybeAsked = None,
    split: shared.Split = "test",
    subject: Subject = None,
    rank: Annotated[
        int, typer.Option(help="Principal components of real responses it may have.")
    ] = 64,
    pool: Annotated[int, typer.Option(help="Images that compete when it is decoded back.")] = 100,
    weights: shared.Weights = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.npy", help="The pattern.")] = None,
    overwrite: shared.Overwrite = False,
) -> None:
    """Make the response pattern expected for XYZ (or each image of the split); decode it back."""
    from mindeye_cli.sae.synth import SynthOptions, synthesise

    options = SynthOptions(
        split=split,
        subject=subject,
        rank=rank,
        pool=pool,
        weights=weights,
        out=out,
        overwrite=overwrite,
    )
    outcome = synthesise(store, run, asked, brain, options)
    output.emit("sae synth", outcome, human=_pairs(outcome.values))


@app.command("clamp")
def clamp(
    store: shared.Store,
    run: Run,
    atom: Annotated[str, typer.Argument(metavar="ATOM", help="Number of the atom.")],
    brain: Brain,
    to: Annotated[
        float | None, typer.Option(help="Code to set; by default the atom's largest, 0 removes it.")
    ] = None,
    split: shared.Split = "test",
    subject: Subject = None,
    k: Annotated[int, typer.Option("--k", help="Retrieved images looked at.")] = 5,
    seed: shared.Seed = 0,
    decoder: Annotated[
        str | None, typer.Option(metavar="NAME", help="Also draw before and after with this one.")
    ] = None,
    weights: shared.Weights = None,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Stimulus, before and after.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Images drawn.")] = 6,
    overwrite: shared.Overwrite = False,
) -> None:
    """Set one code of what responses decode to, and watch what is retrieved and drawn."""
    from mindeye_cli.sae.clamp import ClampOptions, clamp_atom

    options = ClampOptions(
        to=to,
        split=split,
        subject=subject,
        k=k,
        seed=seed,
        decoder=decoder,
        weights=weights,
        pictures=pictures,
        limit=limit,
        overwrite=overwrite,
    )
    outcome = clamp_atom(store, run, atom, brain, options)
    code, control = outcome.values["code"], outcome.values["code"]["control"]
    beside = f", after clamping others {control['mean']:.3f}" if control else ""
    text = (
        f"{outcome.values['name']}: its code in retrieved images {code['before']:.3f} before,"
        f" {code['after']:.3f} after{beside}"
    )
    output.emit("sae clamp", outcome, human=text)


def _pairs(values: dict[str, Any]) -> str:
    rows = [(key, v) for key, v in values.items() if isinstance(v, int | float | str)]
    return output.table([(key, v) for key, v in rows], header=("what", "value"))
