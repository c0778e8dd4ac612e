"""Refits of an encoding model without a new decomposition: wild bootstrap and permuted images.

For a direction `d` in feature space (an image minus the mean, or a set minus another), the response
expected of voxel v is a fixed combination of the training responses, `d b_v = sum_n k_n y_nv`, with
`k = W X (X'WX + alpha)^-1 d`. Refitting to other responses is one product with the same `k`:

- permuted: images change places among those with as many repeats. What is left is what a voxel
  without signal shows for this direction; noise shared by voxels stays as it is.
- bootstrap: the residuals of each image are multiplied by a random sign, the same for all voxels,
  after division by one minus the image's leverage (wild bootstrap, Liu 1988, Annals of Statistics
  16:1696, with MacKinnon's and White's third correction).

Shapes: `N` images, `D` features, `R` rank, `V` voxels, `J` refits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindeye_cli.core.sampler import rng
from mindeye_cli.models.encoding import EncodingModel, row_weights
from mindeye_cli.models.encoding_moments import Values, as_tensor

Ints = NDArray[np.int64]
# No image is weighed up by more than this, however far it lies from the others.
LARGEST_LEVERAGE = 0.95
# Elements of the responses that are held as float32 at once.
PIECE = 2**25
# What is kept beside the model.
KEPT = ("scores", "responses", "columns", "counts", "variance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refits:
    """A fitted model with the training responses that it can be refitted to.

    Attributes
    ----------
    model : EncodingModel
    scores : float32 (N, R)
        Training features along the eigenvectors.
    responses : float16 or float32 (N, V)
        Training responses minus the voxel's mean, columns in the order of `columns`.
    columns : int64 (V,)
        Voxels ordered by alpha.
    counts : int64 (N,)
        Repeats behind every response.
    variance : float32 (V,)
        Of the responses over images, with N - 1.
    """

    model: EncodingModel
    scores: Tensor
    responses: Tensor
    columns: Tensor
    counts: Tensor
    variance: Tensor

    @classmethod
    def of(cls, model: EncodingModel, features: Values, responses: Values, counts: Ints) -> Refits:
        """Keep what refits need; responses are rounded to float16.

        Parameters
        ----------
        model : EncodingModel
            As fitted to the rest.
        features : float array (N, D)
        responses : float array (N, V)
        counts : int64 array (N,)
        """
        columns = torch.argsort(model.alpha, stable=True)
        y = as_tensor(responses)
        kept = torch.empty(y.shape, dtype=torch.float16)
        for start in range(0, y.shape[1], 1024):
            part = columns[start : start + 1024]
            kept[:, start : start + 1024] = y[:, part] - model.voxel_mean[part]
        return cls(
            model=model,
            scores=(as_tensor(features) - model.basis.mean) @ model.basis.vectors,
            responses=kept,
            columns=columns,
            counts=torch.from_numpy(np.asarray(counts, dtype=np.int64)),
            variance=y.var(dim=0),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Arrays beside the model's, by name, for saving."""
        return {name: getattr(self, name) for name in KEPT}

    @classmethod
    def from_tensors(cls, model: EncodingModel, tensors: Mapping[str, Tensor]) -> Refits:
        """Read back what `tensors` gave; a missing name is a KeyError."""
        return cls(model=model, **{name: tensors[name] for name in KEPT})

    def draw(
        self,
        direction: Values,
        readouts: tuple[Tensor, Tensor] | None = None,
        *,
        bootstrap: int,
        permuted: int,
        seed: int,
    ) -> tuple[Tensor, Tensor]:
        """Refit for one direction; one pass over the responses serves both kinds.

        Parameters
        ----------
        direction : float array (D,)
        readouts : two float32 (A, V), optional
            Weighted sums over voxels that are wanted in place of the voxels, of the bootstrap's
            deviations and of the permuted values: areas, say. Far fewer products.
        bootstrap, permuted : int
            Numbers of refits.
        seed : int

        Returns
        -------
        bootstrap : float32 (bootstrap, V), or (bootstrap, A)
            Deviations from the model's own `direction @ weight`.
        permuted : float32 (permuted, V), or (permuted, A)
            The value itself, as images change places.
        """
        signs = self._signs(bootstrap, seed)
        order = self._orders(permuted, seed)
        alphas, sizes = torch.unique_consecutive(self.model.alpha[self.columns], return_counts=True)
        kernels, leverage = self._kernels(as_tensor(direction), alphas)
        count = len(self.columns) if readouts is None else len(readouts[0])
        out = torch.zeros(bootstrap + permuted, count)
        start = 0
        for a, size in enumerate(sizes.tolist()):
            inflated = kernels[:, a] / (1 - leverage[:, a])
            rows = torch.cat([signs * inflated, kernels[:, a][order]])
            voxels = self.columns[start : start + size]
            if readouts is None:
                out[:, voxels] = self._values(rows, bootstrap, slice(start, start + size))
            else:
                out += self._sums(rows, bootstrap, slice(start, start + size), readouts)
            start += size
        return out[:bootstrap], out[bootstrap:]

    def _values(self, rows: Tensor, bootstrap: int, part: slice) -> Tensor:
        """`rows @ responses` of the voxels of one alpha; residuals for the first `bootstrap`."""
        fitted = (rows[:bootstrap] @ self.scores) @ self.model.basis.vectors.T
        out = torch.cat([rows @ y for _, y in self._pieces(part)], dim=1)
        out[:bootstrap] -= fitted @ self.model.weight[:, self.columns[part]]
        return out

    def _sums(
        self, rows: Tensor, bootstrap: int, part: slice, readouts: tuple[Tensor, Tensor]
    ) -> Tensor:
        """The same summed over voxels first, which makes a few columns of thousands."""
        both = torch.cat(readouts)
        count = len(readouts[0])
        sums = torch.zeros(len(self.scores), len(both))
        for voxels, y in self._pieces(part):
            sums += y @ both[:, voxels].T
        fitted = (rows[:bootstrap] @ self.scores) @ self.model.basis.vectors.T
        voxels = self.columns[part]
        own = rows[:bootstrap] @ sums[:, :count]
        own -= fitted @ (self.model.weight[:, voxels] @ readouts[0][:, voxels].T)
        return torch.cat([own, rows[bootstrap:] @ sums[:, count:]])

    def _pieces(self, part: slice) -> Iterator[tuple[Tensor, Tensor]]:
        """Voxels and their responses in float32, as many as fit."""
        step = max(1, PIECE // len(self.scores))
        for start in range(part.start, part.stop, step):
            piece = slice(start, min(start + step, part.stop))
            yield self.columns[piece], self.responses[:, piece].float()

    def _kernels(self, direction: Tensor, alphas: Tensor) -> tuple[Tensor, Tensor]:
        """Equivalent weights of the images and their leverages, each (N, number of alphas)."""
        basis = self.model.basis
        weights = row_weights(self.counts.numpy())[:, None]
        shrink = basis.shrink(alphas)
        kernels = weights * (self.scores @ (shrink * (basis.vectors.T @ direction)[:, None]))
        leverage = weights * (self.scores.square() @ shrink + 1 / len(weights))
        return kernels, leverage.clamp(max=LARGEST_LEVERAGE)

    def _signs(self, draws: int, seed: int) -> Tensor:
        signs = rng(seed, "wild bootstrap").integers(0, 2, (draws, len(self.counts))) * 2 - 1
        return torch.from_numpy(signs.astype(np.float32))

    def _orders(self, draws: int, seed: int) -> Tensor:
        """Permutations of the images within equal numbers of repeats, int64 (draws, N)."""
        random = rng(seed, "permuted images")
        counts = self.counts.numpy()
        strata = [np.flatnonzero(counts == count) for count in np.unique(counts)]
        orders = np.tile(np.arange(len(counts)), (draws, 1))
        for rows in strata:
            orders[:, rows] = random.permuted(np.tile(rows, (draws, 1)), axis=1)
        return torch.from_numpy(orders)


def permuted_spread(
    model: EncodingModel, scores: Tensor, weights: Tensor, variance: Tensor, contrasts: Values
) -> Tensor:
    """Standard deviation of `contrasts @ weight` as images change places, known exactly.

    A contrast is a weighted sum of responses; over all orders of the images its mean is 0 and its
    variance the sum of squares of the centred weights times the voxel's variance.

    Parameters
    ----------
    model : EncodingModel
    scores : float32 (N, R)
        Centred training features along the eigenvectors.
    weights : float32 (N,)
        Of the images, with mean 1.
    variance : float32 (V,)
        Of the training responses over images, with N - 1.
    contrasts : float array (C, D)

    Returns
    -------
    float32 (C, V)
    """
    turned = as_tensor(contrasts) @ model.basis.vectors
    rows = scores * weights[:, None]
    spread = torch.ones(len(turned), len(variance))
    for alpha in torch.unique(model.alpha):
        voxels = model.alpha == alpha
        hat = rows @ (turned * model.basis.shrink(alpha[None])[:, 0]).T
        square = (hat - hat.mean(dim=0)).square().sum(dim=0)
        spread[:, voxels] = (square[:, None] * variance[None, voxels]).sqrt()
    return spread
