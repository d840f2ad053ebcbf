"""A function of single elements, written with NumPy functions, as the list of those functions.

It is recorded by calling the function with stand-ins for its arguments. Engines then run the list
without coming back to Python: one scalar function serves them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

Operand: TypeAlias = int | float
"""An int numbers an argument or, after the arguments, an application; a float is a constant."""

_OF_FLOATS = {"d->d", "dd->d"}


@dataclass(frozen=True)
class Application:
    """One NumPy function of one or two operands."""

    ufunc: np.ufunc
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Expression:
    """The NumPy functions that make up a function of single elements, in order.

    Attributes
    ----------
    arguments : int
        Number of arguments.
    applications : tuple of Application
        Each may use the arguments, constants, and what came before; the last one is the result.
    """

    arguments: int
    applications: tuple[Application, ...]


@lru_cache(maxsize=1024)
def traced(function: Callable[..., Any], arguments: int) -> Expression | None:
    """Record what a function of single elements does with its arguments.

    Parameters
    ----------
    function : callable
        Takes arrays of one shape, and returns one.
    arguments : int
        How many arrays it takes.

    Returns
    -------
    Expression or None
        None where the function is made of more than NumPy's functions of one or two floats, or
        has branches that depend on the elements: then it has to be called.
    """
    applications: list[Application] = []
    given = [_Traced(i, arguments, applications) for i in range(arguments)]
    try:
        result = function(*given)
    except Exception:
        # Whatever a function does with what is no array: it may be right for arrays.
        return None
    if not isinstance(result, _Traced):
        return None
    last = result.number - arguments
    if last < 0:
        return Expression(arguments, (Application(np.positive, (result.number,)),))
    return Expression(arguments, tuple(applications[: last + 1]))


class _Traced(NDArrayOperatorsMixin):
    """Stands for an array, and notes which NumPy functions it is given to."""

    __array_priority__ = 1000.0

    def __init__(self, number: int, arguments: int, applications: list[Application]) -> None:
        self.number = number
        self._arguments = arguments
        self._applications = applications

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options or not _OF_FLOATS & set(ufunc.types):
            return NotImplemented
        operands = tuple(_operand(given) for given in inputs)
        if ufunc is np.power and operands[1] == 2.0 and isinstance(operands[1], float):
            # As NumPy's own ** does.
            ufunc, operands = np.square, operands[:1]
        self._applications.append(Application(ufunc, operands))
        number = self._arguments + len(self._applications) - 1
        return _Traced(number, self._arguments, self._applications)

    def __bool__(self) -> bool:
        raise TypeError("a branch that depends on the elements")

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        raise TypeError("not an array yet")


def _operand(given: Any) -> Operand:
    if isinstance(given, _Traced):
        return given.number
    if isinstance(given, Real) and not isinstance(given, bool):
        return float(given)
    raise TypeError("neither an array nor a number")
