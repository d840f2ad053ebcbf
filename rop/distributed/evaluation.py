"""What HF asks of an objective, on the workers of a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from rop.distributed.linearization import Linearization
from rop.distributed.objective import Objective
from rop.distributed.pool import Shared
from rop.hf import evaluation
from rop.hf.batches import Cases
from rop.hf.curvature import Operator
from rop.hf.evaluation import evaluator_of
from rop.hf.identity import Environment, Values
from rop.hf.preconditioners import Preconditioner
from rop.hf.streams import Batch
from rop.hf.vectors import Vector


class Evaluator(evaluation.Evaluator):
    """`rop.hf`'s evaluator; each worker evaluates its own cases of a batch, in pieces.

    Parameters
    ----------
    objective : rop.distributed.Objective
        f.
    engine : str
        The engine of the workers.
    chunk : int
        The largest number of cases in one sweep for f and ∇f, on each worker.
    """

    objective: Objective

    def __init__(self, objective: Objective, *, engine: str, chunk: int) -> None:
        self.objective, self.engine, self.chunk = objective, engine, chunk
        self.cases = objective.cases
        self.gradients = self.losses = self.products = 0
        self.keep = False  # what is kept would have to be kept by the workers
        self._last = self._ahead = None

    def identity(self) -> dict[str, Values]:
        """Return what tells the parts from others, by their names and numbers."""
        return self.objective.identity()

    def environment(self) -> Environment:
        """Return what else decides the last bits: here the threads are those of each worker."""
        return replace(Environment.here(), threads=self.objective.pool.threads)

    def value(self, theta: Vector, cases: Cases) -> float:
        """Return f(θ) on some cases; see `rop.hf.evaluation.Evaluator`."""
        self.losses += 1
        point = self.objective.point(theta, self.engine, cases.unordered())
        return self.objective.value_at(point, theta, self.chunk)

    def _gradient(
        self,
        theta: Vector,
        cases: Cases,
        preconditioner: Preconditioner | None = None,
        seed: int = 0,
        mu: float = 0.0,
    ) -> tuple[float, Vector, Vector | None]:
        point = self.objective.point(theta, self.engine, cases.unordered())
        return self.objective.gradient_at(point, theta, self.chunk, preconditioner, seed, mu)

    def product(
        self, theta: Vector, cases: Cases, curvature: Literal["ggn", "hessian"]
    ) -> Operator:
        """Return v ↦ Bv on any number of cases, in pieces; see the base class."""
        point = self.objective.point(theta, self.engine, cases.unordered())
        at, name = Shared(theta), "ggnvp" if curvature == "ggn" else "hvp"

        def B(v: Vector) -> Vector:
            self.products += 1
            return self.objective.product_at(point, at, name, v, self.chunk)

        return B

    def _linearize(self, theta: Vector, cases: Cases) -> Linearization:
        point = self.objective.point(theta, self.engine, cases)
        return Linearization(self.objective, self.objective.pool, Shared(theta), point)


@evaluator_of.register
def _(
    objective: Objective, data: Batch, *, engine: str, chunk: int, keep: bool = False
) -> Evaluator:
    return Evaluator(objective.on(data), engine=engine, chunk=chunk)
