"""XYZ: what is asked for, as a direction of the SPACE and as codes.

    atom:12        an atom
    image:ID       an image of the store
    ./faces        a picture, or a folder of pictures: anything with a slash or a picture's suffix
    a red face     any other words, where the space has text

Shapes: `D` width, `F` atoms.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.models.encoders import load_encoder
from mindeye_cli.models.encoders.picture_files import SUFFIXES, encode_files, picture_files
from mindeye_cli.models.encoders.text import load_text_tower
from mindeye_cli.sae.atoms import centred_words
from mindeye_cli.sae.opened import Sae, space_vectors
from mindeye_store import Store
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """What XYZ means here.

    Attributes
    ----------
    text : str
        As it was typed.
    kind : {"atom", "image", "pictures", "text"}
    direction : float64 array (D,)
        From the mean of the training images, at length 1.
    codes : float64 array (F,)
    n : int
        Images behind it.
    """

    text: str
    kind: str
    direction: Doubles
    codes: Doubles
    n: int

    def top(self, count: int = 5) -> list[int]:
        """Its strongest atoms."""
        order = np.argsort(-self.codes, kind="stable")[:count]
        return [int(atom) for atom in order if self.codes[atom] > 0]


def find_concept(text: str, store: Store, sae: Sae, weights: Path | None = None) -> Concept:
    """Read XYZ.

    Raises
    ------
    UsageProblem
        Text in a space that has none, words that it does not know, or no such atom.
    MissingResource
        No such image or picture, or the encoder's weights are absent.
    InvalidInput
        A dead atom, an unreadable picture, or pictures of no direction.
    """
    if not text.strip():
        raise UsageProblem("nothing is asked for", where="XYZ")
    if text.startswith("atom:"):
        return _atom(text, sae)
    if text.startswith("image:"):
        return _of_vectors(text, "image", _store_image(text, store, sae), sae)
    if "/" in text or Path(text).suffix.lower() in SUFFIXES:
        encoder = load_encoder(sae.info.space, weights)
        if encoder.fingerprint != sae.info.targets:
            raise InvalidInput(
                f"{sae.info.space} comes from another encoder here than the autoencoder's",
                where=str(sae.run),
                fix="give the weights that it was trained with: --weights PATH",
            )
        rows = encode_files(picture_files(Path(text)), encoder)
        return _of_vectors(text, "pictures", rows, sae)
    return _words(text, sae, weights)


def _atom(text: str, sae: Sae) -> Concept:
    number = sae.atom(text.removeprefix("atom:"))
    codes = np.zeros(len(sae.atoms))
    codes[number] = sae.atoms[number]["peak"]
    direction = sae.model.dictionary[number].numpy().astype(np.float64)
    return Concept(text=text, kind="atom", direction=direction, codes=codes, n=0)


def _store_image(text: str, store: Store, sae: Sae) -> NDArray[np.float32]:
    name, rows = text.removeprefix("image:"), store.images.rows
    if name not in rows:
        raise MissingResource(
            f"the store has no image {name!r}",
            where=str(store.path),
            fix="give one of its ids, or a picture file",
        )
    return space_vectors(store, sae, np.array([rows[name]], dtype=np.int64))


def _of_vectors(text: str, kind: str, rows: NDArray[np.float32], sae: Sae) -> Concept:
    mean = sae.direction(rows).mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        raise InvalidInput("the pictures share no direction", where=text)
    codes = sae.model.codes(rows).astype(np.float64).mean(axis=0)
    return Concept(text=text, kind=kind, direction=mean / length, codes=codes, n=len(rows))


def _words(text: str, sae: Sae, weights: Path | None) -> Concept:
    tower = load_text_tower(sae.info.space, weights)
    direction = tower.embed([text])[0] - centred_words(tower)[1]
    length = float(np.linalg.norm(direction))
    if length < 1e-6:
        raise UsageProblem(f"{text!r} has no direction of its own", where="XYZ")
    unit = (direction / length).astype(np.float64)
    codes = sae.model.codes(sae.at_length(unit[None]))[0].astype(np.float64)
    return Concept(text=text, kind="text", direction=unit, codes=codes, n=0)
