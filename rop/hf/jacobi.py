"""Preconditioners from the diagonal of G itself: exact, estimated, or one's own (sec. 11)."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from rop.errors import RopValueError
from rop.hf.preconditioners import DiagonalPower
from rop.hf.vectors import Vector
from rop.objective.diagonals import root
from rop.objective.linearization import Linearization


@dataclass(frozen=True)
class ExactDiagonal(DiagonalPower):
    """diag(B) = diag(G) itself, at one reverse sweep for each output (sec. 11.2).

    Parameters are those of `DiagonalPower`.
    """

    def diagonal(self, at: Linearization, seed: int = 0, mu: float = 0.0, /) -> Vector:
        """Return diag(G) on the cases of one linearization.

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
            The diagonal, l2 included.
        """
        return at.diagonal("exact")


@dataclass(frozen=True)
class ChapelleErhan(DiagonalPower):
    """diag(B) estimated as the mean of sq(Jᵀ S v) over random v, L'' = SSᵀ (alg. 7, erratum M61).

    It is unbiased for diag(G), at one reverse sweep for each v, but may be far too small for some
    parameters: give κ > 0 where λ is small. Parameters are those of `DiagonalPower`, and

    Parameters
    ----------
    probes : int
        The number of v's to average over, drawn anew at each iteration and for each case.
    distribution : str
        "rademacher" for signs, which has the smaller variance, or "gaussian".
    """

    probes: int = 1
    distribution: Literal["rademacher", "gaussian"] = "rademacher"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probes < 1 or self.distribution not in ("rademacher", "gaussian"):
            raise RopValueError(
                'ChapelleErhan: expected probes >= 1 and distribution "rademacher" or "gaussian", '
                f"got {self.probes} and {self.distribution!r}"
            )

    def diagonal(self, at: Linearization, seed: int = 0, mu: float = 0.0, /) -> Vector:
        """Return the estimate of diag(G) on the cases of one linearization.

        Parameters
        ----------
        at : Linearization
            The objective at θ on some cases.
        seed : int
            Of the v's.
        mu : float
            The strength of structural damping, whose share is estimated too.

        Returns
        -------
        ndarray, shape (n,)
            The estimate, l2 included.

        Raises
        ------
        RopValueError
            If L'' is not positive semidefinite, so that it has no real root; or if structural
            damping meets Gaussian v's.
        """
        rng = np.random.default_rng(seed)
        if self.distribution == "rademacher":
            draws = [at.diagonal("chapelle-erhan", rng, mu) for _ in range(self.probes)]
            return np.mean(draws, axis=0, dtype=np.float64).astype(at.dtype)
        S, signs = root(at)
        if mu or (signs < 0).any():
            raise RopValueError(
                "ChapelleErhan: Gaussian v's need a positive semidefinite L'', and no structural "
                'damping; use ExactDiagonal(), or distribution="rademacher"'
            )
        shape = (*at.outputs.shape, self.probes)
        v = (rng.standard_normal(shape) / sqrt(self.probes)).astype(at.dtype)
        estimate: Vector = at.squares(S(v)) + at.dtype.type(at.objective.l2)
        return estimate


@dataclass(frozen=True)
class GivenDiagonal(DiagonalPower):
    """diag(B) from a function of one's own. Parameters are those of `DiagonalPower`, and.

    Parameters
    ----------
    estimate : callable, Linearization -> ndarray, shape (n,)
        The estimate at θ on some cases, l2 included. Being a function, it cannot be stored in a
        log.
    """

    estimate: Callable[[Linearization], Vector] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimate is None:
            raise RopValueError("GivenDiagonal: give estimate=, a function of a linearization")

    def diagonal(self, at: Linearization, seed: int = 0, mu: float = 0.0, /) -> Vector:
        """Return what the function says.

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
            The estimate.

        Raises
        ------
        RopValueError
            If it is of another shape.
        """
        assert self.estimate is not None
        found = np.asarray(self.estimate(at), at.dtype)
        if found.shape != (at.n,):
            raise RopValueError(
                f"GivenDiagonal: estimate must return shape ({at.n},), got {found.shape}"
            )
        return found
