"""What leaves of a graph are declared with: names, shapes and fixed numbers."""

from __future__ import annotations

from collections.abc import Iterable
from keyword import iskeyword
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.errors import RopTypeError, RopValueError
from rop.support.user import user_line, users_call

# Elements of a parameter, or of the data of one case: more would fit into no memory.
_MOST = 2**40


def identifier(name: str) -> str:
    """Return a node's name; raises RopTypeError or RopValueError if it is no identifier."""
    if not isinstance(name, str):
        raise RopTypeError(f"a node's name must be a string, got {type(name).__name__}")
    if not name.isidentifier() or iskeyword(name):
        raise RopValueError(f"a node's name must be an identifier such as 'W1', got {name!r}")
    return name


def shape_of(name: str, shape: int | Iterable[int]) -> tuple[int, ...]:
    """Return the shape of a node as a tuple of Python's integers.

    Parameters
    ----------
    name : str
        The node's name, for messages.
    shape : int or iterable of int
        What the user has given.

    Returns
    -------
    tuple of int

    Raises
    ------
    RopTypeError, RopValueError
        If it is not made of positive integers, or too large.
    """
    if isinstance(shape, np.ndarray) and not (shape.ndim == 1 and shape.dtype.kind in "iu"):
        raise RopTypeError(
            f"shape of {name!r} must be an int or a tuple, got an array: a graph holds no values; "
            f"write its shape, {shape.shape}"
        )
    try:
        axes = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    except TypeError as error:
        raise RopTypeError(f"shape of {name!r} must be an int or a tuple, got {shape!r}") from error
    for axis in axes:
        if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
            raise RopTypeError(f"shape of {name!r} must hold integers, got {shape!r}")
        if axis < 1:
            raise RopValueError(f"shape of {name!r} must be positive in every axis, got {shape!r}")
    if prod(map(int, axes)) > _MOST:
        raise RopValueError(f"shape of {name!r} has more than 2**40 elements: {shape!r}")
    return tuple(int(axis) for axis in axes)


def finite_numbers(values: ArrayLike) -> NDArray[np.float64]:
    """Return a constant's numbers as an array of their own, which cannot be written to.

    Parameters
    ----------
    values : array_like
        What the user has given.

    Returns
    -------
    ndarray

    Raises
    ------
    RopTypeError, RopValueError
        If the values are not real numbers, or not finite.
    """
    try:
        given = np.asarray(values)
    except (TypeError, ValueError):
        given = np.asarray(None)
    if given.dtype.kind not in "fiub":
        raise RopTypeError(
            f"{users_call()[1]}: expected a node, a number or an array of numbers, got "
            f"{type(values).__name__} ({user_line()})"
        )
    array = np.array(given, dtype=np.float64)
    if not np.isfinite(array).all():
        raise RopValueError("a constant of the graph must be finite, got NaN or inf")
    array.flags.writeable = False
    return array
