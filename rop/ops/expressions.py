"""A function of elements or rows, written with NumPy functions, as the list of those functions.

It is recorded by calling the function with stand-ins for its arguments. Engines then run the list
without coming back to Python: one function serves them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

Operand: TypeAlias = int | float
"""An int numbers an argument or, after the arguments, an entry; a float is a constant."""

Axis: TypeAlias = Literal["full", "one", "none"]
"""What a value has in place of the last axis: its elements, an axis of length 1, or nothing."""

_OF_FLOATS = {"d->d", "dd->d"}


@dataclass(frozen=True)
class Application:
    """One NumPy function of one or two operands."""

    ufunc: np.ufunc
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Reduction:
    """The maximum, minimum or sum of an operand along the last axis.

    Attributes
    ----------
    ufunc : numpy.ufunc
        `numpy.maximum`, `numpy.minimum` or `numpy.add`.
    operand : int
        What is reduced.
    """

    ufunc: np.ufunc
    operand: int


@dataclass(frozen=True)
class Expression:
    """The NumPy functions and reductions that make up a function of elements or rows, in order.

    Attributes
    ----------
    arguments : int
        Number of arguments; those of a function of rows have the last axis.
    entries : tuple of Application or Reduction
        Each may use the arguments, constants, and what came before; the last one is the result.
    axes : tuple of Axis
        Of each entry.
    """

    arguments: int
    entries: tuple[Application | Reduction, ...]
    axes: tuple[Axis, ...]

    @property
    def applications(self) -> tuple[Application, ...]:
        """The entries that are no reductions: all of them, in a function of single elements."""
        return tuple(entry for entry in self.entries if isinstance(entry, Application))

    def axis(self, operand: Operand) -> Axis:
        """What an operand of an entry has in place of the last axis."""
        if isinstance(operand, float):
            return "none"
        return "full" if operand < self.arguments else self.axes[operand - self.arguments]


@lru_cache(maxsize=1024)
def traced(function: Callable[..., Any], arguments: int) -> Expression | None:
    """Record what a function of single elements does with its arguments, arrays of one shape.

    None where the function is made of more than NumPy's functions of one or two floats, or has
    branches that depend on the elements: then it has to be called.
    """
    found = _recorded(function, arguments)
    return None if found is None or _reduces(found) else found


@lru_cache(maxsize=1024)
def traced_rows(function: Callable[..., Any], arguments: int) -> Expression | None:
    """Record what a function of rows does with its arguments, arrays of one shape (..., columns).

    It may use ``max``, ``min`` and ``sum`` along the last axis, and returns an array of that shape,
    of (..., 1) or of (...). None where it is made of anything else, or reduces nothing.
    """
    found = _recorded(function, arguments)
    return found if found is not None and _reduces(found) else None


def _reduces(expression: Expression) -> bool:
    return len(expression.applications) < len(expression.entries)


def _recorded(function: Callable[..., Any], arguments: int) -> Expression | None:
    entries: list[Application | Reduction] = []
    axes: list[Axis] = []
    try:
        result = function(*[_Traced(i, "full", arguments, entries, axes) for i in range(arguments)])
    except Exception:
        # Whatever a function does with what is no array: it may be right for arrays.
        return None
    if not isinstance(result, _Traced):
        return None
    count = result.number - arguments + 1
    if count <= 0:
        return Expression(arguments, (Application(np.positive, (result.number,)),), ("full",))
    return Expression(arguments, tuple(entries[:count]), tuple(axes[:count]))


class _Traced(NDArrayOperatorsMixin):
    """Stands for an array, and notes which functions and reductions it is given to."""

    __array_priority__ = 1000.0

    def __init__(
        self,
        number: int,
        axis: Axis,
        arguments: int,
        entries: list[Application | Reduction],
        axes: list[Axis],
    ) -> None:
        self.number, self.axis = number, axis
        self._state = arguments, entries, axes

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options or not _OF_FLOATS & set(ufunc.types):
            return NotImplemented
        operands = tuple(_operand(given) for given in inputs)
        if ufunc is np.power and operands[1] == 2.0 and isinstance(operands[1], float):
            # As NumPy's own ** does.
            ufunc, operands = np.square, operands[:1]
        axes = {given.axis for given in inputs if isinstance(given, _Traced)}
        if "none" in axes and len(axes) > 1:
            raise TypeError("shapes that do not fit in general")
        return self._add(Application(ufunc, operands), "full" if "full" in axes else axes.pop())

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> _Traced:
        return self._reduced(np.maximum, axis, out, None, keepdims)

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> _Traced:
        return self._reduced(np.minimum, axis, out, None, keepdims)

    def sum(
        self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> _Traced:
        return self._reduced(np.add, axis, out, dtype, keepdims)

    def _reduced(self, ufunc: np.ufunc, axis: Any, out: Any, dtype: Any, keepdims: bool) -> _Traced:
        if axis != -1 or out is not None or dtype is not None or self.axis != "full":
            raise TypeError("not a reduction of the last axis")
        return self._add(Reduction(ufunc, self.number), "one" if keepdims else "none")

    def _add(self, entry: Application | Reduction, axis: Axis) -> _Traced:
        arguments, entries, axes = self._state
        entries.append(entry)
        axes.append(axis)
        return _Traced(arguments + len(entries) - 1, axis, *self._state)

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
