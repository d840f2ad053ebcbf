"""The windows that a kernel or a pool is laid over: their places, and the op that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from numpy.lib.stride_tricks import sliding_window_view

from rop.errors import RopValueError
from rop.graph import Shape
from rop.ops.families import Linear
from rop.ops.kernels import Array, view
from rop.ops.shaping import integers
from rop.support.user import user_line

Sizes: TypeAlias = int | tuple[int, ...]


@dataclass(frozen=True)
class Grid:
    """Windows of one size at equal distances over all axes but the first, the channels.

    Attributes
    ----------
    size : tuple of int
        Elements of a window along each axis.
    stride : tuple of int
        From one window to the next.
    dilation : tuple of int
        From one element of a window to the next.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def spans(self) -> tuple[int, ...]:
        """Elements from the first to the last of a window."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.size, self.dilation, strict=True))

    @property
    def disjoint(self) -> bool:
        """Whether no element is in two windows."""
        return all(s >= n for s, n in zip(self.stride, self.spans, strict=True))

    def select(self, z: Array) -> Array:
        """View of (channels, *axes): (channels, *windows along each axis, *size)."""
        rank = len(self.size)
        every = [slice(None, None, s) for s in (*self.stride, *self.dilation)]
        seen = sliding_window_view(z, self.spans, tuple(range(1, 1 + rank)))
        view: Array = seen[(slice(None), *every)]
        return view

    def element(self, place: tuple[int, ...], shape: Shape) -> tuple[slice, ...]:
        """Index of (channels, *axes) that takes the element at one place from every window."""
        counts = (
            (n - span) // s for n, span, s in zip(shape[1:], self.spans, self.stride, strict=True)
        )
        starts = [d * p for d, p in zip(self.dilation, place, strict=True)]
        along = [
            slice(start, start + s * count + 1, s)
            for start, s, count in zip(starts, self.stride, counts, strict=True)
        ]
        return (slice(None), *along)


def grid_over(
    op: str, x: Shape, size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes
) -> tuple[Grid, tuple[int, ...]]:
    """Check the windows of an op against what they are laid over.

    Parameters
    ----------
    op : str
        Name for errors.
    x : tuple of int
        Shape of the operand: channels, and the axes that windows are laid over.
    size, stride, padding, dilation : int or tuple of int
        One for all axes, or one for each.

    Returns
    -------
    Grid
        The windows.
    tuple of int
        Padding along each axis, the same at both ends.

    Raises
    ------
    RopTypeError, RopValueError
        If one of them is no integer, too small, or given for another number of axes, or if a
        window is larger than the padded operand.
    """
    axes = len(x) - 1
    given = {"size": size, "stride": stride, "padding": padding, "dilation": dilation}
    sizes = {}
    for name, number in given.items():
        several = integers(number)
        sizes[name] = several * axes if len(several) == 1 else several
        least = 0 if name == "padding" else 1
        if len(sizes[name]) != axes or min(several) < least:
            raise RopValueError(
                f"{op}: expected {name} >= {least}, one integer or {axes} for the axes of "
                f"{x[1:]}, got {number!r} ({user_line()})"
            )
    grid = Grid(sizes["size"], sizes["stride"], sizes["dilation"])
    for n, p, span in zip(x[1:], sizes["padding"], grid.spans, strict=True):
        if span > n + 2 * p:
            raise RopValueError(
                f"{op}: expected windows no larger than the padded operand, got shape {x}, size "
                f"{grid.size}, dilation {grid.dilation} and padding {sizes['padding']}: the number "
                "of windows along an axis is (n + 2 padding - dilation (size - 1) - 1) // stride "
                f"+ 1, here ({n + 2 * p} - {span}) // stride + 1 ({user_line()})"
            )
    return grid, sizes["padding"]


class Windows(Linear):
    """a = the windows of z, as columns (im2col):  Ra = those of Rz,  dz = Σ da over the windows."""

    def __init__(self, z: Shape, *, grid: Grid) -> None:
        self.grid = grid
        rank = len(grid.size)
        size_first = (0, *range(1 + rank, 1 + 2 * rank), *range(1, 1 + rank))

        def select(z: Array) -> Array:
            return grid.select(z).transpose(size_first)

        kernel, self.shape = view(z, select, "windows({0})")
        self.maps = [kernel]
        self.adjoints = [kernel.adjoint(0, "windowsᵀ({0})", prod(z))]
