"""One run of the checker over the functions given: in which order, at which θ, along what."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial

import numpy as np

from rop.checking.budget import EFFORTS, BudgetSpent, Effort
from rop.checking.calls import CallFailed, Fault, Guarded
from rop.checking.compare import compare, repeat_doubtful
from rop.checking.directions import Direction, output_directions, second_theta, theta_directions
from rop.checking.findings import Comparison, ProductReport
from rop.checking.identities import LINEAR, Finding, linear, repeatable
from rop.checking.lines import Array, entry_scales, norm
from rop.checking.oracles import ORACLES, Oracle
from rop.checking.point import Point
from rop.checking.policy import Verdict
from rop.checking.sizes import NO_SIZES, Sizes, measure_sizes, unsaturated

# Second difference of F, beside the first one, that leaves it affine.
AFFINE = 1e-12
NOTHING_TO_COMPARE = "nothing to compare it with"

# Definitions, which nothing can check, and products, in the order in which they come to be trusted.
DEFINITIONS = ("outputs", "value", "loss")
PRODUCTS = ("jvp", "vjp", "loss_gradient", "gradient", "loss_hvp", "ggnvp", "hvp")


class Session:
    """The state of one check.

    Parameters
    ----------
    functions : dict
        Argument name -> `Guarded`.
    theta : (n,)
    blocks : dict
        Name -> slice of θ.
    shapes : dict
        Name -> shape of that block, where known.
    l2 : float or (n,)
    seed : int
    recorded : list of Direction, optional
        The only directions for which the products are known; then the identities and the second
        θ are left out.
    effort : Effort
        How much of the check to do.
    convex : bool
        Whether L is said to be convex, so that a negative vᵀGv is wrong where nothing else tells.

    Attributes
    ----------
    products : dict
        Argument name -> `ProductReport`, as far as checked.
    broken : dict
        Argument name -> the `Fault` that makes a function useless.
    sizes : dict
        Argument name -> `Sizes` of the product at the caller's θ.
    warnings : list of str
    """

    def __init__(
        self,
        functions: Mapping[str, Guarded],
        theta: Array,
        blocks: Mapping[str, slice],
        shapes: Mapping[str, tuple[int, ...]],
        l2: float | Array,
        seed: int,
        recorded: list[Direction] | None = None,
        convex: bool = True,
        effort: Effort = EFFORTS[0],
    ) -> None:
        self.functions, self.blocks, self.recorded = functions, blocks, recorded
        self.convex, self.effort = convex, effort
        self.shapes = shapes
        self.sizes: dict[str, Sizes] = {}
        self.rng = np.random.default_rng(seed)
        thetas = [theta]
        if recorded is None and effort.second:
            scale = entry_scales(theta, list(blocks.values()))
            thetas.append(second_theta(theta, scale, self.rng))
        self.broken: dict[str, Fault] = {}
        self.points = [
            Point(functions, self.broken, index, where, blocks, l2, self.rng, effort.lines)
            for index, where in enumerate(thetas)
        ]
        self.products: dict[str, ProductReport] = {}
        self.warnings: list[str] = []

    def run(self) -> None:
        """Check everything given."""
        with suppress(BudgetSpent):
            self._drop_points_outside_the_domain()
            for name in DEFINITIONS:
                if name in self.functions:
                    self._call_definition(name)
        for name in ("value", *PRODUCTS):
            if name in self.functions and (name != "value" or self.oracles("value")):
                self.products[name] = self._check(name)
        self._add_late_faults()

    def _add_late_faults(self) -> None:
        """Fail what broke only when others' checks called it."""
        for name in (*DEFINITIONS, *PRODUCTS):
            if name in self.broken and (
                name not in self.products or self.broken[name] not in self.products[name].faults
            ):
                self.products[name] = self._conclude(name, [], [], [])

    def fails(self, names: Collection[str]) -> bool:
        """Whether one of some products fails, all others being right; stops at the first sign.

        Parameters
        ----------
        names : collection of str
            Argument names.

        Returns
        -------
        bool
        """
        for name in ("value", *PRODUCTS):
            oracles = self.oracles(name)
            if name not in names or not oracles:
                continue
            try:
                if self._fails(name, oracles):
                    return True
            except CallFailed as failure:
                self.broken[failure.fault.function] = failure.fault
                return True
        return False

    def _fails(self, name: str, oracles: list[Oracle]) -> bool:
        for point in self.points:
            sizes = self._sizes(name, point)
            for oracle in oracles:
                for comparison in self._comparisons(oracle, point, sizes):
                    if self._confirmed(oracle, comparison).verdict == "fail":
                        return True
        wrong = any(finding.wrong for finding in self._identities(name, sizes))
        return wrong or any(fault.kind != "random" for fault in self.faults(name))

    def trusted(self, name: str) -> bool:
        """Whether a function is given, works, repeats itself, and has not proved wrong."""
        return (
            self._is_function(name)
            and name not in self.broken
            and not {"random", "stale"} & self.functions[name].faults.keys()
            and (name in DEFINITIONS or name not in self.products or not self.products[name].wrong)
        )

    def _is_function(self, name: str) -> bool:
        """Whether a function is given, and not only what it once returned."""
        return name in self.functions and not self.functions[name].recorded

    def oracles(self, name: str) -> list[Oracle]:
        """The best oracle whose needs are trusted, and the zero-residual one with it."""
        possible = [
            oracle
            for oracle in ORACLES
            if oracle.product == name
            and all(self.trusted(need) for need in oracle.needs)
            and (not oracle.affine or self._affine)
        ]
        return possible[:1] + [o for o in possible[1:] if o.needs == ("zero_residual",)]

    @cached_property
    def _affine(self) -> bool:
        """Whether F is affine in θ, as in logistic regression: then G is H."""
        point = self.points[0]
        F, step = self.functions["outputs"], point.random_vector("hvp")
        try:
            here, once, twice = point.outputs, F(point.theta + step), F(point.theta + 2 * step)
        except CallFailed:
            return False
        return norm(twice / 2 - once + here / 2) <= AFFINE * norm(twice / 2 - here / 2)

    def _drop_points_outside_the_domain(self) -> None:
        for point in self.points[1:]:
            for name in ("outputs", "value", "gradient"):
                if name in self.functions and self._fault(name, self.points[0]) is None:
                    fault = self._fault(name, point)
                    if fault is not None:
                        self.points = self.points[:1]
                        self.warnings.append(f"checked at one theta only: beside it, {fault}")
                        return

    def _fault(self, name: str, point: Point) -> Fault | None:
        try:
            self.functions[name](point.theta)
        except CallFailed as failure:
            return failure.fault
        return None

    def _call_definition(self, name: str) -> None:
        if name == "loss" and not self.trusted("outputs"):
            return
        shape = None if name == "outputs" else ()
        try:
            arguments = [(point.origin(name),) for point in self.points]
            self.functions[name](*arguments[0], shape=shape)
            if len(arguments) > 1:
                repeatable(self.functions[name], arguments[0], arguments[1], self._visit)
        except CallFailed as failure:
            self.broken[failure.fault.function] = failure.fault
        if self.faults(name):
            self.products[name] = self._conclude(name, [], [], [])

    def faults(self, name: str) -> tuple[Fault, ...]:
        """Every fault of a function so far."""
        broken = (self.broken[name],) if name in self.broken else ()
        return (*broken, *self.functions[name].faults.values())

    def _check(self, name: str) -> ProductReport:
        """Compare a product with its oracles; give up only once none is left that works."""
        while True:
            comparisons: list[Comparison] = []
            findings: list[Finding] = []
            oracles: list[Oracle] = []
            try:
                oracles = self.oracles(name)
                sizes = [self._sizes(name, point) for point in self.points]
                self.sizes[name] = sizes[0]
                for point, size in zip(self.points, sizes, strict=True):
                    for oracle in oracles:
                        comparisons += [
                            self._confirmed(oracle, comparison)
                            for comparison in self._comparisons(oracle, point, size, thorough=True)
                        ]
                if self.recorded is None:
                    findings = self._identities(name, sizes[0])
            except BudgetSpent:
                return self._conclude(name, oracles, comparisons, findings, spent=True)
            except CallFailed as failure:
                culprit = failure.fault.function
                new = culprit not in self.broken
                self.broken[culprit] = failure.fault
                if new and culprit != name:
                    continue
            return self._conclude(name, oracles, comparisons, findings)

    def _conclude(
        self,
        name: str,
        oracles: list[Oracle],
        comparisons: list[Comparison],
        findings: list[Finding],
        spent: bool = False,
    ) -> ProductReport:
        """Sum up what was found about one product."""
        faults, sizes = self.faults(name), self.sizes.get(name)
        verdicts = {c.verdict for c in comparisons}
        excused = [f.kind for f in faults if f.kind in ("random", "unavailable")]
        broken = any(finding.wrong for finding in findings)
        if self.convex and not oracles:
            broken = bool(findings)
        wrong = broken or ("fail" in verdicts and not excused)
        verdict: Verdict = "pass"
        cause: str = ""
        if wrong or len(faults) > len(excused):
            verdict = "fail"
        else:
            if excused:
                cause = excused[0]
            elif spent:
                cause = "budget"
            elif not oracles:
                cause = self._missing(name)
            elif "inconclusive" in verdicts:
                cause = next(c.cause for c in comparisons if c.verdict == "inconclusive")
            elif sizes is not None and sizes.reference > 0 and all(c.vanishes for c in comparisons):
                cause = "zero"
            verdict = "inconclusive" if cause else "pass"
        notes = tuple(f.message for f in findings if f.wrong or verdict != "pass")
        return ProductReport(name, verdict, cause, wrong, tuple(comparisons), faults, notes)

    def _missing(self, name: str) -> str:
        """Why a product has no oracle."""
        for oracle in ORACLES:
            if oracle.product == name and all(self._is_function(need) for need in oracle.needs):
                bad = [need for need in oracle.needs if not self.trusted(need)]
                if bad:
                    return f"rests on {bad[0]}=, which failed"
        return NOTHING_TO_COMPARE

    def _sizes(self, name: str, point: Point) -> Sizes:
        if self.recorded is not None or not self._has_arguments(name):
            return NO_SIZES
        other = self.points[-1] if point is self.points[0] else self.points[0]
        sizes = measure_sizes(point, other, name, point.random_vector(name))
        known = all(self.trusted(need) for need in ("outputs", "jvp", "vjp", "loss_hvp"))
        if name in ("ggnvp", "hvp") and known:
            sizes = replace(sizes, reference=max(sizes.reference, unsaturated(point)))
        return sizes

    def _comparisons(
        self, oracle: Oracle, point: Point, sizes: Sizes, thorough: bool = False
    ) -> Iterator[Comparison]:
        """Along every direction; the first of all with every step if it is to be drawn."""
        for position, direction in enumerate(self._directions(oracle, point)):
            every_step = thorough and not self.effort.quick and point.index == 0 and position == 0
            trial = partial(
                compare, oracle, point, self.blocks, sizes, self._visit, quick=self.effort.quick
            )
            first = trial(direction, every_step)
            yield first if self.recorded else repeat_doubtful(first, direction, trial, self.rng)

    def _confirmed(self, oracle: Oracle, comparison: Comparison) -> Comparison:
        """The comparison, undecided if the oracle's own functions may be as wrong as that."""
        if comparison.verdict != "fail":
            return comparison
        doubt = 0.0
        for need in oracle.needs:
            product = self.products.get(need)
            if product is not None and product.verdict == "inconclusive":
                errors = [c.error for c in product.comparisons if np.isfinite(c.error)]
                doubt = max([doubt, *errors])
        if comparison.error > 10 * doubt:
            return comparison
        return replace(comparison, verdict="inconclusive", cause="unconfirmed")

    def _visit(self, elsewhere: bool = True) -> None:
        """Call functions at θ, or between the two θ: what a product remembers of that is stale."""
        if self.recorded is not None or not self.effort.second:
            return
        theta = self.points[0].theta
        if elsewhere:
            theta = theta / 2 + self.points[-1].theta / 2
        for name in ("outputs", "value", "gradient"):
            if self.trusted(name):
                self.functions[name](theta)

    def _directions(self, oracle: Oracle, point: Point) -> list[Direction]:
        if oracle.product == "value":
            return [Direction("theta", "", point.theta)]
        if oracle.space == "outputs":
            return output_directions(point.output_scale, self.rng, 2 - point.index)
        if self.recorded is not None:
            return self.recorded
        blocks = self.blocks if self.effort.blocks else {}
        count = self.effort.directions if point.index == 0 else 1
        directions = theta_directions(point.scale, blocks, self.rng, count)
        # The second θ is there for stale caches, which show along any direction.
        return directions if point.index == 0 else directions[:1]

    def _identities(self, name: str, sizes: Sizes) -> list[Finding]:
        """Whether calls repeat, at two θ, and whether linear products are linear."""
        if not self._has_arguments(name):
            return []
        function = self.functions[name]
        vector = (self.points[0].random_vector(name),) if name in LINEAR else ()
        arguments = [(point.origin(name), *vector) for point in self.points]
        if len(arguments) > 1:
            repeatable(function, arguments[0], arguments[1], self._visit)
        if name not in LINEAR or "random" in function.faults:
            return []
        first = self.points[0]
        return linear(first, name, first.random_vector(name), first.random_vector(name), sizes)

    def _has_arguments(self, name: str) -> bool:
        """Whether there is a point to call a product at."""
        if name == "vjp":
            return self.trusted("outputs") or self.trusted("jvp")
        return name not in ("loss_gradient", "loss_hvp") or self.trusted("outputs")
