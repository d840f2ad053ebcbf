"""The NumPy engine: a Python loop over the steps of a program, one NumPy call each.

It is there to be read, and the other engines are tested against it. A value is an array of the
shape (N or 1, K or 1, *shape): cases, directions, and the value's own axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rop.engines.arrays import is_finite
from rop.engines.calls import apply, call
from rop.engines.execution import Execution, Refuse
from rop.engines.room import temporaries
from rop.graph import Shape
from rop.ops.kernels import Array, Call, Loops, Map
from rop.ops.rules import Value
from rop.programs.steps import Program, Step


class NumpyExecution(Execution):
    """Two dictionaries of arrays: what programs are given, and what they keep; see `Execution`.

    Attributes
    ----------
    given : dict of str to ndarray
        θ, the batch and the constants, by the names of the places that values lie in.
    kept : dict of Value to ndarray
        What the programs that have run keep for those that follow.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.given = self._fixed()
        self.kept: dict[Value, Array] = {}
        self._done: set[str] = set()
        self._work: dict[tuple[str, int], int] = {}
        self.refuse_what_does_not_fit()

    @property
    def theta(self) -> Array:
        """θ: (n,)."""
        return self.given["theta"]

    def load(
        self,
        theta: Array,
        batch: Mapping[str, NDArray[Any]],
        refuse: Refuse,
        program: Program | None = None,
    ) -> None:
        """Copy a θ (n,) and a batch, and run a first program."""
        refuse(batch)
        self.given["theta"] = theta.copy()
        self.given |= {f"data {name}": array.copy() for name, array in batch.items()}
        if program is not None:
            self.stage(program)

    def stage(self, program: Program) -> None:
        """Run a program that belongs to θ and the batch, unless that is done."""
        with self.lock:
            if program.name not in self._done:
                self._run(program, 1)
                self._done.add(program.name)

    def product(
        self,
        name: str,
        K: int,
        given: Array,
        output: Array,
        plus: tuple[float, Array] | None = None,
    ) -> bool:
        """Run a product; see `Execution`."""
        if not is_finite(given):
            return False
        self._run(self._programs.product(name), K, input=given, output=output)
        if plus is not None:
            output += output.dtype.type(plus[0]) * plus[1]
        return True

    def _run(self, program: Program, K: int, **ends: Array) -> None:
        if (program.name, K) not in self._work:
            self._work[program.name, K] = temporaries(program, self.cases, K)
        self.kept |= run(program, self.cases, K, self.given | ends, self.kept)

    def values(self, value: Value) -> NDArray[Any]:
        """What a program has kept, or what was given: (N, *shape) or (1, *shape)."""
        placed = value.place is not None
        found = array_of(value, self.cases, 1, self.given) if placed else self.kept[value]
        return found[:, 0].copy()

    def give(self, buffer: str, array: Array) -> None:
        """Hand over an array that programs read from a named place."""
        self.given[buffer] = array.astype(self._dtype)

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of "theta", "batch", what is "cached" for the products, and "work" space."""
        batch = [array.nbytes for name, array in self.given.items() if name.startswith("data ")]
        cached = sum(array.nbytes for array in self.kept.values())
        work = max(self._work.values(), default=0) * self._dtype.itemsize
        return {"theta": self.theta.nbytes, "batch": sum(batch), "cached": cached, "work": work}


def run(
    program: Program, cases: int, K: int, given: Mapping[str, Array], kept: Mapping[Value, Array]
) -> dict[Value, Array]:
    """Run the steps in order; returns what the program keeps.

    `given` has what values are placed in ("theta", "data x", "input", "output", ...), and `kept`
    what earlier programs have kept. A value goes as soon as no later step reads it.
    """
    values = dict(kept)
    with np.errstate(all="ignore"):  # overflow shows in the values, not as a warning
        steps = stepwise(program, cases, K, given, values)
        for _, dying in zip(steps, program.dying, strict=True):
            for value in dying:
                del values[value]
    return {value: values[value] for value in program.keep}


def stepwise(
    program: Program, cases: int, K: int, given: Mapping[str, Array], values: dict[Value, Array]
) -> Iterator[Step]:
    """Run the steps one by one: after each, `values` holds its operands and its target."""
    for step in program.steps:
        for value in (step.target, *step.operands):
            if value not in values:
                values[value] = array_of(value, cases, K, given)
        perform(step, cases, values[step.target], *[values[value] for value in step.operands])
        yield step


def array_of(value: Value, cases: int, K: int, given: Mapping[str, Array]) -> Array:
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


def walked(array: Array, kernel: Loops, i: int) -> Array:
    """The elements that a kernel's i-th walk reaches: (N or 1, K or 1, *extents or 1)."""
    extents, leading = kernel.extents, array.shape[:2]
    if kernel.plain[i] and array.size == leading[0] * leading[1] * prod(extents):
        return array.reshape(leading + extents)
    walk, size = kernel.walks[i], array.itemsize
    # Where a walk stands still, the axis has length 1.
    shape = tuple([e if stride else 1 for e, stride in zip(extents, walk.strides, strict=True)])
    strides = array.strides[:2] + tuple([stride * size for stride in walk.strides])
    if array.flags.c_contiguous:  # ten times faster than as_strided
        return np.ndarray(leading + shape, array.dtype, array, walk.offset * size, strides)
    return as_strided(array.reshape(*leading, -1)[..., walk.offset :], leading + shape, strides)


def add_overlapping(part: Array, term: Array, kernel: Loops) -> None:
    """Add to what a target's walk reaches, where it reaches some elements more than once."""
    axes = [2 + loop for loop in kernel.overlapping]
    first = range(len(axes))
    term = np.moveaxis(np.broadcast_to(term, part.shape), axes, first)
    part = np.moveaxis(part, axes, first)
    for index in np.ndindex(part.shape[: len(axes)]):
        part[index] += term[index]


def sum_of_products(shape: Shape, x: Array, y: Array | None = None) -> Array:
    """x · y, summed over the axes of length 1 in a shape; as a matrix product where it is one."""
    summed, matrices = _axes(shape, x.shape, None if y is None else y.shape)
    if y is None or matrices is None:
        product = x if y is None else x * y
    else:
        (x_axes, X), (y_axes, Y), lengths, back = matrices
        product = x.transpose(x_axes).reshape(X) @ y.transpose(y_axes).reshape(Y)
        product = product.reshape(lengths).transpose(back)
    return product.sum(summed, keepdims=True) if summed else product


@lru_cache(maxsize=4096)
def _axes(shape: Shape, x: Shape, y: Shape | None) -> tuple[Shape, Any]:
    """Axes that are summed apart; for a matrix product, how x, y and the result are turned."""
    of_x = [i for i, length in enumerate(x) if length > 1]
    of_y = [i for i, length in enumerate(y or ()) if length > 1]
    one = [i for i, length in enumerate(shape) if length == 1]
    summed = tuple(i for i in one if (i in of_x) != (i in of_y))
    k = [i for i in one if i in of_x and i in of_y]
    if y is None or not k:
        return summed, None
    batch = [i for i in of_x if i in of_y and i not in k]
    n = [i for i in of_y if i not in of_x]
    m = [i for i in range(len(shape)) if i not in batch + n + k]
    many, terms = [x[i] for i in batch], prod(x[i] for i in k)
    X, Y = (*many, prod(x[i] for i in m), terms), (*many, terms, prod(y[i] for i in n))
    lengths = [*many, *(x[i] for i in m), *(y[i] for i in n), *(1 for _ in k)]
    turned = ((batch + m + n + k, X), (batch + k + m + n, Y))
    return summed, (*turned, lengths, np.argsort(batch + m + n + k).tolist())
