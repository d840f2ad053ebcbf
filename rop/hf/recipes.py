"""Named recipes: three of section 13, plain and damped HF, Adaptive HF, one for functions alone."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

from rop.hf.batches import Batches, Size
from rop.hf.conjugate_gradient import ConjugateGradient
from rop.hf.damping import Tikhonov, Undamped
from rop.hf.levenberg_marquardt import LevenbergMarquardt
from rop.hf.line_search import Armijo, NoLineSearch
from rop.hf.moments import Moments
from rop.hf.preconditioners import EmpiricalFisher, NoPreconditioner
from rop.hf.recipe import MAKERS, Recipe, by_name, named
from rop.hf.schedules import Ramp
from rop.hf.selection import Backtracking, Best, Every, LastIterate, Powers
from rop.hf.stopping import ObjectiveRise, RelativeProgress
from rop.hf.trust_region import TrustRegion
from rop.support.arguments import checked
from rop.support.constraints import Count, NotNegative, Positive, Real, Whole

__all__ = [
    "MAKERS",
    "Recipe",
    "adaptive_hf",
    "basic",
    "damped",
    "martens2010",
    "momentum2012",
    "named",
    "newton",
    "validated2012",
]


def _steered(
    max_steps: int | Ramp,
    progress: RelativeProgress | None,
    *,
    residual: float = 1e-10,
    rise: ObjectiveRise | None = None,
    region: TrustRegion | None = None,
    downhill: bool = False,
) -> ConjugateGradient:
    """Return CG that stops by these rules alone: neither its length nor its residual is adapted."""
    return ConjugateGradient(
        max_steps,
        progress,
        residual,
        rise=rise,
        region=region,
        downhill=downhill,
        forcing=None,
    )


def __dir__() -> list[str]:
    # What completion offers: the public names alone.
    return __all__


@by_name
@checked
def martens2010(
    *, curvature: Size = 0.25, lam: NotNegative = 45.0, max_steps: Count = 250
) -> Recipe:
    """Return the recipe of Martens (2010), the first of sec. 13, with his code's constants.

    Gradient, line search and CG-backtracking use all data; curvature and ρ cycle through a
    partition. P is from the empirical Fisher diagonal, ξ = 0.75, κ = 0. CG stops by the per-step
    progress rule. λ has practically no lower bound.

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
        The settings.

    Examples
    --------
    >>> recipe = rop.hf.recipes.martens2010(lam=1.0)
    >>> recipe.damping.lam, recipe.decay, recipe.cg.max_steps
    (1.0, 0.95, 250)
    """
    return Recipe(
        batches=Batches(curvature=curvature, selection=1.0, seed=None, fewest=1),
        damping=Tikhonov(lam, LevenbergMarquardt(lower_by=2 / 3, lowest=1e-20)),
        preconditioner=EmpiricalFisher(relative_kappa=0.0, cases="gradient"),
        pairs=None,
        length=None,
        decay=0.95,
        cg=_steered(max_steps, RelativeProgress(5e-4, per_step=True)),
        reduction="curvature",
        selection=Backtracking(Powers(5, 1.3), enough=inf),
        line_search=Armijo(c=1e-2, shrink=0.8, trials=60),
    )


@by_name
@checked
def validated2012(
    *,
    curvature: Size = 0.25,
    selection: Size = 0.25,
    lam: NotNegative = 45.0,
    max_steps: Count = 250,
) -> Recipe:
    """Return the second recipe of sec. 13: data that CG did not see choose the update.

    It differs from `martens2010` as follows. CG also stops when f on the curvature's cases is
    significantly worse than 10 steps ago. The update is the iterate with the least M on cases
    outside the curvature's. The next run starts from ζ times the iterate with the *lowest* f on the
    curvature's cases (erratum M66). Two numbers are those of the 2012 text: the progress rule has
    the tolerance 1e-4 for the whole window, which is 50 times stricter at 10 steps (erratum M13),
    and λ is adapted by ρ of the damped model (sec. 8.5).

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

    Examples
    --------
    >>> recipe = rop.hf.recipes.validated2012(lam=1.0)
    >>> recipe.selection, recipe.batches.selection_from
    (Best(schedule=Every(interval=10), by='model'), 'outside')
    """
    return Recipe(
        batches=Batches(
            curvature=curvature,
            selection=selection,
            selection_from="outside",
            seed=None,
            fewest=1,
        ),
        damping=Tikhonov(lam, LevenbergMarquardt(lower_by=2 / 3, lowest=1e-20, model="damped")),
        preconditioner=EmpiricalFisher(relative_kappa=0.0, cases="gradient"),
        pairs=None,
        length=None,
        decay=0.95,
        cg=_steered(
            max_steps,
            RelativeProgress(1e-4, per_step=False),
            rise=ObjectiveRise(every=5, window=10),
        ),
        reduction="curvature",
        selection=Best(Every(10), by="model"),
        line_search=Armijo(c=1e-2, shrink=0.8, trials=60),
        start="best",
    )


@by_name
@checked
def momentum2012(
    *,
    batch: int | float = 0.1,
    lam: NotNegative = 1.0,
    max_steps: Count = 40,
    iterations: Annotated[int, Whole(at_least=5)] = 1000,
) -> Recipe:
    """Return the third recipe of sec. 13: short runs of CG on small batches, like momentum.

    Gradient and curvature use the same small batch. CG takes 25 to 50 steps and its last iterate is
    the update. ζ rises to 0.99, and λ may fall to 0. The last fifth of the iterations converges
    more finely, by the means of section 12.2: the learning rate falls to a tenth, CG's runs become
    half as long, and the batches four times as large.

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

    Examples
    --------
    >>> recipe = rop.hf.recipes.momentum2012(iterations=500)
    >>> recipe.decay
    Ramp(first=0.95, last=0.99, begin=250, end=400, geometric=False)
    >>> recipe.selection
    LastIterate()
    """
    last, end = iterations - iterations // 5, iterations - 1
    larger = 4 * batch if isinstance(batch, int) else min(4 * batch, 1.0)
    return Recipe(
        batches=Batches(
            gradient=Ramp(batch, larger, last, end),
            curvature=1.0,
            selection=1.0,
            fewest=1,
        ),
        damping=Tikhonov(lam, LevenbergMarquardt(lower_by=2 / 3, lowest=1e-20)),
        preconditioner=EmpiricalFisher(relative_kappa=0.0, cases="gradient"),
        pairs=None,
        length=None,
        decay=Ramp(0.95, 0.99, iterations // 2, last),
        cg=_steered(
            Ramp(max_steps, max(max_steps // 2, 1), last, end),
            RelativeProgress(1e-4, per_step=False),
        ),
        selection=LastIterate(),
        line_search=Armijo(shrink=0.8, trials=60),
        learning_rate=Ramp(1.0, 0.1, last, end, geometric=True),
    )


@by_name
@checked
def damped(*, lam: NotNegative = 1.0, max_steps: Count = 250) -> Recipe:
    """Return HF with Tikhonov damping adapted by ρ, and P from the empirical Fisher alone.

    It has the batches of the default recipe, but at least 512 cases. λ falls to a third at a time,
    as a good model is soon undamped (sec. 8.5). CG starts from half of its last iterate, as a
    longer memory may keep errors of other cases for many iterations (sec. 10), and stops when q
    stagnates or f rises on the curvature's cases. It takes about twice the work of ``Recipe()``,
    but its CG can stay on the GPU.

    Parameters
    ----------
    lam : float
        The first λ, on the scale of f.
    max_steps : int
        CG's limit.

    Returns
    -------
    Recipe
        The settings.

    Examples
    --------
    >>> recipe = rop.hf.recipes.damped(lam=0.1)
    >>> recipe.damping, recipe.decay
    (Tikhonov(lam=0.1, rule=LevenbergMarquardt(...)), 0.5)
    """
    return Recipe(
        batches=Batches(fewest=512),
        damping=Tikhonov(lam),
        preconditioner=EmpiricalFisher(relative_kappa=0.0),
        pairs=None,
        length=None,
        decay=0.5,
        cg=_steered(max_steps, RelativeProgress(), rise=ObjectiveRise()),
        selection=Backtracking(Powers(5), enough=inf),
        line_search=Armijo(shrink=0.8, trials=60),
    )


@by_name
@checked
def basic(*, lam: NotNegative = 0.0, max_steps: Count = 250) -> Recipe:
    """Return the plainest truncated Newton method: CG from 0 on Hv, and its last iterate.

    Gradient and Hessian use all data. There is no preconditioner and no warm start. CG stops at a
    small relative residual, or at negative curvature, as the model then has no minimum. The line
    search keeps f from rising.

    Parameters
    ----------
    lam : float
        The first λ of Tikhonov damping; 0 switches damping off.
    max_steps : int
        CG's limit.

    Returns
    -------
    Recipe
        The settings.

    Examples
    --------
    >>> recipe = rop.hf.recipes.basic()
    >>> recipe.curvature, recipe.damping, recipe.preconditioner
    ('hessian', Undamped(), NoPreconditioner(cases='gradient'))
    """
    return Recipe(
        batches=Batches(curvature=1.0, selection=1.0, fewest=1),
        curvature="hessian",
        damping=Tikhonov(lam, LevenbergMarquardt(lower_by=2 / 3)) if lam > 0 else Undamped(),
        preconditioner=NoPreconditioner(),
        pairs=None,
        length=None,
        decay=0.0,
        cg=_steered(max_steps, None, residual=1e-6, downhill=True),
        selection=LastIterate(),
        line_search=Armijo(shrink=0.8, trials=60),
    )


@by_name
@checked
def newton(*, radius: Positive = 1.0, max_steps: Count = 250) -> Recipe:
    """Return Newton's method with a trust region: CG on Hv that stops at the boundary (sec. 8.6).

    It is the default for an objective without a loss, such as the energy of a few atoms. Where H
    has negative eigenvalues, a ball bounds the update better than damping does: λ must first
    outgrow the lowest eigenvalue. Seven Lennard-Jones atoms at random places take 25 to 50
    iterations to a minimum; with ``Recipe()`` they take 30 to 170, up to half of them rejected.

    Parameters
    ----------
    radius : float
        The region's first radius: the length of the first update, at most.
    max_steps : int
        CG's limit.

    Returns
    -------
    Recipe
        The settings.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, rop.hf.recipes.newton(), dtype=np.float64)
    >>> run.theta.round(6), run.nit
    (array([1., 1.]), 21)
    """
    return Recipe(
        curvature="hessian",
        damping=Undamped(),
        preconditioner=NoPreconditioner(),
        pairs=None,
        length=None,
        decay=0.0,
        cg=_steered(
            max_steps,
            None,
            residual=1e-6,
            region=TrustRegion(radius, LevenbergMarquardt(lower_by=1 / 2)),
        ),
        selection=LastIterate(),
        line_search=Armijo(shrink=0.8, trials=60),
    )


@by_name
@checked
def adaptive_hf(
    variant: Literal["paper", "proof", "released-code"] = "paper",
    *,
    epsilon: Positive = 1e-3,
    sigma: Positive = 50.0,
    L: Positive = 100.0,
    beta2: Annotated[float, Real(at_least=0, below=1)] = 1e-8,
    lam: Annotated[float, Real(at_least=0.1, at_most=1e3)] = 10.0,
    learning_rate: Annotated[float, Real(above=0, at_most=1)] = 1e-3,
    batch: Size = 128,
    max_steps: Count = 50,
) -> Recipe:
    """Return Adaptive HF (Motokawa & Tezuka 2020), as its text, proof or released code has it.

    All run CG on Hv + λv on one batch, at most 50 steps, without a preconditioner (errata H5, H6),
    and take every step: there is no line search. They differ in what paper and code leave open or
    contradict, and ``replace`` changes each choice by its name, such as ``replace(g="delta")``,
    ``replace(xi=100.0)``, ``replace(size="alpha_tilde")`` or ``replace(curvature="ggn")``:

    - "paper" is algorithm 1: moments of δ, ξ = 1e-8, α̂ of eq. 3 from ‖∇f‖, and CG from 0
      (errata H2, H4, H7, H8, H12, H14).
    - "proof" is what theorem 1 is about: uncorrected moments of -∇f, ξ = 2σ, and α̂ (errata H3, H4,
      H9). Its steps do not use δ, so CG does one step only, for λ and the record.
    - "released-code" moves by a constant learning rate. The bias correction stays that of the first
      iteration, and the corrected moments are kept. CG starts from 0.95 times its last iterate. ρ
      compares Δf of the step taken with q of the full δ. The code's α̂, which it only logs, has
      other norms; the record has that of eq. 3.

    λ stays between 0.1, below which the released code does not adapt it, and 1e3; the paper has no
    bounds.

    Parameters
    ----------
    variant : str
        "paper", "proof" or "released-code".
    epsilon, sigma, L, beta2 : float
        ε, σ, L and β₂; see `Moments`. The defaults are the released code's.
    lam : float
        The first λ, within the bounds.
    learning_rate : float
        The constant α of "released-code".
    batch : int or float
        Cases, or fraction of the data, of gradient and curvature.
    max_steps : int
        CG's limit, except for "proof".

    Returns
    -------
    Recipe
        The settings.

    Examples
    --------
    >>> recipe = rop.hf.recipes.adaptive_hf("proof", sigma=10.0, L=5.0)
    >>> recipe.moments.of, recipe.moments.xi
    ('gradient', 20.0)
    """
    code, proof = variant == "released-code", variant == "proof"
    return Recipe(
        batches=Batches(gradient=batch, curvature=1.0, selection=1.0, fewest=1),
        curvature="hessian",
        damping=Tikhonov(lam, LevenbergMarquardt(lower_by=2 / 3, lowest=0.1, highest=1e3)),
        preconditioner=NoPreconditioner(),
        pairs=None,
        length=None,
        decay=0.95 if code else 0.0,
        cg=_steered(1 if proof else max_steps, RelativeProgress(1e-4, per_step=False)),
        reduction="step" if code else "gradient",
        selection=LastIterate(),
        line_search=NoLineSearch(),
        learning_rate=learning_rate,
        moments=Moments(
            epsilon,
            sigma,
            L,
            beta2,
            xi=2 * sigma if proof else 1e-8,
            of="gradient" if proof else "delta",
            size=None if code else "alpha_hat",
            correction="first" if code else "none" if proof else "each",
        ),
    )
