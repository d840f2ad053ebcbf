"""Preconditioners for CG: diag(B), estimated or exact, to a power; or none (sec. 11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import numpy as np

from rop.errors import RopValueError
from rop.hf.curvature import Diagonal, Operator
from rop.hf.policy import Policy, UndefinedError
from rop.hf.vectors import Vector
from rop.objective.diagonals import Distribution, IndefiniteError
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
from rop.support.constraints import Count, NotNegative, Real


class Preconditioner(Protocol):
    """Estimates diag(B), and makes P⁻¹ of it and the diagonal of the damping matrix."""

    @property
    def cases(self) -> Literal["gradient", "curvature"]:
        """The cases that the estimate uses."""

    def diagonal(self, at: Linearization, seed: int = 0, mu: float = 0.0, /) -> Vector | None:
        """Return an estimate of diag(B), or None if P does not need it.

        Parameters
        ----------
        at : Linearization
            The objective at θ on some cases.
        seed : int
            The seed of random estimates.
        mu : float
            The strength of structural damping.

        Returns
        -------
        ndarray, shape (n,), or None
            The estimate, l2 included.
        """

    def inverse(
        self,
        diagonal: Vector | None,
        damping: Vector | float,
        objective: Objective | None = None,
        /,
    ) -> Operator | None:
        """Return r ↦ P⁻¹r, or None for P = I.

        Parameters
        ----------
        diagonal : ndarray, shape (n,), or None
            The estimate of diag(B).
        damping : float or ndarray, shape (n,)
            The diagonal of λD.
        objective : Objective, optional
            Knows which part of θ belongs to which parameter.

        Returns
        -------
        callable, (n,) -> (n,), or None
            P⁻¹. It may return the same buffer each time.
        """


@dataclass(frozen=True)
class NoPreconditioner(Policy):
    """P = I, the authors' choice for recurrent nets (sec. 11.2).

    >>> recipe = rop.hf.Recipe(preconditioner=rop.hf.NoPreconditioner())
    >>> print(rop.hf.Recipe().diff(recipe))
    preconditioner: EmpiricalFisher() -> NoPreconditioner()
    """

    cases: Literal["gradient", "curvature"] = "gradient"

    def diagonal(self, at: Linearization, seed: int = 0, mu: float = 0.0, /) -> None:
        """Return None; see `Preconditioner`."""

    def inverse(
        self,
        diagonal: Vector | None,
        damping: Vector | float,
        objective: Objective | None = None,
        /,
    ) -> None:
        """Return None; see `Preconditioner`."""


@dataclass(frozen=True)
class DiagonalPower(Policy):
    """P = (diag(d) + κ diag(s))^ξ, d = diag(B) + λ diag(D) (sec. 11.2, errata M58, M62).

    d approximates the diagonal of the *damped* curvature, so it contains λ and the weight decay.
    Subclasses estimate diag(B).

    Parameters
    ----------
    exponent : float
        ξ between 0 and 1; P tends to I as ξ tends to 0. Section 13 calls it ψ.
    kappa : float
        κ; 0 with Tikhonov damping.
    relative_kappa : float
        Adds this times the mean of d over each parameter's array to κ: small estimates from few
        cases are not trusted, and each array keeps its scale; 1e-2 where the damping is
        scale-sensitive (erratum M67).
    scale : mapping of str to float, optional
        s: the coarse scale of each parameter by its name; 1 for all others.
    cases : str
        Estimate on the cases of the "gradient" or of the "curvature".
    """

    exponent: Annotated[float, Real(at_least=0, at_most=1)] = 0.75
    kappa: NotNegative = 0.0
    relative_kappa: NotNegative = 0.0
    scale: Mapping[str, NotNegative] | None = None
    cases: Literal["gradient", "curvature"] = "curvature"

    def inverse(
        self,
        diagonal: Vector | None,
        damping: Vector | float,
        objective: Objective | None = None,
        /,
    ) -> Operator | None:
        """Return r ↦ P⁻¹r, which reuses one buffer, or None if d is 0; see `Preconditioner`.

        Raises
        ------
        UndefinedError
            If P has an entry that is not positive.
        RopValueError
            If ``scale`` names no parameter.
        """
        if diagonal is None:
            return None
        d = diagonal + damping
        if not d.any():
            return None  # no scale is known, or it is too small for the dtype
        means = self._means(d, objective) if self.relative_kappa else 0.0
        P = d + (self.kappa + self.relative_kappa * means) * self._scale(d.size, objective)
        if not P.min() > 0:
            raise UndefinedError(
                f"{type(self).__name__}: d + κ must be positive, but its least entry is "
                f"{P.min():.3g}; give kappa > 0, or a damping with a positive lower bound"
            )
        return Diagonal((P**-self.exponent).astype(diagonal.dtype, copy=False))

    def _means(self, d: Vector, objective: Objective | None) -> Vector | float:
        """Return the mean of d over the array of each entry.

        It is the mean over all if it is 0. No mean is less than the rounding error of the mean over
        all: where a saturated model leaves 1e-100 of d, P⁻¹ would magnify rounding errors.
        """
        mean = float(d.mean(dtype=np.float64))
        if objective is None:
            return mean
        least = float(np.finfo(d.dtype).eps) * mean
        means = np.empty(d.size)
        for place in objective.slices.values():
            means[place] = max(float(d[place].mean(dtype=np.float64)) or mean, least)
        return means

    def _scale(self, n: int, objective: Objective | None) -> Vector | float:
        if self.scale is None:
            return 1.0
        slices = {} if objective is None else objective.slices
        unknown = sorted(self.scale.keys() - slices.keys())
        if unknown:
            raise RopValueError(
                f"{type(self).__name__}: scale names {unknown}, but the parameters are "
                f"{list(slices)}"
            )
        s = np.ones(n)
        for name, value in self.scale.items():
            s[slices[name]] = value
        return s


@dataclass(frozen=True)
class EmpiricalFisher(DiagonalPower):
    """diag(B) from the empirical Fisher: (1/N) Σ sq(∇f_i) + l2 (alg. 6, erratum M59).

    On the gradient's cases it comes with the gradient at almost no cost, and no entry is 0 where
    the gradient is not. It ignores structural damping. Without data there is one case, which tells
    nothing about diag(B): then P is I. The parameters are those of `DiagonalPower`; κ is a tenth of
    the mean, because few cases tell little about parameters that they hardly use.

    >>> recipe = rop.hf.Recipe(preconditioner=rop.hf.EmpiricalFisher(exponent=1.0))
    >>> print(rop.hf.Recipe().diff(recipe))
    preconditioner.exponent: 0.75 -> 1.0
    """

    relative_kappa: NotNegative = 0.1

    def diagonal(self, at: Linearization, seed: int = 0, mu: float = 0.0, /) -> Vector | None:
        """Return diag(F) + l2, or None without data; see `Preconditioner`."""
        return at.diagonal("empirical-fisher") if at.objective.data_shapes else None


@dataclass(frozen=True)
class ExactDiagonal(DiagonalPower):
    """diag(B) = diag(G), at one reverse sweep for each output (sec. 11.2).

    It cannot be used with structural damping, whose diagonal it does not have. The parameters are
    those of `DiagonalPower`.

    >>> recipe = rop.hf.Recipe(preconditioner=rop.hf.ExactDiagonal())
    >>> print(rop.hf.Recipe().diff(recipe))
    preconditioner: EmpiricalFisher() -> ExactDiagonal()
    """

    def diagonal(self, at: Linearization, seed: int = 0, mu: float = 0.0, /) -> Vector:
        """Return diag(G); see `Preconditioner`."""
        return at.diagonal("exact", mu=mu)


@dataclass(frozen=True)
class ChapelleErhan(DiagonalPower):
    """diag(B) estimated as the mean of sq(Jᵀ S v) over random v, L'' = SSᵀ (alg. 7, erratum M61).

    The estimate of diag(G) is unbiased and costs one reverse sweep for each v, but it may be far
    too small for some parameters: give κ > 0 where λ is small. It has the parameters of
    `DiagonalPower` and these:

    Parameters
    ----------
    probes : int
        The number of v's to average over, drawn anew at each iteration and for each case.
    distribution : str
        "rademacher" for random signs, which have the smaller variance, or "gaussian".

    Examples
    --------
    >>> recipe = rop.hf.Recipe(preconditioner=rop.hf.ChapelleErhan())
    >>> print(rop.hf.Recipe().diff(recipe))
    preconditioner: EmpiricalFisher() -> ChapelleErhan()
    """

    probes: Count = 1
    distribution: Distribution = "rademacher"

    def diagonal(self, at: Linearization, seed: int = 0, mu: float = 0.0, /) -> Vector:
        """Return the estimate of diag(G), structural damping included; see `Preconditioner`.

        Raises
        ------
        UndefinedError
            If L'' is not positive semidefinite, so that it has no real root.
        RopValueError
            If structural damping is used with Gaussian v's.
        """
        rng = np.random.default_rng(seed)
        try:
            draws = [
                at.diagonal("chapelle-erhan", rng, mu, self.distribution)
                for _ in range(self.probes)
            ]
        except IndefiniteError:
            raise UndefinedError(
                "ChapelleErhan: needs a positive semidefinite L''; use ExactDiagonal(), or give "
                'the loss convexify="eigen"'
            ) from None
        return np.mean(draws, axis=0, dtype=np.float64).astype(at.dtype)


@dataclass(frozen=True)
class GivenDiagonal(DiagonalPower):
    """diag(B) from your own function.

    It has the parameters of `DiagonalPower` and this one:

    Parameters
    ----------
    estimate : callable, Linearization -> ndarray, shape (n,)
        The estimate at θ on some cases, l2 included. A log cannot store it, as it is a function.

    Examples
    --------
    >>> mine = rop.hf.GivenDiagonal(estimate=lambda at: at.diagonal("exact"))
    >>> recipe = rop.hf.Recipe(preconditioner=mine)
    """

    estimate: Callable[[Linearization], Vector] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimate is None:
            raise RopValueError("GivenDiagonal: give estimate=, a function of a linearization")

    def diagonal(self, at: Linearization, seed: int = 0, mu: float = 0.0, /) -> Vector:
        """Return what the function returns; see `Preconditioner`.

        Raises
        ------
        RopValueError
            If its shape is not (n,).
        """
        assert self.estimate is not None
        found = np.asarray(self.estimate(at), at.dtype)
        if found.shape != (at.n,):
            raise RopValueError(
                f"GivenDiagonal: estimate must return shape ({at.n},), got {found.shape}"
            )
        return found
