"""One step of a trace, held against a finite difference of its node (sec. 7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop.checking.eager import Eager, leaves
from rop.checking.loss_rules import LossRules
from rop.checking.outcomes import against_differences
from rop.checking.policy import Judgement, Verdict
from rop.checking.rules import LocalRules, flattened
from rop.engines.numpy import perform
from rop.graph import Node, ancestors, descendants
from rop.losses import LossGraph
from rop.objective.definition import programs_of
from rop.objective.recording import Moment, Trace
from rop.ops.rules import State
from rop.programs.sweeps import forward

# Relative difference at which a value is not what its op computes apart from the graph.
_SAME = 1e-12


@dataclass(frozen=True)
class Difference:
    """The comparison of a step with a finite difference.

    Attributes
    ----------
    verdict : {"pass", "fail", "inconclusive"}
        Whether they agree.
    error : float
        Relative; NaN where there is nothing to compare.
    said : str
        What was compared with what.
    """

    verdict: Verdict
    error: float
    said: str

    def __str__(self) -> str:
        error = "" if np.isnan(self.error) else f", relative error {self.error:.1e}"
        return f"{self.verdict.upper()}{error}: {self.said}"


class Differences:
    """Finite differences of the nodes of a trace in float64.

    Parameters
    ----------
    trace : Trace
        The trace, in float64.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace, self.programs = trace, programs_of(trace.objective)
        self.rng = np.random.default_rng(0)
        objective, nodes = trace.objective, self.programs.nodes
        every = [*nodes, *objective.parameters]
        self.a: State = leaves(every, objective.unpack(trace.theta), trace.batch)
        forward(nodes, Eager(trace.cases, self.programs.names), self.a, {})
        self.active = set(self.programs.active)
        if isinstance(objective.loss, LossGraph):
            beyond = descendants(ancestors(objective.loss.node), [objective.z])
            self.active |= beyond

    def at(self, number: int) -> Difference:
        """Compare a step, together with the other terms of its rule and target.

        Parameters
        ----------
        number : int
            Which of the trace's moments.

        Returns
        -------
        Difference
        """
        moment = self.trace.moments[number]
        step = moment.step
        terms = [
            other
            for other in self.trace.moments
            if (other.step.target, other.step.node, other.step.rule, other.once)
            == (step.target, step.node, step.rule, moment.once)
        ]
        total = np.sum([self._term(term) for term in terms], axis=0)
        if step.rule == "loss":
            return self._loss(moment, total)
        if step.node.op is None:
            return self._copy(moment)
        rules = LocalRules(step.node, self.a, self.active, self.trace.cases, self.rng)
        compare = {
            "value": self._value,
            "R": self._R,
            "reverse": self._reverse,
            "curvature": self._curvature,
            "s'": self._slope,
            "s''": self._bend,
            "s''·da": self._bend,
        }.get(step.rule)
        if compare is None:
            return Difference("inconclusive", np.nan, f"{step.rule} is no derivative by itself")
        return compare(rules, moment, total)

    def _term(self, moment: Moment) -> NDArray[Any]:
        """What a step adds to its target, (N or 1, *shape)."""
        step, cases = moment.step, self.trace.cases
        target = step.target
        into = np.zeros((cases if target.per_case else 1, 1, *target.shape))
        arrays = [
            operand[:, None] if value.per_case else operand[None, None]
            for value, operand in zip(step.operands, moment.operands, strict=True)
        ]
        with np.errstate(all="ignore"):
            perform(replace(step, accumulate=False), cases, into, *arrays)
        return into[:, 0]

    def _value(self, rules: LocalRules, moment: Moment, total: NDArray[Any]) -> Difference:
        # Terms that other steps have put into the same value are not this node's steps.
        z = [
            np.zeros_like(z_i) if parent in self.programs.into else z_i
            for parent, z_i in zip(rules.node.parents, rules.z, strict=True)
        ]
        apart = rules.value(z).reshape(total.shape)
        return _same(total, apart, f"{rules.op.name} apart from the graph")

    def _R(self, rules: LocalRules, moment: Moment, total: NDArray[Any]) -> Difference:
        directions = {i: R for i in rules.slots if (R := self._of(rules, i, "Ra")) is not None}
        slots = list(directions)

        def displaced(flat: NDArray[Any]) -> NDArray[Any]:
            return rules.value(rules.moved(slots, flat)).ravel()

        direction = flattened([directions[i] for i in slots])
        origin = rules.flat(slots)
        judged = against_differences(displaced, origin, direction, total.ravel())
        return _judged(judged, f"differences of {rules.op.name} along R of its operands")

    def _reverse(self, rules: LocalRules, moment: Moment, total: NDArray[Any]) -> Difference:
        kind = "da" if self._plain(moment) else "Rda"
        da, slots = self._own(rules.node, kind), self._slots(rules, moment, kind)
        if da is None or not slots:
            return Difference("inconclusive", np.nan, "the node has no adjoint of its own")
        w = self.rng.standard_normal(total.shape)

        def along(flat: NDArray[Any]) -> NDArray[Any]:
            return np.array([np.vdot(da, rules.value(_all(rules.z, slots, flat)))])

        product = np.array([np.vdot(total, w)])
        origin = rules.z[slots[0]].ravel()
        judged = against_differences(along, origin, w.ravel(), product)
        return _judged(judged, f"differences of {kind}ᵀ {rules.op.name} along a random direction")

    def _curvature(self, rules: LocalRules, moment: Moment, total: NDArray[Any]) -> Difference:
        da, wanted = self._own(rules.node, "da"), self._slots(rules, moment, "Rda")
        directions = {i: R for i in rules.slots if (R := self._of(rules, i, "Ra")) is not None}
        slots = list(directions)
        assert da is not None

        def displaced(flat: NDArray[Any]) -> NDArray[Any]:
            z = rules.moved(slots, flat)
            dz = dict(zip(rules.slots, rules.reverse(z, rules.value(z), da), strict=True))
            added: NDArray[Any] = np.sum([dz[i] for i in wanted], axis=0)
            return added.ravel()

        direction = flattened([directions[i] for i in slots])
        origin = rules.flat(slots)
        judged = against_differences(displaced, origin, direction, total.ravel())
        said = f"differences of {rules.op.name}'s reverse rule along R of its operands"
        return _judged(judged, said)

    def _slope(self, rules: LocalRules, moment: Moment, total: NDArray[Any]) -> Difference:
        z = rules.z[0]

        def displaced(flat: NDArray[Any]) -> NDArray[Any]:
            return rules.value([flat.reshape(z.shape)]).ravel()

        judged = against_differences(displaced, z.ravel(), np.ones(z.size), total.ravel())
        return _judged(judged, f"differences of {rules.op.name}")

    def _bend(self, rules: LocalRules, moment: Moment, total: NDArray[Any]) -> Difference:
        z, times_da = rules.z[0], moment.step.rule == "s''·da"
        da = self._own(rules.node, "da") if times_da else np.ones(rules.a.shape)
        assert da is not None

        def displaced(flat: NDArray[Any]) -> NDArray[Any]:
            moved = [flat.reshape(z.shape)]
            return rules.reverse(moved, rules.value(moved), da)[0].ravel()

        judged = against_differences(displaced, z.ravel(), np.ones(z.size), total.ravel())
        return _judged(judged, f"differences of {rules.op.name}'{' da' if times_da else ''}")

    def _loss(self, moment: Moment, total: NDArray[Any]) -> Difference:
        objective, z = self.trace.objective, self.trace.objective.z
        names, name = self.programs.names, moment.step.target.name
        share = 1.0 / self.trace.cases
        if isinstance(objective.loss, LossGraph) and name == names.of(objective.loss.node, "d"):
            return _same(total, np.full_like(total, share), "the share 1/N of a case in the mean")
        rules = LossRules(objective.loss, z, self.a, self.trace.cases, self.rng)
        if name == names.of(z, "d") and moment.once:
            w = self.rng.standard_normal(total.shape)
            along = (total * w).reshape(len(w), -1).sum(axis=1) / share

            def displaced(flat: NDArray[Any]) -> NDArray[Any]:
                return rules.value(flat.reshape(w.shape))

            judged = against_differences(displaced, rules.outputs.ravel(), w.ravel(), along)
            return _judged(judged, "differences of L along a random direction")
        Rz = self._own(z, "Ra")
        if name != f"Rd{names[z]}" or Rz is None:
            return Difference("inconclusive", np.nan, f"{name} is a part of the loss's rules")
        if objective.loss.convexify and self.trace.product != "hvp":
            said = f"L'' is made convex ({objective.loss.convexify}): no derivative any more"
            return Difference("inconclusive", np.nan, said)
        judged = against_differences(
            lambda flat: rules.gradient(flat.reshape(rules.outputs.shape)).ravel(),
            rules.outputs.ravel(),
            np.broadcast_to(Rz, rules.outputs.shape).ravel(),
            total.ravel(),
        )
        return _judged(judged, "differences of ∇L along Rz")

    def _copy(self, moment: Moment) -> Difference:
        """A parameter's block of the result: what has been computed, or zero."""
        source = moment.operands[0] if moment.operands else np.zeros_like(moment.result)
        return _same(moment.result, source.reshape(moment.result.shape), "the value it copies")

    def _own(self, node: Node, kind: str) -> NDArray[Any] | None:
        """One of the values of a node, (N or 1, *shape)."""
        found = self.trace.of(node, kind)
        if found is None:
            return None
        return found if found.ndim > len(node.shape) else found[None]

    def _of(self, rules: LocalRules, slot: int, kind: str) -> NDArray[Any] | None:
        parent = rules.node.parents[slot]
        return None if parent in self.programs.into else self._own(parent, kind)

    def _plain(self, moment: Moment) -> bool:
        """Whether a reverse rule runs in a reverse sweep, and not in R{reverse}."""
        return moment.once or self.trace.product in ("gradient", "vjp")

    def _slots(self, rules: LocalRules, moment: Moment, kind: str) -> list[int]:
        """Which operands of a node the target of a reverse rule is the adjoint of."""
        parents = rules.node.parents
        return [i for i in rules.slots if self.trace.of(parents[i], kind) is self._end(moment)]

    def _end(self, moment: Moment) -> NDArray[Any]:
        """The target's value when all steps have run."""
        return self.trace[moment.step.target.name]


def _all(z: Sequence[NDArray[Any]], slots: Sequence[int], flat: NDArray[Any]) -> list[NDArray[Any]]:
    """All operands, those of some slots, which hold one node, moved as one."""
    return [flat.reshape(z_i.shape) if i in slots else z_i for i, z_i in enumerate(z)]


def _same(found: NDArray[Any], expected: NDArray[Any], said: str) -> Difference:
    scale = float(np.linalg.norm(expected)) or 1.0
    error = float(np.linalg.norm(found - expected)) / scale
    return Difference("pass" if error <= _SAME else "fail", error, said)


def _judged(judgement: Judgement, said: str) -> Difference:
    return Difference(judgement.verdict, judgement.error, said)
