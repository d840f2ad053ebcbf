"""The state between two iterations of HF, and the reasons why a run ends."""

from dataclasses import dataclass
from math import nan
from typing import Literal, TypeAlias

from rop.hf.growth import Grown
from rop.hf.length import Limit
from rop.hf.moments import Averages
from rop.hf.vectors import Vector

Ended: TypeAlias = Literal[
    "gradient", "precision", "not finite", "rejected", "undefined", "validation"
]


@dataclass(frozen=True)
class State:
    """The state between two iterations; with data and recipe it determines the rest of the run.

    Attributes
    ----------
    iteration : int
        The number of the next iteration, which determines the batches.
    theta : ndarray, shape (n,)
        θ.
    lam : float
        λ.
    mu : float
        μ, the strength of structural damping.
    radius : float or None
        The trust region's radius; None without one.
    start : ndarray, shape (n,), or None
        The iterate of CG whose ζ-fold is the next run's x_0; None for x_0 = 0.
    rejected : int
        The number of updates rejected in a row.
    f : float
        f(θ) on the cases of the latest gradient; NaN before the first.
    best : ndarray, shape (n,), or None
        The θ with the lowest f on the validation data; None without such data.
    f_best : float
        That f.
    best_iteration : int
        The number of iterations that led to this θ.
    limit : Limit or None
        The limit of CG's next run; None if it is not adapted.
    pairs : ndarray, shape (k, 2, n), or None
        The quasi-Newton pairs s and y, the latest last; None for none.
    diagonal : ndarray, shape (n,), or None
        The latest diagonal of the preconditioner, which steps of L-BFGS use again.
    gradient_norm : float
        ‖∇f‖ at the θ of the iteration before; NaN before the first.
    grown : Grown
        How much the curvature's cases have grown.
    averages : Averages or None
        m and v of Adaptive HF; None before the first iteration, and without it.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> hf = rop.hf.HessianFree(f, [-1.2, 1.0], {}, dtype=np.float64)
    >>> it = next(hf)
    >>> hf.state.iteration, hf.state.theta, hf.state.radius
    (1, array([-1.1752... ,  1.3806...]), 1.0)
    """

    iteration: int
    theta: Vector
    lam: float
    mu: float
    radius: float | None
    start: Vector | None
    rejected: int
    f: float
    best: Vector | None = None
    f_best: float = nan
    best_iteration: int = 0
    averages: Averages | None = None
    limit: Limit | None = None
    pairs: Vector | None = None
    diagonal: Vector | None = None
    grown: Grown = Grown()
    gradient_norm: float = nan

    @property
    def seed(self) -> int:
        """The seed of the iteration's random numbers; pieces of the batch add their numbers."""
        return self.iteration << 32
