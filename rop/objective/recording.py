"""What one product computes, step by step: `Linearization.trace` keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.engines.numpy import NumpyExecution, array_of, stepwise
from rop.engines.room import refuse_if_too_large
from rop.errors import RopTypeError, RopValueError
from rop.graph import Node
from rop.objective.definition import Definition
from rop.objective.products import Products
from rop.ops.kernels import Array
from rop.ops.rules import Value
from rop.programs.catalogue import PRODUCTS
from rop.programs.steps import Program, Step
from rop.support.words import counted, either, listed

KINDS = {"a": "", "Ra": "R", "da": "d", "Rda": "Rd"}
"""The four values of a node, each with the prefix of its name."""


@dataclass(frozen=True, eq=False, slots=True)
class Moment:
    """One step of a program that has run.

    Attributes
    ----------
    step : Step
        The step: which rule of which node.
    operands : tuple of ndarray
        What it read: (N, *shape), or *shape where there is no axis of cases.
    result : ndarray
        Its target after it.
    once : bool
        Whether it belongs to θ and the batch, and not to the product.
    """

    step: Step
    operands: tuple[NDArray[Any], ...]
    result: NDArray[Any]
    once: bool


class Trace(Mapping[str | Node, NDArray[Any]]):
    """The values that one product goes through, by the names of `rop.explain`'s listing.

    ``trace["Rx2"]`` is an array (N, *shape), or *shape where there is no axis of cases;
    ``trace[node]`` is the node's value a. The NumPy engine computes them, with the program that
    computes the product itself.

    Attributes
    ----------
    objective : Objective
        The objective.
    product : str
        The product.
    theta : ndarray, (n,)
        The parameters.
    batch : dict of str to ndarray
        The batch.
    vector : ndarray or None
        v, u or w; None for the gradient.
    cases : int
        N.
    moments : list of Moment
        The steps in their order, first those of θ and the batch.
    result : ndarray
        The product, penalty included.
    """

    def __init__(
        self,
        objective: Definition,
        theta: NDArray[Any],
        batch: Mapping[str, NDArray[Any]],
        cases: int,
        product: str,
        vector: ArrayLike | None,
    ) -> None:
        if product not in PRODUCTS:
            raise RopValueError(f"trace: expected {either(PRODUCTS)}, got {product!r}")
        self.objective, self.product, self.cases = objective, product, cases
        self.theta, self.batch = theta, dict(batch)
        products = Products(objective, theta, batch, cases, "numpy", 0)
        self.vector = _vector(products, product, vector)
        products.prepare(product)
        self.moments: list[Moment] = []
        self._names = products.programs.names
        self._values: dict[str, NDArray[Any]] = {}
        self.result = self._run(products)

    # A mapping's own comparison fails for arrays.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __getitem__(self, name: str | Node) -> NDArray[Any]:
        if isinstance(name, Node):
            found = self.of(name)
            if found is None:
                why = "its value is only a term of another node's value"
                other = "it is no node of the objective"
                raise KeyError(f"{name!r}: {why if name in self._names else other}")
            return found
        if name not in self._values:
            near = get_close_matches(name, self._values, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {listed(self._values)}"
            raise KeyError(f"{self.product} has no value {name!r}; {hint}")
        return self._values[name]

    def __iter__(self) -> Iterator[str | Node]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        steps, values = counted(len(self.moments), "step"), counted(len(self), "value")
        return f"<Trace of {self.product}: {steps}, {values}>"

    def of(self, node: Node, kind: str = "a") -> NDArray[Any] | None:
        """One of the four values of a node.

        Parameters
        ----------
        node : Node
            The node.
        kind : {"a", "Ra", "da", "Rda"}
            Which one.

        Returns
        -------
        ndarray or None
            None if the product does not compute it, as Ra of data, or only as a term of another
            value, or if the objective has no such node.

        Raises
        ------
        RopValueError
            If there is no such kind.
        """
        if kind not in KINDS:
            raise RopValueError(f"kind: expected {either(KINDS)}, got {kind!r}")
        if node not in self._names:
            return None
        return self._values.get(self._names.of(node, KINDS[kind]))

    def target_of(self, node: Node, kind: str = "a") -> Value | None:
        """The target of the steps that compute one of the four values of a node.

        Parameters
        ----------
        node : Node
            The node.
        kind : {"a", "Ra", "da", "Rda"}
            Which one.

        Returns
        -------
        Value or None
            That of another node's value, if both are the same; None if no step computes it.

        Raises
        ------
        RopValueError
            If there is no such kind.
        """
        if kind not in KINDS:
            raise RopValueError(f"kind: expected {either(KINDS)}, got {kind!r}")
        return self._targets.get((node, kind))

    def _run(self, products: Products) -> NDArray[Any]:
        programs, execution = products.programs, products.execution
        assert isinstance(execution, NumpyExecution)
        order = [*programs.stages(self.product), programs.product(self.product)]
        elements = sum(
            step.target.elements(self.cases, 1) for program in order for step in program.steps
        )
        refuse_if_too_large(
            {"values of all steps": elements * self.theta.itemsize},
            f"trace of {self.product} with {counted(self.cases, 'case')}",
            "use fewer cases",
        )
        shape = products.shapes[PRODUCTS[self.product].codomain]
        result = np.full(shape, np.nan, self.theta.dtype)  # what no step has written yet shows
        given = np.empty(0, self.theta.dtype) if self.vector is None else self.vector
        latest: dict[Value, NDArray[Any]] = {}
        for program, step, arrays in _performed(execution, order, given.ravel(), result.ravel()):
            for value in step.operands:
                if value not in latest:
                    latest[value] = _cases_first(value, arrays[value])
            operands = tuple(latest[value] for value in step.operands)
            latest[step.target] = _cases_first(step.target, arrays[step.target])
            once = program is not order[-1]
            self.moments.append(Moment(step, operands, latest[step.target], once))
        for node, value in programs.a.items():
            if node in programs.into:  # only a term of another node's value
                continue
            if value in latest:
                self._values[self._names[node]] = latest[value]
            elif value.place is not None:
                # What no step reads is a part of the model all the same.
                own = execution.values(value)
                self._values[self._names[node]] = own if value.per_case else own[0]
        of_nodes = set(programs.a.values())
        for value, found in latest.items():
            if value not in of_nodes:
                self._values[value.name] = found
        for program in order:
            for name, value in program.passed_on.items():
                if value in latest:
                    self._values.setdefault(name, latest[value])
        targets = {id(moment.result): moment.step.target for moment in self.moments}
        self._targets = {
            (node, kind): targets[id(array)]
            for node in self._names
            for kind in KINDS
            if (array := self.of(node, kind)) is not None and id(array) in targets
        }
        penalty = self.objective.penalty
        if self.product == "gradient":
            result += penalty * self.theta
        elif self.product in ("ggnvp", "hvp"):
            result += penalty * given
        return result


def _vector(products: Products, product: str, vector: ArrayLike | None) -> NDArray[Any] | None:
    name, domain, _ = PRODUCTS[product]
    if not name:
        if vector is not None:
            raise RopTypeError(f"trace: {product!r} takes no vector")
        return None
    if vector is None:
        raise RopTypeError(f"trace: {product!r} needs a vector {name} of the space of {domain}")
    array, many = products.checked(vector, name, domain)
    if many is not None:
        raise RopValueError(
            f"{name}: expected one vector, of shape {products.shapes[domain]}, got {array.shape}"
        )
    return array


def _performed(
    execution: NumpyExecution, programs: Sequence[Program], given: Array, output: Array
) -> Iterator[tuple[Program, Step, dict[Value, Array]]]:
    """Run programs anew for one direction; after each step, hand out all values so far."""
    values: dict[Value, Array] = {}
    ends = execution.given | {"input": given, "output": output}
    with execution.lock, np.errstate(all="ignore"):
        for program in programs:
            for value in {step.target for step in program.steps} - values.keys():
                values[value] = array_of(value, execution.cases, 1, ends)
                if value.place is None:
                    values[value].fill(np.nan)  # what no step has written yet shows
            for step in stepwise(program, execution.cases, 1, ends, values):
                yield program, step, values


def _cases_first(value: Value, array: NDArray[Any]) -> NDArray[Any]:
    """A copy without the axis of directions, and without that of cases where there is none."""
    copy: NDArray[Any] = np.array(array[:, 0] if value.per_case else array[0, 0])
    copy.flags.writeable = False
    return copy
