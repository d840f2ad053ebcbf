"""The objective, its gradient and its linearization on chosen cases of the data."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rop.engines.execution import engine_named
from rop.errors import RopValueError
from rop.hf.batches import Cases
from rop.hf.curvature import Operator
from rop.hf.preconditioners import Preconditioner
from rop.hf.vectors import Vector, axpy
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective

Data: TypeAlias = Mapping[str, npt.ArrayLike]


@dataclass(frozen=True)
class Work:
    """How often the objective was used: gradients, losses, products with the curvature."""

    gradients: int
    losses: int
    products: int

    def __sub__(self, earlier: "Work") -> "Work":
        return Work(
            self.gradients - earlier.gradients,
            self.losses - earlier.losses,
            self.products - earlier.products,
        )


class Evaluator:
    """Evaluates an objective on cases of the data, in computational minibatches (sec. 7.1).

    Means over cases are put together from the pieces' means, weighted by their sizes, so l2's
    share, which every piece contains, is right too.

    Parameters
    ----------
    objective : Objective
        The objective f.
    data : mapping of str to ndarray, shape (N, ...)
        The data of all N cases; a view of it is passed on where that is possible.
    engine : str
        The engine that runs the sweeps.
    chunk : int
        Most cases worked on at a time for f and ∇f.

    Raises
    ------
    RopValueError
        If the arrays of the data differ in their number of cases, or have none; if there is no such
        engine.
    RopError
        If the engine cannot run on this machine.
    """

    def __init__(
        self,
        objective: Objective,
        data: Data,
        *,
        engine: str,
        chunk: int,
    ) -> None:
        engine_named(engine)  # complains before a run begins
        self.objective = objective
        self.data = {name: np.asarray(array) for name, array in data.items()}
        self.engine = engine
        self.chunk = chunk
        self.cases = _cases(self.data)
        self.gradients = self.losses = self.products = 0
        self._last: tuple[Vector, Cases, Linearization] | None = None

    @property
    def work(self) -> Work:
        """What has been computed so far."""
        return Work(self.gradients, self.losses, self.products)

    def value(self, theta: Vector, cases: Cases) -> float:
        """Return f(θ) on some cases.

        Parameters
        ----------
        theta : ndarray, shape (n,)
            θ.
        cases : Cases
            The cases.

        Returns
        -------
        float
            The mean loss plus l2's share.
        """
        self.losses += 1
        return sum(
            piece.size
            / cases.size
            * self.objective.value(theta, self._batch(piece), engine=self.engine)
            for piece in cases.pieces(self.chunk)
        )

    def penalise(self, l2: float | None) -> None:
        """Replace the strength of the objective's penalty l2/2 ‖θ‖² (sec. 13).

        Parameters
        ----------
        l2 : float or None
            The strength; None leaves it as it is.
        """
        if l2 is not None and l2 != self.objective.l2:
            # The same graph, programs and memory; only this one number is another.
            self.objective.algorithms  # noqa: B018
            self.objective = copy(self.objective)
            self.objective.l2 = l2
            self._last = None

    def counted(self, product: Operator) -> Operator:
        """Return the product with the curvature, counted among the work.

        Parameters
        ----------
        product : callable, (n,) -> (n,)
            v ↦ Bv.

        Returns
        -------
        callable, (n,) -> (n,)
            The same.
        """

        def counting(v: Vector) -> Vector:
            self.products += 1
            return product(v)

        return counting

    def gradient(
        self,
        theta: Vector,
        cases: Cases,
        preconditioner: Preconditioner,
        seed: int = 0,
        mu: float = 0.0,
    ) -> tuple[float, Vector, Vector | None]:
        """Return f(θ), ∇f(θ) and the preconditioner's diagonal on some cases.

        Parameters
        ----------
        theta : ndarray, shape (n,)
            θ.
        cases : Cases
            The cases.
        preconditioner : Preconditioner
            Says which diagonal is wanted, if any.
        seed : int
            Of the diagonal's random numbers, which are others for each piece.
        mu : float
            The strength of structural damping, for the diagonal.

        Returns
        -------
        tuple
            f, ∇f of shape (n,), and the diagonal of shape (n,) or None.
        """
        self.gradients += 1
        f = 0.0
        gradient = np.zeros_like(theta)
        diagonal: Vector | None = None
        for number, piece in enumerate(cases.pieces(self.chunk)):
            at = self.linearize(theta, piece)
            share = piece.size / cases.size
            f += share * at.value
            axpy(share, at.gradient(), gradient)
            estimate = preconditioner.diagonal(at, seed + number, mu)
            if estimate is not None:
                diagonal = np.zeros_like(theta) if diagonal is None else diagonal
                axpy(share, estimate, diagonal)
        return f, gradient, diagonal

    def linearize(self, theta: Vector, cases: Cases) -> Linearization:
        """Return the linearization at θ on some cases, the latest one again where it fits.

        Parameters
        ----------
        theta : ndarray, shape (n,)
            θ; never changed in place between calls.
        cases : Cases
            The cases, all at a time.

        Returns
        -------
        Linearization
            The cached activations for products.
        """
        cases = cases.unordered()
        if self._last is not None and self._last[0] is theta and self._last[1] == cases:
            return self._last[2]
        self._last = None  # frees its memory before more is taken
        at = self.objective.linearize(theta, self._batch(cases), engine=self.engine)
        self._last = theta, cases, at
        return at

    def _batch(self, cases: Cases) -> dict[str, npt.NDArray[Any]]:
        index = cases.index
        return {name: array[index] for name, array in self.data.items()}


def _cases(data: Mapping[str, npt.NDArray[Any]]) -> int:
    sizes = {name: array.shape[:1] for name, array in data.items()}
    if len(set(sizes.values())) > 1 or () in sizes.values() or (0,) in sizes.values():
        listing = ", ".join(f"{name} {array.shape}" for name, array in data.items())
        raise RopValueError(
            "data: every array must have the cases as axis 0, the same number of at least one "
            f"everywhere, got {listing}"
        )
    return next(iter(sizes.values()))[0] if sizes else 1
