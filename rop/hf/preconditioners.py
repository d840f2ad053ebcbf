"""Preconditioners for CG: a diagonal to a power, such as the empirical Fisher's, or none (11)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from rop.errors import RopValueError
from rop.hf.curvature import Diagonal, Operator
from rop.hf.vectors import Vector
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective


class Preconditioner(Protocol):
    """Estimates diag(B), and makes P⁻¹ of it and the damping's diagonal."""

    @property
    def cases(self) -> Literal["gradient", "curvature"]:
        """On which cases the diagonal is estimated."""

    def diagonal(self, at: Linearization, seed: int = 0, mu: float = 0.0, /) -> Vector | None:
        """Return the estimate of diag(B) on some cases; with μ, structural damping's share."""

    def inverse(
        self,
        diagonal: Vector | None,
        damping: Vector | float,
        objective: Objective | None = None,
        /,
    ) -> Operator | None:
        """Return r ↦ P⁻¹r."""


@dataclass(frozen=True)
class NoPreconditioner:
    """P = I; what the authors use for recurrent nets (sec. 11.2)."""

    cases: Literal["gradient", "curvature"] = "gradient"

    def diagonal(self, at: Linearization, seed: int = 0, mu: float = 0.0, /) -> None:
        """Return None: nothing is needed.

        Parameters
        ----------
        at : Linearization
            The objective at θ on some cases.
        seed : int
            Not needed.
        mu : float
            Not taken into account.
        """

    def inverse(
        self,
        diagonal: Vector | None,
        damping: Vector | float,
        objective: Objective | None = None,
        /,
    ) -> None:
        """Return None: CG runs without a preconditioner.

        Parameters
        ----------
        diagonal : None
            Nothing.
        damping : float or ndarray, shape (n,)
            The diagonal of λD.
        objective : Objective, optional
            Not needed.
        """


@dataclass(frozen=True)
class DiagonalPower:
    """P = (diag(d) + κ diag(s))^ξ, d = diag(B) + λ diag(D) (sec. 11.2, errata M58, M62).

    d approximates the diagonal of the *damped* curvature, so it contains λ and the weight decay.
    A subclass says where diag(B) comes from.

    Parameters
    ----------
    exponent : float
        ξ between 0 and 1; P tends to I as ξ tends to 0. Section 13 calls it ψ.
    kappa : float
        κ; 0 with Tikhonov damping.
    relative_kappa : float
        Adds this times the mean of d to κ; 1e-2 where the damping is scale-sensitive (erratum M67).
    scale : mapping of str to float, optional
        s: the coarse scale of each parameter by its name; 1 for those that are not in it.
    cases : str
        Estimate on the cases of the "gradient", or of the "curvature".
    """

    exponent: float = 0.75
    kappa: float = 0.0
    relative_kappa: float = 0.0
    scale: Mapping[str, float] | None = None
    cases: Literal["gradient", "curvature"] = "curvature"

    def __post_init__(self) -> None:
        if not (0 <= self.exponent <= 1 and self.kappa >= 0 and self.relative_kappa >= 0):
            raise RopValueError(
                f"{type(self).__name__}: expected an exponent between 0 and 1, kappa >= 0 and "
                f"relative_kappa >= 0, got {self.exponent}, {self.kappa}, {self.relative_kappa}"
            )
        if self.cases not in ("gradient", "curvature"):
            raise RopValueError(
                f'{type(self).__name__}: cases must be "gradient" or "curvature", got '
                f"{self.cases!r}"
            )

    def inverse(
        self,
        diagonal: Vector | None,
        damping: Vector | float,
        objective: Objective | None = None,
        /,
    ) -> Operator:
        """Return r ↦ P⁻¹r, which reuses one buffer.

        Parameters
        ----------
        diagonal : ndarray, shape (n,)
            The estimate of diag(B).
        damping : float or ndarray, shape (n,)
            The diagonal of λD.
        objective : Objective, optional
            Says where in θ the parameters of ``scale`` are.

        Returns
        -------
        callable, (n,) -> (n,)
            P⁻¹.

        Raises
        ------
        RopValueError
            If P has an entry that is not positive, or ``scale`` names no parameter.
        """
        assert diagonal is not None
        d = diagonal + damping
        kappa = self.kappa + self.relative_kappa * float(d.mean(dtype=np.float64))
        P = d + kappa * self._scale(d.size, objective)
        if not P.min() > 0:
            raise RopValueError(
                f"{type(self).__name__}: d + κ must be positive, but its least entry is "
                f"{P.min():.3g}; give kappa > 0, or a damping with a positive lower bound"
            )
        return Diagonal((P**-self.exponent).astype(diagonal.dtype, copy=False))

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

    It comes along with the gradient at hardly any cost, and never has a zero where the gradient
    has none. It knows nothing of structural damping. Parameters are those of `DiagonalPower`.
    """

    cases: Literal["gradient", "curvature"] = "gradient"

    def diagonal(self, at: Linearization, seed: int = 0, mu: float = 0.0, /) -> Vector:
        """Return diag(F) + l2 on the cases of one linearization.

        Parameters
        ----------
        at : Linearization
            The objective at θ on some cases.
        seed : int
            Not needed.
        mu : float
            Not taken into account.

        Returns
        -------
        ndarray, shape (n,)
            The mean over these cases.
        """
        return at.diagonal("empirical-fisher")
