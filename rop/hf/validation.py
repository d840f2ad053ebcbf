"""Validation data: the best θ of a run, and early stopping."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rop.hf.batches import Cases
from rop.hf.evaluation import Evaluator
from rop.hf.state import State


@dataclass(frozen=True)
class Validation:
    """f on data that training does not use.

    Parameters
    ----------
    evaluator : Evaluator
        Evaluates f on these data.
    every : int
        Evaluate f after every so many iterations.
    patience : int or None
        Stop after so many evaluations in a row without a lower f; None never stops.
    """

    evaluator: Evaluator
    every: int
    patience: int | None

    def f(self, state: State) -> float:
        """Return f at the state's θ, without the penalty."""
        self.evaluator.penalise(0.0)
        cases = self.evaluator.cases
        return self.evaluator.value(state.theta, Cases(0, cases, cases))

    def begin(self, state: State) -> State:
        """Return the state with θ_0 as the best θ, if it has none."""
        if state.best is not None:
            return state
        return replace(
            state, best=state.theta, f_best=self.f(state), best_iteration=state.iteration
        )

    def judge(self, state: State) -> tuple[State, float | None]:
        """Return the state, with its θ as the best one if it is; and f, if it was evaluated."""
        if state.iteration % self.every:
            return state, None
        f = self.f(state)
        # NaN is never the best; a number is better than NaN.
        if f < state.f_best or (state.f_best != state.f_best and f == f):
            return replace(state, best=state.theta, f_best=f, best_iteration=state.iteration), f
        return state, f

    def exhausted(self, state: State) -> bool:
        """Return whether f has not fallen for too long."""
        vain = state.iteration // self.every - state.best_iteration // self.every
        return self.patience is not None and vain >= self.patience
