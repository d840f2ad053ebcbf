"""The progress and the solution of a run of CG, or of another solver of the quadratic model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from rop.hf.vectors import Vector

Reason: TypeAlias = Literal[
    "progress",
    "residual",
    "steps",
    "pairs",
    "negative curvature",
    "not finite",
    "boundary",
    "f rose",
    "subspace",
]


@dataclass(frozen=True)
class Iterate:
    """An iterate x of CG, its number of steps, and q(x), with q(0) = 0."""

    steps: int
    x: Vector
    q: float


def hidden(q: float, f: float, x: Vector) -> bool:
    """Return whether the gain -q(x) is below the rounding error of f in the arithmetic of x."""
    return -q <= float(np.finfo(x.dtype).eps) * abs(f)


@dataclass
class Progress:
    """What a stopping rule sees after each step.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The present iterate; it changes in place: copy it to keep it.
    q : list of float
        q(x_0), ..., q(x_j).
    residual : float
        ‖Ax - b‖, from CG's recursion.
    """

    x: Vector
    q: list[float]
    residual: float

    @property
    def steps(self) -> int:
        """The number of steps done, j."""
        return len(self.q) - 1


StopRule: TypeAlias = Callable[[Progress], Reason | None]
"""Called after each step; returns the reason to stop, or None to go on."""


@dataclass(frozen=True)
class Solution:
    """The result of a run of CG.

    Attributes
    ----------
    iterates : list of Iterate
        The wanted iterates in order of their steps, the last iterate always among them.
    reason : str
        Why CG stopped: "progress", "residual", "steps", "negative curvature", "not finite",
        "boundary" of the trust region, "f rose", "subspace" (searched to the end), or "pairs": it
        is a step of L-BFGS, without CG.
    q : list of float
        q(x_0), ..., q(x_steps).
    residual : float
        ‖Ax - b‖ at the end, from CG's recursion.
    products : int
        The number of products with A.
    multiplier : float or None
        In a trust region the λ >= 0 with (A + λP)x = b, if the solver computes it.
    pairs : tuple of (ndarray, ndarray)
        (p, Ap) of some of CG's directions, if they were asked for.

    Examples
    --------
    >>> solution = rop.hf.pcg(np.diag([1.0, 2.0, 4.0]), np.ones(3), residual=1e-10)
    >>> solution.reason, solution.products
    ('residual', 3)
    >>> solution.iterates[-1].x, solution.q[-1]
    (array([1.  , 0.5 , 0.25]), -0.8749...)
    """

    iterates: list[Iterate]
    reason: Reason
    q: list[float] = field(repr=False)
    residual: float
    products: int
    multiplier: float | None = None
    pairs: tuple[tuple[Vector, Vector], ...] = field(default=(), repr=False)

    @property
    def x(self) -> Vector:
        """The last iterate."""
        return self.iterates[-1].x

    @property
    def steps(self) -> int:
        """The number of steps of CG."""
        return self.iterates[-1].steps

    @property
    def usable(self) -> bool:
        """Whether the last iterate is better than 0.

        It is if q(x) < q(0) = 0, which a warm start may miss; or if f fell, where f was searched.
        """
        if self.reason == "subspace":
            return self.steps > 0
        return self.reason != "not finite" and self.q[-1] < 0


def ended(
    progress: Progress,
    reason: Reason,
    iterates: list[Iterate],
    x0: Vector,
    products: int,
    pairs: tuple[tuple[Vector, Vector], ...] = (),
) -> Solution:
    """Return the solution of a run of CG that has ended.

    Parameters
    ----------
    progress : Progress
        The run; its last iterate is not copied.
    reason : str
        Why it ended; it becomes "not finite" if the last iterate has overflowed.
    iterates : list of Iterate
        Those that were kept on the way.
    x0 : ndarray, shape (n,)
        The start, which is the solution if all iterates have overflowed.
    products : int
        The number of products with A.
    pairs : tuple of (ndarray, ndarray)
        (p, Ap) of some directions.

    Returns
    -------
    Solution
        With finite iterates only.
    """
    if not iterates or iterates[-1].steps < progress.steps:
        iterates = [*iterates, Iterate(progress.steps, progress.x, progress.q[-1])]
    finite = iterates
    while finite and not np.isfinite(finite[-1].x).all():
        finite, reason = finite[:-1], "not finite"
    finite = finite or [Iterate(0, x0, progress.q[0])]
    return Solution(finite, reason, progress.q, progress.residual, products, pairs=pairs)
