"""Matrix products of a nest: by cuBLAS, or by the kernel in Numba where cuBLAS is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product as grid
from typing import Any

from rop.engines.cuda import cublas, driver
from rop.engines.cuda.gemm import SIDE, TILE, gemm
from rop.engines.lowering import Nest, leading
from rop.ops.kernels import Array


@dataclass(frozen=True)
class Matrices:
    """One matrix product t = x y or t += x y, or several at equal distances, by rows.

    Attributes
    ----------
    m, n, k : int
        Lengths.
    first : tuple of int
        First element of t, x and y.
    strides : tuple of (int, int)
        For t: of m and n; for x: of m and k; for y: of k and n.
    add : bool
        Whether t is added to.
    count : int
        How many products.
    apart : tuple of int
        From one product's t, x and y to the next one's.
    """

    m: int
    n: int
    k: int
    first: tuple[int, int, int]
    strides: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    add: bool
    count: int = 1
    apart: tuple[int, int, int] = (0, 0, 0)


def matrices(loops: Nest, starts: tuple[int, int, int], accumulate: bool) -> Iterator[Matrices]:
    """Split a nest into matrix products: what its outer loops sum comes one after the other.

    Parameters
    ----------
    loops : Nest
        A nest that is a matrix product.
    starts : tuple of int
        First elements of target and operands.
    accumulate : bool
        Whether the target is added to.

    Yields
    ------
    Matrices
    """
    t, x, y = loops.strides
    m, n, k = loops.extents[-3:]
    strides = ((t[-3], t[-2]), (x[-3], x[-1]), (y[-1], y[-2]))
    outer = list(range(len(loops.extents) - 3))
    batch = max((i for i in outer if t[i]), key=lambda i: loops.extents[i], default=None)
    walked = [i for i in outer if i != batch]
    for index in grid(*(range(loops.extents[i]) for i in walked)):
        first = tuple(
            start + sum(at * s[i] for at, i in zip(index, walked, strict=True))
            for start, s in zip(starts, (t, x, y), strict=True)
        )
        add = accumulate or any(at for at, i in zip(index, walked, strict=True) if t[i] == 0)
        a, b, c = first
        if batch is None:
            yield Matrices(m, n, k, (a, b, c), strides, add)
        else:
            apart = (t[batch], x[batch], y[batch])
            yield Matrices(m, n, k, (a, b, c), strides, add, loops.extents[batch], apart)


def launch(
    product: Matrices, arrays: tuple[Array, Array, Array], coefficient: float, tf32: bool
) -> Callable[[], Any]:
    """Make the function that gives a matrix product to the stream.

    Parameters
    ----------
    product : Matrices
        Lengths and strides.
    arrays : tuple of arrays on the GPU
        Buffers of t, x and y.
    coefficient : float
        Factor of x y.
    tf32 : bool
        Whether cuBLAS may round float32 operands to TF32, with 10 bits after the point.

    Returns
    -------
    callable
    """
    if cublas.missing() is None:
        return _cublas(product, arrays, coefficient, tf32)
    return _numba(product, arrays, coefficient)


def _numba(
    product: Matrices, arrays: tuple[Array, Array, Array], coefficient: float
) -> Callable[[], Any]:
    blocks = (-(-product.n // TILE), -(-product.m // TILE))
    t, x, y = arrays
    (tm, tn), (xm, xk), (yk, yn) = product.strides
    c = t.dtype.type(coefficient)

    def run() -> None:
        for i in range(product.count):
            t0, x0, y0 = (f + i * a for f, a in zip(product.first, product.apart, strict=True))
            lengths = product.m, product.n, product.k
            kernel = gemm[blocks, (SIDE, SIDE), driver.stream()]
            kernel(t, t0, tm, tn, x, x0, xm, xk, y, y0, yk, yn, *lengths, c, product.add)

    return run


def _cublas(
    product: Matrices, arrays: tuple[Array, Array, Array], coefficient: float, tf32: bool
) -> Callable[[], Any]:
    (tm, tn), (xm, xk), (yk, yn) = product.strides
    m, n, k = product.m, product.n, product.k
    seen = leading(m, tm, n, tn), leading(m, xm, k, xk), leading(k, yk, n, yn)
    assert seen[0] and seen[1] and seen[2]
    (t_turned, t_lead), (x_turned, x_lead), (y_turned, y_lead) = seen[0], seen[1], seen[2]
    size = arrays[0].dtype.itemsize
    t, x, y = (
        cublas.Operand(cublas.address(array) + first * size, lead, apart)
        for array, first, lead, apart in zip(
            arrays, product.first, (t_lead, x_lead, y_lead), product.apart, strict=True
        )
    )
    if t_turned:
        # t by columns: what cuBLAS takes as it is.
        letters, sides, lengths = (not x_turned, not y_turned), (x, y), (m, n, k)
    else:
        # Row-major t = x y is column-major tᵀ = yᵀ xᵀ.
        letters, sides, lengths = (y_turned, x_turned), (y, x), (n, m, k)
    call = cublas.gemm(arrays[0].dtype, tf32)
    beta = 1.0 if product.add else 0.0

    def run(held: tuple[Array, Array, Array] = arrays) -> None:
        call(letters, lengths, coefficient, *sides, beta, t, product.count)

    return run
