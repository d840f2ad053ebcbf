"""Steps of Python functions, users' own above all: every engine runs and checks them in one way."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from rop.errors import RopError, RopTypeError, RopValueError
from rop.ops.kernels import Array, Call, Map
from rop.programs.steps import Step


def call(step: Step, cases: int, target: Array, *operands: Array) -> None:
    """Add to the target what a Python function returns, for one direction after the other."""
    for k in range(target.shape[1]):
        place = target[:, k]
        term = _returned(step, *[x[:, k % x.shape[1]] for x in operands])
        if term.shape != place.shape:
            if term.shape not in ((1, *place.shape[1:]), (cases, *place.shape[1:])):
                expected = ", ".join(["cases", *map(str, place.shape[1:])])
                raise RopValueError(f"{_where(step)} must return ({expected}), got {term.shape}")
            if len(place) < len(term):
                term = term.sum(axis=0, keepdims=True)
        if step.accumulate:
            np.add(place, term, out=place, casting="same_kind")
        else:
            place[...] = term


def apply(step: Step, target: Array, *operands: Array) -> None:
    """Set the target to a Python function of single elements."""
    found = _returned(step, *operands)
    shapes = [x.shape for x in operands]
    if found.shape not in ((), target.shape) and found.shape != np.broadcast_shapes(*shapes):
        raise RopValueError(
            f"{_where(step)} must return an array of the shape that it is given, {shapes[0]}, or "
            f"one number, got {found.shape}"
        )
    target[...] = found


def _returned(step: Step, *operands: Array) -> Array:
    """Call a step's Python function; raises RopTypeError unless it returns real numbers."""
    assert isinstance(step.kernel, Call | Map)
    try:
        found = step.kernel.function(*operands)
    except RopError as error:
        name = step.node.op.name if step.node.op else step.node.name
        raise type(error)(f"{name} ({step.node.line}): {error}") from error
    except Exception as error:
        kind: Any = type(error)
        raise _both(kind)(f"{_where(step)} raised {kind.__name__}: {error}") from error
    if type(found) is np.ndarray and found.dtype.kind == "f":
        return found
    array: Array = np.asarray(found)
    if array.dtype.kind not in "fiub" or isinstance(found, np.ma.MaskedArray):
        what = type(found).__name__ if found is None else f"{type(found).__name__} of {array.dtype}"
        raise RopTypeError(f"{_where(step)} must return an array of real numbers, got {what}")
    return array


def _where(step: Step) -> str:
    op = step.node.op.name if step.node.op else step.node.name
    return f"{step.target.name}: the {step.rule} rule of {op}"


@cache
def _both(kind: Any) -> Any:
    """A `RopError` that is also of the class that a function raised, if it is a common one."""
    if kind.__module__ not in ("builtins", "numpy.linalg") or issubclass(kind, UnicodeError):
        return RopError
    members: dict[str, Any] = {"__doc__": f"A user's function raised {kind.__name__}."}
    return type(f"Rop{kind.__name__}", (RopError, kind), members)
