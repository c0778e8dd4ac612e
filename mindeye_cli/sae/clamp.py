"""`mindeye sae clamp`: set one code of what is decoded, and watch what is retrieved and drawn.

A causal check of the decoder's outputs, not of the brain. Only the one code is changed: what the
autoencoder cannot explain stays as it was decoded.

Shapes: `n` images, `D` width, `F` atoms, `K` retrieved images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.atomic import refuse_existing
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.retrieval_scores import cosine
from mindeye_cli.core.sampler import rng
from mindeye_cli.core.threads import threads
from mindeye_cli.sae.atoms import label
from mindeye_cli.sae.decoded import BrainReader, open_brain
from mindeye_cli.sae.drawn import draw_pairs
from mindeye_cli.sae.opened import Sae, open_sae, space_vectors
from mindeye_cli.sae.train import headline
from mindeye_store import open_store
from mindeye_store.errors import UsageProblem

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
CONTROLS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ClampOptions:
    """Options of `mindeye sae clamp`, as on its command line.

    Attributes
    ----------
    to : float or None
        The code to set; None takes the mean of the atom's largest codes in training, 0 removes it.
    k : int
        Retrieved images looked at.
    decoder : str or None
        A generator of the same SPACE that draws before and after, into `pictures`.
    """

    to: float | None = None
    split: str = "test"
    subject: str | None = None
    k: int = 5
    seed: int = 0
    decoder: str | None = None
    weights: Path | None = None
    pictures: Path | None = None
    limit: int = 6
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.to is not None and not 0.0 <= self.to < np.inf:
            raise UsageProblem("a code is a number of at least 0", where="--to")
        if self.k < 1 or self.limit < 1:
            raise UsageProblem("must be at least 1", where="--k" if self.k < 1 else "--limit")
        if (self.decoder is None) != (self.pictures is None):
            raise UsageProblem(
                "a decoder and a file for its pictures belong together",
                where="--decoder",
                fix="--decoder scene --pictures clamp.png",
            )


def clamp_atom(store: Path, run: Path, atom: str, brain: Path, options: ClampOptions) -> Outcome:
    """Clamp one atom in the embeddings decoded from a split's responses.

    Parameters
    ----------
    store, run : Path
    atom : str
        Its number, with or without `atom:`.
    brain : Path
        A decoder's RUN of the same SPACE.
    options : ClampOptions

    Returns
    -------
    Outcome
        `code`: the atom's mean own code in the images retrieved `before` and `after`, and after
        the same was done with other living atoms (`control`: mean and 95 % range); `moved`: share
        of retrieved images that changed; `images`: ids retrieved before and after.
    """
    if options.pictures is not None:
        refuse_existing(options.pictures, options.overwrite)
    opened, sae = open_store(store), open_sae(run)
    number = sae.atom(atom.removeprefix("atom:"))
    to = sae.atoms[number]["peak"] if options.to is None else options.to
    with threads():
        reader = open_brain(opened, sae, brain, options.split, options.subject)
        before = reader.vectors(reader.measured())
        pool = space_vectors(opened, sae, reader.trials.image_rows)
        own = sae.model.codes(pool)
        nearest = [
            retrieved(sae, v, pool, options.k) for v in (before, clamped(sae, before, number, to))
        ]
        code = {
            "to": float(to),
            "before": float(own[nearest[0], number].mean()),
            "after": float(own[nearest[1], number].mean()),
            "control": _control(sae, before, pool, own[:, number], number, options),
        }
        outputs = _pictures(opened, sae, reader, before, number, to, options)
    names = opened.images.ids
    ids = [names[row] for row in reader.trials.image_rows]
    kept = [len(np.intersect1d(a, b)) for a, b in zip(*nearest, strict=True)]
    values = {
        **headline(sae.info),
        "atom": number,
        "name": label(sae.atoms[number]),
        "subject": reader.subject.name,
        "n": len(ids),
        "code": code,
        "moved": 1.0 - float(np.mean(kept)) / nearest[0].shape[1],
        "images": [
            {"id": ids[i], "before": [ids[j] for j in a], "after": [ids[j] for j in b]}
            for i, (a, b) in enumerate(zip(*nearest, strict=True))
        ],
    }
    return Outcome(outputs=outputs, values=values)


def clamped(sae: Sae, vectors: Floats, atom: int, to: float) -> Floats:
    """Vectors (n, D) with the code of one atom set to `to`."""
    codes = sae.model.codes(vectors)[:, atom]
    step = sae.model.atoms_in_space()[atom]
    return np.asarray(vectors + (to - codes)[:, None] * step, dtype=np.float32)


def retrieved(sae: Sae, vectors: Floats, pool: Floats, k: int) -> Ints:
    """Positions of the `k` nearest images of the pool, int64 (n, K)."""
    similarity = cosine(sae.direction(vectors), sae.direction(pool))
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k].astype(np.int64)


def _control(
    sae: Sae, before: Floats, pool: Floats, own: Floats, atom: int, options: ClampOptions
) -> dict[str, Any] | None:
    """What clamping other living atoms to their own peaks does to this atom's code."""
    others = [a["atom"] for a in sae.atoms if a["images"] and a["atom"] != atom]
    if not others:
        return None
    order = rng(options.seed, "clamp control", atom).permutation(others)[:CONTROLS]
    found = [
        own[
            retrieved(sae, clamped(sae, before, int(a), sae.atoms[a]["peak"]), pool, options.k)
        ].mean()
        for a in order
    ]
    low, high = np.quantile(found, [0.025, 0.975])
    return {"mean": float(np.mean(found)), "range95": (float(low), float(high)), "n": len(found)}


def _pictures(
    store: Any,
    sae: Sae,
    reader: BrainReader,
    before: Floats,
    atom: int,
    to: float,
    options: ClampOptions,
) -> tuple[Path, ...]:
    if options.decoder is None or options.pictures is None:
        return ()
    few = before[: options.limit]
    stimuli = store.images.read(reader.trials.image_rows[: options.limit])
    draw_pairs(
        options.pictures,
        stimuli,
        (few, clamped(sae, few, atom, to)),
        sae,
        options.decoder,
        options.weights,
        options.seed,
    )
    return (options.pictures,)
