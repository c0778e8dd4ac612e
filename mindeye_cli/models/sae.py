"""Top-K sparse autoencoder: a vector as a sum of a few atoms, each with a positive code.

Vectors are centred and scaled by the training rows' statistics. `topk` keeps the K largest codes of
every row (Gao et al. 2024, arXiv:2406.04093); `batchtopk` keeps K a row on average while training
and, afterwards, every code above one fixed threshold (Bussmann et al. 2024, arXiv:2412.06410), so
that a row's codes never depend on the rows beside it.

Shapes: `B` rows, `D` width of a vector, `F` atoms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Floats = NDArray[np.float32]
# Rows encoded at once: bounds the memory of the codes, which are as wide as there are atoms.
CHUNK = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SaeConfig:
    """Size and form of one autoencoder.

    Attributes
    ----------
    atoms : int
        F, the size of the dictionary.
    k : int
        Codes of a row that are not zero.
    form : {"topk", "batchtopk"}
    prefixes : tuple of int
        Matryoshka (Bussmann et al. 2025, arXiv:2503.17547): the first so many atoms must
        reconstruct by themselves too, which orders atoms from general to special. Empty for none.
    """

    atoms: int = 128
    k: int = 8
    form: Literal["topk", "batchtopk"] = "topk"
    prefixes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.atoms:
            raise ValueError("k must lie between 1 and atoms")
        if list(self.prefixes) != sorted({n for n in self.prefixes if 1 <= n < self.atoms}):
            raise ValueError("prefixes must be ascending numbers between 1 and atoms - 1")


class SparseAutoencoder(nn.Module):
    """Encoder and dictionary.

    Parameters
    ----------
    config : SaeConfig
    width : int
        D.

    Attributes
    ----------
    dictionary : Parameter (F, D)
        Atoms of length 1, in centred and scaled units.
    centre : buffer (D,)
        Mean of the training rows.
    scale : buffer ()
        Root mean square length of the centred training rows.
    threshold : buffer ()
        Least code that counts (`batchtopk`, after training).
    """

    centre: Tensor
    scale: Tensor
    threshold: Tensor

    def __init__(self, config: SaeConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.dictionary = nn.Parameter(torch.empty(config.atoms, width))
        self.encoder = nn.Parameter(torch.empty(config.atoms, width))
        self.encoder_bias = nn.Parameter(torch.zeros(config.atoms))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("threshold", torch.zeros(()))

    @torch.no_grad()
    def begin(self, rows: Tensor, source: torch.Generator) -> None:
        """Take the statistics of the training rows (B, D); atoms start as random directions.

        The bias starts at the rows' mean, which is zero in centred units, and the encoder as the
        dictionary's transpose.
        """
        self.centre.copy_(rows.mean(dim=0))
        self.scale.copy_((rows - self.centre).square().sum(dim=1).mean().sqrt().clamp_min(1e-12))
        drawn = torch.randn(self.dictionary.shape, generator=source)
        self.dictionary.copy_(functional.normalize(drawn, dim=1))
        self.encoder.copy_(self.dictionary)

    def normalise(self, rows: Tensor) -> Tensor:
        """Vectors (B, D) in centred and scaled units."""
        return (rows - self.centre) / self.scale

    def drive(self, units: Tensor) -> Tensor:
        """What codes are made of, of either sign; (B, D) normalised to (B, F)."""
        return (units - self.bias) @ self.encoder.T + self.encoder_bias

    def select(self, drive: Tensor, *, training: bool = False) -> Tensor:
        """Drop what is negative, and all but the largest, (B, F) to (B, F)."""
        drive = functional.relu(drive)
        if self.config.form == "topk":
            values, places = drive.topk(self.config.k, dim=1)
            return torch.zeros_like(drive).scatter_(1, places, values)
        if training:
            kept = drive.flatten().topk(self.config.k * len(drive)).values[-1]
            return drive * (drive >= kept)
        return drive * (drive >= self.threshold)

    def encode(self, rows: Tensor) -> Tensor:
        """Codes of vectors, (B, D) to (B, F)."""
        return self.select(self.drive(self.normalise(rows)))

    def decode(self, codes: Tensor) -> Tensor:
        """Vectors of codes, (B, F) to (B, D)."""
        return (codes @ self.dictionary + self.bias) * self.scale + self.centre

    @torch.no_grad()
    def unit_atoms(self) -> None:
        """Bring every atom back to length 1 after a step."""
        self.dictionary.copy_(functional.normalize(self.dictionary, dim=1))

    @torch.no_grad()
    def codes(self, rows: NDArray[np.floating]) -> Floats:
        """Codes of vectors (B, D), computed in parts; float32 (B, F)."""
        device = self.centre.device
        parts = [
            self.encode(torch.from_numpy(np.asarray(rows[i : i + CHUNK], np.float32)).to(device))
            for i in range(0, len(rows), CHUNK)
        ]
        return np.asarray(torch.cat(parts).cpu().numpy())

    @torch.no_grad()
    def vectors(self, codes: Floats) -> Floats:
        """Vectors that codes (B, F) stand for, float32 (B, D)."""
        device = self.centre.device
        return np.asarray(self.decode(torch.from_numpy(codes).to(device)).cpu().numpy())

    def atoms_in_space(self) -> Floats:
        """What a code of 1 adds to a vector of the SPACE, float32 (F, D)."""
        return np.asarray((self.dictionary * self.scale).detach().cpu().numpy())


def sae_from_tensors(config: SaeConfig, tensors: Mapping[str, Tensor]) -> SparseAutoencoder:
    """Read back a state dict; a missing or strange name or shape is a KeyError or RuntimeError."""
    model = SparseAutoencoder(config, int(tensors["centre"].shape[0]))
    model.load_state_dict(dict(tensors), strict=True)
    return model.eval().requires_grad_(False)
