"""A loss's three rules, held against each other at the outputs: L, ∇L and L'' (sec. 6.2)."""

import numpy as np

from rop.checking.eager import Eager, Known, array_of
from rop.checking.lines import Array
from rop.checking.outcomes import Outcome, against_differences, is_single, worst
from rop.checking.policy import EPSILON, Judgement
from rop.graph import Node
from rop.losses.graph import beyond
from rop.ops.rules import State, Target
from rop.programs.loss import Loss
from rop.programs.sweeps import forward

# Relative error of a second difference, at its best step.
SECOND_DIFFERENCE = 1e-5
# Share of a discrepancy that a common factor may leave unexplained.
MULTIPLE = 0.1


class LossRules:
    """Value, gradient and products of a loss as functions of z.

    Parameters
    ----------
    loss : Loss
    z : Node
        The outputs.
    a : dict of Node to Value
        Values of z and of what the loss is given.
    cases : int
        N.
    rng : numpy.random.Generator
    """

    def __init__(self, loss: Loss, z: Node, a: State, cases: int, rng: np.random.Generator) -> None:
        self.loss, self.z, self.given = loss, z, a
        self.cases, self.rng = cases, rng
        self.outputs = array_of(a[z])
        self._beyond = beyond(z, loss)

    def value(self, z: Array) -> Array:
        """N L_i(z) of each case i, or of all together where the cases share their outputs."""
        emit, a = self._at(z)
        losses = emit.losses(self.loss, a, self.z)
        return losses if len(losses) == len(self.outputs) else losses.sum(keepdims=True)

    def gradient(self, z: Array) -> Array:
        """∇L."""
        emit, a = self._at(z)
        return array_of(self.loss.gradient(emit, a, self.z, self._share)[self.z])

    def hvp(self, w: Array) -> Array:
        """L''w at the outputs."""
        emit, a = self._at(self.outputs)
        d = self.loss.gradient(emit, a, self.z, self._share)
        target = Target(State(), self.z, "Rd")
        self.loss.hvp(emit, a, d, self.z, self._share, Known(w), target)
        made = target.state.get(self.z)
        return np.zeros_like(self.outputs) if made is None else array_of(made)

    def test_gradient(self) -> Outcome:
        """∇L against differences of L, case by case."""

        def once() -> Judgement:
            w = self._direction()
            along = self.cases * self.gradient(self.outputs) * w
            product = along.reshape(len(w), -1).sum(axis=1)
            return against_differences(
                lambda flat: self.value(flat.reshape(w.shape)),
                self.outputs.ravel(),
                w.ravel(),
                product,
            )

        return worst(once)

    def test_curvature(self) -> Outcome:
        """L''w against differences of ∇L."""

        def once() -> Judgement:
            w = self._direction()
            return against_differences(
                lambda flat: self.gradient(flat.reshape(w.shape)).ravel(),
                self.outputs.ravel(),
                w.ravel(),
                self.hvp(w).ravel(),
            )

        return worst(once)

    def explains_value(self) -> bool:
        """Whether L' and L'' fit L but for what does not depend on z: then L' is wrong, not L."""
        w = self._direction()
        claimed = self.cases * (w * self.hvp(w)).reshape(len(w), -1).sum(axis=1)
        h = 1e-4 * max(1.0, float(np.sqrt(np.mean(self.outputs**2))))
        z = self.outputs
        ahead, here, behind = self.value(z + h * w), self.value(z), self.value(z - h * w)
        second = (ahead - 2 * here + behind) / h**2
        slope = (ahead - behind) / (2 * h)
        along = (self.cases * self.gradient(z) * w).reshape(len(w), -1).sum(axis=1)
        factor = float(along @ slope) / (float(along @ along) or 1.0)
        multiple = np.linalg.norm(slope - factor * along) <= MULTIPLE * np.linalg.norm(
            slope - along
        )
        if multiple and len(w) > 1:
            return False
        allowed = SECOND_DIFFERENCE * float(np.linalg.norm(second))
        return bool(np.linalg.norm(second - claimed) <= allowed)

    def guilty(self) -> tuple[str, dict[str, Outcome]]:
        """The rule that is wrong, "L", "L'", "L''" or "", and how the comparisons came out."""
        gradient, curvature = self.test_gradient(), self.test_curvature()
        moved = self.outputs + 1e-3 * self._direction()
        w = self._direction()
        for rule, array in (
            ("L", self.value(moved)),
            ("L'", self.gradient(moved)),
            ("L''", self.hvp(w)),
        ):
            if is_single(array):
                single = Outcome(EPSILON["float32"], wrong=True, right=False)
                return rule, {f"{rule} in float32": single}
        outcomes = {"L' against differences of L": gradient}
        outcomes["L'' against differences of L'"] = curvature
        if gradient.wrong:
            # With L'' right beside L', either L is wrong or L' by what does not depend on z.
            return ("L'" if curvature.wrong or self.explains_value() else "L"), outcomes
        return "L''" if curvature.wrong else "", outcomes

    def _direction(self) -> Array:
        return self.rng.standard_normal(self.outputs.shape)

    @property
    def _share(self) -> Known:
        return Known(np.array([1.0 / self.cases]), "1/N")

    def _at(self, z: Array) -> tuple[Eager, State]:
        emit = Eager(self.cases, {self.z: "z"})
        a = State({node: value for node, value in self.given.items() if node not in self._beyond})
        a[self.z] = Known(z, "z")
        forward(self._beyond, emit, a, {})
        return emit, a
