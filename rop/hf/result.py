"""What a run of HF found, and why it ended."""

from dataclasses import dataclass, field

from rop.hf.recipes import Recipe
from rop.hf.record import Iteration
from rop.hf.vectors import Vector
from rop.support.display import Displayed
from rop.support.words import counted

MESSAGES = {
    "target": (True, "f reached the target"),
    "gradient": (True, "the norm of the gradient is small enough"),
    "precision": (True, "the predicted gain is below the rounding error of f"),
    "iterations": (False, "the limit of iterations is reached"),
    "seconds": (False, "the time is up"),
    "data": (False, "the stream of data came to its end"),
    "callback": (True, "the callback raised StopIteration"),
    "validation": (True, "f on the validation data has not fallen for too long"),
    "interrupted": (False, "interrupted from the keyboard; theta is the last complete iteration's"),
    "not finite": (False, "f or its gradient at theta is not finite; try a smaller initial theta"),
    "undefined": (False, "damping or preconditioner is not defined at theta"),
    "rejected": (
        False,
        "too many updates in a row were rejected, whatever the damping; check the products with "
        "rop.check, or give the gradient more cases",
    ),
}


LIMITS = "iterations", "seconds", "data"
"""Reasons that say where the run was to end at the latest, and nothing about θ."""


class Records(list[Iteration], Displayed):
    """The iterations of a run, in their order; a notebook shows them as a table."""

    def __repr__(self) -> str:
        return f"<Records: {counted(len(self), 'iteration')}>"


@dataclass(frozen=True)
class Result(Displayed):
    """What a run of HF found, in the manner of SciPy's OptimizeResult.

    Attributes
    ----------
    theta : ndarray, shape (n,)
        With validation data, the θ with the lowest f on them; otherwise the last one, which is the
        best, as θ never moves where f rises on the gradient's cases.
    fun : float
        f at θ on the gradient's cases of that iteration; NaN if no iteration was begun.
    nit : int
        The number of iterations.
    success : bool
        Whether f, its gradient, the validation data or the callback ended the run. As in SciPy, it
        is False if a limit did (of iterations, time or data), which says nothing about θ; and if
        the run was interrupted or could not go on.
    reason : str
        Why the run ended: "target", "gradient", "precision", "iterations", "seconds", "data",
        "callback", "validation", "saddle", "interrupted", "not finite", "undefined" or "rejected".
    message : str
        The reason in words.
    records : Records
        Every decision of every iteration.
    lam : float
        The last λ.
    recipe : Recipe
        The settings.
    seconds : float
        Wall time of the run; of its last part if it was resumed.
    last_theta : ndarray, shape (n,)
        The last θ.
    f_validation : float or None
        f at θ on the validation data, without the penalty.
    best_iteration : int or None
        The number of iterations that led to θ, if there are validation data.
    eigenvalue : float or None
        A negative curvature vᵀHv at θ, for a unit vector v, if the run ended at a saddle.
    direction : ndarray, shape (n,), or None
        This v.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, dtype=np.float64)
    >>> run.success, run.message
    (True, 'the norm of the gradient is small enough')
    >>> run.theta.round(6), run.nit
    (array([1., 1.]), 21)
    """

    theta: Vector = field(repr=False)
    fun: float
    nit: int
    success: bool
    reason: str
    message: str
    records: Records = field(repr=False)
    lam: float
    recipe: Recipe = field(repr=False)
    seconds: float
    last_theta: Vector = field(repr=False)
    f_validation: float | None = None
    best_iteration: int | None = None
    eigenvalue: float | None = None
    direction: Vector | None = field(default=None, repr=False)

    @property
    def x(self) -> Vector:
        """θ under SciPy's name."""
        return self.theta

    @property
    def status(self) -> int:
        """0 for success, 1 if the run ended at a limit, 2 if it was interrupted or got stuck."""
        return 0 if self.success else 1 if self.reason in LIMITS else 2

    @property
    def nfev(self) -> int:
        """How often f alone was computed."""
        return sum(it.work.losses for it in self.records)

    @property
    def njev(self) -> int:
        """How often the gradient was computed."""
        return sum(it.work.gradients for it in self.records)

    @property
    def nhev(self) -> int:
        """How many products with the curvature were computed."""
        return sum(it.work.products for it in self.records)
