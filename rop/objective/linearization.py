"""Linearization: all products with J, L'', G and H at one θ and batch, from cached activations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.errors import RopValueError
from rop.objective.definition import Definition
from rop.objective.diagonals import Distribution, diagonal
from rop.objective.inputs import check_strength
from rop.objective.operators import CurvatureOperator, gauss_newton, hessian, jacobian
from rop.objective.per_case import rows
from rop.objective.products import Products, gradient
from rop.objective.recording import Trace
from rop.ops.kernels import Array
from rop.programs.checkpointing import Checkpoints
from rop.support.display import Displayed
from rop.support.words import counted


class Linearization(Displayed):
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

    Examples
    --------
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> at = objective.linearize([3.0, 4.0, 0.0], {"x": np.eye(2), "t": [[1.0], [0.0]]})
    >>> at.value, at.gradient()
    (5.0, array([1., 2., 3.]))
    >>> at.jvp([1.0, 0.0, 1.0])
    array([[2.],
           [1.]])
    >>> at.ggnvp([1.0, 0.0, 1.0])
    array([1. , 0.5, 1.5])
    >>> at.G.matrix()
    array([[0.5, 0. , 0.5],
           [0. , 0.5, 0.5],
           [0.5, 0.5, 1. ]])
    """

    _local: ClassVar[bool] = True
    """Whether products are computed in this process, from vectors in its memory."""

    def __init__(
        self,
        objective: Definition,
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
        self._products = Products(objective, theta, batch, cases, engine, checkpoints)
        self._execution, self._programs = self._products.execution, self._products.programs

    def __repr__(self) -> str:
        return (
            f"<Linearization of {self.objective!r} at {counted(self.cases, 'case')}, {self.dtype}, "
            f"engine {self.engine}>"
        )

    def __reduce__(self) -> Any:
        """Pickle θ and the batch: the copy is linearized anew."""
        theta, batch, cases = self.theta, self.batch, self.cases
        return type(self), (self.objective, theta, batch, cases, self.engine, self.checkpoints)

    @cached_property
    def theta(self) -> NDArray[Any]:
        """The parameters: (n,), read-only."""
        theta = self._execution.theta.copy()
        theta.flags.writeable = False
        return theta

    @property
    def outputs(self) -> NDArray[Any]:
        """F(θ): (N, *output shape)."""
        return self._products.outputs

    @property
    def value(self) -> float:
        """f(θ), penalty included."""
        self._execution.stage(self._programs.loss_value)
        return self.objective._mean(self._execution.losses(), self.cases, self.theta)

    def gradient(self) -> NDArray[Any]:
        """∇f: (n,), by algorithm 1."""
        self._execution.stage(self._programs.loss_gradient)
        return gradient(self.objective, self._execution)

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
        return self._products("jvp", v)

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
        return self._products("vjp", u)

    def loss_gradient(self) -> NDArray[Any]:
        """∇L: (N, *output shape), with the 1/N of the mean (table 2, erratum M29)."""
        return self._products.loss_gradient()

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
        return self._products("loss_hvp", w)

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
        check_strength("ggnvp", "lam", lam)
        diagonal = lam + self.objective.penalty
        if not mu:
            return self._products("ggnvp", v, diagonal)
        refuse_strength(self.objective, mu)
        with self._execution.lock:
            self._execution.set_strength(mu)
            return self._products("structural", v, diagonal)

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
        return self._products("hvp", v, self.objective.penalty)

    @property
    def G(self) -> CurvatureOperator:
        """The Gauss-Newton matrix as a SciPy LinearOperator, (n, n), with ``matrix()``."""
        return gauss_newton(self._products, self.ggnvp)

    @property
    def H(self) -> CurvatureOperator:
        """The Hessian as a SciPy LinearOperator, (n, n), with ``matrix()``."""
        return hessian(self._products, self.hvp)

    @property
    def J(self) -> CurvatureOperator:
        """The Jacobian as a SciPy LinearOperator, (N·m, n), with ``matrix()``."""
        return jacobian(self._products, self.jvp, self.vjp)

    def trace(self, product: str = "ggnvp", vector: ArrayLike | None = None) -> Trace:
        """Run a product on the NumPy engine, and keep the values that it goes through.

        Parameters
        ----------
        product : {"gradient", "jvp", "vjp", "loss_hvp", "ggnvp", "hvp"}
            The product.
        vector : array_like, (n,) or (N, *output shape)
            Its v, u or w; none for the gradient.

        Returns
        -------
        Trace
            From the names of `rop.explain`'s listing, and from nodes, to arrays.

        Raises
        ------
        RopTypeError, RopValueError
            If there is no such product, or the vector does not fit it.
        RopMemoryError
            If the values of all steps do not fit into memory.

        Examples
        --------
        >>> x, z = rop.nets.mlp([2, 1])
        >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
        >>> at = objective.linearize([3.0, 4.0, 0.0], {"x": np.eye(2), "t": [[1.0], [0.0]]})
        >>> trace = at.trace("ggnvp", [1.0, 0.0, 1.0])
        >>> trace["Rz"]
        array([[2.],
               [1.]])
        """
        return Trace(self.objective, self.theta, self.batch, self.cases, product, vector)

    def per_case_gradients(self) -> NDArray[Any]:
        """∇f_i of every case's own loss, without 1/N and penalty.

        Returns
        -------
        ndarray, (N, n)
            Their mean, plus l2 θ, is the gradient. One row where the outputs have no case axis.
        """
        cases = self._products.shapes["outputs"][0]
        return rows(self._products, cases * self.loss_gradient()[..., None])[:, 0]

    def diagonal(
        self,
        method: str = "exact",
        seed: int | np.random.Generator = 0,
        mu: float = 0.0,
        distribution: Distribution = "rademacher",
    ) -> NDArray[Any]:
        """Diagonal of G, or an estimate of it, l2 included (sec. 11.2-11.4).

        Parameters
        ----------
        method : {"exact", "chapelle-erhan", "empirical-fisher"}
            One reverse sweep for each output; one reverse sweep with random numbers, whose mean is
            exact (alg. 7); or the mean over cases of the squared per-case gradients (alg. 6,
            erratum M59), which estimates another matrix.
        seed : int or Generator
            Of the random numbers.
        mu : float
            Strength of structural damping (see `ggnvp`), which "chapelle-erhan" takes into account.
        distribution : {"rademacher", "gaussian"}
            The random numbers of "chapelle-erhan": signs, or numbers from a normal distribution.

        Returns
        -------
        ndarray, (n,)

        Raises
        ------
        RopValueError
            If there is no such method, or the loss has no PSD L'' to take the root of; if there is
            a μ but no hidden units, or the method cannot take it into account.
        """
        if mu:
            refuse_strength(self.objective, mu)
        return diagonal(self._products, method, seed, mu, distribution)

    @property
    def memory(self) -> dict[str, int]:
        """Bytes: "theta", "batch", "cached" (kept for the products), "work" (temporaries)."""
        return self._execution.memory

    @property
    def predicted_memory(self) -> dict[str, int]:
        """Bytes that the memory plans foresee, before anything is allocated: "cached", "work"."""
        return self._execution.predicted()


def products_of(at: Linearization) -> Products:
    """What a linearization computes its products with, for the parts of rop that build on it."""
    return at._products


def refuse_strength(objective: Definition, mu: float) -> None:
    """Raise an error if mu is no strength of structural damping, or there are no hidden units."""
    check_strength("ggnvp", "mu", mu)
    if not objective.hidden:
        raise RopValueError(
            f"mu: structural damping (mu={mu:g}) needs hidden units; give them to the "
            "objective: rop.Objective(z, loss, hidden=[h1, h2])"
        )
