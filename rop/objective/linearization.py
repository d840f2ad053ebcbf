"""Linearization: all products with J, L'', G and H at one θ and batch, from cached activations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from math import inf
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.engines.execution import Checkpoints, mean_loss
from rop.engines.memory import results
from rop.errors import RopValueError
from rop.objective.products import Products, directions_first
from rop.ops.kernels import Array

if TYPE_CHECKING:
    from rop.engines.cuda.cg import Step
    from rop.objective.objective import Objective
    from rop.objective.operators import CurvatureOperator


class Linearization:
    """F, its Jacobian J and the curvature of f at one θ and one batch of N cases.

    Made by `Objective.linearize`. Vectors of θ's space have the shape (n,), vectors of the outputs'
    space (N, *output shape); each product also takes K directions at once along a new last axis.

    Attributes
    ----------
    objective : Objective
        The objective.
    batch : dict of str to ndarray
        The batch.
    cases : int
        N.
    engine : str
        Name of the engine.
    dtype : dtype
        float32 or float64.
    checkpoints : int or "sqrt"
        Number of segments of the forward sweep of which only the ends are kept; 0: all is kept.
    """

    def __init__(
        self,
        objective: Objective,
        theta: Array,
        batch: Mapping[str, NDArray[Any]],
        cases: int,
        engine: str,
        checkpoints: Checkpoints,
    ) -> None:
        self.objective, self.batch = objective, dict(batch)
        self.cases, self.engine, self.dtype = cases, engine, theta.dtype
        self.n: int = objective.n
        self.checkpoints = checkpoints
        self._algorithms, _ = objective.with_checkpoints(checkpoints)
        # Everything that is handed out is a copy: the memory may serve the next linearization.
        self._lease = objective.lease(cases, engine, theta.dtype, "products", checkpoints)
        self._execution = self._lease.execution
        self._stage = self._execution.stage
        self._product = Products(objective, self._execution, self._algorithms, theta.dtype, engine)
        self._output_shape = self._product.shapes["outputs"]
        self._execution.load(theta, batch, self._algorithms.forward, objective.refuse_batch)

    def __repr__(self) -> str:
        return (
            f"<Linearization of {self.objective!r} at {self.cases} cases, {self.dtype}, engine "
            f"{self.engine}>"
        )

    def __reduce__(self) -> Any:
        """Pickle θ and the batch: the copy is linearized anew."""
        where = (self.theta, self.batch, self.engine, self.dtype, self.checkpoints)
        return self.objective.linearize, where

    @cached_property
    def theta(self) -> NDArray[Any]:
        """The parameters: (n,), read-only."""
        theta = self._execution.theta.copy()
        theta.flags.writeable = False
        return theta

    @property
    def outputs(self) -> NDArray[Any]:
        """F(θ): (N, *output shape)."""
        return self._execution.values(self._algorithms.a[self.objective.z])

    @property
    def value(self) -> float:
        """f(θ), penalty included."""
        self._stage(self._algorithms.loss_value)
        return mean_loss(self._execution, self.objective, self.cases)

    def gradient(self) -> NDArray[Any]:
        """∇f: (n,), by algorithm 1."""
        self._stage(self._algorithms.loss_gradient)
        result = results.empty(self.n, self.dtype)
        plus = (self.objective.l2, self._execution.theta) if self.objective.l2 else None
        nothing = np.empty(0, self.dtype)
        self._execution.product("gradient", 1, nothing, result, "theta", "theta", plus)
        return result

    def jvp(self, v: ArrayLike) -> NDArray[Any]:
        """J v, by R-forward mode (sec. 5); no 1/N.

        Parameters
        ----------
        v : array_like, (n,) or (n, K)
            Directions.

        Returns
        -------
        ndarray, (N, *output shape) or (N, *output shape, K)

        Raises
        ------
        RopTypeError, RopValueError
            If v does not fit, or is not finite.
        """
        return self._product("jvp", v, "v", "theta", "outputs")

    def vjp(self, u: ArrayLike) -> NDArray[Any]:
        """Jᵀ u, by reverse mode, summed over the cases.

        Parameters
        ----------
        u : array_like, (N, *output shape) or (N, *output shape, K)
            Vectors of the outputs' space.

        Returns
        -------
        ndarray, (n,) or (n, K)

        Raises
        ------
        RopTypeError, RopValueError
            If u does not fit, or is not finite.
        """
        return self._product("vjp", u, "u", "outputs", "theta")

    def loss_gradient(self) -> NDArray[Any]:
        """∇L: (N, *output shape), with the 1/N of the mean (table 2, erratum M29)."""
        self._stage(self._algorithms.loss_gradient)
        return self._execution.values(self._algorithms.values["loss gradient"])

    def loss_hvp(self, w: ArrayLike) -> NDArray[Any]:
        """L'' w, with the 1/N of the mean (table 2).

        Parameters
        ----------
        w : array_like, (N, *output shape) or (N, *output shape, K)
            Vectors of the outputs' space.

        Returns
        -------
        ndarray, of w's shape

        Raises
        ------
        RopTypeError, RopValueError
            If w does not fit, or is not finite.
        """
        return self._product("loss_hvp", w, "w", "outputs", "outputs")

    def ggnvp(self, v: ArrayLike, mu: float = 0.0, lam: float = 0.0) -> NDArray[Any]:
        """G v = Jᵀ L'' J v + l2 v, by algorithm 5 (errata M27, M28); damped: (G + μD + λI) v.

        Parameters
        ----------
        v : array_like, (n,) or (n, K)
            Directions.
        mu : float
            Strength of structural damping by the objective's hidden units: D is the Gauss-Newton
            matrix of the mean over cases of the distance d summed over them (sec. 8.4). In the
            paper's updates it is λμ (erratum M46).
        lam : float
            λ of Tikhonov damping (sec. 8.1), which costs no pass over memory here.

        Returns
        -------
        ndarray, of v's shape

        Raises
        ------
        RopTypeError, RopValueError
            If v does not fit, or is not finite; if there is a μ but no hidden units.
        """
        lam += self.objective.l2
        if not mu:
            return self._product("ggnvp", v, "v", "theta", "theta", lam)
        self._refuse_strength(mu)
        with self._execution.lock:
            self._execution.set_strength(mu)
            return self._product("structural", v, "v", "theta", "theta", lam)

    def hvp(self, v: ArrayLike) -> NDArray[Any]:
        """H v, the exact Hessian product, by algorithm 4 (errata M21, M22). Not with checkpoints.

        Parameters
        ----------
        v : array_like, (n,) or (n, K)
            Directions.

        Returns
        -------
        ndarray, of v's shape

        Raises
        ------
        RopTypeError, RopValueError
            If v does not fit, or is not finite.
        """
        if self.checkpoints:
            raise RopValueError(
                "hvp: it needs the adjoints of all nodes, which checkpoints do not keep; use "
                "linearize(..., checkpoints=0), fewer cases at a time, or ggnvp"
            )
        return self._product("hvp", v, "v", "theta", "theta", self.objective.l2)

    def cg_steps(
        self,
        b: Array,
        x0: Array | None = None,
        damping: Array | float = 0.0,
        inverse: Array | None = None,
        *,
        curvature: Literal["ggn", "hessian"] = "ggn",
        mu: float = 0.0,
    ) -> Iterator[Step] | None:
        """Start CG on (B + diag(d)) x = b with all of its vectors on the GPU (alg. 2).

        B is G + μD or H, l2 included, as in `ggnvp` and `hvp`. `rop.hf` uses it.

        Parameters
        ----------
        b : ndarray, (n,)
            The right-hand side.
        x0 : ndarray, (n,), optional
            Where to start; 0 by default.
        damping : float or ndarray, (n,)
            d.
        inverse : ndarray, (n,), optional
            The diagonal of P⁻¹; 1 by default.
        curvature : {"ggn", "hessian"}
            B.
        mu : float
            Strength of structural damping, with "ggn".

        Returns
        -------
        iterator of rop.engines.cuda.cg.Step, or None
            The start, and then one step after the other without end, unless one has a direction
            without positive curvature. None where products take their vectors from the host: with
            the engines of the CPU, and where batch or vectors are too large for the GPU.

        Raises
        ------
        RopTypeError, RopValueError
            If a vector does not fit, or there is a μ but no hidden units.
        """
        if mu:
            self._refuse_strength(mu)
        b = self._vector("b", b)
        x0 = None if x0 is None else self._vector("x0", x0)
        inverse = None if inverse is None else self._vector("inverse", inverse)
        damping = self._vector("damping", damping) if np.ndim(damping) else damping
        name = {"ggn": "structural" if mu else "ggnvp", "hessian": "hvp"}[curvature]
        if self.engine not in ("cuda", "cuda-tf32") or (name == "hvp" and self.checkpoints):
            return None
        from rop.engines.cuda.execution import DeviceExecution

        execution = self._execution
        assert isinstance(execution, DeviceExecution)
        self._product.prepare(name)
        solver = execution.conjugate_gradient(name)
        if solver is None:
            return None
        ready = partial(execution.set_strength, mu) if mu else None
        return self._held(solver.steps(b, x0, damping + self.objective.l2, inverse, ready))

    def _vector(self, what: str, values: ArrayLike) -> Array:
        """Return a vector like θ, of the engine's dtype."""
        array, many = self._product.shaped(values, what, "theta")
        if many is not None:
            raise RopValueError(f"{what}: expected shape ({self.n},), got {array.shape}")
        return array

    def _held(self, steps: Iterator[Step]) -> Iterator[Step]:
        """As long as somebody asks for steps, the memory does not serve another linearization."""
        yield from steps

    @property
    def G(self) -> CurvatureOperator:
        """The Gauss-Newton matrix as a SciPy LinearOperator, (n, n), with ``matrix()``."""
        from rop.objective.operators import gauss_newton

        return gauss_newton(self)

    @property
    def H(self) -> CurvatureOperator:
        """The Hessian as a SciPy LinearOperator, (n, n), with ``matrix()``."""
        from rop.objective.operators import hessian

        return hessian(self)

    @property
    def J(self) -> CurvatureOperator:
        """The Jacobian as a SciPy LinearOperator, (N·m, n), with ``matrix()``."""
        from rop.objective.operators import jacobian

        return jacobian(self)

    def per_case_gradients(self) -> NDArray[Any]:
        """∇f_i of every case's own loss, without 1/N and penalty.

        Returns
        -------
        ndarray, (N, n)
            Their mean, plus l2 θ, is the gradient. One row where the outputs have no case axis.
        """
        return self.rows(self._output_shape[0] * self.loss_gradient()[..., None])[:, 0]

    def diagonal(
        self,
        method: str = "exact",
        seed: int | np.random.Generator = 0,
        mu: float = 0.0,
    ) -> NDArray[Any]:
        """Diagonal of G, or an estimate of it, l2 included (sec. 11.2-11.4).

        Parameters
        ----------
        method : {"exact", "chapelle-erhan", "empirical-fisher"}
            One reverse sweep for each output; one reverse sweep with random signs, whose mean is
            exact (alg. 7); or the mean over cases of the squared per-case gradients (alg. 6,
            erratum M59), which estimates another matrix.
        seed : int or Generator
            Of the random signs.
        mu : float
            Strength of structural damping (see `ggnvp`), which "chapelle-erhan" takes into account.

        Returns
        -------
        ndarray, (n,)

        Raises
        ------
        RopValueError
            If there is no such method, or the loss has no PSD L'' to take the root of; if there is
            a μ but no hidden units, or the method cannot take it into account.
        """
        from rop.objective import diagonals

        if mu:
            self._refuse_strength(mu)
        return diagonals.diagonal(self, method, seed, mu)

    @property
    def memory(self) -> dict[str, int]:
        """Bytes: "theta", "batch", "cached" (kept for the products), "work" (temporaries)."""
        return self._execution.memory

    @property
    def predicted_memory(self) -> dict[str, int]:
        """Bytes that the memory plans foresee, before anything is allocated: "cached", "work"."""
        return self._execution.predicted()

    def rows(self, u: ArrayLike) -> NDArray[Any]:
        """J_iᵀ u_i for every case i apart, not summed over the cases.

        Parameters
        ----------
        u : array_like, (N, *output shape, K)
            Vectors of the outputs' space.

        Returns
        -------
        ndarray, (N, K, n)
        """
        array, many = self._product.checked(u, "u", "outputs")
        K = many or 1
        result = np.empty((self._output_shape[0], K, self.n), self.dtype)
        flat = directions_first(array, many)
        self._execution.product("rows", K, flat, result.reshape(-1), "outputs", "outputs")
        return result

    def squares(self, u: ArrayLike) -> NDArray[Any]:
        """Sum over cases i and directions of the squared elements of J_iᵀ u_i (alg. 6 and 7).

        Parameters
        ----------
        u : array_like, (N, *output shape, K)
            Vectors of the outputs' space.

        Returns
        -------
        ndarray, (n,)
        """
        array, many = self._product.checked(u, "u", "outputs")
        total = np.zeros(self.n, self.dtype)
        for start, stop in self._execution.chunks("squares", many or 1):
            flat = directions_first(array[..., start:stop] if many else array, many)
            part = np.empty(self.n, self.dtype)
            self._execution.product("squares", stop - start, flat, part, "outputs", "theta")
            total += part
        return total

    def structural_squares(self, u: ArrayLike, signs: Sequence[Array]) -> NDArray[Any]:
        """As `squares`, of the rows that arise from u and from one array for each hidden unit.

        Parameters
        ----------
        u : array_like, (N, *output shape)
            A vector of the outputs' space.
        signs : sequence of ndarray, (N, *shape of the unit)
            Vectors of the spaces of the hidden units.

        Returns
        -------
        ndarray, (n,)
        """
        array, _ = self._product.checked(u, "u", "outputs")
        total = np.empty(self.n, self.dtype)
        with self._execution.lock:
            for i, given in enumerate(signs):
                self._execution.give(f"signs {i}", given)
            flat = array.reshape(-1)
            self._execution.product("structural squares", 1, flat, total, "outputs", "theta")
        return total

    def hidden_weights(self) -> list[NDArray[Any]]:
        """Second derivatives of the distance that structural damping measures (erratum M47).

        Returns
        -------
        list of ndarray, (N, *shape of the unit)
            For each hidden unit, with respect to that at which its term enters.
        """
        weights = []
        for node in self.objective.hidden:
            if self.objective.distance == "matching":
                weights.append(self._execution.values(self._algorithms.slope(node)))
            else:
                weights.append(np.ones((self._output_shape[0], *node.shape), self.dtype))
        return weights

    def loss_hessians(self) -> NDArray[Any]:
        """L'' of each case as a matrix, with 1/N, convex if the loss asks for it (sec. 6.3).

        Returns
        -------
        ndarray, (N, m, m)
        """
        return self._product.loss_hessians("loss_hvp")

    def _refuse_strength(self, mu: float) -> None:
        if not (isinstance(mu, Real) and 0.0 < mu < inf):
            raise RopValueError(f"mu: expected a finite number >= 0, got {mu!r}")
        if not self.objective.hidden:
            raise RopValueError(
                f"mu: structural damping (mu={mu:g}) needs hidden units; give them to the "
                "objective: rop.Objective(z, loss, hidden=[h1, h2])"
            )

    def loss_weight(self) -> NDArray[Any]:
        """Weights of the loss: (N or 1, *weight shape); ones where the loss has none."""
        weight = getattr(self.objective.loss, "weight", None)
        if weight is None:
            return np.ones(1, self.dtype)
        return self._execution.values(self._algorithms.a[weight])
