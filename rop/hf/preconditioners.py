"""Preconditioners for CG: the empirical Fisher diagonal to a power, or none (sec. 11)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rop.errors import RopValueError
from rop.hf.cg import Operator
from rop.hf.vectors import Vector
from rop.linearization import Linearization


class Preconditioner(Protocol):
    """Estimates diag(B) along with the gradient and makes P⁻¹ of it."""

    def diagonal(self, at: Linearization, /) -> Vector | None:
        """Return the estimate of diag(B) on the cases of one linearization."""

    def inverse(self, diagonal: Vector | None, damping: Vector | float, /) -> Operator | None:
        """Return r ↦ P⁻¹r."""


@dataclass(frozen=True)
class NoPreconditioner:
    """P = I; what the authors use for recurrent nets (sec. 11.2)."""

    def diagonal(self, at: Linearization, /) -> None:
        """Return None: nothing is needed.

        Parameters
        ----------
        at : Linearization
            The objective at θ on some cases.
        """

    def inverse(self, diagonal: Vector | None, damping: Vector | float, /) -> None:
        """Return None: CG runs without a preconditioner.

        Parameters
        ----------
        diagonal : None
            Nothing.
        damping : float or ndarray, shape (n,)
            The diagonal of λD.
        """


@dataclass(frozen=True)
class EmpiricalFisher:
    """P = (diag(d) + κI)^ξ, d = diag(F) + l2 + λ diag(D) (sec. 11.2 and 11.3, alg. 6).

    diag(F) = (1/N) Σ sq(∇f_i) over the cases of the gradient (erratum M59). d approximates the
    diagonal of the *damped* curvature, so it contains λ and the weight decay.

    Parameters
    ----------
    exponent : float
        ξ between 0 and 1; P tends to I as ξ tends to 0.
    kappa : float
        κ; about 1e-2 times the mean of d where the damping is scale-sensitive, else 0.
    """

    exponent: float = 0.75
    kappa: float = 0.0

    def diagonal(self, at: Linearization, /) -> Vector:
        """Return diag(F) + l2 on the cases of one linearization.

        Parameters
        ----------
        at : Linearization
            The objective at θ on some cases.

        Returns
        -------
        ndarray, shape (n,)
            The mean over these cases.
        """
        return at.diagonal("empirical-fisher")

    def inverse(self, diagonal: Vector | None, damping: Vector | float, /) -> Operator:
        """Return r ↦ P⁻¹r, which reuses one buffer.

        Parameters
        ----------
        diagonal : ndarray, shape (n,)
            diag(F) + l2.
        damping : float or ndarray, shape (n,)
            The diagonal of λD.

        Returns
        -------
        callable, (n,) -> (n,)
            P⁻¹.

        Raises
        ------
        RopValueError
            If P has an entry that is not positive.
        """
        assert diagonal is not None
        P = diagonal + damping + self.kappa
        if not P.min() > 0:
            raise RopValueError(
                f"EmpiricalFisher: d + κ must be positive, but its least entry is {P.min():.3g}; "
                "give kappa > 0, or a damping with a positive lower bound"
            )
        inverse = (P**-self.exponent).astype(diagonal.dtype, copy=False)
        y = np.empty_like(inverse)

        def solve(r: Vector) -> Vector:
            return np.multiply(inverse, r, out=y)

        return solve
