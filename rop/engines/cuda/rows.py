"""Functions of rows along the last axis, such as softmax, as kernels: maxima and sums included.

Like functions of single elements they are recorded by calling them with stand-ins, which also have
the reductions ``max``, ``min`` and ``sum`` over the last axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from rop.engines.cuda.kernels import THREADS
from rop.engines.cuda.source import known, line
from rop.ops.expressions import Application, Operand

Axis: TypeAlias = Literal["full", "one", "none"]
"""What a value has in place of the last axis: its elements, an axis of length 1, or nothing."""

_REDUCTIONS = {
    "max": ("real(-inf)", "{0} if {0} > {1} or {0} != {0} else {1}"),
    "min": ("real(inf)", "{0} if {0} < {1} or {0} != {0} else {1}"),
    "sum": ("real(0.0)", "{0} + {1}"),
}


@dataclass(frozen=True)
class Reduction:
    """The maximum, minimum or sum of an operand along the last axis."""

    kind: str
    operand: Operand


@dataclass(frozen=True)
class RowExpression:
    """The NumPy functions and reductions that make up a function of rows, in order.

    Attributes
    ----------
    arguments : int
        Number of arguments, all with the last axis.
    entries : tuple of Application or Reduction
        Each may use the arguments, constants, and what came before; the last one is the result.
    axes : tuple of Axis
        Of each entry.
    """

    arguments: int
    entries: tuple[Application | Reduction, ...]
    axes: tuple[Axis, ...]


@lru_cache(maxsize=1024)
def traced_rows(function: Callable[..., Any], arguments: int) -> RowExpression | None:
    """Record what a function of rows does with its arguments.

    Parameters
    ----------
    function : callable
        Takes arrays of one shape (..., columns), and returns one of that shape or of (...).
    arguments : int
        How many arrays it takes.

    Returns
    -------
    RowExpression or None
        None where the function is made of anything else, or reduces nothing.
    """
    entries: list[Application | Reduction] = []
    axes: list[Axis] = []
    given = [_Rows(i, "full", arguments, entries, axes) for i in range(arguments)]
    try:
        result = function(*given)
    except Exception:
        # Whatever a function does with what is no array: it may be right for arrays.
        return None
    if not isinstance(result, _Rows) or result.number < arguments:
        return None
    last = result.number - arguments + 1
    if not any(isinstance(entry, Reduction) for entry in entries[:last]):
        return None
    if not all(isinstance(e, Reduction) or known(e) for e in entries):
        return None
    return RowExpression(arguments, tuple(entries[:last]), tuple(axes[:last]))


class _Rows(NDArrayOperatorsMixin):
    """Stands for an array, and notes which functions and reductions it is given to."""

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
        if method != "__call__" or options:
            return NotImplemented
        found = {given.axis for given in inputs if isinstance(given, _Rows)}
        if "none" in found and len(found) > 1:
            raise TypeError("shapes that do not fit in general")
        axis: Axis = "full" if "full" in found else found.pop()
        return self._add(Application(ufunc, tuple(_operand(given) for given in inputs)), axis)

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> _Rows:
        return self._reduced("max", axis, out, None, keepdims)

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> _Rows:
        return self._reduced("min", axis, out, None, keepdims)

    def sum(
        self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> _Rows:
        return self._reduced("sum", axis, out, dtype, keepdims)

    def _reduced(self, kind: str, axis: Any, out: Any, dtype: Any, keepdims: bool) -> _Rows:
        if axis != -1 or out is not None or dtype is not None or self.axis != "full":
            raise TypeError("not a reduction of the last axis")
        return self._add(Reduction(kind, self.number), "one" if keepdims else "none")

    def _add(self, entry: Application | Reduction, axis: Axis) -> _Rows:
        arguments, entries, axes = self._state
        entries.append(entry)
        axes.append(axis)
        return _Rows(arguments + len(entries) - 1, axis, *self._state)

    def __bool__(self) -> bool:
        raise TypeError("a branch that depends on the elements")

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        raise TypeError("not an array yet")


def _operand(given: Any) -> Operand:
    if isinstance(given, _Rows):
        return given.number
    if isinstance(given, Real) and not isinstance(given, bool):
        return float(given)
    raise TypeError("neither an array nor a number")


def row_source(expression: RowExpression, accumulate: bool) -> str:
    """Write a kernel in which `lanes` threads share a row, and reduce it as a tree.

    Parameters
    ----------
    expression : RowExpression
        What it computes.
    accumulate : bool
        Whether the target is added to.

    Returns
    -------
    str
        Source of ``kernel(rows, columns, lanes, t, t0, p0, o0, n0, ...)``: the target and its first
        element, then each argument, its first element and its number of rows.
    """
    count = expression.arguments
    given = ", ".join(f"p{i}, o{i}, n{i}" for i in range(count))
    lines = [
        "@cuda.jit(cache=True)",
        f"def kernel(rows, columns, lanes, t, t0, {given}):",
        f"    parts = cuda.shared.array({THREADS}, t.dtype)",
        "    thread = cuda.threadIdx.x",
        "    lane, mine = thread % lanes, thread // lanes",
        f"    row = cuda.blockIdx.x * ({THREADS} // lanes) + mine",
        *[f"    q{i} = o{i} + (row % n{i}) * columns" for i in range(count)],
    ]
    names = [f"v{i}" for i in range(count)] + [f"e{i}" for i in range(len(expression.entries))]
    for i, (entry, axis) in enumerate(zip(expression.entries, expression.axes, strict=True)):
        if isinstance(entry, Reduction):
            lines += [f"    {text}" for text in _reduction(expression, names, i, entry)]
        elif axis != "full":
            lines.append(f"    e{i} = ({line(entry, names)}) if row < rows else real(0.0)")
    result, before = f"e{len(expression.entries) - 1}", "t[at] + " if accumulate else ""
    if expression.axes[-1] == "full":
        lines += [
            "    if row < rows:",
            "        for column in range(lane, columns, lanes):",
            *[f"            {text}" for text in _needed(expression, names, result)],
            "            at = t0 + row * columns + column",
            f"            t[at] = {before}{result}",
        ]
    else:
        lines += [
            "    if row < rows and lane == 0:",
            "        at = t0 + row",
            f"        t[at] = {before}{result}",
        ]
    return "\n".join(lines) + "\n"


def _reduction(
    expression: RowExpression, names: Sequence[str], i: int, entry: Reduction
) -> Iterator[str]:
    nothing, combine = _REDUCTIONS[entry.kind]
    operand = names[int(entry.operand)]
    yield f"e{i} = {nothing}"
    yield "if row < rows:"
    yield "    for column in range(lane, columns, lanes):"
    yield from (f"        {text}" for text in _needed(expression, names, operand))
    yield f"        e{i} = {combine.format(f'e{i}', operand)}"
    yield f"parts[thread] = e{i}"
    yield "cuda.syncthreads()"
    yield "half = lanes // 2"
    yield "while half > 0:"
    yield "    if lane < half:"
    yield "        ours, theirs = parts[thread], parts[thread + half]"
    yield f"        parts[thread] = {combine.format('ours', 'theirs')}"
    yield "    cuda.syncthreads()"
    yield "    half //= 2"
    yield f"e{i} = parts[thread - lane]"
    yield "cuda.syncthreads()"


def _needed(expression: RowExpression, names: Sequence[str], wanted: str) -> list[str]:
    """Assignments of one column that lead to a value: what is read, and what is computed of it."""
    texts: dict[str, str] = {}

    def visit(number: int) -> None:
        name, i = names[number], number - expression.arguments
        if name in texts or (i >= 0 and expression.axes[i] != "full"):
            return
        if i < 0:
            texts[name] = f"{name} = p{number}[q{number} + column]"
            return
        entry = expression.entries[i]
        assert isinstance(entry, Application)
        for operand in entry.operands:
            if isinstance(operand, int):
                visit(operand)
        texts[name] = f"{name} = {line(entry, names)}"

    visit(names.index(wanted))
    return list(texts.values())
