"""`step`: a product one step after the other, forwards and backwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node
from rop.objective.definition import programs_of
from rop.objective.linearization import Linearization
from rop.objective.recording import KINDS, Moment, Trace
from rop.show.differences import Difference, Differences
from rop.show.lines import formula_of, law_of, rule_of, shape_of, without_value
from rop.show.listing import TITLES
from rop.show.numbers import numbers, of_first_case
from rop.show.tables import aligned
from rop.support.display import Displayed


@dataclass(frozen=True, eq=False)
class Snapshot(Displayed):
    """One step of a product, with what it read and what it made.

    Attributes
    ----------
    number : int
        Which step it is, from 0 on.
    node : Node
        The node whose rule it is.
    rule : str
        The rule, such as "R rule of matvec a1".
    law : str
        The paper's rule behind it, such as "product rule (eq. 5)"; "" where there is none.
    formula : str
        As in the listing, such as "Rx2 = RW1 x".
    name : str
        The name of what it assigns.
    operands : dict of str to ndarray
        What it reads, by name: (N, *shape), or *shape where there is no axis of cases.
    result : ndarray
        What it assigns.
    shapes : dict of str to str
        The shapes of the operands and of the result in words, such as "N × 6".
    once : bool
        Whether it runs once for θ and the batch, and not for each product.
    """

    number: int
    node: Node
    rule: str
    law: str
    formula: str
    name: str
    operands: dict[str, NDArray[Any]]
    result: NDArray[Any]
    shapes: dict[str, str]
    once: bool
    _stepping: Stepping = field(repr=False)

    def check(self) -> Difference:
        """Compare the step with a finite difference of its node, in float64 (sec. 7.2).

        All terms that the rule adds to the same value are compared together.

        Returns
        -------
        Difference
            With its `verdict`; "inconclusive" where a kink is near, or for a step that is no
            derivative by itself, such as a part of the loss's rules.
        """
        return self._stepping.differences.at(self.number)

    def __str__(self) -> str:
        head = f"{self.number + 1:>4}  {self.formula}"
        about = ", ".join(part for part in (self.rule, self.law, self.node.line) if part)
        lines = [f"{head}    {about}"]
        for name, array in [*self.operands.items(), (self.name, self.result)]:
            sign = "=" if array is self.result else ":"
            shape = self.shapes[name]
            own = array[0] if shape.startswith("N") else array
            lines.append(f"      {name} {sign} {numbers(own)}   ({shape})")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Snapshot {self.number}: {self.formula}>"


class Stepping(Displayed):
    """A product that runs one step after the other; see `step`.

    Iterating goes on from the present position, up to the stop. Printing shows a table of all nodes
    with a, Ra, da and Rda as far as they are computed.

    Attributes
    ----------
    trace : Trace
        All values of all steps.
    position : int
        How many steps have run; it may be set.
    until : Node or str or None
        Where iterating stops: after the steps of this node, or after each step that assigns to a
        value of this name.
    """

    def __init__(self, trace: Trace, until: Node | str | None = None) -> None:
        self.trace = trace
        self._position = 0
        programs = programs_of(trace.objective)
        order = dict.fromkeys([*programs.parameters, *programs.nodes])
        self._names = {node: programs.names[node] for node in order}
        self._within = without_value(programs)
        self.until = until

    @property
    def until(self) -> Node | str | None:
        """Where iterating stops."""
        return self._until

    @until.setter
    def until(self, until: Node | str | None) -> None:
        if until is not None and not isinstance(until, Node | str):
            raise RopTypeError(f"until: expected a node or a name, got {type(until).__name__}")
        self._until = until
        if until is not None and not any(map(self._stops, range(len(self)))):
            names = list(dict.fromkeys(moment.step.target.name for moment in self.trace.moments))
            raise RopValueError(
                f"until: {self.trace.product} has no step of {until!r}; it assigns to {names[:40]}"
            )

    @property
    def position(self) -> int:
        """How many steps have run."""
        return self._position

    @position.setter
    def position(self, position: int) -> None:
        if not 0 <= position <= len(self):
            raise RopValueError(f"position: expected 0 to {len(self)}, got {position}")
        self._position = position

    def __len__(self) -> int:
        return len(self.trace.moments)

    def __iter__(self) -> Iterator[Snapshot]:
        while self._position < len(self):
            self._position += 1
            yield self[self._position - 1]
            if self._until is not None and self._stops(self._position - 1):
                return

    def __getitem__(self, number: int) -> Snapshot:
        if not -len(self) <= number < len(self):
            raise RopValueError(f"step: expected a number below {len(self)}, got {number}")
        number %= len(self)
        moment = self.trace.moments[number]
        step = moment.step
        values = [*step.operands, step.target]
        return Snapshot(
            number,
            step.node,
            rule_of(step, self._within),
            law_of(step),
            formula_of(step),
            step.target.name,
            {
                value.name: array
                for value, array in zip(step.operands, moment.operands, strict=True)
            },
            moment.result,
            {value.name: shape_of(value) for value in values},
            moment.once,
            self,
        )

    def back(self, steps: int = 1) -> Snapshot | None:
        """Go back, by one step or several.

        Parameters
        ----------
        steps : int
            How many steps.

        Returns
        -------
        Snapshot or None
            The last step that has run then; None at the start.
        """
        self._position = max(0, self._position - steps)
        return self.current

    @property
    def current(self) -> Snapshot | None:
        """The last step that has run; None at the start."""
        return self[self._position - 1] if self._position else None

    @cached_property
    def differences(self) -> Differences:
        """Finite differences at the same θ and batch, in float64."""
        trace, objective = self.trace, self.trace.objective
        if trace.theta.dtype == np.float64:
            return Differences(trace)
        theta, vector = trace.theta.astype(np.float64), trace.vector
        batch = {name: array.astype(np.float64) for name, array in trace.batch.items()}
        given = None if vector is None else vector.astype(np.float64)
        return Differences(Trace(objective, theta, batch, trace.cases, trace.product, given))

    def values(self) -> dict[Node, dict[str, NDArray[Any]]]:
        """The four values of each node, as far as they are computed at the present position.

        Returns
        -------
        dict of Node to dict
            In the order of the forward sweep; from "a", "Ra", "da", "Rda" to arrays.
        """
        done = {m.step.target: m.result for m in self.trace.moments[: self._position]}
        found: dict[Node, dict[str, NDArray[Any]]] = {}
        for node in self._names:
            found[node] = {}
            for kind in KINDS:
                target = self.trace.target_of(node, kind)
                array = self.trace.of(node, kind) if target is None else done.get(target)
                if array is not None:
                    found[node][kind] = array
        return found

    def _stops(self, number: int) -> bool:
        """Whether iterating stops after a step: the last of the stop's run of steps."""
        moments = self.trace.moments
        own = self._belongs(moments[number])
        return own and not (number + 1 < len(moments) and self._belongs(moments[number + 1]))

    def _belongs(self, moment: Moment) -> bool:
        if isinstance(self._until, str):
            return moment.step.target.name == self._until
        return moment.step.node is self._until

    def rows(self) -> list[tuple[str, ...]]:
        """The table of all nodes: name, op, and the numbers of a, Ra, da and Rda so far."""
        rows = []
        for node, values in self.values().items():
            if node.kind != "constant":
                cells = [of_first_case(values[k], node) if k in values else "" for k in KINDS]
                rows.append((self._names[node], node.op.name if node.op else node.kind, *cells))
        return rows

    def __str__(self) -> str:
        current = self.current
        table = [("", "", *KINDS), *self.rows()]
        touched = "" if current is None else self._names.get(current.node, "")
        lines = [f"{TITLES[self.trace.product]}: {self._position} of {len(self)} steps"]
        if self.trace.cases > 1:
            lines[0] += "; numbers of the first case"
        for row, line in zip(table, aligned(table), strict=True):
            mark = ">" if row[0] == touched and touched else " "
            lines.append(f"{mark} {line}".rstrip())
        if current is not None:
            lines += ["", str(current)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Stepping: {self.trace.product}, {self._position} of {len(self)} steps done>"


def step(
    at: Linearization,
    product: str = "ggnvp",
    vector: ArrayLike | None = None,
    until: Node | str | None = None,
) -> Stepping:
    """Go through a product step by step, and look at every number on the way.

    Parameters
    ----------
    at : Linearization
        θ and the batch.
    product : {"gradient", "jvp", "vjp", "loss_hvp", "ggnvp", "hvp"}
        The product.
    vector : array_like, (n,) or (N, *output shape)
        Its v, u or w; none for the gradient.
    until : Node or str, optional
        Where iterating stops: after the steps of a node, or after the steps that assign to a name
        of the listing. Iterating once more goes on.

    Returns
    -------
    Stepping
        Its items are the steps (`Snapshot`). The NumPy engine has run them, with the same program
        that `at.ggnvp` runs.

    Raises
    ------
    RopTypeError, RopValueError
        If there is no such product, the vector does not fit it, or no step is one of `until`.

    Examples
    --------
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> at = objective.linearize([3.0, 4.0, 0.0], {"x": np.eye(2), "t": [[1.0], [0.0]]})
    >>> steps = list(rop.step(at, "ggnvp", [1.0, 0.0, 1.0]))
    >>> print(steps[4])
       5  Rz = RW1 x    R rule of matvec a1, product rule (eq. 5), ...
          RW1 : 1 0   (1 × 2)
          x : 1 0   (N × 2)
          Rz = 1   (N × 1)
    >>> print(steps[4].check())
    PASS, relative error ...e-13: differences of matvec along R of its operands
    """
    if not isinstance(at, Linearization):
        raise RopTypeError(
            f"step: expected a Linearization, as objective.linearize makes it, got "
            f"{type(at).__name__}"
        )
    return Stepping(at.trace(product, vector), until)
