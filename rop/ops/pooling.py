"""Pooling: the mean, or the largest element, of each window of an image."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod
from operator import itemgetter

import numpy as np

from rop.graph import Node, Operand, Shape, as_node
from rop.ops.arranging import pad
from rop.ops.families import Linear
from rop.ops.kernels import Array, Loops, Map, Walk, contiguous, scaled, view
from rop.ops.op import Op, misfit
from rop.ops.rules import Emit, Target, Targets, Value, Values
from rop.ops.shaping import concatenate, getitem, index_text
from rop.ops.windows import Grid, Sizes, grid_over


class AveragePool(Linear):
    """a = mean of z over each window:  Ra = that of Rz,  dz = Σ da / size over the windows."""

    def __init__(self, z: Shape, *, grid: Grid) -> None:
        self.grid = grid
        every, windows = view(z, grid.select, "avg_pool({0})")
        self.shape = windows[: len(z)]
        # The target stands still along the elements of a window: it sums them.
        to = Walk(0, contiguous(self.shape) + (0,) * len(grid.size))
        kernel = scaled(replace(every, walks=(to, every.walks[1])), 1.0 / prod(grid.size))
        self.maps = [kernel]
        self.adjoints = [kernel.adjoint(0, "avg_poolᵀ({0})", prod(z))]


class MaxPool(Op):
    """a = largest element of each window of z:  Ra = Rz there,  dz = da there.

    Linear, given which element of each window is the largest: c_k is 1 in the windows whose k-th
    element it is, and 0 elsewhere. Of equal elements it is the first.
    """

    def __init__(self, z: Shape, *, grid: Grid) -> None:
        self.grid = grid
        self.taken: list[Loops] = []
        self.read: list[Loops] = []
        self.put: list[Loops] = []
        for place in product(*map(range, grid.size)):
            key = grid.element(place, z)
            part = index_text(key)
            taken, self.shape = view(z, itemgetter(key), f"{{0}}{part}")
            to, at = taken.walks
            read = Loops(taken.extents, (to, to, at), f"{{0}} * {{1}}{part}")
            put = replace(read.adjoint(1, "{0} * {1}", prod(z)), part=part)
            self.taken.append(taken)
            self.read.append(read)
            self.put.append(replace(put, disjoint=True, whole=False) if grid.disjoint else put)

    def value(self, emit: Emit, a: Target, z: Values) -> None:
        elements = self._elements(emit, z)
        text = ", ".join(f"{{{k}}}" for k in range(len(elements)))
        emit(a, Map(_largest, f"max({text})"), *elements)

    def R(self, emit: Emit, Ra: Target, a: Value, z: Values, Rz: Values) -> None:
        if Rz[0] is not None:
            for kernel, c in zip(self.read, self._choices(emit, a, z), strict=True):
                emit(Ra, kernel, c, Rz[0])

    def reverse(self, emit: Emit, da: Value, a: Value, z: Values, dz: Targets) -> None:
        if dz[0] is not None:
            for kernel, c in zip(self.put, self._choices(emit, a, z), strict=True):
                emit(dz[0], kernel, c, da)
            emit.end(dz[0])

    def curvature(
        self, emit: Emit, da: Value, a: Value, z: Values, Rz: Values, Rdz: Targets
    ) -> None:
        """Zero, as for every linear op."""

    def margins(self, z: Array) -> Array:
        """By how much the largest element of each window exceeds the next: (N, *shape)."""
        places = product(*map(range, self.grid.size))
        keys = [self.grid.element(place, z.shape[1:]) for place in places]
        *_, second, first = np.sort([z[(slice(None), *key)] for key in keys], axis=0)
        return np.asarray(first - second)

    def _elements(self, emit: Emit, z: Values) -> list[Value]:
        """The k-th element of every window, for each k."""
        assert z[0] is not None
        return [
            emit.once(f"{z[0].name}_{k}", kernel, z[0], shape=self.shape)
            for k, kernel in enumerate(self.taken, 1)
        ]

    def _choices(self, emit: Emit, a: Value, z: Values) -> list[Value]:
        """c_k for each k: 1 where the k-th element is the largest, and none before it is."""
        *elements, _ = self._elements(emit, z)
        choices: list[Value] = []
        left: tuple[Value, ...] = ()  # 1 where no element so far is the largest
        for k, element in enumerate(elements, 1):
            here = Map(_first, "[{0} = {1}]" + " * {2}" * len(left))
            choices.append(emit.once(f"c_{k}({a.name})", here, element, a, *left))
            rest = Map(_rest, "{1} - {0}" if left else "1 - {0}")
            name = f"c_{k + 1}" if k == len(elements) else f"after_{k}"
            left = (emit.once(f"{name}({a.name})", rest, choices[-1], *left),)
        return [*choices, *left]


def _largest(element: Array, *others: Array) -> Array:
    for other in others:
        element = np.maximum(element, other)
    return element


def _first(element: Array, largest: Array, left: Array | None = None) -> Array:
    here: Array = np.heaviside(element - largest, 1.0)
    return here if left is None else here * left


def _rest(c: Array, left: Array | None = None) -> Array:
    return 1.0 - c if left is None else left - c


def max_pool2d(x: Operand, size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> Node:
    """Largest element of each window of an image, channel by channel.

    Of several largest elements of a window, the first one (by rows) has the derivative: there is a
    kink, which `rop.check` reports.

    Parameters
    ----------
    x : Node or array_like, (channels, height, width)
        The image.
    size : int or (int, int)
        Height and width of the windows.
    stride : int or (int, int), optional
        From one window to the next; by default the windows' size.
    padding : int or (int, int)
        By how much the windows may stand out over the image, at most half of their size. What is
        outside is no element of them.

    Returns
    -------
    Node
        (channels, *windows), with (n + 2 padding - size) // stride + 1 windows along an axis of n
        elements.

    Raises
    ------
    RopTypeError, RopValueError
        If the shape does not fit, or a number is no integer, too small or too large.

    Examples
    --------
    >>> rop.max_pool2d(rop.data("x", (6, 24, 24)), 2).shape
    (6, 12, 12)
    """
    image, grid, margins = _windows("max_pool2d", x, size, stride, padding)
    for axis, margin in [(i, margin) for i, margin in enumerate(margins, 1) if margin]:
        # The edge, repeated, is in every window that it is outside of, and changes no maximum.
        before = (slice(None),) * axis
        first, last = (getitem(image, (*before, at)) for at in (slice(0, 1), slice(-1, None)))
        image = concatenate([*[first] * margin, image, *[last] * margin], axis)
    one = prod(grid.size) == 1
    return (AveragePool if one else MaxPool).of(image, grid=grid)


def avg_pool2d(x: Operand, size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> Node:
    """Mean of each window of an image, channel by channel.

    Parameters
    ----------
    x : Node or array_like, (channels, height, width)
        The image.
    size : int or (int, int)
        Height and width of the windows.
    stride : int or (int, int), optional
        From one window to the next; by default the windows' size.
    padding : int or (int, int)
        Rows and columns of zeros at either end of the image, at most half of a window. The zeros
        count.

    Returns
    -------
    Node
        (channels, *windows), with (n + 2 padding - size) // stride + 1 windows along an axis of n
        elements.

    Raises
    ------
    RopTypeError, RopValueError
        If the shape does not fit, or a number is no integer, too small or too large.

    Examples
    --------
    >>> rop.avg_pool2d(rop.data("x", (6, 24, 24)), 3, stride=2, padding=1).shape
    (6, 12, 12)
    """
    image, grid, margins = _windows("avg_pool2d", x, size, stride, padding)
    if any(margins):
        image = pad(image, ((0, 0), *((margin, margin) for margin in margins)))
    return AveragePool.of(image, grid=grid)


def _windows(
    op: str, x: Operand, size: Sizes, stride: Sizes | None, padding: Sizes
) -> tuple[Node, Grid, tuple[int, ...]]:
    """The image, the windows over it, and the padding along each axis."""
    image = as_node(x)
    if len(image.shape) != 3:
        raise misfit(op, "x: (channels, height, width)", image.shape)
    stride = size if stride is None else stride
    grid, margins = grid_over(op, image.shape, size, stride, padding, 1)
    if any(2 * margin > length for margin, length in zip(margins, grid.size, strict=True)):
        expected = f"padding of at most half of the windows' size {grid.size}, not {margins}"
        raise misfit(op, expected, image.shape)
    return image, grid, margins
