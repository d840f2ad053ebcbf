"""Convolution: the windows of x, which are linear in it, times the kernel W, which is bilinear."""

from __future__ import annotations

from math import prod

import numpy as np

from rop.graph import Node, Operand, Shape, as_node
from rop.ops.arranging import pad
from rop.ops.families import Linear
from rop.ops.kernels import view
from rop.ops.op import misfit
from rop.ops.products import Product
from rop.ops.shaping import integers
from rop.ops.windows import Sizes, Windows, grid_over


class Convolve(Product):
    """a = W u for each group of channels:  Ra = RW u + W Ru,  dW = da uᵀ,  du = Wᵀ da.

    u are the windows of x, as columns; W is a matrix with one row for each channel of the result.
    """

    subscripts = "goi,gip->gop"
    texts = ("{0} {1}", "{0} {1}ᵀ", "{0}ᵀ {1}")

    def __init__(self, W: Shape, u: Shape, *, groups: int) -> None:
        self.groups = groups
        windows = u[len(W) - 1 :]
        inputs = prod(W[1:])
        self._rules((groups, W[0] // groups, inputs), (groups, inputs, prod(windows)))
        self.shape = (W[0], *windows)


class AddBiases(Linear):
    """a = z + b, one b for all windows of a channel:  Ra = Rz + Rb,  dz = da,  db = Σ da."""

    operands = 2

    def __init__(self, z: Shape, b: Shape) -> None:
        self.shape = z
        ones = (1,) * (len(z) - 1)
        same, _ = view(z, lambda z: z, "{0}")
        spread, _ = view(b, lambda b: np.broadcast_to(b.reshape(-1, *ones), z), "{0}")
        self.maps = [same, spread]
        self.adjoints = [same, spread.adjoint(0, "{0}", prod(b))]


def conv1d(
    x: Operand,
    W: Operand,
    b: Operand | None = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Node:
    """Convolve a sequence of channels, as `conv2d` does images.

    Parameters
    ----------
    x : Node or array_like, (channels, length)
        The sequence.
    W : Node or array_like, (outputs, channels / groups, size)
        The kernel.
    b : Node or array_like, (outputs,), optional
        The biases.
    stride, padding, dilation, groups : int
        See `conv2d`.

    Returns
    -------
    Node
        (outputs, windows).

    Raises
    ------
    RopTypeError, RopValueError
        As `conv2d`.

    Examples
    --------
    >>> x, W = rop.data("x", (2, 50)), rop.param("W", (4, 2, 5))
    >>> rop.conv1d(x, W, stride=3).shape
    (4, 16)
    """
    return _convolution("conv1d", 1, x, W, b, stride, padding, dilation, groups)


def conv2d(
    x: Operand,
    W: Operand,
    b: Operand | None = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Node:
    """Convolve an image with a kernel; as in PyTorch, the kernel is not turned round.

    a[o, i, j] = b[o] + Σ W[o, c, p, q] x[c, stride · i + dilation · p, stride · j + dilation · q],
    where x stands for the padded image. It is made of three ops: the image's windows, which are
    linear in it and are kept for all products; their product with W, which is bilinear; and the
    sum with b.

    Parameters
    ----------
    x : Node or array_like, (channels, height, width)
        The image.
    W : Node or array_like, (outputs, channels / groups, height, width)
        The kernel.
    b : Node or array_like, (outputs,), optional
        The biases.
    stride : int or (int, int)
        From one window to the next, along each axis.
    padding : int or (int, int)
        Rows and columns of zeros at either end of the image.
    dilation : int or (int, int)
        From one element of a window to the next.
    groups : int
        Into how many groups inputs and outputs are split; each is connected to its own alone.

    Returns
    -------
    Node
        (outputs, *windows), with (n + 2 padding - dilation (size - 1) - 1) // stride + 1 windows
        along an axis of n elements.

    Raises
    ------
    RopTypeError, RopValueError
        If the shapes do not fit, the padded image is smaller than the kernel, or a number is no
        integer or too small.

    Examples
    --------
    >>> x, W, b = rop.data("x", (3, 32, 32)), rop.param("W", (8, 3, 5, 5)), rop.param("b", 8)
    >>> rop.conv2d(x, W, b, stride=2, padding=2).shape
    (8, 16, 16)
    """
    return _convolution("conv2d", 2, x, W, b, stride, padding, dilation, groups)


def _convolution(
    op: str,
    rank: int,
    x: Operand,
    W: Operand,
    b: Operand | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> Node:
    image, kernel = as_node(x), as_node(W)
    if len(image.shape) != 1 + rank or len(kernel.shape) != 2 + rank:
        axes = ", ".join(("height", "width") if rank == 2 else ("length",))
        expected = f"x: (channels, {axes}) and W: (outputs, channels / groups, {axes})"
        raise misfit(op, expected, image.shape, kernel.shape)
    (count,) = integers(groups)
    channels, (outputs, inputs) = image.shape[0], kernel.shape[:2]
    if count < 1 or channels % count or outputs % count:
        expected = f"groups that divide {channels} channels and {outputs} outputs, not {groups!r}"
        raise misfit(op, expected, image.shape, kernel.shape)
    if inputs * count != channels:
        expected = f"W: ({outputs}, {channels // count}, ...) for {channels} channels in {count}"
        expected += " group" if count == 1 else " groups"
        raise misfit(op, expected, image.shape, kernel.shape)
    size = kernel.shape[2:]
    grid, margins = grid_over(op, image.shape, size, stride, padding, dilation)
    if any(margins):
        image = pad(image, ((0, 0), *((m, m) for m in margins)))
    a = Convolve.of(kernel, Windows.of(image, grid=grid), groups=count)
    if b is None:
        return a
    biases = as_node(b)
    if biases.shape != (outputs,):
        raise misfit(op, f"b: ({outputs},), one bias for each output", biases.shape, kernel.shape)
    return AddBiases.of(a, biases)
