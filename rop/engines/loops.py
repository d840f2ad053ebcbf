"""Loops as NumPy runs them: strided views of arrays, and one sum of products of two of them."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from rop.graph import Shape
from rop.ops.kernels import Array, Loops


def walked(array: Array, kernel: Loops, i: int) -> Array:
    """The elements that a kernel's i-th walk reaches: (N or 1, K or 1, *extents or 1)."""
    extents, leading = kernel.extents, array.shape[:2]
    if kernel.plain[i] and array.size == leading[0] * leading[1] * prod(extents):
        return array.reshape(leading + extents)
    walk, size = kernel.walks[i], array.itemsize
    # Where a walk stands still, the axis has length 1.
    shape = tuple([e if stride else 1 for e, stride in zip(extents, walk.strides, strict=True)])
    strides = array.strides[:2] + tuple([stride * size for stride in walk.strides])
    if array.flags.c_contiguous:  # ten times faster than as_strided
        return np.ndarray(leading + shape, array.dtype, array, walk.offset * size, strides)
    return as_strided(array.reshape(*leading, -1)[..., walk.offset :], leading + shape, strides)


def add_overlapping(part: Array, term: Array, kernel: Loops) -> None:
    """Add to what a target's walk reaches, where it reaches some elements more than once."""
    axes = [2 + loop for loop in kernel.overlapping]
    first = range(len(axes))
    term = np.moveaxis(np.broadcast_to(term, part.shape), axes, first)
    part = np.moveaxis(part, axes, first)
    for index in np.ndindex(part.shape[: len(axes)]):
        part[index] += term[index]


def sum_of_products(shape: Shape, x: Array, y: Array | None = None) -> Array:
    """x · y, summed over the axes of length 1 in a shape; as a matrix product where it is one."""
    summed, matrices = _axes(shape, x.shape, None if y is None else y.shape)
    if y is None or matrices is None:
        product = x if y is None else x * y
    else:
        (x_axes, X), (y_axes, Y), lengths, back = matrices
        product = x.transpose(x_axes).reshape(X) @ y.transpose(y_axes).reshape(Y)
        product = product.reshape(lengths).transpose(back)
    return product.sum(summed, keepdims=True) if summed else product


@lru_cache(maxsize=4096)
def _axes(shape: Shape, x: Shape, y: Shape | None) -> tuple[Shape, Any]:
    """Axes that are summed apart; for a matrix product, how x, y and the result are turned."""
    of_x = [i for i, length in enumerate(x) if length > 1]
    of_y = [i for i, length in enumerate(y or ()) if length > 1]
    one = [i for i, length in enumerate(shape) if length == 1]
    summed = tuple(i for i in one if (i in of_x) != (i in of_y))
    k = [i for i in one if i in of_x and i in of_y]
    if y is None or not k:
        return summed, None
    batch = [i for i in of_x if i in of_y and i not in k]
    n = [i for i in of_y if i not in of_x]
    m = [i for i in range(len(shape)) if i not in batch + n + k]
    many, terms = [x[i] for i in batch], prod(x[i] for i in k)
    X, Y = (*many, prod(x[i] for i in m), terms), (*many, terms, prod(y[i] for i in n))
    lengths = [*many, *(x[i] for i in m), *(y[i] for i in n), *(1 for _ in k)]
    turned = ((batch + m + n + k, X), (batch + k + m + n, Y))
    return summed, (*turned, lengths, np.argsort(batch + m + n + k).tolist())
