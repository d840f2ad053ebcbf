"""Recipes by name: the authors' own of section 13, and the plainest one."""

from rop.errors import RopValueError
from rop.hf.batches import Batches
from rop.hf.conjugate_gradient import ConjugateGradient
from rop.hf.damping import Tikhonov, Undamped
from rop.hf.levenberg_marquardt import LevenbergMarquardt
from rop.hf.line_search import Armijo
from rop.hf.preconditioners import EmpiricalFisher, NoPreconditioner
from rop.hf.recipe import Recipe
from rop.hf.schedules import Ramp
from rop.hf.selection import Backtracking, Best, Every, LastIterate, Powers
from rop.hf.stopping import ObjectiveRise, RelativeProgress

__all__ = ["Recipe", "basic", "martens2010", "momentum2012", "validated2012"]


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
        reduction="curvature",
        selection=Backtracking(Powers(5, 1.3)),
        line_search=Armijo(c=1e-2, shrink=0.8, trials=60),
    )


def validated2012(
    *,
    curvature: int | float = 0.25,
    selection: int | float = 0.25,
    lam: float = 45.0,
    max_steps: int = 250,
) -> Recipe:
    """Return the second recipe of sec. 13: update and end of CG by data that CG did not see.

    As `martens2010`, but CG also stops when f on the curvature's cases is significantly worse than
    10 steps ago; the update is the iterate with the least M on cases outside the curvature's; and
    the next run starts from the iterate with the *lowest* f on the curvature's cases (erratum M66),
    decayed.

    Parameters
    ----------
    curvature : int or float
        Cases, or fraction, of the curvature.
    selection : int or float
        Cases, or fraction of the gradient's, by which the update is selected.
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
        batches=Batches(
            curvature=curvature, selection=selection, selection_from="outside", seed=None
        ),
        damping=Tikhonov(lam, LevenbergMarquardt(lowest=1e-20, model="damped")),
        preconditioner=EmpiricalFisher(exponent=0.75),
        decay=0.95,
        cg=ConjugateGradient(
            max_steps,
            RelativeProgress(1e-4, per_step=False),
            rise=ObjectiveRise(every=5, window=10),
        ),
        reduction="curvature",
        selection=Best(Every(10), by="model"),
        line_search=Armijo(c=1e-2, shrink=0.8, trials=60),
        start="best",
    )


def momentum2012(
    *, batch: int | float = 0.1, lam: float = 1.0, max_steps: int = 40, iterations: int = 1000
) -> Recipe:
    """Return the third recipe of sec. 13: short runs of CG on small batches, like momentum.

    Gradient and curvature see the same small batch; CG does 25 to 50 steps and its last iterate is
    the update; ζ rises to 0.99 and λ is free to go to 0. In the last fifth of the iterations come
    the remedies of section 12.2 for finer convergence: the learning rate goes down to a tenth, the
    runs of CG become half as long, and the batches four times as large.

    Parameters
    ----------
    batch : int or float
        Cases, or fraction of the data, of gradient and curvature until the last fifth.
    lam : float
        The first λ.
    max_steps : int
        CG's limit until the last fifth, 25 to 50.
    iterations : int
        How many iterations the run will have.

    Returns
    -------
    Recipe
        The settings.
    """
    if iterations < 5:
        raise RopValueError(f"momentum2012: iterations must be at least 5, got {iterations}")
    last = iterations - iterations // 5
    larger = 4 * batch if isinstance(batch, int) else min(4 * batch, 1.0)
    return Recipe(
        batches=Batches(gradient=Ramp(batch, larger, last, iterations)),
        damping=Tikhonov(lam, LevenbergMarquardt(lowest=1e-20)),
        preconditioner=EmpiricalFisher(exponent=0.75),
        decay=Ramp(0.95, 0.99, iterations // 2, last),
        cg=ConjugateGradient(
            Ramp(max_steps, max(max_steps // 2, 1), last, iterations),
            RelativeProgress(1e-4, per_step=False),
        ),
        selection=LastIterate(),
        learning_rate=Ramp(1.0, 0.1, last, iterations, geometric=True),
    )


def basic(*, lam: float = 0.0, max_steps: int = 250) -> Recipe:
    """Return the plainest truncated Newton method: CG from 0 on Hv, and its last iterate.

    Gradient and Hessian on all data, no preconditioner, no warm start. CG stops at a small relative
    residual, and where it meets negative curvature: there H yields no minimum to go to. The line
    search keeps f from rising. What it lacks is what the other recipes are made of.

    Parameters
    ----------
    lam : float
        λ of Tikhonov damping, adapted from there on; 0 is no damping at all.
    max_steps : int
        CG's limit.

    Returns
    -------
    Recipe
        The settings.
    """
    return Recipe(
        batches=Batches(),
        curvature="hessian",
        damping=Tikhonov(lam) if lam > 0 else Undamped(),
        preconditioner=NoPreconditioner(),
        decay=0.0,
        cg=ConjugateGradient(max_steps, progress=None, residual=1e-6, downhill=True),
        selection=LastIterate(),
    )
