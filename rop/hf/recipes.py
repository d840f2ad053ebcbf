"""Recipes: the settings of HF as a composition of policies, and the authors' own (sec. 13)."""

from dataclasses import dataclass, field
from typing import Literal

from rop.errors import RopValueError
from rop.hf.backtracking import Backtracking, LastIterate, Powers, Selection
from rop.hf.batches import Batches
from rop.hf.damping import LevenbergMarquardt, Tikhonov
from rop.hf.line_search import Armijo
from rop.hf.preconditioners import EmpiricalFisher, NoPreconditioner, Preconditioner
from rop.hf.stopping import ConjugateGradient, RelativeProgress


@dataclass(frozen=True)
class Recipe:
    """The settings of HF, one policy for each open choice of algorithm 3.

    The defaults suit any objective: all data for gradient and curvature, no preconditioner,
    CG-backtracking, λ from 1 on.

    Parameters
    ----------
    batches : Batches
        The cases of gradient and curvature (sec. 12).
    curvature : str
        "ggn" for the generalized Gauss-Newton matrix G, or "hessian" (sec. 6).
    damping : Tikhonov
        λ, its matrix and its rule (sec. 8).
    preconditioner : Preconditioner
        P (sec. 11).
    decay : float
        ζ: CG starts from ζ times the last iterate of the run before (sec. 10, erratum M16).
    cg : ConjugateGradient
        The stops of CG (sec. 4).
    selection : Selection
        Which iterate becomes the update (sec. 8.7).
    line_search : Armijo
        The step length α (sec. 8.8).
    """

    batches: Batches = field(default_factory=Batches)
    curvature: Literal["ggn", "hessian"] = "ggn"
    damping: Tikhonov = field(default_factory=Tikhonov)
    preconditioner: Preconditioner = field(default_factory=NoPreconditioner)
    decay: float = 0.95
    cg: ConjugateGradient = field(default_factory=ConjugateGradient)
    selection: Selection = field(default_factory=Backtracking)
    line_search: Armijo = field(default_factory=Armijo)

    def __post_init__(self) -> None:
        if self.curvature not in ("ggn", "hessian"):
            raise RopValueError(
                f'Recipe: curvature must be "ggn" or "hessian", got {self.curvature!r}'
            )
        if not 0 <= self.decay <= 1:
            raise RopValueError(f"Recipe: decay must be between 0 and 1, got {self.decay}")


def martens2010(
    *, curvature: int | float = 0.25, lam: float = 45.0, max_steps: int = 250
) -> Recipe:
    """Return the recipe of Martens (2010), the first of sec. 13, with his code's constants.

    Gradient, line search and CG-backtracking on all data; curvature and ρ on a partition that is
    cycled through; P from the empirical Fisher diagonal, ξ = 0.75, κ = 0; the per-step progress
    rule; λ adapted without bounds that matter.

    Parameters
    ----------
    curvature : int or float
        Cases, or fraction, of the curvature: 1/4 for CURVES, 1/8 for MNIST, 1/20 for FACES.
    lam : float
        The first λ: 45 for CURVES; the first ρ should lie between 0.75 and 0.95.
    max_steps : int
        CG's limit, 50 to 250: 250 for CURVES, 100 for FACES.

    Returns
    -------
    Recipe
        The settings; change more of them with ``dataclasses.replace``.
    """
    return Recipe(
        batches=Batches(curvature=curvature, seed=None),
        damping=Tikhonov(lam, LevenbergMarquardt(lowest=1e-20)),
        preconditioner=EmpiricalFisher(exponent=0.75),
        decay=0.95,
        cg=ConjugateGradient(max_steps, RelativeProgress(5e-4, per_step=True)),
        selection=Backtracking(Powers(5, 1.3)),
        line_search=Armijo(c=1e-2, shrink=0.8, trials=60),
    )


def basic(*, lam: float = 1.0, max_steps: int = 250) -> Recipe:
    """Return algorithm 3 without extras, with the constants of the 2012 text.

    Gradient and curvature on all data, no preconditioner, CG's last iterate as the update, the
    progress rule of equation 2.

    Parameters
    ----------
    lam : float
        The first λ.
    max_steps : int
        CG's limit.

    Returns
    -------
    Recipe
        The settings.
    """
    return Recipe(
        damping=Tikhonov(lam),
        cg=ConjugateGradient(max_steps, RelativeProgress(1e-4, per_step=False)),
        selection=LastIterate(),
    )
