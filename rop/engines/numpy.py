"""The NumPy engine: a Python loop over the steps of a program, one NumPy call each.

It is there to be read, and the other engines are tested against it. A value is an array of the
shape (N or 1, K or 1, *shape): cases, directions, and the value's own axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

from rop.engines.calls import apply, call
from rop.engines.loops import add_overlapping, sum_of_products, walked
from rop.ops.kernels import Array, Call, Map
from rop.ops.rules import Value
from rop.programs.steps import Program, Step


def run(
    program: Program, cases: int, K: int, given: Mapping[str, Array], cached: dict[Value, Array]
) -> dict[Value, Array]:
    """Run the steps in order; a value goes as soon as no later step reads it.

    Parameters
    ----------
    program : Program
        The program.
    cases, K : int
        Numbers of cases and directions.
    given : mapping of str to ndarray
        What values are placed in: "theta", "data x", "input", "output", ...
    cached : dict of Value to ndarray
        What earlier programs have kept.

    Returns
    -------
    dict of Value to ndarray
        What this program keeps.
    """
    values = dict(cached)
    with np.errstate(all="ignore"):  # overflow shows in the values, not as a warning
        steps = performed(program, cases, K, given, values)
        for _, dying in zip(steps, program.dying, strict=True):
            for value in dying:
                del values[value]
    return {value: values[value] for value in program.keep}


def performed(
    program: Program, cases: int, K: int, given: Mapping[str, Array], values: dict[Value, Array]
) -> Iterator[Step]:
    """Run the steps one by one: after each, `values` holds its operands and its target."""
    for step in program.steps:
        for value in (step.target, *step.operands):
            if value not in values:
                values[value] = array(value, cases, K, given)
        perform(step, cases, values[step.target], *[values[value] for value in step.operands])
        yield step


def array(value: Value, cases: int, K: int, given: Mapping[str, Array]) -> Array:
    """Where a value lies: in a part of what is given, or in memory of its own."""
    place, shape = value.place, (cases if value.per_case else 1, K if value.per_direction else 1)
    if place is None:
        return np.empty((*shape, *value.shape), given["theta"].dtype)
    flat, many = given[place.buffer].reshape(-1), prod(shape)
    if place.row is None:
        start = place.offset * shape[1]
        return flat[start : start + many * value.size].reshape(*shape, *value.shape)
    rows = flat[: many * place.row].reshape(*shape, place.row)
    return rows[..., place.offset : place.offset + value.size].reshape(*shape, *value.shape)


def perform(step: Step, cases: int, target: Array, *operands: Array) -> None:
    """Make the NumPy call of one step."""
    kernel = step.kernel
    if kernel is None:
        target.fill(0.0)
    elif isinstance(kernel, Map):
        apply(step, target, *operands)
    elif isinstance(kernel, Call):
        call(step, cases, target, *operands)
    else:
        part, *factors = [walked(x, kernel, i) for i, x in enumerate((target, *operands))]
        term = sum_of_products(part.shape, *factors)
        term = term if kernel.coefficient == 1.0 else kernel.coefficient * term
        if kernel.overlapping:
            add_overlapping(part, term, kernel)
        else:
            np.add(part, term, out=part) if step.accumulate else np.copyto(part, term)
