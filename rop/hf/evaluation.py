"""The objective, its gradient and its linearization on chosen cases of the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import singledispatch
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rop.engines import engine_named
from rop.errors import RopValueError
from rop.hf.batches import Cases
from rop.hf.curvature import Operator
from rop.hf.identity import Environment, Values
from rop.hf.preconditioners import Preconditioner
from rop.hf.streams import Batch
from rop.hf.vectors import Vector, axpy
from rop.hf.work import Work
from rop.objective.definition import programs_of
from rop.objective.inputs import numbers
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective


class Evaluator:
    """Evaluates an objective on cases of the data, in computational minibatches (sec. 7.1).

    The mean over all cases is the mean of the pieces' means, weighted by their sizes. Every piece
    contains the l2 penalty, so the result contains it once.

    Parameters
    ----------
    objective : Objective
        The objective f.
    data : mapping of str to ndarray, shape (N, ...)
        The data of all N cases. Batches are views of them where possible.
    engine : str
        The engine that runs the sweeps.
    chunk : int
        The largest number of cases in one sweep for f and ∇f.
    keep : bool
        Keep the activations for f on all cases, if that is one sweep: ∇f at the same θ then needs
        the reverse sweep only.

    Raises
    ------
    RopValueError
        If the arrays differ in their number of cases or have none, or the engine is unknown.
    RopError
        If the engine cannot run on this machine.
    """

    def __init__(
        self,
        objective: Objective,
        data: Batch,
        *,
        engine: str,
        chunk: int,
        keep: bool = False,
    ) -> None:
        engine_named(engine)  # complains before a run begins
        self.objective = objective
        self.data = {name: numbers(f"data[{name!r}]", array) for name, array in data.items()}
        self.engine = engine
        self.chunk = chunk
        self.keep = keep
        self.cases = cases_of(self.data)
        self.gradients = self.losses = self.products = 0
        self._last: tuple[Vector, Cases, Linearization] | None = None
        self._ahead: tuple[Vector, Cases, float, Vector] | None = None

    @property
    def work(self) -> Work:
        """What was computed so far."""
        return Work(self.gradients, self.losses, self.products)

    def identity(self) -> dict[str, Values]:
        """Return what tells the data from others, by name."""
        return {name: Values.of(array) for name, array in self.data.items()}

    def environment(self) -> Environment:
        """Return what else decides the last bits."""
        return Environment.here()

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
            The mean loss plus the l2 penalty.
        """
        self.losses += 1
        if self.keeps(cases):
            return self.linearize(theta, cases).value
        total = 0.0
        for piece in cases.pieces(self.chunk):
            with self._located(piece):
                f = self.objective.value(theta, self._batch(piece), engine=self.engine)
            total += piece.size / cases.size * f
        return total

    def keeps(self, cases: Cases) -> bool:
        """Whether f on these cases leaves what ∇f at the same θ needs."""
        return self.keep and cases.size == cases.total <= self.chunk

    def penalise(self, l2: float | None) -> None:
        """Set the strength of the penalty l2/2 ‖θ‖² (sec. 13); None leaves it as it is."""
        if l2 is not None and l2 != self.objective.l2:
            # A copy with the same graph, programs and memory; only this number differs.
            programs_of(self.objective)
            self.objective = copy(self.objective)
            self.objective.l2 = l2
            self._last = self._ahead = None

    def gradient(
        self,
        theta: Vector,
        cases: Cases,
        preconditioner: Preconditioner | None = None,
        seed: int = 0,
        mu: float = 0.0,
    ) -> tuple[float, Vector, Vector | None]:
        """Return f(θ), ∇f(θ) and the preconditioner's diagonal on some cases.

        Without a diagonal they may come from `ahead`.

        Parameters
        ----------
        theta : ndarray, shape (n,)
            θ.
        cases : Cases
            The cases.
        preconditioner : Preconditioner, optional
            Which diagonal to compute, if any.
        seed : int
            The seed of the diagonal's random numbers; each piece adds its number.
        mu : float
            The strength of structural damping, for the diagonal.

        Returns
        -------
        tuple
            f, ∇f of shape (n,), and the diagonal of shape (n,) or None.
        """
        self.gradients += 1
        if preconditioner is None:
            return *self.ahead(theta, cases), None
        return self._gradient(theta, cases, preconditioner, seed, mu)

    def ahead(self, theta: Vector, cases: Cases) -> tuple[float, Vector]:
        """Return f(θ) and ∇f(θ), and keep them for `gradient`, which counts them."""
        if self._ahead is None or not _same(self._ahead, theta, cases):
            self._ahead = theta, cases, *self._gradient(theta, cases)[:2]
        return self._ahead[2:]

    def _gradient(
        self,
        theta: Vector,
        cases: Cases,
        preconditioner: Preconditioner | None = None,
        seed: int = 0,
        mu: float = 0.0,
    ) -> tuple[float, Vector, Vector | None]:
        f = 0.0
        gradient = np.zeros_like(theta)
        diagonal: Vector | None = None
        for number, piece in enumerate(cases.pieces(self.chunk)):
            at = self.linearize(theta, piece)
            share = piece.size / cases.size
            f += share * at.value
            axpy(share, at.gradient(), gradient)
            if preconditioner is None:
                continue
            estimate = preconditioner.diagonal(at, seed + number, mu)
            if estimate is not None:
                diagonal = np.zeros_like(theta) if diagonal is None else diagonal
                axpy(share, estimate, diagonal)
        return f, gradient, diagonal

    def linearize(self, theta: Vector, cases: Cases) -> Linearization:
        """Return the linearization at θ on some cases; the latest one is kept and reused.

        Parameters
        ----------
        theta : ndarray, shape (n,)
            θ; never changed in place between calls.
        cases : Cases
            The cases, all in one piece.

        Returns
        -------
        Linearization
            The cached activations for products.
        """
        cases = cases.unordered()
        if self._last is not None and _same(self._last, theta, cases):
            return self._last[2]
        self._last = None  # frees its memory before more is taken
        at = self._linearize(theta, cases)
        self._last = theta, cases, at
        return at

    def _linearize(self, theta: Vector, cases: Cases) -> Linearization:
        with self._located(cases):
            return self.objective.linearize(theta, self._batch(cases), engine=self.engine)

    def product(
        self, theta: Vector, cases: Cases, curvature: Literal["ggn", "hessian"]
    ) -> Operator:
        """Return v ↦ Bv on any number of cases, in pieces.

        Parameters
        ----------
        theta : ndarray, shape (n,)
            θ.
        cases : Cases
            The cases.
        curvature : str
            "ggn" or "hessian".

        Returns
        -------
        callable, (n,) -> (n,)
            The product.
        """

        def B(v: Vector) -> Vector:
            self.products += 1
            Bv = 0.0 * v
            for piece in cases.pieces(self.chunk):
                at = self.linearize(theta, piece)
                share = v.dtype.type(piece.size / cases.size)
                Bv += share * (at.ggnvp(v) if curvature == "ggn" else at.hvp(v))
            return Bv

        return B

    def _batch(self, cases: Cases) -> dict[str, npt.NDArray[Any]]:
        index = cases.index
        return {name: array[index] for name, array in self.data.items()}

    @contextmanager
    def _located(self, cases: Cases) -> Iterator[None]:
        """Say of a number that is not finite where it is in the user's array, not in the batch."""
        try:
            yield
        except RopValueError as error:
            rows = np.arange(cases.total)[cases.index]
            for name, array in self.data.items():
                bad = np.argwhere(~np.isfinite(array[cases.index]))
                if len(bad):
                    bad[:, 0] = rows[bad[:, 0]]
                    place = tuple(map(int, min(bad.tolist())))
                    raise RopValueError(
                        f"data[{name!r}]: expected finite numbers, got {array[place]} at "
                        f"{list(place)}"
                    ) from error
            raise


@singledispatch
def evaluator_of(
    objective: Objective, data: Batch, *, engine: str, chunk: int, keep: bool = False
) -> Evaluator:
    """Return what evaluates an objective for HF; an objective of another kind registers its own.

    Parameters
    ----------
    objective : Objective
        f.
    data, engine, chunk, keep
        As in `Evaluator`.

    Returns
    -------
    Evaluator
    """
    return Evaluator(objective, data, engine=engine, chunk=chunk, keep=keep)


def _same(kept: tuple[Any, ...], theta: Vector, cases: Cases) -> bool:
    """Whether something was kept at this θ, number by number, and for these cases."""
    return kept[1] == cases and (kept[0] is theta or np.array_equal(kept[0], theta))


def cases_of(data: Mapping[str, npt.NDArray[Any]]) -> int:
    """Number of cases of arrays; raises RopValueError unless all have the same, one or more.

    Parameters
    ----------
    data : mapping of str to ndarray
        (N, ...) each.

    Returns
    -------
    int
        1 if there are no arrays.
    """
    sizes = {name: array.shape[:1] for name, array in data.items()}
    if len(set(sizes.values())) > 1 or () in sizes.values() or (0,) in sizes.values():
        listing = ", ".join(f"{name} {array.shape}" for name, array in data.items())
        raise RopValueError(
            "data: every array must have the cases as axis 0, the same number of at least one "
            f"everywhere, got {listing}"
        )
    return next(iter(sizes.values()))[0] if sizes else 1
