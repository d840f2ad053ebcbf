"""A recipe: the settings of HF as a composition of policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from math import isfinite
from typing import Annotated, Any, Literal, ParamSpec

from rop.errors import RopTypeError, RopValueError
from rop.hf.batches import Batches
from rop.hf.conjugate_gradient import ConjugateGradient
from rop.hf.damping import Damping, Tikhonov
from rop.hf.growth import Growth
from rop.hf.length import Length
from rop.hf.line_search import Armijo, NoLineSearch
from rop.hf.moments import Moments
from rop.hf.pairs import QuasiNewton
from rop.hf.policy import Lines, Policy, arguments, changed, differences, tree
from rop.hf.preconditioners import EmpiricalFisher, Preconditioner
from rop.hf.schedules import Ramp, Scheduled, value_at
from rop.hf.selection import Backtracking, Selection
from rop.hf.solution import Iterate, Solution
from rop.hf.subproblem import Solver
from rop.hf.trust_region import TrustRegion
from rop.hf.vectors import Vector
from rop.support.arguments import check
from rop.support.constraints import Count, Either, Instance, OneOf, Real

P = ParamSpec("P")


@dataclass(frozen=True)
class Settings:
    """The values of scheduled settings at one iteration; see `Recipe`. l2 may be None."""

    decay: float
    learning_rate: float
    l2: float | None
    max_steps: int


@dataclass(frozen=True)
class Recipe(Policy):
    """The settings of HF, one policy for each open choice of algorithm 3.

    The defaults suit any objective:

    - Gradient, ρ and line search use all data. The products with the curvature use a sixteenth of
      them, and CG-backtracking an eighth (sec. 8.7, 12), but at least 256 cases.
    - CG's length is the damping, and λ is 0: the first run is one step, and runs become longer
      where the model holds along CG's path, shorter where not (see `Length`). So no first λ has to
      be guessed, and f -> 10⁶ f leaves the path unchanged.
    - P is from the empirical Fisher's diagonal on the curvature's cases (sec. 11), corrected by
      quasi-Newton pairs: CG's own, and those of the updates, whose y is from all data (see
      `QuasiNewton`). A run of one step is a step of L-BFGS, and needs no product.
    - CG also stops at a residual that falls with ‖∇f‖: with the curvature of all cases the end is
      superlinear (see `Forcing`, and `Growth`, which leads to all cases).

    A number that may be a `Ramp` can change over the iterations.

    Parameters
    ----------
    batches : Batches
        The cases of gradient and curvature (sec. 12).
    curvature : str
        "ggn" for the generalized Gauss-Newton matrix G, or "hessian" (sec. 6). An objective without
        a loss has no G: HF then takes the Hessian.
    damping : Damping
        λ, its matrix and its rule (sec. 8); `Undamped` with a trust region.
    preconditioner : Preconditioner
        P (sec. 11).
    pairs : QuasiNewton or None
        Pairs of earlier iterations that correct P; None for none.
    decay : float or Ramp
        ζ: CG starts from ζ times an iterate of the run before (sec. 10).
    cg : Solver
        CG and its stops, or another solver of the quadratic model (sec. 4, 8.6, 8.1). The trust
        region of a solver is an argument of it, as in ``ConjugateGradient(region=TrustRegion())``.
    growth : Growth or None
        The rule that gives the curvature more cases; None for the sizes of ``batches``.
    length : Length or None
        The rule that adapts the limit of the solver's steps, below its own ``max_steps``; None for
        ``max_steps`` always.
    reduction : str
        The cases of Δf in ρ: those of the "curvature", as in the authors' code (erratum M17), or of
        the "gradient", as in equation 10 and in ρ's denominator. With "step" it is Δf of the step
        taken, still over q of the full δ, as in the released code of Adaptive HF.
    selection : Selection
        Which iterate becomes the update (sec. 8.7).
    line_search : Armijo or NoLineSearch
        The step length α (sec. 8.8).
    moments : Moments or None
        Adaptive HF: θ moves along moments of δ instead of δ.
    learning_rate : float or Ramp
        The first α to try. A lower one damps by multiples of B, against minibatch overfitting
        (sec. 12.2; erratum M52: α = 1/(1 + λ) for D = B).
    start : str
        The iterate that the next run of CG starts from: the "last" (erratum M16), the "chosen" one,
        or the "best", of lowest f on the curvature's cases (erratum M66).
    restart : int, optional
        Start CG from 0 at each multiple of this many iterations.
    l2 : float, Ramp or None
        The strength of the weight decay, instead of the objective's own; for example to switch it
        off near the end (sec. 13).

    Examples
    --------
    >>> recipe = rop.hf.Recipe().replace(lam=0.1, max_steps=80)
    >>> print(rop.hf.Recipe().diff(recipe))
    damping.lam: 0.0 -> 0.1
    cg.max_steps: 250 -> 80
    """

    batches: Batches = field(default_factory=Batches)
    curvature: Literal["ggn", "hessian"] = "ggn"
    damping: Damping = field(default_factory=Tikhonov)
    preconditioner: Preconditioner = field(default_factory=EmpiricalFisher)
    pairs: QuasiNewton | None = field(default_factory=QuasiNewton)
    decay: Annotated[float | Ramp, Scheduled(Real(at_least=0, at_most=1))] = 0.0
    cg: Solver = field(default_factory=ConjugateGradient)
    growth: Growth | None = None
    length: Length | None = field(default_factory=Length)
    reduction: Literal["curvature", "gradient", "step"] = "gradient"
    selection: Selection = field(default_factory=Backtracking)
    line_search: Armijo | NoLineSearch = field(default_factory=Armijo)
    moments: Moments | None = None
    learning_rate: Annotated[float | Ramp, Scheduled(Real(above=0, at_most=1))] = 1.0
    start: Literal["last", "chosen", "best"] = "last"
    restart: Count | None = None
    l2: Annotated[float | Ramp, Scheduled(Real(at_least=0))] | None = None

    def __post_init__(self) -> None:
        for name in ("damping", "cg"):
            if isinstance(getattr(self, name), TrustRegion):
                raise RopTypeError(
                    f"Recipe: {name} cannot be a TrustRegion, which belongs to a solver; write "
                    "cg=ConjugateGradient(region=TrustRegion()), damping=Undamped()"
                )
        super().__post_init__()
        if self.cg.region is not None and self.damping.rule is not None:
            raise RopValueError(
                "Recipe: a trust region and a damping with a rule are both adapted by ρ; write "
                "cg=ConjugateGradient(region=TrustRegion()), damping=Undamped() for the region, "
                "or leave the region out"
            )
        if self.curvature == "hessian" and self.damping.mu > 0:
            raise RopValueError(
                'Recipe: structural damping needs Gv; give curvature="ggn" and an objective with a '
                "loss, or another damping"
            )

    def replace(self, **changes: Any) -> Recipe:
        """Return a recipe with some numbers or policies changed, and nothing else.

        Parameters
        ----------
        **changes
            New values by the name of the field, whichever policy it belongs to; or by its dotted
            place, as in ``replace(**{"cg.rise.tolerance": 0.1})``.

        Returns
        -------
        Recipe
            Another recipe.

        Raises
        ------
        RopValueError
            If no field has the name, if the value fits several fields of that name, or if it fits
            none.

        Examples
        --------
        >>> recipe = rop.hf.Recipe().replace(lam=0.1, max_steps=80, curvature=0.25)
        >>> recipe
        Recipe(
            batches=Batches(curvature=0.25),
            damping=Tikhonov(lam=0.1),
            cg=ConjugateGradient(max_steps=80),
        )
        """
        return changed(self, changes)

    def diff(self, other: Recipe | str) -> str:
        """Return the differences between two recipes, a line for each.

        Parameters
        ----------
        other : Recipe or str
            The other recipe, or its name, such as "martens2010".

        Returns
        -------
        str
            Lines such as "damping.lam: 1.0 -> 45.0"; empty if the recipes are equal.

        Examples
        --------
        >>> print(rop.hf.Recipe().diff(rop.hf.Recipe(restart=10)))
        restart: None -> 10
        """
        return Lines("\n".join(differences(self, named(other))))

    def __str__(self) -> str:
        """Return all values, a line for each, with the defaults beside those that differ."""
        return "\n".join(["Recipe", *tree(self, Recipe())])

    def __repr__(self) -> str:
        """Return the call that makes this recipe, without the arguments that are defaults."""
        lines = "".join(f"\n    {argument}," for argument in arguments(self))
        return f"Recipe({lines}\n)" if lines else "Recipe()"

    def settings(self, iteration: int) -> Settings:
        """Return the values of scheduled settings; iterations count from 0."""
        return Settings(
            float(value_at(self.decay, iteration)),
            float(value_at(self.learning_rate, iteration)),
            None if self.l2 is None else float(value_at(self.l2, iteration)),
            int(value_at(self.cg.max_steps, iteration)),
        )

    def next_start(
        self,
        iteration: int,
        solution: Solution,
        delta: Vector,
        f: Callable[[Iterate], float],
    ) -> Vector | None:
        """Return the iterate whose ζ-fold is the next run's x_0; None for x_0 = 0 (sec. 8.5, 10).

        Parameters
        ----------
        iteration : int
            The number of the iteration that ends.
        solution : Solution
            Its run of CG.
        delta : ndarray, shape (n,)
            The update δ.
        f : callable, Iterate -> float
            x ↦ f(θ + x) on the curvature's cases.

        Returns
        -------
        ndarray, shape (n,), or None
            An iterate of CG.
        """
        restart = self.restart is not None and (iteration + 1) % self.restart == 0
        # If CG reached the minimum there is nothing left to go on with.
        if not solution.usable or solution.reason == "residual" or restart:
            return None
        if self.start == "chosen":
            return delta
        if self.start == "best":
            known = [(f(iterate), iterate) for iterate in solution.iterates]
            finite = [pair for pair in known if isfinite(pair[0])]
            return min(finite, key=lambda pair: pair[0])[1].x if finite else None
        return solution.x

    def thresholds(self) -> dict[str, float]:
        """Return the thresholds of damping, solver, length and line search by dotted names.

        Returns
        -------
        dict of str to float
            Such as "damping.rule.poor" and "cg.progress.tolerance".
        """
        policies = {
            "damping": self.damping,
            "cg": self.cg,
            "length": self.length,
            "line_search": self.line_search,
        }
        return {name: value for key in policies for name, value in _flat(key, policies[key])}


MAKERS: dict[str, Callable[..., Recipe]] = {"default": Recipe}
"""The recipes by name, those of `rop.hf.recipes`; each takes some of its settings as arguments."""


def by_name(make: Callable[P, Recipe]) -> Callable[P, Recipe]:
    """Enter a function that makes a recipe into `MAKERS`, under its own name; a decorator."""
    MAKERS[make.__name__] = make
    return make


def named(recipe: Recipe | str | None) -> Recipe:
    """Return the recipe that a name stands for.

    Parameters
    ----------
    recipe : Recipe, str or None
        "adaptive_hf", "basic", "damped", "martens2010", "momentum2012", "newton" or
        "validated2012"; "default" or None for ``Recipe()``. A recipe is returned as it is.

    Returns
    -------
    Recipe
        The settings.

    Raises
    ------
    RopValueError
        If there is no recipe of that name.
    RopTypeError
        If it is neither a recipe nor a name.

    Examples
    --------
    >>> rop.hf.recipes.named("martens2010").damping.lam
    45.0
    >>> sorted(rop.hf.recipes.MAKERS)
    ['adaptive_hf', 'basic', 'damped', 'default', 'martens2010', ... 'newton', 'validated2012']
    """
    wanted = Either((Instance(Recipe), OneOf(tuple(MAKERS)), OneOf((None,))))
    check("rop.hf", "recipe", recipe, Annotated[Any, wanted])
    return recipe if isinstance(recipe, Recipe) else MAKERS[recipe or "default"]()


def _flat(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, int | float):
        yield name, value
    elif is_dataclass(value):
        for each in fields(value):
            yield from _flat(f"{name}.{each.name}", getattr(value, each.name))
