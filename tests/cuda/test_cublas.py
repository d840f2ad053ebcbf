"""What cuBLAS is given, without a GPU: the CPU answers its calls as documented."""

import ctypes

import numpy as np
import pytest

cublas_binding = pytest.importorskip("nvmath.bindings.cublas")

from rop.engines.cuda import cublas, products  # noqa: E402


def _numbers(address, count):
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_double)), (count,))


def _by_columns(address, leading, rows, columns):
    flat = _numbers(address, leading * columns)
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), (8, 8 * leading))


def _dgemm(handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    """C = α op(A) op(B) + β C, by columns."""
    A = _by_columns(a, lda, k, m).T if ta else _by_columns(a, lda, m, k)
    B = _by_columns(b, ldb, n, k).T if tb else _by_columns(b, ldb, k, n)
    C = _by_columns(c, ldc, m, n)
    C[...] = _numbers(alpha, 1)[0] * A @ B + _numbers(beta, 1)[0] * C


def _many(handle, ta, tb, m, n, k, alpha, a, lda, sa, b, ldb, sb, beta, c, ldc, sc, count):
    for i in range(count):
        at = (a + 8 * i * sa, b + 8 * i * sb, c + 8 * i * sc)
        _dgemm(handle, ta, tb, m, n, k, alpha, at[0], lda, at[1], ldb, beta, at[2], ldc)


@pytest.mark.parametrize("turned", range(8))
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("add", [False, True])
def test_letters_lengths_and_leading_dimensions(monkeypatch, turned, count, add):
    """For every way in which the three matrices may lie: by rows or by columns, with gaps."""
    monkeypatch.setattr(cublas_binding, "dgemm", _dgemm)
    monkeypatch.setattr(cublas_binding, "dgemm_strided_batched", _many)
    monkeypatch.setattr(cublas, "_handle", lambda tf32: 0)
    monkeypatch.setattr(cublas, "address", lambda array: array.ctypes.data)
    cublas.gemm.cache_clear()
    rng = np.random.default_rng(turned)
    m, n, k, first, apart = 5, 4, 6, 7, 100
    arrays, strides, matrices = [], [], []
    for i, (rows, columns) in enumerate(((m, n), (m, k), (k, n))):
        arrays.append(rng.standard_normal(first + count * apart))
        strides.append((1, rows + 2) if turned >> i & 1 else (columns + 2, 1))
        steps = [8 * s for s in (apart, *strides[-1])]
        shape = (count, rows, columns)
        matrices.append(np.lib.stride_tricks.as_strided(arrays[-1][first:], shape, steps))
    t, x, y = matrices
    right = add * t + 0.5 * x @ y
    one = products.Matrices(m, n, k, (first,) * 3, tuple(strides), add, count, (apart,) * 3)
    products._cublas(one, tuple(arrays), 0.5, False)()
    np.testing.assert_allclose(t, right, rtol=1e-13)
    cublas.gemm.cache_clear()
