"""The NumPy engine: a Python loop over the steps of a program, one NumPy call each.

It is there to be read, and the other engines are tested against it. A value is an array of the
shape (N or 1, K or 1, *shape): cases, directions, and the value's own axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from rop.engines.calls import apply, call
from rop.graph import Shape
from rop.ops.kernels import Array, Call, Loops, Map
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
    shape = (cases if value.per_case else 1, K if value.per_direction else 1)
    place = value.place
    if place is None:
        return np.empty((*shape, *value.shape), given["theta"].dtype)
    row, start = place.row or value.size, place.offset if place.row else place.offset * shape[1]
    flat = given[place.buffer].reshape(-1)[start:]
    strides = np.multiply((row * shape[1], row, 1), flat.itemsize)
    return as_strided(flat, (*shape, value.size), strides).reshape(*shape, *value.shape)


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
        np.add(part, term, out=part) if step.accumulate else np.copyto(part, term)


def walked(array: Array, kernel: Loops, i: int) -> Array:
    """The elements that a kernel's i-th walk reaches: (N or 1, K or 1, *extents or 1)."""
    walk, leading = kernel.walks[i], array.shape[:2]
    flat = array.reshape(*leading, -1)[..., walk.offset :]
    if kernel.plain[i]:
        return flat[..., : prod(kernel.extents)].reshape(*leading, *kernel.extents)
    # Where a walk stands still, the axis has length 1.
    shape = [e if stride else 1 for e, stride in zip(kernel.extents, walk.strides, strict=True)]
    strides = [stride * flat.itemsize for stride in walk.strides]
    return as_strided(flat, (*leading, *shape), (*flat.strides[:2], *strides))


def sum_of_products(shape: Shape, x: Array, y: Array | None = None) -> Array:
    """x · y, summed over the axes of length 1 in a shape; as a matrix product where it is one."""
    summed, batch, m, n, k = _axes(shape, x.shape, None if y is None else y.shape)
    product = x if y is None else x * y if not k else None
    if product is None:
        assert y is not None
        many = [x.shape[i] for i in batch]
        X = x.transpose(batch + m + n + k).reshape(*many, -1, prod(x.shape[i] for i in k))
        Y = y.transpose(batch + k + m + n).reshape(*many, X.shape[-1], -1)
        lengths = [*many, *(x.shape[i] for i in m), *(y.shape[i] for i in n), *(1 for _ in k)]
        product = (X @ Y).reshape(lengths).transpose(np.argsort(batch + m + n + k))
    return product.sum(summed, keepdims=True) if summed else product


@lru_cache(maxsize=4096)
def _axes(shape: Shape, x: Shape, y: Shape | None) -> tuple[tuple[int, ...], ...]:
    """Axes that are summed apart; of a matrix product, those of batch, rows, columns and terms."""
    of_x = [i for i, length in enumerate(x) if length > 1]
    of_y = [i for i, length in enumerate(y or ()) if length > 1]
    one = [i for i, length in enumerate(shape) if length == 1]
    k = tuple(i for i in one if i in of_x and i in of_y)
    batch = tuple(i for i in of_x if i in of_y and i not in k)
    n = tuple(i for i in of_y if i not in of_x)
    m = tuple(i for i in range(len(shape)) if i not in batch + n + k)
    return tuple(i for i in one if (i in of_x) != (i in of_y)), batch, m, n, k
