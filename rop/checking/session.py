"""One run of the checker over the functions given: in which order, at which θ, along what."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from rop.checking.calls import CallFailed, Fault, Guarded
from rop.checking.compare import Sizes, compare, measure_sizes
from rop.checking.diagnosis import diagnose
from rop.checking.directions import Direction, output_directions, second_theta, theta_directions
from rop.checking.identities import LINEAR, Finding, linear, repeatable
from rop.checking.lines import Array
from rop.checking.oracles import ORACLES, Oracle
from rop.checking.point import Point
from rop.checking.report import Comparison, ProductReport

# Definitions, which nothing can check, and products, in the order in which they come to be trusted.
DEFINITIONS = ("outputs", "value", "loss")
PRODUCTS = ("jvp", "vjp", "loss_gradient", "gradient", "loss_hvp", "ggnvp", "hvp")
# An undecided comparison is repeated along other directions, which may miss the kinks.
RETRIES = 2


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
    l2 : float
    seed : int
    recorded : list of Direction, optional
        The only directions for which the products are known; then the identities and the second
        θ are left out.

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
        l2: float,
        seed: int,
        recorded: list[Direction] | None = None,
    ) -> None:
        self.functions, self.blocks, self.recorded = functions, blocks, recorded
        self.shapes = shapes
        self.sizes: dict[str, Sizes] = {}
        self.rng = np.random.default_rng(seed)
        thetas = [theta]
        if recorded is None:
            thetas.append(second_theta(theta, blocks, self.rng))
        self.points = [
            Point(functions, index, where, l2, self.rng) for index, where in enumerate(thetas)
        ]
        self.products: dict[str, ProductReport] = {}
        self.broken: dict[str, Fault] = {}
        self.warnings: list[str] = []

    def run(self) -> None:
        """Check everything given."""
        self._drop_points_outside_the_domain()
        for name in DEFINITIONS:
            if name in self.functions:
                self._call_definition(name)
        for name in ("value", *PRODUCTS):
            if name in self.functions and (name != "value" or self.oracles("value")):
                self.products[name] = self._check(name)

    def trusted(self, name: str) -> bool:
        """Whether a function is given, works, and has not failed its own check."""
        return (
            name in self.functions
            and name not in self.broken
            and (name not in self.products or self.products[name].verdict != "fail")
        )

    def oracles(self, name: str) -> list[Oracle]:
        """The best oracle whose needs are trusted, and the zero-residual one with it."""
        possible = [
            oracle
            for oracle in ORACLES
            if oracle.product == name and all(self.trusted(need) for need in oracle.needs)
        ]
        return possible[:1] + [o for o in possible[1:] if o.needs == ("zero_residual",)]

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
            arguments = [(p.outputs if name == "loss" else p.theta,) for p in self.points]
            self.functions[name](*arguments[0], shape=shape)
            if len(arguments) > 1:
                repeatable(self.functions[name], arguments[0], arguments[1])
        except CallFailed as failure:
            self.broken[failure.fault.function] = failure.fault
        if self.faults(name):
            self.products[name] = self._report(name, [], [], [])

    def faults(self, name: str) -> tuple[Fault, ...]:
        """Every fault of a function so far."""
        broken = (self.broken[name],) if name in self.broken else ()
        return (*broken, *self.functions[name].faults.values())

    def _check(self, name: str) -> ProductReport:
        """Compare a product with its oracles; give up only once none is left that works."""
        while True:
            comparisons: list[Comparison] = []
            findings: list[Finding] = []
            oracles = self.oracles(name)
            try:
                sizes = [self._sizes(name, point) for point in self.points]
                self.sizes[name] = sizes[0]
                for point, size in zip(self.points, sizes, strict=True):
                    for oracle in oracles:
                        comparisons += self._compare(oracle, point, size)
                if self.recorded is None:
                    findings = self._identities(name, sizes[0])
            except CallFailed as failure:
                self.broken[failure.fault.function] = failure.fault
                if failure.fault.function != name:
                    continue
            return self._report(name, oracles, comparisons, findings)

    def _report(
        self,
        name: str,
        oracles: list[Oracle],
        comparisons: list[Comparison],
        findings: list[Finding],
    ) -> ProductReport:
        faults = self.faults(name)
        diagnosis = [finding.message for finding in findings]
        verdicts = {c.verdict for c in comparisons}
        broken = any(fault.kind != "random" for fault in faults)
        if broken or any(finding.wrong for finding in findings) or (
            "fail" in verdicts and not faults
        ):
            if "fail" in verdicts and not broken:
                diagnosis += diagnose(name, comparisons, self)
            return ProductReport(name, "fail", "", tuple(comparisons), faults, tuple(diagnosis))
        cause = ""
        if faults:
            cause = "random"
        elif not oracles:
            cause = self._missing(name)
        elif "inconclusive" in verdicts:
            cause = next(c.cause for c in comparisons if c.verdict == "inconclusive")
        elif all(c.vanishes for c in comparisons) and self.sizes[name].reference > 0:
            cause = "zero"
        return ProductReport(
            name, "inconclusive" if cause else "pass", cause, tuple(comparisons), faults,
            tuple(diagnosis),
        )

    def _missing(self, name: str) -> str:
        """Why a product has no oracle."""
        for oracle in ORACLES:
            if oracle.product == name and all(need in self.functions for need in oracle.needs):
                bad = next(need for need in oracle.needs if not self.trusted(need))
                return f"rests on {bad}=, which failed"
        return "nothing to compare it with"

    def _vectors(self, name: str, point: Point) -> tuple[Array, Array]:
        """Two random directions in the space that a product acts on."""
        if name == "vjp":
            shape = self._output_shape(point)
        elif name in ("loss_gradient", "loss_hvp"):
            shape = point.outputs.shape
        else:
            shape = point.theta.shape
        return self.rng.standard_normal(shape), self.rng.standard_normal(shape)

    def _output_shape(self, point: Point) -> tuple[int, ...]:
        if self.trusted("outputs"):
            return point.outputs.shape
        return point.jvp(self.rng.standard_normal(point.n)).shape

    def _sizes(self, name: str, point: Point) -> Sizes:
        if self.recorded is not None:
            return Sizes(0.0, 0.0)
        return measure_sizes(point, name, self._vectors(name, point)[0])

    def _compare(self, oracle: Oracle, point: Point, sizes: Sizes) -> list[Comparison]:
        comparisons = []
        directions = self._directions(oracle, point)
        for position, direction in enumerate(directions):
            first = point.index == 0 and position == 0
            comparison = compare(
                oracle, point, direction, self.blocks, sizes, self._visit_elsewhere, first
            )
            for _ in range(0 if self.recorded else RETRIES):
                # One number may agree with itself over several steps by the chance of its kinks.
                doubtful = comparison.verdict == "fail" and comparison.product.size == 1
                if comparison.verdict != "inconclusive" and not doubtful:
                    break
                again = Direction(
                    direction.name,
                    direction.block,
                    direction.vector * self.rng.standard_normal(direction.vector.shape),
                )
                repeated = compare(
                    oracle, point, again, self.blocks, sizes, self._visit_elsewhere
                )
                if doubtful and repeated.verdict != "fail":
                    comparison = dataclasses.replace(
                        comparison, verdict="inconclusive", cause="kink"
                    )
                    break
                comparison = repeated
            comparisons.append(comparison)
        return comparisons

    def _visit_elsewhere(self) -> None:
        """Call functions far from either θ: what a product remembers of them is a stale cache."""
        if self.recorded is None:
            for name in ("outputs", "value", "gradient"):
                if self.trusted(name):
                    self.functions[name](self.points[0].theta / 2 + self.points[-1].theta / 2)

    def _directions(self, oracle: Oracle, point: Point) -> list[Direction]:
        if self.recorded is not None:
            return self.recorded
        if oracle.product == "value":
            return [Direction("theta", "", point.theta)]
        if oracle.space == "outputs":
            return output_directions(point.outputs.shape, self.rng, 2 - point.index)
        directions = theta_directions(point.n, self.blocks, self.rng, 2 - point.index)
        # The second θ is there for stale caches, which show along any direction.
        return directions if point.index == 0 else directions[:1]

    def _identities(self, name: str, sizes: Sizes) -> list[Finding]:
        """Whether calls repeat, at two θ, and whether linear products are linear."""
        function = self.functions[name]
        arguments = [self._arguments(name, point) for point in self.points]
        if len(arguments) > 1:
            repeatable(function, arguments[0], arguments[1])
        if name not in LINEAR or "random" in function.faults:
            return []
        return linear(self.points[0], name, *self._vectors(name, self.points[0]), sizes)

    def _arguments(self, name: str, point: Point) -> tuple[Array, ...]:
        where = point.outputs if name in ("loss_gradient", "loss_hvp") else point.theta
        if name not in LINEAR:
            return (where,)
        return where, self._vectors(name, self.points[0])[0]

