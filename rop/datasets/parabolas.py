"""CURVES-like images: the deep autoencoders' problem of HS06, HF10 and SMDH13, made anew.

The original file of curves "defined by three random points" is not public any more. This generator
is calibrated on four published numbers of it, not recovered, hence the name CURVES-like.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from rop.support.arguments import checked
from rop.support.constraints import OneOf, Seed, Whole

SAMPLES = 100  # points along a curve
BLOCK = 64  # images drawn at a time, so that a block stays in the processor's cache


def tent(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intensity of a pen 2.2 pixels wide at either side, 0.83 at its tip."""
    intensity: NDArray[np.float32] = 0.83 * np.maximum(1 - distance / 2.2, 0)
    return intensity


def gaussian(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intensity of a pen with a standard deviation of 0.45 pixels."""
    intensity: NDArray[np.float32] = np.exp(-0.5 * (distance / 0.45) ** 2)
    # Denormal numbers make every product with them many times slower.
    intensity[intensity < 1e-7] = 0.0
    return intensity


# Image size -> the square, in pixel coordinates, that holds the three points; and the pen.
RECIPES: dict[int, tuple[float, float, Callable[[NDArray[np.float32]], NDArray[np.float32]]]] = {
    28: (4.0, 23.0, tent),
    14: (3.0, 10.0, gaussian),
}


@checked
def curves(
    n: Annotated[int, Whole(at_least=0, at_most=1_000_000)],
    size: Annotated[int, OneOf((28, 14))] = 28,
    seed: Seed | np.random.Generator = 0,
) -> NDArray[np.float32]:
    """Images of parabolas through three random points, six degrees of freedom in all.

    Next to what is published of CURVES: variance about the mean image 16.6 (16.9), cross-entropy
    of the mean image 125.8 nats (124.5), entropy of the pixels 53.4 nats (54.4), squared error of
    PCA with 18 components 5.83 (5.90). So losses live on the published scale: a net that gives
    the mean image has about 126 nats, a perfect one about 53.

    Parameters
    ----------
    n : int
        How many images. The first ones do not depend on n, so ``curves(30_000)`` split at 20,000
        has the sizes of the original.
    size : {28, 14}
        Height and width in pixels: 28 as published; 14 for experiments of a minute, with a
        sharper pen and a variance about the mean image of 4.5.
    seed : int or numpy.random.Generator
        Source of the points.

    Returns
    -------
    ndarray of float32, (n, size²)
        Intensities in [0, 1], inputs and targets of an autoencoder.

    Raises
    ------
    RopTypeError, RopValueError
        If n is negative or above a million, or there are no curves of this size.

    Examples
    --------
    >>> images = rop.datasets.curves(3, size=14)
    >>> images.shape, images.dtype, bool(images.max() <= 1)
    ((3, 196), dtype('float32'), True)
    """
    low, high, pen = RECIPES[size]
    points = np.random.default_rng(seed).uniform(low, high, (n, 3, 2)).astype(np.float32)
    images = np.empty((n, size, size), np.float32)
    for block in range(0, n, BLOCK):
        drawn = slice(block, block + BLOCK)
        images[drawn] = pen(_distance(points[drawn], size))
    return images.reshape(n, size * size)


def _distance(points: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Distance of each pixel to the parabola through the points at t = 0, 1/2 and 1."""
    t = np.linspace(0, 1, SAMPLES, dtype=np.float32)
    lagrange = np.stack([(1 - t) * (1 - 2 * t), 4 * t * (1 - t), t * (2 * t - 1)])
    x, y = np.einsum("npc,pt->ctn", points, lagrange)
    pixel = np.arange(size, dtype=np.float32)
    across = (pixel - x[..., None]) ** 2
    down = (pixel - y[..., None]) ** 2
    nearest = np.full((len(points), size, size), np.inf, np.float32)
    square = np.empty_like(nearest)
    for row, column in zip(down, across, strict=True):
        np.add(row[:, :, None], column[:, None, :], out=square)
        np.minimum(nearest, square, out=nearest)
    return np.sqrt(nearest)
