"""A finished autoencoder and the store it is asked about, checked against each other.

Shapes: `n` images, `D` flattened width, `F` atoms.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.checkpoint import load_tensors
from mindeye_cli.core.config import from_toml
from mindeye_cli.core.runs import CONFIG, MODEL, RunInfo, differs, read_run
from mindeye_cli.core.target_rows import image_vectors
from mindeye_cli.core.trials import test_images_any_subject, trained_rows
from mindeye_cli.models.sae import SparseAutoencoder, sae_from_tensors
from mindeye_cli.sae.config import SaeRunConfig
from mindeye_cli.sae.data import BRAIN
from mindeye_cli.sae.train import ATOMS
from mindeye_store import Store
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sae:
    """A trained autoencoder.

    Attributes
    ----------
    run : Path
    info : RunInfo
    model : SparseAutoencoder
    atoms : list of dict
        One record an atom (`atoms.describe_atoms`).
    """

    run: Path
    info: RunInfo
    model: SparseAutoencoder
    atoms: list[dict[str, Any]]

    @property
    def of_brain(self) -> bool:
        """Whether its rows are responses, not embeddings of images."""
        return self.info.space.startswith(BRAIN)

    def atom(self, text: str) -> int:
        """The number of an atom, as typed.

        Raises
        ------
        UsageProblem
            Not a number of this autoencoder's.
        InvalidInput
            No training image uses it: there is nothing that it stands for.
        """
        last = len(self.atoms) - 1
        if not text.isdigit() or int(text) > last:
            raise UsageProblem(
                f"no atom {text!r}, the autoencoder has 0 to {last}",
                where=str(self.run),
                fix=f"mindeye sae show STORE {self.run} lists them",
            )
        if not self.atoms[int(text)]["images"]:
            raise InvalidInput(
                f"atom {text} is dead: no training image uses it",
                where=str(self.run),
                fix=f"choose a living one: mindeye sae show STORE {self.run}",
            )
        return int(text)

    def direction(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Vectors (n, D) less the training mean, at length 1; zero stays zero."""
        centred = np.asarray(vectors, dtype=np.float64) - self.model.centre.numpy()
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        return centred / np.where(lengths > 0, lengths, 1.0)

    def at_length(self, directions: NDArray[np.floating]) -> Floats:
        """Vectors of the SPACE that lie from the mean in these directions, at usual distance."""
        return np.asarray(
            self.model.centre.numpy() + float(self.model.scale) * directions, dtype=np.float32
        )


def open_sae(run: Path) -> Sae:
    """Load a finished autoencoder.

    Raises
    ------
    MissingResource
        There is none, or it has not finished.
    InvalidInput
        Another kind of run, or damaged files.
    """
    info = read_run(run)
    if info.kind != "sae":
        raise InvalidInput(
            f"a {info.kind} run is not an autoencoder",
            where=str(run),
            fix="give RUN of `mindeye sae train`; the decoder's goes to --brain",
        )
    if info.status != "finished":
        raise MissingResource(
            "the autoencoder has not finished training",
            where=str(run),
            fix="start the same `mindeye sae train` again to go on",
        )
    config = from_toml(
        SaeRunConfig, (run / CONFIG).read_text(encoding="utf-8"), where=str(run / CONFIG)
    )
    try:
        model = sae_from_tensors(config.model, load_tensors(run / MODEL))
        atoms = json.loads((run / ATOMS).read_text(encoding="utf-8"))
    except (RuntimeError, KeyError, ValueError) as problem:
        raise InvalidInput(
            "the weights or atoms do not fit the configuration",
            where=str(run),
            fix="train it again with --overwrite",
        ) from problem
    return Sae(run=run, info=info, model=model, atoms=atoms)


def need_images_space(sae: Sae) -> None:
    """Refuse an autoencoder of responses where embeddings are needed."""
    if sae.of_brain:
        raise InvalidInput(
            f"the autoencoder was trained on responses ({sae.info.space}), not on images",
            where=str(sae.run),
            fix="train one with --space; of this one, `sae show` and `sae map` can tell",
        )


def open_space(store: Store, sae: Sae) -> Any:
    """The store's reader of the autoencoder's SPACE.

    Raises
    ------
    MissingResource
        The store does not have the space.
    InvalidInput
        It comes from another encoder, or the autoencoder trained on images that are test images
        in this store.
    """
    need_images_space(sae)
    target = store.target(sae.info.space)
    if differs(sae.info.targets, str(target.attrs["fingerprint"]), f"encoder of {sae.info.space}"):
        raise InvalidInput(
            f"the store's {sae.info.space} comes from another encoder than the autoencoder was"
            " trained on",
            where=str(sae.run),
            fix="prepare the targets with the same weights, or train the autoencoder again",
        )
    seen = np.intersect1d(trained_rows(sae.info, store), test_images_any_subject(store))
    if len(seen):
        raise InvalidInput(
            f"the autoencoder was trained on {len(seen)} images that are test images in this"
            f" store, first image row {seen[0]}",
            where=str(sae.run),
            fix="train it again with --overwrite",
        )
    return target


def space_vectors(store: Store, sae: Sae, rows: Rows) -> Floats:
    """Flattened vectors of some images in the autoencoder's SPACE, float32 (n, D)."""
    return image_vectors(open_space(store, sae), rows)
