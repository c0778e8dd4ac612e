"""`mindeye sae synth`: the response pattern expected for XYZ, kept near real ones, decoded back.

The encoding model's prediction is projected onto the first principal components of real training
responses, their number fixed before anything is looked at, and brought to the length that real
responses have. Without that prior a pattern may please the decoder and look like no brain.

Shapes: `n` patterns, `V` voxels, `D` width, `P` components.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_cli.core.atomic import refuse_existing, write_stream
from mindeye_cli.core.outcome import Outcome
from mindeye_cli.core.retrieval_scores import cosine, places, pooled_rank, pooled_top
from mindeye_cli.core.threads import threads
from mindeye_cli.sae.concept import find_concept
from mindeye_cli.sae.decoded import open_brain
from mindeye_cli.sae.encoder import Encoder, fit_encoder
from mindeye_cli.sae.opened import Sae, open_sae, space_vectors
from mindeye_cli.sae.train import headline
from mindeye_store import open_store
from mindeye_store.errors import UsageProblem

Floats = NDArray[np.float32]
RANK = 64
POOL = 100
# Two vectors of this cosine are one image.
SAME = 1 - 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class RealResponses:
    """What real mean responses of one subject are like, from training images alone.

    Attributes
    ----------
    mean : float64 array (V,)
    components : float64 array (P, V)
        First principal components, orthonormal rows.
    length : float
        Median distance of a response from the mean.
    rows : float32 array (N, V)
    """

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    length: float
    rows: Floats

    @classmethod
    def of(cls, rows: Floats, rank: int) -> RealResponses:
        """Learn from mean training responses (N, V)."""
        mean = rows.mean(axis=0, dtype=np.float64)
        centred = rows - mean
        # The smaller of the two products: there may be more voxels than images, or fewer.
        if len(rows) <= rows.shape[1]:
            vectors = np.linalg.eigh(centred @ centred.T)[1][:, ::-1][:, :rank]
            components = np.linalg.qr((vectors.T @ centred).T)[0].T
        else:
            components = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :rank].T
        length = float(np.median(np.linalg.norm(centred, axis=1)))
        return cls(mean=mean, components=components, length=length, rows=rows)

    def near(self, patterns: NDArray[np.floating]) -> Floats:
        """The prior: patterns (n, V) within the components and at a real response's length."""
        kept = (patterns - self.mean) @ self.components.T @ self.components
        lengths = np.linalg.norm(kept, axis=1, keepdims=True)
        return np.asarray(
            self.mean + kept * (self.length / np.where(lengths > 0, lengths, 1.0)), np.float32
        )

    def distance(self, patterns: Floats) -> NDArray[np.float64]:
        """Distance of each pattern to the nearest real training response, over their length."""
        return np.array(
            [np.linalg.norm(self.rows - row, axis=1).min() / self.length for row in patterns]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthOptions:
    """Options of `mindeye sae synth`, as on its command line.

    Attributes
    ----------
    split : {"test", "train"}
        Whose images are the pool.
    subject : str or None
    rank : int
        Principal components of real responses that a pattern may have.
    pool : int
        Images that compete, what was asked for among them: the expectation over all such pools.
    weights : Path or None
        Of the space's encoder.
    out : Path or None
        NPY file of the patterns (n, V), z-scored as the store's responses.
    """

    split: str = "test"
    subject: str | None = None
    rank: int = RANK
    pool: int = POOL
    weights: Path | None = None
    out: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name, number, least in (("--rank", self.rank, 1), ("--pool", self.pool, 2)):
            if number < least:
                raise UsageProblem(f"{number} is less than {least}", where=name)


def synthesise(
    store: Path, run: Path, asked: str | None, brain: Path, options: SynthOptions
) -> Outcome:
    """Make the response pattern expected for XYZ and decode it back.

    Parameters
    ----------
    store, run : Path
    asked : str or None
        XYZ; None makes a pattern for every image of the split, none of which trained anything.
    brain : Path
        A decoder's RUN of the same SPACE, for the check.
    options : SynthOptions

    Returns
    -------
    Outcome
        `top1` and `mean_rank` of what was asked for in the pool when the pattern is decoded, `pool`
        its size; `distance`: to the nearest real response, beside that of real responses of the
        split, in units of a response's length.
    """
    out = options.out
    if out is not None:
        refuse_existing(out, options.overwrite)
    opened, sae = open_store(store), open_sae(run)
    with threads():
        reader = open_brain(opened, sae, brain, options.split, options.subject)
        images = space_vectors(opened, sae, reader.trials.image_rows)
        wanted = images
        if asked is not None:
            concept = find_concept(asked, opened, sae, options.weights)
            wanted = sae.at_length(concept.direction[None])
        fitted = fit_encoder(opened, sae, reader.subject.name, "space")
        real = RealResponses.of(fitted.responses, options.rank)
        patterns = real.near(expected(fitted, wanted))
        decoded = reader.directions(patterns)
    if out is not None:
        write_stream(out, lambda stream: np.save(stream, patterns, allow_pickle=False))
    values = {
        **headline(sae.info),
        "query": asked,
        "subject": reader.subject.name,
        "n": len(patterns),
        "rank": int(len(real.components)),
        **_place(sae, decoded, wanted, images, asked is None, options.pool),
        "distance": _distances(real, patterns, reader.measured()),
    }
    return Outcome(outputs=() if out is None else (out,), values=values)


def expected(fitted: Encoder, vectors: Floats) -> Floats:
    """The encoding model's responses to vectors (n, D), float32 (n, V)."""
    return np.asarray(fitted.model.predict(vectors).numpy())


def _place(
    sae: Sae,
    decoded: NDArray[np.float64],
    wanted: Floats,
    images: Floats,
    same: bool,
    pool: int,
) -> dict[str, Any]:
    """Top-1 and mean rank of each wanted vector among images, itself one of them or added."""
    candidates = images
    if not same:
        # XYZ may be an image of the split: it must not compete with itself.
        twin = cosine(sae.direction(images), sae.direction(wanted))[:, 0] > SAME
        candidates = np.concatenate([wanted, images[~twin]])
    similarity = cosine(decoded, sae.direction(candidates))
    above, tied = places(similarity, np.arange(len(wanted), dtype=np.int64))
    n = len(candidates)
    size = min(pool, n)
    return {
        "pool": size,
        "top1": float(pooled_top(above, tied, n, size, 1).mean()),
        "mean_rank": float(pooled_rank(above, tied, n, size).mean()),
        "chance": 1.0 / size,
    }


def _distances(real: RealResponses, patterns: Floats, measured: Floats) -> dict[str, Any]:
    made, true = real.distance(patterns), real.distance(measured)
    return {
        "pattern": float(made.mean()),
        "real": float(true.mean()),
        "real_p95": float(np.quantile(true, 0.95)),
    }
