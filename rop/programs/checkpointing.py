"""√T checkpointing (sec. 7.1, fig. 2), a rewriting of programs: keep little, recompute the rest.

The forward sweep is cut into segments. Only what one segment hands to another is kept; a product
recomputes a segment when it comes to it: once in a reverse sweep, so once for the gradient, and
once more in the R-forward sweep, so twice for Gv.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal, TypeAlias

from rop.graph import Node
from rop.ops.rules import Value
from rop.programs.steps import Program, Step

Checkpoints: TypeAlias = int | Literal["sqrt"]


@dataclass(frozen=True)
class Segments:
    """A forward sweep in segments.

    Attributes
    ----------
    steps : list of list of Step
        The steps of each segment.
    home : dict of Value to int
        The segment that computes a value which is not kept.
    checkpoints : set of Value
        Values that one segment hands to another.
    """

    steps: list[list[Step]]
    home: dict[Value, int]
    checkpoints: set[Value]

    def recomputing(self, program: Program) -> Program:
        """Return a product with steps that recompute what it reads and what is not kept."""
        steps: list[Step] = []
        present: dict[Value, Value] = {}
        for i, step in enumerate(program.steps):
            missing = {v for v in step.operands if v in self.home} - present.keys()
            if missing:
                near = {self.home[v] for v in step.operands if v in self.home}
                wanted = self._until_elsewhere(program.steps[i:], near)
                present = {}
                for segment in sorted(near):
                    present |= self._recompute(segment, wanted, steps)
            operands = tuple(present.get(value, value) for value in step.operands)
            steps.append(replace(step, operands=operands))
        return Program(program.name, steps, program.keep)

    def _until_elsewhere(self, steps: Iterable[Step], near: Collection[int]) -> set[Value]:
        """What the coming steps read of some segments, until one reads of another."""
        wanted: set[Value] = set()
        for step in steps:
            read = {value for value in step.operands if value in self.home}
            if any(self.home[value] not in near for value in read):
                break
            wanted |= read
        return wanted

    def _recompute(
        self, segment: int, wanted: Collection[Value], steps: list[Step]
    ) -> dict[Value, Value]:
        """Add the steps of a segment that lead to the wanted values; returns these values anew."""
        needed = {value for value in wanted if self.home[value] == segment}
        chosen: list[Step] = []
        for step in reversed(self.steps[segment]):
            if step.target in needed:
                chosen.append(step)
                needed.update(value for value in step.operands if value in self.home)
        anew: dict[Value, Value] = {}
        for step in reversed(chosen):
            value = step.target
            if value not in anew:
                anew[value] = Value(value.name, value.shape, value.per_case)
            operands = tuple(anew.get(operand, operand) for operand in step.operands)
            steps.append(replace(step, target=anew[value], operands=operands, rule="recomputed"))
        return anew


def cut(
    forward: Program,
    kept: Collection[Value],
    products: Sequence[Program],
    count: Checkpoints,
) -> Segments:
    """Cut a forward sweep into segments of about the same memory.

    Its `keep` says what the products read, and `kept` what is kept anyway. "sqrt" looks for the
    number of segments that needs the least memory, for a chain of T equal links of the order of √T.
    """
    if count != "sqrt":
        return _cut(forward, kept, products, count)
    best, least = None, 0
    tried = {round(sqrt(len(forward.steps)) * factor / 4) for factor in (1, 2, 3, 4, 6, 8)}
    for number in sorted(max(1, number) for number in tried):
        segments = _cut(forward, kept, products, number)
        memory = _elements(segments)
        if best is None or memory < least:
            best, least = segments, memory
    assert best is not None
    return best


def _cut(
    forward: Program, kept: Collection[Value], products: Sequence[Program], count: int
) -> Segments:
    groups = _groups(forward, kept, count)
    home: dict[Value, int] = {}
    at: dict[Node, int] = {}
    for i, steps in enumerate(groups):
        for step in steps:
            at.setdefault(step.node, i)
            if step.target not in kept and step.target.place is None:
                home[step.target] = i
    # A value is read where its node's segment is recomputed, or it is handed on.
    handed_on = {
        value
        for i, steps in enumerate(groups)
        for step in steps
        for value in step.operands
        if step.target not in kept and home.get(value, i) != i
    }
    for program in products:
        for step in program.steps:
            if step.node in at:
                i = at[step.node]
                handed_on |= {v for v in step.operands if home.get(v, i) != i}
    return Segments(groups, {v: i for v, i in home.items() if v not in handed_on}, handed_on)


def _groups(forward: Program, kept: Collection[Value], count: int) -> list[list[Step]]:
    """Cut between nodes, where no value is half written, into groups of about equal size."""
    last = {step.target: i for i, step in enumerate(forward.steps)}
    seen: set[Value] = set()
    total = sum(v.size for v in last if v in forward.keep and v not in kept)
    groups: list[list[Step]] = [[]]
    size, open_until = 0, 0
    for i, step in enumerate(forward.steps):
        value = step.target
        if i > open_until and size * count >= total * len(groups) and len(groups) < count:
            groups.append([])
        groups[-1].append(step)
        if value not in kept:
            open_until = max(open_until, last[value])
            if value not in seen and value in forward.keep:
                size += value.size
        seen.add(value)
    return groups


def _elements(segments: Segments) -> int:
    """Elements for one case: the checkpoints, and the largest segment."""
    sizes = [0] * len(segments.steps)
    for value, i in segments.home.items():
        sizes[i] += value.size
    return sum(value.size for value in segments.checkpoints) + max(sizes)
