"""The tape machine: one compiled function that runs any table of steps over flat memory.

Compiled once for each dtype, whatever the graph, and cached on disk. A row of the table is a nest
of loops or a matrix product; BLAS is called through SciPy's pointers, with transposes and beta = 1,
so nothing is copied.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def,no-untyped-call"

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic

from rop.engines.numba.compiling import compiled
from rop.engines.parallel import BEFORE, FORKING, GET, INSIDE, PUT

# Columns of the table.
KIND, ADD, BUFFER, OFFSET, OUTER = 0, 1, 2, 5, 8
OUTER_LOOPS = 4
EXTENTS = 9
STRIDES = EXTENTS + OUTER_LOOPS
LAST = STRIDES + 3 * OUTER_LOOPS
WIDTH = LAST + 8

# Kinds of rows. The APPLY rows that follow a MAP are run on one block of elements after the other.
ZERO, COPY, MULTIPLY, GEMM, MAP, APPLY = 0, 1, 2, 3, 4, 5

# Columns of an APPLY row: elements of each row, kind of call, and three strides of each array.
EACH, CALL = ADD, OUTER
FROM_BLOCK, FROM_ROW, FROM_ELEMENT = STRIDES, STRIDES + 3, STRIDES + 6
BLOCKS, ROWS, REDUCE = 0, 1, 2

BLOCK = 4096
"""Elements of a block: what functions compute on their way stays in the nearest cache."""

INPUT, OUTPUT = 0, 1
"""The first two buffers are the product's input and output, which change from run to run."""


@cache
def gemm_address(dtype: np.dtype[Any]) -> int:
    """Address of SciPy's sgemm or dgemm."""
    name = "sgemm" if dtype == np.float32 else "dgemm"
    return int(get_cython_function_address("scipy.linalg.cython_blas", name))


@intrinsic
def _pointer(typingctx, address, like):
    """Turn an address into a pointer to elements of the type of the array `like`."""
    result = types.CPointer(like.dtype)

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(result))

    return result(types.int64, like), codegen


@intrinsic
def _call_gemm(typingctx, function, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    """Call BLAS's gemm at an address; matrices are addresses, numbers are passed by value."""
    signature = types.void(
        types.int64,
        *(types.int32,) * 5,
        alpha,
        types.int64,
        types.int32,
        types.int64,
        types.int32,
        alpha,
        types.int64,
        types.int32,
    )

    def codegen(context, builder, signature, arguments):
        function, ta, tb, *numbers = arguments
        byte = cgutils.voidptr_t

        def by_reference(value):
            slot = cgutils.alloca_once(builder, value.type)
            builder.store(value, slot)
            return builder.bitcast(slot, byte)

        def matrix(address):
            return builder.inttoptr(address, byte)

        m, n, k, alpha, a, lda, b, ldb, beta, c, ldc = numbers
        letters = [builder.trunc(letter, ir.IntType(8)) for letter in (ta, tb)]
        given = [by_reference(value) for value in (*letters, m, n, k, alpha)]
        given += [matrix(a), by_reference(lda), matrix(b), by_reference(ldb)]
        given += [by_reference(beta), matrix(c), by_reference(ldc)]
        kind = ir.FunctionType(ir.VoidType(), [byte] * len(given))
        builder.call(builder.inttoptr(function, kind.as_pointer()), given)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _call_loop(typingctx, function, arguments, count, strides, data):
    """Call the inner loop of a NumPy function: (char **, npy_intp *, npy_intp *, void *)."""
    signature = types.void(*(types.int64,) * 5)

    def codegen(context, builder, signature, given):
        byte = cgutils.voidptr_t
        kind = ir.FunctionType(ir.VoidType(), [byte] * 4)
        loop = builder.inttoptr(given[0], kind.as_pointer())
        builder.call(loop, [builder.inttoptr(value, byte) for value in given[1:]])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _exchange(typingctx, address, value):
    """Write an int64 and return what was there before, in one step that no thread can split."""

    def codegen(context, builder, signature, given):
        place = builder.inttoptr(given[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("xchg", place, given[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def _load(typingctx, address):
    """Read an int64 that other threads may write."""

    def codegen(context, builder, signature, given):
        place = builder.inttoptr(given[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(types.int64), codegen


@intrinsic
def _get(typingctx, function):
    """Call int (*)(void) at an address."""

    def codegen(context, builder, signature, given):
        kind = ir.FunctionType(ir.IntType(32), [])
        return builder.call(builder.inttoptr(given[0], kind.as_pointer()), [])

    return types.int32(types.int64), codegen


@intrinsic
def _put(typingctx, function, number):
    """Call void (*)(int) at an address."""

    def codegen(context, builder, signature, given):
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)])
        builder.call(builder.inttoptr(given[0], kind.as_pointer()), [given[1]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int32), codegen


@compiled
def _enter_blas(blas):
    """Hold BLAS to one thread; see `rop.engines.parallel`."""
    if blas[PUT] == 0:
        return
    while True:
        while _load(blas[FORKING:].ctypes.data) != 0:
            pass
        while _exchange(blas.ctypes.data, 1) != 0:
            pass
        if _load(blas[FORKING:].ctypes.data) == 0:
            break
        _exchange(blas.ctypes.data, 0)
    if blas[INSIDE] == 0:
        blas[BEFORE] = _get(blas[GET])
        if blas[BEFORE] != 1:
            _put(blas[PUT], np.int32(1))
    blas[INSIDE] += 1
    _exchange(blas.ctypes.data, 0)


@compiled
def _leave_blas(blas):
    """Give BLAS its threads back, unless another run is inside."""
    if blas[PUT] == 0:
        return
    while _exchange(blas.ctypes.data, 1) != 0:
        pass
    blas[INSIDE] -= 1
    # Another number than 1 has been set by somebody else meanwhile.
    if blas[INSIDE] == 0 and blas[BEFORE] != 1 and _get(blas[GET]) == 1:
        _put(blas[PUT], np.int32(blas[BEFORE]))
    _exchange(blas.ctypes.data, 0)


@compiled
def _map(table, rows, columns, base, like):
    """Run APPLY rows of the table on so many rows and columns of elements, block by block.

    Of each of its three arrays, an APPLY row says where it begins and, in elements, how far it goes
    on from block to block for each row of elements (not at all where it is a constant, or scratch
    space that every block uses again), from row to row, and from element to element. The kind of
    call says whether the loop takes a block at once, one row after the other, or reduces each row.
    """
    size = like.itemsize
    places = np.empty(3, np.int64)
    strides = np.empty(3, np.int64)
    count = np.empty(1, np.int64)
    at_once = max(1, BLOCK // columns)
    for first in range(0, rows, at_once):
        many = min(at_once, rows - first)
        for s in range(len(table)):
            row = table[s]
            call = row[CALL]
            for i in range(3):
                start = row[OFFSET + i] + first * row[FROM_BLOCK + i]
                places[i] = base[row[BUFFER + i]] + start * size
                strides[i] = row[FROM_ELEMENT + i] * size
            count[0] = row[EACH] * many if call == BLOCKS else row[EACH]
            for _ in range(1 if call == BLOCKS else many):
                if call == REDUCE:
                    # The loop goes on from the first element: t = t + x for all others.
                    _pointer(places[2], like)[0] = _pointer(places[1], like)[0]
                    places[1] += size
                if count[0] > 0:
                    _call_loop(
                        row[LAST],
                        places.ctypes.data,
                        count.ctypes.data,
                        strides.ctypes.data,
                        row[LAST + 1],
                    )
                if call == REDUCE:
                    places[1] -= size
                for i in range(3):
                    places[i] += row[FROM_ROW + i] * size


@compiled
def _multiply(add, c, t, x, y, n1, t1, x1, y1, n0, t0, x0, y0):
    """t[i t1 + j t0] = or += c · x[i x1 + j x0] · y[i y1 + j y0] for i < n1, j < n0.

    Contiguous inner loops are written out, so that they vectorize.
    """
    for i in range(n1):
        at, ax, ay = i * t1, i * x1, i * y1
        if t0 == 1 and x0 == 1 and y0 == 1:
            if add:
                for j in range(n0):
                    t[at + j] += c * x[ax + j] * y[ay + j]
            else:
                for j in range(n0):
                    t[at + j] = c * x[ax + j] * y[ay + j]
        elif t0 == 1 and min(x0, y0) == 0 and max(x0, y0) == 1:
            one, z, az = (c * y[ay], x, ax) if x0 == 1 else (c * x[ax], y, ay)
            if add:
                for j in range(n0):
                    t[at + j] += one * z[az + j]
            else:
                for j in range(n0):
                    t[at + j] = one * z[az + j]
        elif t0 == 0:
            total = c * 0
            if x0 == 1 and y0 == 1:
                for j in range(n0):
                    total += x[ax + j] * y[ay + j]
            else:
                for j in range(n0):
                    total += x[ax + j * x0] * y[ay + j * y0]
            t[at] += c * total
        elif add:
            for j in range(n0):
                t[at + j * t0] += c * x[ax + j * x0] * y[ay + j * y0]
        else:
            for j in range(n0):
                t[at + j * t0] = c * x[ax + j * x0] * y[ay + j * y0]


@compiled
def _copy(add, c, t, x, n1, t1, x1, n0, t0, x0):
    """t[i t1 + j t0] = or += c · x[i x1 + j x0] for i < n1, j < n0."""
    for i in range(n1):
        at, ax = i * t1, i * x1
        if t0 == 1 and x0 == 1:
            if add:
                for j in range(n0):
                    t[at + j] += c * x[ax + j]
            else:
                for j in range(n0):
                    t[at + j] = c * x[ax + j]
        elif t0 == 0:
            total = c * 0
            if x0 == 1:
                for j in range(n0):
                    total += x[ax + j]
            else:
                for j in range(n0):
                    total += x[ax + j * x0]
            t[at] += c * total
        elif add:
            for j in range(n0):
                t[at + j * t0] += c * x[ax + j * x0]
        else:
            for j in range(n0):
                t[at + j * t0] = c * x[ax + j * x0]


@compiled
def _zero(t, n1, t1, n0, t0):
    """t[i t1 + j t0] = 0 for i < n1, j < n0."""
    for i in range(n1):
        for j in range(n0):
            t[i * t1 + j * t0] = 0


@compiled
def run(table, coefficients, addresses, input, output, gemm, blas):
    """Run every row of a table, with BLAS on one thread.

    That is set and taken back in here, where no interrupt of Python's can come in between.

    Parameters
    ----------
    table : ndarray of int64, (steps, WIDTH)
        The steps.
    coefficients : ndarray, (steps,)
        Their coefficients, of the dtype of the arrays.
    addresses : ndarray of int64, (buffers,)
        Where the buffers begin; the first two entries are not read.
    input, output : ndarray, 1-D
        The product's input and output.
    gemm : int
        Address of BLAS's gemm for the dtype.
    blas : ndarray of int64, (6,)
        `rop.engines.parallel.blas_threads`.
    """
    _enter_blas(blas)
    size = output.itemsize
    one, nothing = coefficients.dtype.type(1), coefficients.dtype.type(0)
    base = addresses.copy()
    base[INPUT] = input.ctypes.data
    base[OUTPUT] = output.ctypes.data
    at = np.zeros(3, np.int64)
    count = np.zeros(OUTER_LOOPS, np.int64)
    s = -1
    while s + 1 < len(table):
        s += 1
        row = table[s]
        if row[KIND] == MAP:
            applied = table[s + 1 : s + 1 + row[LAST]]
            _map(applied, row[LAST + 1], row[LAST + 2], base, output)
            s += row[LAST]
            continue
        kind, add, outer, c = row[KIND], row[ADD] != 0, row[OUTER], coefficients[s]
        for i in range(3):
            at[i] = base[row[BUFFER + i]] + row[OFFSET + i] * size
        count[:] = 0
        while True:
            if kind == GEMM:
                m, n, k = row[LAST], row[LAST + 1], row[LAST + 2]
                # Row-major t = x y is column-major tᵀ = yᵀ xᵀ.
                _call_gemm(
                    gemm,
                    np.int32(row[LAST + 4]),
                    np.int32(row[LAST + 3]),
                    np.int32(n),
                    np.int32(m),
                    np.int32(k),
                    c,
                    at[2],
                    np.int32(row[LAST + 6]),
                    at[1],
                    np.int32(row[LAST + 5]),
                    one if add else nothing,
                    at[0],
                    np.int32(row[LAST + 7]),
                )
            else:
                n1, t1, x1, y1 = row[LAST], row[LAST + 1], row[LAST + 2], row[LAST + 3]
                n0, t0, x0, y0 = row[LAST + 4], row[LAST + 5], row[LAST + 6], row[LAST + 7]
                t, x = _pointer(at[0], output), _pointer(at[1], output)
                if kind == MULTIPLY:
                    y = _pointer(at[2], output)
                    _multiply(add, c, t, x, y, n1, t1, x1, y1, n0, t0, x0, y0)
                elif kind == COPY:
                    _copy(add, c, t, x, n1, t1, x1, n0, t0, x0)
                else:
                    _zero(t, n1, t1, n0, t0)
            loop = outer - 1
            while loop >= 0:
                count[loop] += 1
                back = count[loop] == row[EXTENTS + loop]
                steps = 1 - row[EXTENTS + loop] if back else 1
                for i in range(3):
                    at[i] += steps * row[STRIDES + OUTER_LOOPS * i + loop] * size
                if not back:
                    break
                count[loop] = 0
                loop -= 1
            if loop < 0:
                break
    _leave_blas(blas)


@compiled
def collect(result, parts, factor, v):
    """Result += sum of the parts + factor · v, block by block: in one pass over memory."""
    for start in range(0, len(result), BLOCK):
        stop = min(start + BLOCK, len(result))
        t = result[start:stop]
        for part in parts:
            x = part[start:stop]
            for i in range(len(t)):
                t[i] += x[i]
        if factor != 0:
            x = v[start:stop]
            for i in range(len(t)):
                t[i] += factor * x[i]
