"""The linearization of an objective whose cases are on other machines."""

from __future__ import annotations

import weakref
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.distributed.pool import Pool, Shared
from rop.distributed.site import Point, rows_of, size_of
from rop.errors import RopTypeError, RopValueError
from rop.objective import linearization
from rop.objective.definition import Definition
from rop.objective.diagonals import Distribution
from rop.objective.inputs import check_strength, real
from rop.objective.linearization import refuse_strength
from rop.objective.objective import Objective
from rop.objective.operators import CurvatureOperator
from rop.objective.recording import Trace


class Linearization(linearization.Linearization):
    """`rop.Linearization` on the workers of a cluster: v goes there, and sums over cases return.

    What has the cases as its axis 0 (outputs, Jv, u, w) goes through this process; for all cases of
    large data it may be large. The penalty is no sum over cases, and is added here.

    Parameters
    ----------
    objective : rop.distributed.Objective
        The objective.
    pool : Pool
        Its workers.
    theta : Shared
        θ.
    point : Point
        Engine, dtype, checkpoints and cases.
    """

    _local: ClassVar[bool] = False

    def __init__(self, objective: Objective, pool: Pool, theta: Shared, point: Point) -> None:
        self.objective = objective
        self.cases, self.engine, self.dtype = point.cases.size, point.engine, point.kind
        self.n = objective.n
        self.checkpoints = point.checkpoints or 0
        self._theta, self._point, self._pool = theta, point, pool
        weakref.finalize(self, self._pool.forget, point.number).atexit = False
        # Errors show where θ is set, not at the first product.
        self._pool.total("linearize", "mean", point, theta, "cases")

    def __reduce__(self) -> Any:
        raise RopTypeError(
            "a linearization on a cluster cannot be pickled; pickle theta, and linearize there"
        )

    @property
    def theta(self) -> NDArray[Any]:
        """The parameters: (n,), read-only."""
        theta: NDArray[Any] = self._theta.vector.view()
        theta.flags.writeable = False
        return theta

    @property
    def batch(self) -> dict[str, NDArray[Any]]:  # type: ignore[override]
        """The cases themselves, brought here: for a check of small data."""
        found = self._pool.each("fetch", "fetch", self._point, self._theta)
        return {name: np.concatenate([each[name] for each in found]) for name in found[0]}

    @property
    def outputs(self) -> NDArray[Any]:
        """F(θ): (N, *output shape), in the order of the data."""
        return self._rows("outputs", "outputs")

    @property
    def value(self) -> float:
        """f(θ), penalty included."""
        f: float = self._pool.total("value", "mean", self._point, self._theta, "value")
        return f + penalty_at(self.objective, self.theta)

    def gradient(self) -> NDArray[Any]:
        """∇f: (n,), by algorithm 1."""
        return self._plus_penalty(self._mean("gradient", "gradient"), self.theta)

    def jvp(self, v: ArrayLike) -> NDArray[Any]:
        """J v; see `rop.Linearization.jvp`."""
        return self._rows("Jv", "jvp", self._shared("v", v))

    def vjp(self, u: ArrayLike) -> NDArray[Any]:
        """Jᵀ u, summed over the cases; see `rop.Linearization.vjp`."""
        return self._total("JTu", "split", "vjp", self._blocks("u", u))

    def loss_gradient(self) -> NDArray[Any]:
        """∇L: (N, *output shape), with the 1/N of the mean."""
        return self._rows("dL", "loss_gradient", mean=True)

    def loss_hvp(self, w: ArrayLike) -> NDArray[Any]:
        """L'' w, with the 1/N of the mean; see `rop.Linearization.loss_hvp`."""
        blocks, shares = self._blocks("w", w), self._shares()
        found = self._pool.each("Lw", "split", self._point, self._theta, "loss_hvp", blocks)
        return np.concatenate(
            [each * self.dtype.type(s) for each, s in zip(found, shares, strict=True) if s]
        )

    def ggnvp(self, v: ArrayLike, mu: float = 0.0, lam: float = 0.0) -> NDArray[Any]:
        """G v, or damped (G + μD + λI) v; see `rop.Linearization.ggnvp`."""
        check_strength("ggnvp", "lam", lam)
        if mu:
            refuse_strength(self.objective, mu)
        shared = self._shared("v", v)
        Gv = self._mean("Gv", "ggnvp", shared, mu, 0.0)
        return self._plus_penalty(Gv, shared.vector, lam)

    def hvp(self, v: ArrayLike) -> NDArray[Any]:
        """H v, the exact Hessian product; see `rop.Linearization.hvp`."""
        shared = self._shared("v", v)
        return self._plus_penalty(self._mean("Hv", "hvp", shared), shared.vector)

    @property
    def G(self) -> CurvatureOperator:
        """The Gauss-Newton matrix as a SciPy LinearOperator, (n, n), with ``matrix()``."""
        return self._square(self.ggnvp, "G")

    @property
    def H(self) -> CurvatureOperator:
        """The Hessian as a SciPy LinearOperator, (n, n), with ``matrix()``."""
        return self._square(self.hvp, "H")

    @property
    def J(self) -> CurvatureOperator:
        """The Jacobian as a SciPy LinearOperator, (N·m, n), with ``matrix()``."""
        shape = self._outputs_shape()

        def product(v: NDArray[Any]) -> NDArray[Any]:
            return self.jvp(v).reshape(-1, *v.shape[1:])

        def adjoint(u: NDArray[Any]) -> NDArray[Any]:
            return self.vjp(u.reshape(*shape, *u.shape[1:]))

        size = int(np.prod(shape)), self.n
        return CurvatureOperator(
            size, self.dtype, product, adjoint, lambda: self._rows("J", "J.matrix")
        )

    def trace(self, product: str = "ggnvp", vector: ArrayLike | None = None) -> Trace:
        """Refuse: the values of all steps are on the workers.

        Raises
        ------
        RopTypeError
            Always.
        """
        raise RopTypeError(
            "trace: the values are on the workers; linearize objective.local on a few cases"
        )

    def per_case_gradients(self) -> NDArray[Any]:
        """∇f_i of every case's own loss: (N, n), without 1/N and penalty."""
        return self._rows("gradients", "per_case_gradients")

    def diagonal(
        self,
        method: str = "exact",
        seed: int | np.random.Generator = 0,
        mu: float = 0.0,
        distribution: Distribution = "rademacher",
    ) -> NDArray[Any]:
        """Diagonal of G, or an estimate of it; see `rop.Linearization.diagonal`.

        The random numbers of "chapelle-erhan" are others than those of a local objective.
        """
        if mu:
            refuse_strength(self.objective, mu)
        if method == "chapelle-erhan":
            if isinstance(seed, np.random.Generator):
                seed = int(seed.integers(2**63))
            found = self._total("diagonal", "random_diagonal", seed, mu, distribution)
        else:
            found = self._mean("diagonal", "diagonal", method, 0, mu)
        diagonal: NDArray[Any] = found + np.asarray(self.objective.penalty, self.dtype)
        return diagonal

    @property
    def memory(self) -> dict[str, int]:
        """Bytes on all workers together; see `rop.Linearization.memory`."""
        return self._bytes("memory")

    @property
    def predicted_memory(self) -> dict[str, int]:
        """Bytes on all workers together; see `rop.Linearization.predicted_memory`."""
        return self._bytes("predicted_memory")

    def _bytes(self, name: str) -> dict[str, int]:
        found = self._pool.each("memory", "each", self._point, self._theta, name)
        found = [each for each in found if each is not None]
        return {key: sum(each[key] for each in found) for key in found[0]}

    def _total(self, label: str, method: str, *arguments: Any) -> NDArray[Any]:
        found: NDArray[Any] = self._pool.total(label, method, self._point, self._theta, *arguments)
        return found

    def _mean(self, label: str, name: str, *arguments: Any) -> NDArray[Any]:
        return self._total(label, "mean", name, *arguments)

    def _rows(self, label: str, name: str, *arguments: Any, mean: bool = False) -> NDArray[Any]:
        """One value of each part after the other: those that have the cases as axis 0."""
        method = "mean" if mean else "each"
        found = self._pool.each(label, method, self._point, self._theta, name, *arguments)
        return np.concatenate([each for each in found if each is not None])

    def _plus_penalty(self, found: NDArray[Any], v: NDArray[Any], lam: float = 0.0) -> NDArray[Any]:
        diagonal = np.asarray(self.objective.penalty + lam, self.dtype)
        if diagonal.any():
            found = found + (diagonal.reshape(-1, *[1] * (v.ndim - 1)) * v).reshape(found.shape)
        return found

    def _square(self, product: Any, name: str) -> CurvatureOperator:
        def dense() -> NDArray[Any]:
            found = self._mean(name, f"{name}.matrix")
            found[np.diag_indices(self.n)] += np.asarray(self.objective.penalty, self.dtype)
            return found

        return CurvatureOperator((self.n, self.n), self.dtype, product, product, dense)

    def _sizes(self) -> list[int]:
        return [size_of(rows_of(part, self._point.cases)) for part in self._pool.parts]

    def _shares(self) -> list[float]:
        return [size / self.cases for size in self._sizes()]

    def _outputs_shape(self) -> tuple[int, ...]:
        return self.cases, *self.objective.output_shape

    def _shared(self, name: str, v: ArrayLike) -> Shared:
        """Return a vector of θ's space, or K of them; a copy, as it may be sent once more."""
        array = real(name, v, self.dtype)
        if array.shape[:1] != (self.n,) or array.ndim > 2 or 0 in array.shape:
            raise RopValueError(
                f"{name}: expected shape ({self.n},) or ({self.n}, K), got {array.shape}"
            )
        return Shared(array.copy() if array is v else array)

    def _blocks(self, name: str, vectors: ArrayLike) -> Any:
        """Cut vectors of the outputs' space, or K of them, into a block for each part."""
        array, shape = real(name, vectors, self.dtype), self._outputs_shape()
        if array.shape != shape and (array.shape[:-1] != shape or not array.shape[-1]):
            expected = ", ".join(map(str, shape))
            raise RopValueError(
                f"{name}: expected shape ({expected}) or ({expected}, K), got {array.shape}"
            )
        ends = np.cumsum(self._sizes())[:-1]
        return Shared(np.split(array, ends))


def penalty_at(objective: Definition, theta: NDArray[Any]) -> float:
    """Return l2/2 |θ|²."""
    return objective._mean(np.zeros(1), 1, theta)
