"""One subject's training responses and targets in memory, split by image for validation.

Shapes: `N` images, `R` most repeats of an image, `V` voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core import fingerprint
from mindeye_cli.core.sampler import rng
from mindeye_cli.core.trials import ImageTrials, mask_fingerprint, training_trials
from mindeye_store import InvalidInput, Reader, Store, Subject

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSet:
    """Responses to some images, with the images' targets.

    Attributes
    ----------
    voxels : float32 tensor (n_trials, V)
    repeats : int64 tensor (N, R)
        Rows of `voxels` for every image; images with fewer repeats are padded with their first.
    counts : int64 array (N,)
        Number of repeats of every image.
    targets : float32 tensor (N, ...)
    image_rows : int64 array (N,)
        Global image rows of the store.
    """

    voxels: Tensor
    repeats: Tensor
    counts: Rows
    targets: Tensor
    image_rows: Rows

    def __len__(self) -> int:
        return len(self.image_rows)

    @property
    def nbytes(self) -> int:
        """Bytes held by responses and targets."""
        return sum(t.numel() * t.element_size() for t in (self.voxels, self.targets))

    def combine(self, items: Rows, weights: Tensor) -> Tensor:
        """Weighted sum over the repeats of some images, float32 (B, V); `weights` is (B, R)."""
        rows = self.repeats[torch.from_numpy(items)]
        return torch.einsum("br,brv->bv", weights, self.voxels[rows])

    def means(self) -> Tensor:
        """Mean response to every image, float32 (N, V)."""
        present = torch.arange(self.repeats.shape[1])[None] < torch.from_numpy(self.counts)[:, None]
        weights = present / torch.from_numpy(self.counts)[:, None]
        return self.combine(np.arange(len(self)), weights.to(torch.float32))

    def take(self, items: Rows) -> ResponseSet:
        """The same responses, seen through some of the images only."""
        index = torch.from_numpy(items)
        return ResponseSet(
            voxels=self.voxels,
            repeats=self.repeats[index],
            counts=self.counts[items],
            targets=self.targets[index],
            image_rows=self.image_rows[items],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What a run trains on, and the facts that identify it.

    Attributes
    ----------
    responses : ResponseSet
        All training images.
    image_ids : list of str
        Of those images, for messages.
    identity : RunIdentity
    """

    responses: ResponseSet
    image_ids: list[str]
    identity: RunIdentity

    @property
    def n_voxels(self) -> int:
        """Voxels of one response."""
        return int(self.responses.voxels.shape[1])

    def with_targets(self, targets: Tensor) -> TrainingData:
        """The same data with targets of another shape."""
        return replace(self, responses=replace(self.responses, targets=targets))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIdentity:
    """Facts by which a run's data are recognised.

    Attributes
    ----------
    voxels, mask, targets : str
        Fingerprints of the training responses, of the voxels' places, and of the target encoder.
    target_norm : str
        Norm that the SPACE declares.
    target_shape : tuple of int
        Of one image.
    image_rows : tuple of int
        Global rows of all training images, those held out for validation included; ascending.
    """

    voxels: str
    mask: str
    targets: str
    target_norm: str
    target_shape: tuple[int, ...]
    image_rows: tuple[int, ...]


def load_training_data(store: Store, subject_name: str, space: str) -> TrainingData:
    """Read one subject's training trials and the targets of the images they show.

    Images that are test for any subject of the store are left out before anything is read.

    Raises
    ------
    MissingResource
        The store has no such subject or space.
    InvalidInput
        Targets and images disagree, or a value is not finite.
    """
    subject = store.subject(subject_name)
    target = open_targets(store, space)
    trials = training_trials(store, subject)
    voxels = subject.voxels.read(trials.trial_rows).astype(np.float32)
    targets = target.read(trials.image_rows).astype(np.float32)
    ids = store.images.ids
    refuse_non_finite(voxels, f"subjects/{subject_name}/voxels", "trial", trials.trial_rows)
    refuse_non_finite(targets, f"targets/{space}", "image", trials.image_rows)
    return TrainingData(
        responses=ResponseSet(
            voxels=torch.from_numpy(voxels),
            repeats=torch.from_numpy(padded_repeats(trials)),
            counts=trials.counts,
            targets=torch.from_numpy(targets),
            image_rows=trials.image_rows,
        ),
        image_ids=[ids[row] for row in trials.image_rows],
        identity=identify(subject, voxels, trials.image_rows, target),
    )


def identify(
    subject: Subject, voxels: NDArray[np.float32], image_rows: Rows, target: Reader
) -> RunIdentity:
    """Fingerprints of training responses (n, V) to some images, and of their target space."""
    return RunIdentity(
        voxels=fingerprint.of_array(voxels),
        mask=mask_fingerprint(subject),
        targets=str(target.attrs["fingerprint"]),
        target_norm=str(target.attrs["norm"]),
        target_shape=tuple(target.shape[1:]),
        image_rows=tuple(int(row) for row in image_rows),
    )


def open_targets(store: Store, space: str) -> Reader:
    """Open a target space that covers every image of the store.

    Raises
    ------
    MissingResource
        The store has no such space.
    InvalidInput
        Some images have no targets yet.
    """
    target = store.target(space)
    missing = store.missing_segments(space)
    if missing:
        raise InvalidInput(
            f"{len(missing)} segments of images have no targets",
            where=f"targets/{space}",
            fix=f"mindeye prepare targets {store.path} --space {space}",
        )
    return target


def padded_repeats(trials: ImageTrials) -> Rows:
    """Rows of every image among the grouped trials, int64 (N, R), padded with the first."""
    columns = np.arange(trials.counts.max(), dtype=np.int64)[None]
    within = np.where(columns < trials.counts[:, None], columns, 0)
    return np.asarray(trials.starts[:-1, None] + within)


def split_items(n: int, share: float, seed: int) -> tuple[Rows, Rows]:
    """Hold out whole images for validation.

    Parameters
    ----------
    n : int
        Number of training images.
    share : float
        Share to hold out; a share above 0 holds out at least two of three or more images.
    seed : int

    Returns
    -------
    train, validation : int64 arrays
        Ascending positions.
    """
    held = 0 if share == 0.0 or n < 3 else min(n - 1, max(2, round(share * n)))
    order = rng(seed, "validation").permutation(n).astype(np.int64)
    return np.sort(order[held:]), np.sort(order[:held])


def refuse_non_finite(values: NDArray[np.float32], where: str, unit: str, rows: Rows) -> None:
    """Raise `InvalidInput` naming the first row that holds a value that is not finite."""
    bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if bad.any():
        raise InvalidInput(
            f"{int(bad.sum())} rows hold values that are not finite, first {unit} {rows[bad][0]}",
            where=where,
            fix="mindeye store verify STORE",
        )
