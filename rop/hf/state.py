"""What an iteration of HF hands on to the next, and why there is no next one."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rop.hf.vectors import Vector

Ended: TypeAlias = Literal["gradient", "precision", "not finite", "rejected"]


@dataclass(frozen=True)
class State:
    """All that an iteration hands on to the next; with the data and the recipe, the whole run.

    Attributes
    ----------
    iteration : int
        The number of the next iteration; it also determines the batches.
    theta : ndarray, shape (n,)
        θ.
    lam : float
        λ.
    mu : float
        μ, the strength of structural damping.
    radius : float or None
        The trust region's radius; None without one.
    start : ndarray, shape (n,), or None
        The iterate of CG from which the next run starts after decay; None is 0.
    rejected : int
        How many updates in a row were rejected.
    f : float
        f(θ) on the cases of the latest gradient; NaN before the first.
    """

    iteration: int
    theta: Vector
    lam: float
    mu: float
    radius: float | None
    start: Vector | None
    rejected: int
    f: float

    @property
    def seed(self) -> int:
        """The seed of the iteration's random numbers, with room for one more for each piece."""
        return self.iteration << 32
