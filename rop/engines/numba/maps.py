"""Functions of single elements as rows of the tape machine: NumPy's own inner loops, by address.

NumPy's loops are vectorized, and need neither Python nor its lock.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from rop.engines.numba import tape
from rop.ops.expressions import Expression, traced
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
    if not isinstance(step.kernel, Map):
        return None
    values = (step.target, *step.operands)
    if len({(v.size, v.per_case, v.per_direction) for v in values}) > 1:
        return None
    if any(v.place is not None and v.place.row is not None for v in values):
        return None
    expression = traced(step.kernel.function, len(step.operands))
    if expression is None:
        return None
    loops = [loop_of(application.ufunc, dtype) for application in expression.applications]
    return None if None in loops else expression


def map_rows(
    expression: Expression,
    elements: int,
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
    elements : int
        How many elements the target has.
    arrays : list of (int, int)
        Buffer and first element of the target, then of each argument.
    constants : (int, list of float)
        Buffer of the constants, and the constants so far; new ones are appended.
    scratch : int
        Buffer of the blocks that are computed on the way, one for each application.
    dtype : dtype
        Of all arrays.

    Yields
    ------
    list of int
        The rows.
    """
    applications = expression.applications
    header = [0] * tape.WIDTH
    header[tape.KIND], header[tape.LAST], header[tape.LAST + 1] = (
        tape.MAP,
        len(applications),
        elements,
    )
    yield header
    buffer, numbers = constants
    for i, application in enumerate(applications):
        places: list[tuple[int, int, int, int]] = []  # buffer, first element, walked, stride
        for operand in application.operands:
            if isinstance(operand, float):
                places.append((buffer, len(numbers), 0, 0))
                numbers.append(operand)
            elif operand < expression.arguments:
                places.append((*arrays[1 + operand], 1, 1))
            else:
                block = operand - expression.arguments
                places.append((scratch, block * tape.BLOCK, 0, 1))
        last = i == len(applications) - 1
        places.append((*arrays[0], 1, 1) if last else (scratch, i * tape.BLOCK, 0, 1))
        row = [0] * tape.WIDTH
        row[tape.KIND] = tape.APPLY
        for column, (name, first, walked, stride) in enumerate(places):
            row[tape.BUFFER + column] = name
            row[tape.OFFSET + column] = first
            row[tape.STRIDES + column] = walked
            row[tape.EXTENTS + column] = stride
        loop = loop_of(application.ufunc, dtype)
        assert loop is not None
        row[tape.LAST], row[tape.LAST + 1] = loop
        yield row
