"""Maps of local image content that drive the early areas: Gabor energy, brightness, colour.

Shapes: `B` images, `C` channels, `G` cells of a 16 x 16 grid over the picture.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

GRID = 16
WAVELENGTHS = (4.0, 8.0, 16.0)  # pixels of a 64-pixel picture
ORIENTATIONS = 4
HUES = 8
N_ENERGY = len(WAVELENGTHS) * ORIENTATIONS
LINEAR = ("luminance", "red-green", "blue-yellow")
_PAD = 8
_BATCH = 64


def cell_centres(size: int) -> Floats:
    """Positions of the grid's cells in pixels, shape (G, 2): x then y, rows from the top."""
    centre = (np.arange(GRID) + 0.5) * size / GRID
    y, x = np.meshgrid(centre, centre, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)


def channel_maps(pixels: npt.NDArray[np.uint8]) -> dict[str, Floats]:
    """Content of every grid cell of every picture.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (B, S, S, 3)
        RGB, `S` a multiple of 16.

    Returns
    -------
    dict
        `energy` (B, 12, G): contrast amplitude of quadrature Gabor pairs, wavelength by wavelength,
        orientations within; `linear` (B, 3, G): luminance and two opponent colours;
        `hue` (B, 8, G): chroma along each of eight hue directions, rectified before averaging.
    """
    size = pixels.shape[1]
    bank = _transfer(size + 2 * _PAD)
    parts: dict[str, list[Floats]] = {"energy": [], "linear": [], "hue": []}
    for start in range(0, len(pixels), _BATCH):
        rgb = pixels[start : start + _BATCH].astype(np.float32) / 255
        luminance = np.asarray(rgb @ np.array([0.299, 0.587, 0.114]), np.float32)
        red_green = rgb[..., 0] - rgb[..., 1]
        blue_yellow = rgb[..., 2] - rgb[..., :2].mean(-1)
        parts["energy"].append(_energy(luminance, bank))
        parts["linear"].append(_pool(np.stack([luminance, red_green, blue_yellow], 1)))
        angle = 2 * np.pi * np.arange(HUES, dtype=np.float32)[:, None, None] / HUES
        along = red_green[:, None] * np.cos(angle) + blue_yellow[:, None] * np.sin(angle)
        parts["hue"].append(_pool(np.maximum(along, 0)))
    return {name: np.concatenate(values) for name, values in parts.items()}


def _transfer(size: int) -> Floats:
    """Frequency responses of the Gabor bank, shape (12, size, size).

    A Gaussian on one side of the frequency plane is the analytic Gabor, whose modulus is the
    energy of the even and odd pair (Adelson and Bergen 1985).
    """
    fy, fx = np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size), indexing="ij")
    bank = []
    for wavelength in WAVELENGTHS:
        # An envelope of half a wavelength (SD) gives the bandwidth of about 1.5 octaves seen in V1.
        spread = 1 / (2 * np.pi * 0.5 * wavelength)
        for index in range(ORIENTATIONS):
            angle = np.pi * index / ORIENTATIONS
            centre = np.cos(angle) / wavelength, np.sin(angle) / wavelength
            response = np.exp(-((fx - centre[0]) ** 2 + (fy - centre[1]) ** 2) / (2 * spread**2))
            response[0, 0] = 0
            bank.append(response)
    return np.stack(bank).astype(np.float32)


def _energy(luminance: Floats, bank: Floats) -> Floats:
    padded = np.pad(luminance, ((0, 0), (_PAD, _PAD), (_PAD, _PAD)), mode="reflect")
    spectrum = np.fft.fft2(padded - padded.mean((1, 2), keepdims=True)).astype(np.complex64)
    maps = []
    for response in bank:
        amplitude = np.abs(np.fft.ifft2(spectrum * response))
        maps.append(amplitude[:, _PAD:-_PAD, _PAD:-_PAD].astype(np.float32))
    return _pool(np.stack(maps, 1))


def _pool(maps: Floats) -> Floats:
    """Mean over each grid cell: (B, C, S, S) -> (B, C, G)."""
    batch, channels, size, _ = maps.shape
    cell = size // GRID
    cells = maps.reshape(batch, channels, GRID, cell, GRID, cell).mean((3, 5))
    return cells.reshape(batch, channels, GRID * GRID).astype(np.float32)


def standardise(values: Floats) -> Floats:
    """Zero mean and unit SD over axis 0; a constant column becomes zero."""
    centred = values - values.mean(0)
    spread = centred.std(0)
    return np.asarray(centred / np.where(spread > 1e-12, spread, 1), np.float32)
