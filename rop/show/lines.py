"""The lines of a listing: what each assigns, by which rules, and where the user's file has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rop.graph import Node
from rop.ops.families import Bilinear, Elementwise
from rop.ops.general import General
from rop.ops.kernels import Loops
from rop.ops.rules import Value
from rop.programs.catalogue import Programs
from rop.programs.steps import Step
from rop.show.folding import repetitions

# A sum of repeated terms gets a line for each of them if its formula is longer.
_WIDE = 100

_RULES = {
    "value": "value",
    "R": "R rule",
    "reverse": "reverse rule",
    "curvature": "curvature rule",
    "s'": "s'",
    "s''": "s''",
    "s''·da": "s''·da",
}


@dataclass(frozen=True)
class Line:
    """One line of a listing: what is assigned to one value.

    Attributes
    ----------
    target : str
        Name of the value, as Rx2.
    terms : tuple of str
        The terms of the sum, each with its sign; Σ is the sum over the cases.
    rules : tuple of str
        The rules that the terms come from, such as "R rule of matvec a1". The node is named if its
        value has no line of its own, because it is added to another value.
    shape : str
        The value's shape: for one case, with "N ×" before it where there is one for each case.
    adds : bool
        Whether the line adds to the value of earlier lines.
    steps : tuple of Step
        The program's steps that the line stands for; none for the penalty.
    """

    target: str
    terms: tuple[str, ...]
    rules: tuple[str, ...]
    shape: str
    adds: bool = False
    steps: tuple[Step, ...] = field(default=(), repr=False)

    @property
    def laws(self) -> tuple[str, ...]:
        """The paper's rules behind the terms, such as "product rule (eq. 5)"."""
        return tuple(dict.fromkeys(law for step in self.steps if (law := law_of(step))))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes whose rules the terms are."""
        return tuple(dict.fromkeys(step.node for step in self.steps))

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the user's file builds these nodes, such as "model.py, line 12"."""
        return tuple(dict.fromkeys(node.line for node in self.nodes))

    @property
    def formula(self) -> str:
        """The assignment, as Rx2 = RW1 x + Rb1."""
        first, *rest = self.terms
        text = first.removeprefix("+ ")
        return " ".join([f"{self.target} {'+=' if self.adds else '='} {text}", *rest])


def without_value(programs: Programs) -> dict[Node, str]:
    """Names of the nodes that no line of the forward sweep assigns a value to."""
    assigned = {step.target.name for step in programs.forward.steps}
    return {node: name for node, name in programs.names.items() if name not in assigned}


def lines_of(steps: Iterable[Step], within: Mapping[Node, str]) -> Iterator[Line]:
    """Put the steps that add to one value into one line."""
    group: list[Step] = []
    for step in steps:
        if group and (step.target is not group[0].target or _part(step) != _part(group[0])):
            yield _line(group, within)
            group = []
        group.append(step)
    if group:
        yield _line(group, within)


def unrolled(line: Line, within: Mapping[Node, str]) -> list[Line]:
    """Give each term a line of its own where a sum repeats itself, as over many time steps."""
    if len(line.formula) <= _WIDE or not repetitions([(term,) for term in line.terms]):
        return [line]
    return [_line([step], within) for step in line.steps]


def _line(steps: list[Step], within: Mapping[Node, str]) -> Line:
    target = steps[0].target
    return Line(
        target.name + _part(steps[0]),
        tuple(_term(step) for step in steps),
        tuple(dict.fromkeys(rule_of(step, within) for step in steps)),
        shape_of(target),
        steps[0].accumulate,
        tuple(steps),
    )


def shape_of(value: Value) -> str:
    """A value's shape in words: 6 × 4, or N × 6 where there is one for each case."""
    shape = " × ".join(map(str, value.shape)) or "1"
    return f"N × {shape}" if value.per_case else shape


def formula_of(step: Step) -> str:
    """One step as a formula, as Rx2 += Rb1."""
    return Line(step.target.name + _part(step), (_term(step),), (), "", step.accumulate).formula


def law_of(step: Step) -> str:
    """The paper's rule that a step applies; "" where there is none, as for a value."""
    if step.rule not in ("R", "reverse", "curvature", "s'", "s''", "s''·da"):
        return ""
    op = step.node.op
    if isinstance(op, Bilinear):
        return "product rule (eq. 5)"
    if isinstance(op, Elementwise | General):
        return "chain rule (eq. 6)"
    return "linearity (eq. 4)"


def _part(step: Step) -> str:
    return step.kernel.part if isinstance(step.kernel, Loops) else ""


def _term(step: Step) -> str:
    if step.kernel is None:
        return "+ 0"
    text = step.kernel.text.format(*(value.name for value in step.operands))
    if not step.target.per_case and any(value.per_case for value in step.operands):
        text = f"Σ {text}"
    coefficient = step.kernel.coefficient if isinstance(step.kernel, Loops) else 1.0
    sign = "-" if coefficient < 0 else "+"
    size = abs(coefficient)
    return f"{sign} {text}" if size == 1.0 else f"{sign} {size:g} {text}"


def rule_of(step: Step, within: Mapping[Node, str]) -> str:
    """The rule that a step applies, and its op; the node's name if no value bears it."""
    op = step.node.op
    if step.rule in _RULES and op is not None:
        return " ".join([f"{_RULES[step.rule]} of {op.name}", *within.get(step.node, "").split()])
    return "loss"
