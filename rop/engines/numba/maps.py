"""Functions of elements and rows as rows of the tape machine: NumPy's own inner loops, by address.

NumPy's loops are vectorized, and need neither Python nor its lock.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from rop.engines.lowering import row_expression
from rop.engines.numba import tape
from rop.ops.expressions import Expression, Operand, Reduction, traced
from rop.ops.kernels import Map
from rop.programs.steps import Step


class _PyUFuncObject(ctypes.Structure):
    """The public part of NumPy's C structure, behind the header that every object has."""

    _fields_ = (
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
        ("reserved1", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("types", ctypes.POINTER(ctypes.c_byte)),
    )


@cache
def loop_of(ufunc: np.ufunc, dtype: np.dtype[Any]) -> tuple[int, int] | None:
    """Address of a NumPy function's inner loop, and of the data that the loop is to be given.

    Parameters
    ----------
    ufunc : numpy.ufunc
        A function of one or two operands.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    (int, int) or None
        None if there is no such loop, or NumPy's structure is not as documented.
    """
    inside = _PyUFuncObject.from_address(id(ufunc) + object.__basicsize__)
    signature = dtype.char * ufunc.nin + "->" + dtype.char * ufunc.nout
    as_documented = (inside.nin, inside.nout, inside.ntypes) == (
        ufunc.nin,
        ufunc.nout,
        len(ufunc.types),
    )
    if not as_documented or inside.name != ufunc.__name__.encode() or signature not in ufunc.types:
        return None
    i = ufunc.types.index(signature)
    numbers = inside.types[i * ufunc.nargs : (i + 1) * ufunc.nargs]
    if numbers != [dtype.num] * ufunc.nargs or not inside.functions[i]:
        return None
    return inside.functions[i], inside.data[i] or 0


def expression_of(step: Step, dtype: np.dtype[Any]) -> Expression | None:
    """The NumPy functions that a step is made of, if it can do without Python."""
    expression = _of_elements(step) if isinstance(step.kernel, Map) else _of_rows(step)
    if expression is None:
        return None
    return None if any(loop_of(e.ufunc, dtype) is None for e in expression.entries) else expression


def _of_elements(step: Step) -> Expression | None:
    assert isinstance(step.kernel, Map)
    values = (step.target, *step.operands)
    if len({(v.size, v.per_case, v.per_direction) for v in values}) > 1:
        return None
    if any(v.place is not None and v.place.row is not None for v in values):
        return None
    return traced(step.kernel.function, len(step.operands))


def _of_rows(step: Step) -> Expression | None:
    values = (step.target, *step.operands)
    if step.accumulate or len({(v.per_case, v.per_direction) for v in values}) > 1:
        return None
    return row_expression(step)


def room(expression: Expression, columns: int) -> int:
    """Elements of scratch space that an expression needs."""
    return (len(expression.entries) - 1) * max(tape.BLOCK, columns)


def map_rows(
    expression: Expression,
    rows: int,
    columns: int,
    arrays: list[tuple[int, int]],
    constants: tuple[int, list[float]],
    scratch: int,
    dtype: np.dtype[Any],
) -> Iterator[list[int]]:
    """Write an expression as a MAP row and its APPLY rows.

    Parameters
    ----------
    expression : Expression
        The functions.
    rows, columns : int
        How many rows of how many elements the arguments have; one column where each element is
        computed by itself.
    arrays : list of (int, int)
        Buffer and first element of the target, then of each argument.
    constants : (int, list of float)
        Buffer of the constants, and the constants so far; new ones are appended.
    scratch : int
        Buffer of the blocks that are computed on the way, one for each entry.
    dtype : dtype
        Of all arrays.

    Yields
    ------
    list of int
        The rows.
    """
    entries = expression.entries
    header = [0] * tape.WIDTH
    header[tape.KIND] = tape.MAP
    header[tape.LAST : tape.LAST + 3] = len(entries), rows, columns
    yield header
    block = max(tape.BLOCK, columns)
    buffer, numbers = constants

    def place(operand: Operand) -> tuple[int, int, int, int]:
        """Buffer, first element, and strides from block to block and from row to row."""
        if isinstance(operand, float):
            numbers.append(operand)
            return buffer, len(numbers) - 1, 0, 0
        along = columns if expression.axis(operand) == "full" else 1
        entry = operand - expression.arguments
        if entry < 0:
            return *arrays[1 + operand], along, along
        if entry == len(entries) - 1:
            return *arrays[0], along, along
        return scratch, entry * block, 0, along

    for i, entry in enumerate(entries):
        result = expression.arguments + i
        if isinstance(entry, Reduction):
            operands: tuple[Operand, ...] = (result, entry.operand, result)
            call, each = tape.REDUCE, columns - 1
        else:
            operands = (*entry.operands, result)
            full = [not isinstance(o, float) and expression.axis(o) == "full" for o in operands]
            numbers_only = [isinstance(o, float) for o in operands]
            each = columns if full[-1] else 1
            alike = all(f == full[-1] or n for f, n in zip(full, numbers_only, strict=True))
            call = tape.BLOCKS if alike else tape.ROWS
        row = [0] * tape.WIDTH
        row[tape.KIND], row[tape.CALL], row[tape.EACH] = tape.APPLY, call, each
        for column, operand in enumerate(operands):
            name, first, from_block, from_row = place(operand)
            row[tape.BUFFER + column], row[tape.OFFSET + column] = name, first
            row[tape.FROM_BLOCK + column], row[tape.FROM_ROW + column] = from_block, from_row
            walked = not isinstance(operand, float) and (
                call == tape.BLOCKS or expression.axis(operand) == "full"
            )
            row[tape.FROM_ELEMENT + column] = int(walked)
        loop = loop_of(entry.ufunc, dtype)
        assert loop is not None
        row[tape.LAST : tape.LAST + 2] = loop
        yield row
