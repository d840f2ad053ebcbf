"""Memory plans: sizes and lifetimes of all values are known before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rop.ops.kernels import Loops, Map
from rop.ops.rules import Value
from rop.programs.steps import Program, Step


@dataclass(frozen=True)
class Plan:
    """Where the values of a program lie for a given number of cases and directions.

    Attributes
    ----------
    offsets : dict of Value to int
        First element, in the arena of the values that are kept or in the one of temporaries.
    kept : int
        Elements of the arena of the values that are kept.
    work : int
        Elements of the arena of temporaries.
    compiled : dict
        What engines have made of it, for later runs.
    """

    offsets: dict[Value, int]
    kept: int
    work: int
    compiled: dict[Any, list[Any]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of the plan and of what has been made of it, more or less."""
        made = [part for parts in list(self.compiled.values()) for part in parts]
        return 128 * len(self.offsets) + sum(getattr(part, "nbytes", 0) for part in made)


def plan(program: Program, cases: int, directions: int = 1) -> Plan:
    """Lay out a program's values before anything is allocated; temporaries share space.

    Parameters
    ----------
    program : Program
        The program.
    cases, directions : int
        Numbers of cases and directions.

    Returns
    -------
    Plan
    """
    steps = program.steps
    last = {value: i for i, step in enumerate(steps) for value in (*step.operands, step.target)}
    offsets: dict[Value, int] = {}
    arena = _Arena()
    kept = 0
    for i, step in enumerate(steps):
        target = step.target
        ending = [
            value
            for value in dict.fromkeys(step.operands)
            if last[value] == i and value in offsets and value not in program.keep
        ]
        if target.place is None and target not in offsets:
            elements = target.elements(cases, directions)
            if target in program.keep:
                offsets[target] = kept
                kept += _rounded(elements)
            else:
                heir = next((v for v in ending if _in_place(step, v)), None)
                if heir is not None:
                    offsets[target] = offsets[heir]
                    ending.remove(heir)
                else:
                    offsets[target] = arena.take(_rounded(elements))
        for value in ending:
            arena.give_back(offsets[value], _rounded(value.elements(cases, directions)))
        if last[target] == i and target.place is None and target not in program.keep:
            arena.give_back(offsets[target], _rounded(target.elements(cases, directions)))
    return Plan(offsets, kept, arena.size)


def _in_place(step: Step, operand: Value) -> bool:
    """Whether a step may write its target over an operand that is read for the last time."""
    kernel, target = step.kernel, step.target
    same_axes = (target.per_case, target.per_direction) == (operand.per_case, operand.per_direction)
    if isinstance(kernel, Map):
        return same_axes and target.size == operand.size
    if not isinstance(kernel, Loops) or step.operands.count(operand) > 1 or not kernel.whole:
        return False
    walk = kernel.walks[1 + step.operands.index(operand)]
    others = all(
        (not v.per_case or target.per_case) and (not v.per_direction or target.per_direction)
        for v in step.operands
    )
    return walk == kernel.walks[0] and same_axes and others and target.size == operand.size


def _rounded(elements: int) -> int:
    # Whole cache lines of 64 bytes for either dtype.
    return -(-elements // 16) * 16


class _Arena:
    """Best-fit allocation of intervals: blocks given back join their free neighbours."""

    def __init__(self) -> None:
        self.size = 0
        self._by_start: dict[int, int] = {}
        self._by_end: dict[int, int] = {}
        self._by_length: dict[int, set[int]] = {}

    def take(self, length: int) -> int:
        fits = [free for free in self._by_length if free >= length]
        if not fits:
            start = self.size
            # Grow a free block at the end rather than leave it.
            if self.size in self._by_end:
                start = self._by_end[self.size]
                self._remove(start)
            self.size = start + length
            return start
        start = next(iter(self._by_length[min(fits)]))
        free = self._remove(start)
        if free > length:
            self._add(start + length, free - length)
        return start

    def give_back(self, start: int, length: int) -> None:
        if start + length in self._by_start:
            length += self._remove(start + length)
        if start in self._by_end:
            before = self._by_end[start]
            length += self._remove(before)
            start = before
        self._add(start, length)

    def _add(self, start: int, length: int) -> None:
        if length:
            self._by_start[start] = length
            self._by_end[start + length] = start
            self._by_length.setdefault(length, set()).add(start)

    def _remove(self, start: int) -> int:
        length = self._by_start.pop(start)
        del self._by_end[start + length]
        starts = self._by_length[length]
        starts.remove(start)
        if not starts:
            del self._by_length[length]
        return length
