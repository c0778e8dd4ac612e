"""`mindeye sae show`: the atoms as a table, and as one self-contained page of their top images."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mindeye_cli import __version__
from mindeye_cli.core.atomic import refuse_existing, write_text
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.models.encoders.picture_files import read_picture
from mindeye_cli.sae.opened import Sae, open_sae
from mindeye_cli.sae.train import headline
from mindeye_store import open_store
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

TEMPLATES = Path(__file__).parent / "templates"
SIDE = 96
ORDERS = ("stability", "frequency", "atom")


def show_atoms(
    store: Path,
    run: Path,
    *,
    atoms: str | None = None,
    sort: str = "stability",
    limit: int = 50,
    top: int = 8,
    images: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
) -> Outcome:
    """List atoms.

    Parameters
    ----------
    store : Path
        The store, or the folder of pictures, that it was trained on.
    run : Path
    atoms : str, optional
        Numbers with commas; dead ones are refused. By default the living ones.
    sort : {"stability", "frequency", "atom"}
    limit, top : int
        Atoms, and images of each.
    images : Path, optional
        The folder of further pictures that it was trained on.
    out : Path, optional
        HTML page.
    overwrite : bool

    Returns
    -------
    Outcome
        `atoms`: a list of records; `shown` of `living`.
    """
    if sort not in ORDERS:
        raise UsageProblem(f"{sort!r} is not one of {', '.join(ORDERS)}", where="--sort")
    if limit < 1 or top < 1:
        raise UsageProblem("must be at least 1", where="--limit" if limit < 1 else "--top")
    sae = open_sae(run)
    chosen = _chosen(sae, atoms, sort)
    shown = [{**atom, "images": atom["images"][:top]} for atom in chosen[:limit]]
    values = {
        **headline(sae.info),
        "space": sae.info.space,
        "living": sum(bool(atom["images"]) for atom in sae.atoms),
        "shown": len(shown),
        "atoms": shown,
    }
    if out is None:
        return Outcome(values=values)
    page = _page(sae, shown, _Finder(store, images))
    if out.is_file() and out.read_bytes() == page.encode():
        return Outcome(status="notneeded", outputs=(out,), values=values)
    refuse_existing(out, overwrite)
    write_text(out, page)
    return Outcome(outputs=(out,), values=values)


def _chosen(sae: Sae, atoms: str | None, sort: str) -> list[dict[str, Any]]:
    if atoms is not None:
        return [sae.atoms[sae.atom(text.strip())] for text in atoms.split(",")]
    living = [atom for atom in sae.atoms if atom["images"]]
    if sort == "atom":
        return living
    return sorted(living, key=lambda atom: -(atom[sort] or 0.0))


class _Finder:
    """Pictures by the ids that an autoencoder was trained on."""

    def __init__(self, store: Path, images: Path | None) -> None:
        self.folders = [path for path in (images,) if path is not None]
        self.store = None
        if (store / "zarr.json").exists():
            self.store = open_store(store).images
        else:
            self.folders.append(store)

    def pixels(self, name: str) -> NDArray[np.uint8]:
        if self.store is not None and name in self.store.rows:
            row = np.array([self.store.rows[name]], dtype=np.int64)
            return np.asarray(self.store.read(row)[0], dtype=np.uint8)
        for folder in self.folders:
            path = (folder / name).resolve()
            if path.is_relative_to(folder.resolve()) and path.is_file():
                return read_picture(path)
        raise MissingResource(
            f"the picture {name!r} is not here",
            where=", ".join(map(str, self.folders)) or "the store",
            fix="give the store it was trained on, and --images DIR for further pictures",
        )


def _page(sae: Sae, atoms: list[dict[str, Any]], finder: _Finder) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        pictures = {
            name: _data_uri(finder.pixels(name)) for atom in atoms for name, _ in atom["images"]
        }
    except OSError as problem:
        raise InvalidInput(f"a picture cannot be read: {problem}", where="STORE") from problem
    return environment.get_template("atoms.html").render(
        space=sae.info.space,
        metrics=sae.info.metrics,
        atoms=atoms,
        pictures=pictures,
        version=__version__,
    )


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
