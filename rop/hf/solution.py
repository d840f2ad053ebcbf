"""What a solver of the quadratic model tells while it runs, and what it found."""

from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from rop.hf.vectors import Vector

Reason: TypeAlias = Literal[
    "progress",
    "residual",
    "steps",
    "negative curvature",
    "not finite",
    "boundary",
    "f rose",
    "subspace",
]


@dataclass(frozen=True)
class Iterate:
    """An iterate x of CG that was kept: its number of steps and q(x), with q(0) = 0."""

    steps: int
    x: Vector
    q: float


@dataclass
class Progress:
    """What a stopping rule sees after each step.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The present iterate; it changes in place, copy it to keep it.
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


class StopRule(Protocol):
    """Says after a step why CG should stop, or None to go on."""

    def __call__(self, progress: Progress, /) -> Reason | None:
        """Judge the run so far."""


@dataclass(frozen=True)
class Solution:
    """What a run of CG found.

    Attributes
    ----------
    iterates : list of Iterate
        The wanted iterates in order of their steps; the last iterate always ends the list.
    reason : str
        Why CG stopped: "progress", "residual", "steps", "negative curvature", "not finite",
        "boundary" of the trust region, "f rose"; or "subspace", searched to the end.
    q : list of float
        q(x_0), ..., q(x_steps).
    residual : float
        ‖Ax - b‖ at the end, from CG's recursion.
    products : int
        Products with A that were computed.
    multiplier : float or None
        In a trust region the λ >= 0 with (A + λP)x = b, where the solver knows it.
    """

    iterates: list[Iterate]
    reason: Reason
    q: list[float] = field(repr=False)
    residual: float
    products: int
    multiplier: float | None = None

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
        """Whether the last iterate has q(x) < q(0) = 0, which a warm start does not ensure."""
        return self.reason != "not finite" and self.q[-1] < 0
