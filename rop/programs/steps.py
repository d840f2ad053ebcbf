"""Programs: flat lists of steps, each one rule of one node.

Sweeps emit steps through `Emitter`, which drops symbolic zeros, lets values that are only passed on
share one place, and sums what several steps add to one target.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from rop.graph import Node, Shape
from rop.ops.kernels import Kernel, Loops, einsum
from rop.ops.rules import Target, Value
from rop.programs.names import Names


@dataclass(slots=True)
class Step:
    """target = or += kernel(operands): one rule of one node.

    A step without a kernel sets its target to zero.
    """

    kernel: Kernel | None
    target: Value
    operands: tuple[Value, ...]
    accumulate: bool
    node: Node
    rule: str

    @property
    def multiplications(self) -> int:
        """Multiplications for one case; 0 for functions of single elements, and for the user's."""
        return prod(self.kernel.extents) if isinstance(self.kernel, Loops) else 0


@dataclass(slots=True)
class Parts:
    """How much of a value that is put together from parts is written, and since which step."""

    start: int
    covered: int = 0


@dataclass
class Program:
    """Steps in the order in which they run, and the values that must outlive them.

    Attributes
    ----------
    name : str
        "forward", "gradient", "ggnvp", ...
    steps : list of Step
        The steps.
    keep : set of Value
        Values that other programs read: they stay in memory when the program has ended.
    written : dict of Value to Parts
        What its steps have begun to write.
    passed_on : dict of str to Value
        Names of values that no step computes, because they equal another value.
    """

    name: str
    steps: list[Step] = field(default_factory=list)
    keep: set[Value] = field(default_factory=set)
    written: dict[Value, Parts] = field(default_factory=dict)
    passed_on: dict[str, Value] = field(default_factory=dict)

    def reads(self) -> set[Value]:
        """Values that the steps read and that no step of this program writes."""
        written = {step.target for step in self.steps}
        return {value for step in self.steps for value in step.operands} - written

    @cached_property
    def dying(self) -> list[list[Value]]:
        """For each step, the values of this program that are not kept and no later step needs."""
        last = {v: i for i, step in enumerate(self.steps) for v in (step.target, *step.operands)}
        ending: list[list[Value]] = [[] for _ in self.steps]
        for value in {step.target for step in self.steps} - self.keep:
            ending[last[value]].append(value)
        return ending

    def needed(self) -> Program:
        """The same program without the steps whose targets nobody reads, keeps or placed."""
        steps, read = [], set(self.keep)
        for step in reversed(self.steps):
            if step.target.place is not None or step.target in read:
                steps.append(step)
                read.update(step.operands)
        return Program(self.name, steps[::-1], self.keep, passed_on=self.passed_on)


@dataclass(eq=False)
class Emitter:
    """Adds steps to a program: the `Emit` of everything but the checks.

    Attributes
    ----------
    program : Program
        Receives the steps.
    names : Names
        Names of the nodes' values, and of what is computed from them.
    slopes, bends : Program
        Receive what rules compute once per θ (`once`): s'(z); and s''(z)·da of curvature rules, or
        what a loss needs.
    memo : dict
        What `once` has computed, shared by all sweeps over one graph.
    directional : bool
        Whether the targets have an axis of directions.
    case_by_case : bool
        Whether adjoints of what does not depend on data are wanted for each case.
    """

    program: Program
    names: Names
    slopes: Program
    bends: Program
    memo: dict[tuple[Node, str], Value]
    directional: bool = False
    case_by_case: bool = False
    node: Node = field(init=False)
    rule: str = field(init=False, default="")

    def begin(self, node: Node, rule: str) -> None:
        """Name the node and the rule that the next steps belong to; see `Emit`."""
        self.node = node
        self.rule = rule

    def __call__(self, target: Target | None, kernel: Kernel, *operands: Value | None) -> None:
        """Add a term to the target; see `Emit`."""
        if target is None or any(operand is None for operand in operands):
            return
        values = tuple(operand for operand in operands if operand is not None)
        made = target.state.get(target.node)
        value = made or self._make(target)
        if isinstance(kernel, Loops) and kernel.identity:
            if made is values[0]:
                return
            if made is None and target.alone and _same_axes(value, values[0]):
                target.state[target.node] = values[0]
                self.program.passed_on[value.name] = values[0]
                return
        target.state[target.node] = value
        first = value not in self.program.written
        parts = self.program.written.setdefault(value, Parts(len(self.program.steps)))
        if isinstance(kernel, Loops) and kernel.disjoint and (first or parts.covered):
            # Parts that never meet, as those of a concatenation, are all assigned.
            parts.covered += prod(kernel.extents)
            self._step(kernel, value, values, False)
            return
        if first and isinstance(kernel, Loops) and not kernel.whole:
            self._step(None, value, (), False)
            first = False
        self._step(kernel, value, values, not first)

    def end(self, target: Target) -> None:
        """Close a target that was put together from parts: what no part reaches is zero."""
        value = target.state.get(target.node)
        parts = self.program.written.get(value) if value is not None else None
        if value is None or parts is None or not parts.covered:
            return
        if parts.covered < value.size:
            zero = Step(None, value, (), False, self.node, self.rule)
            self.program.steps.insert(parts.start, zero)
        parts.covered = 0

    def _step(
        self, kernel: Kernel | None, value: Value, operands: tuple[Value, ...], accumulate: bool
    ) -> None:
        step = Step(kernel, value, operands, accumulate, self.node, self.rule)
        self.program.steps.append(step)

    def finish(self, target: Target, value: Value) -> None:
        """See to it that a result lies in its place: moved there, or zero if no step reaches it."""
        made = target.state.get(target.node)
        target.state[target.node] = value
        if made is None or (made is value and value not in self.program.written):
            self._step(None, value, (), False)
        elif made is not value:
            self(target, einsum("i->i", ((value.size,),), "{0}"), made)

    def once(
        self, label: str, kernel: Kernel, *operands: Value | None, shape: Shape | None = None
    ) -> Value:
        """Compute something of the current node once per θ; see `Emit`."""
        node = self.node
        value = self.memo.get((node, label))
        if value is None:
            given = tuple(operand for operand in operands if operand is not None)
            slope = label.startswith("s'")
            wanted = f"{label}({self.names[node.parents[0]]})" if slope else label
            own, per_case = self.names.apart(node, label, wanted), any(v.per_case for v in given)
            value = Value(own, node.shape if shape is None else shape, per_case)
            self.memo[node, label] = value
            cache = self.bends if self.rule in ("curvature", "loss") else self.slopes
            rule = label if slope or self.rule == "loss" else self.rule
            cache.steps.append(Step(kernel, value, given, False, node, rule))
        return value

    def temporary(self, name: str, shape: Shape, kernel: Kernel, *operands: Value) -> Value:
        """Compute something of this sweep that is no node's value, such as pᵀRz in softmax."""
        per_case = any(operand.per_case for operand in operands)
        own = self.names.apart(self.node, name, name)
        value = Value(own, shape, per_case, self.directional)
        self._step(kernel, value, operands, False)
        return value

    def _make(self, target: Target) -> Value:
        node, prefix = target.node, target.prefix
        per_case = node.per_case or (self.case_by_case and "d" in prefix)
        return Value(self.names.of(node, prefix), node.shape, per_case, self.directional)


def _same_axes(a: Value, b: Value) -> bool:
    return (a.shape, a.per_case, a.per_direction) == (b.shape, b.per_case, b.per_direction)
