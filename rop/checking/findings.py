"""Verdicts on single comparisons and on whole products, with the numbers behind them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from rop.checking.calls import Fault
from rop.checking.lines import Array
from rop.checking.policy import Verdict

SYMBOLS = {
    "value": "f",
    "outputs": "F",
    "gradient": "∇f",
    "jvp": "Jv",
    "vjp": "Jᵀu",
    "loss": "L",
    "loss_gradient": "∇L",
    "loss_hvp": "L''w",
    "ggnvp": "Gv",
    "hvp": "Hv",
    "zero_residual": "∇f at zero residual",
}

CAUSES = {
    "kink": "kinks within every step of the differences",
    "noise": "rounding noise in the functions hides the answer",
    "saturation": "the product has all but vanished here: saturated units?",
    "tiny weights": "the weights are so small that rounding hides the answer",
    "domain": "the functions have no finite value beside theta",
    "unconfirmed": "it differs from differences of a function that is not confirmed itself",
    "random": "two calls with the same arguments differ",
    "budget": "the budget ended before it was checked",
    "unavailable": "it is not implemented for this function",
    "zero": "the product is zero at this theta, so a wrong rule may be zero too",
}


@dataclass(frozen=True)
class Part:
    """A comparison restricted to one block of θ.

    Attributes
    ----------
    verdict : {"pass", "fail", "inconclusive"}
    error : float
        Relative to the block's own norm.
    ratio : float
        Projection of the product on the true one, 1 if right.

    Examples
    --------
    >>> theta = {"a": np.ones(2), "b": np.ones(2)}
    >>> report = rop.check_products(
    ...     theta,
    ...     gradient=lambda p: {"a": np.cos(p["a"]), "b": np.cos(p["b"])},
    ...     hvp=lambda p, v: {"a": -np.sin(p["a"]) * v["a"], "b": -2 * np.sin(p["b"]) * v["b"]},
    ... )
    >>> parts = report.products["hvp"].worst.parts
    >>> {block: (part.verdict, round(part.ratio, 6)) for block, part in parts.items()}
    {}
    """

    verdict: Verdict
    error: float
    ratio: float


@dataclass(frozen=True)
class Comparison:
    """One product along one direction against one oracle.

    Attributes
    ----------
    theta : int
        0 for the caller's θ, 1 for the second one.
    direction, against, cause : str
    verdict : {"pass", "fail", "inconclusive"}
    error, noise : float
        Relative; the noise is what the oracle's rounding leaves unknown.
    ratio : float
        Projection of the product on the true one.
    step, slope : float
        Best step; order in h of the central differences. nan without differences.
    steps, errors, noises : tuple of float
        The curve of error against h.
    parts : dict
        Block -> `Part`, for products that live in θ's space.
    vector, product, truth : arrays
        The direction and both sides.

    Examples
    --------
    >>> report = rop.check_products(np.ones(2), gradient=np.cos, hvp=lambda x, v: -np.sin(x) * v)
    >>> worst = report.products["hvp"].worst
    >>> worst.verdict, worst.error < 1e-9
    ('pass', True)
    """

    theta: int
    direction: str
    against: str
    verdict: Verdict
    cause: str
    error: float
    noise: float
    ratio: float
    step: float
    slope: float
    steps: tuple[float, ...]
    errors: tuple[float, ...]
    noises: tuple[float, ...]
    parts: Mapping[str, Part]
    vector: Array = field(repr=False, compare=False)
    product: Array = field(repr=False, compare=False)
    truth: Array = field(repr=False, compare=False)

    @property
    def vanishes(self) -> bool:
        """Whether both sides are exactly zero."""
        return not self.product.any() and not self.truth.any()


@dataclass(frozen=True, repr=False)
class ProductReport:
    """The verdict on one of the functions given.

    Attributes
    ----------
    name : str
        Its argument name.
    verdict : {"pass", "fail", "inconclusive"}
    cause : str
        Why it is inconclusive, else "".
    wrong : bool
        Whether its numbers are, and so nothing can rest on it.
    comparisons : tuple of Comparison
    faults : tuple of Fault
        Everything wrong with it apart from its numbers against an oracle.
    diagnosis : tuple of str
        What the numbers look like, where they are wrong.

    Examples
    --------
    >>> report = rop.check_products(np.ones(2), gradient=np.cos, hvp=lambda x, v: -np.sin(x) * v)
    >>> product = report.products["hvp"]
    >>> product.verdict, product.worst.error < 1e-9
    ('pass', True)
    """

    name: str
    verdict: Verdict
    cause: str
    wrong: bool
    comparisons: tuple[Comparison, ...]
    faults: tuple[Fault, ...]
    diagnosis: tuple[str, ...]

    def __repr__(self) -> str:
        error = "" if self.worst is None else f", {self.worst.error:.0e} from {self.worst.against}"
        return f"<ProductReport of {self.name}: {self.verdict}{error}>"

    @property
    def symbol(self) -> str:
        """Its symbol in the paper."""
        return SYMBOLS[self.name]

    @property
    def worst(self) -> Comparison | None:
        """The comparison that decided the verdict."""
        rank = {"fail": 2, "inconclusive": 1, "pass": 0}
        return max(
            self.comparisons,
            key=lambda c: (rank[c.verdict], c.error if math.isfinite(c.error) else 0.0),
            default=None,
        )

    @property
    def blocks(self) -> dict[str, Part]:
        """Block -> its worst part over all comparisons."""
        rank = {"fail": 2, "inconclusive": 1, "pass": 0}
        worst: dict[str, Part] = {}
        for comparison in self.comparisons:
            for name, part in comparison.parts.items():
                if name not in worst or (rank[part.verdict], part.error) > (
                    rank[worst[name].verdict],
                    worst[name].error,
                ):
                    worst[name] = part
        return worst

    def lines(self) -> list[str]:
        """The report's lines on this product."""
        worst = self.worst
        head = f"{self.symbol:<5}{self.verdict.upper():<13}"
        if worst is None or (self.verdict == "fail" and worst.verdict != "fail"):
            head += CAUSES.get(self.cause, self.cause)
        elif self.verdict == "fail" and worst.verdict == "fail":
            head += f"differs by {_percent(worst.error)} from {worst.against}"
            if worst.steps:
                head += f" at h = {worst.step:.0e} and finer (known to {worst.noise:.0e})"
            head += f", along {worst.direction}"
            if worst.theta:
                head += " at the second theta"
        elif self.verdict == "inconclusive":
            head += CAUSES.get(self.cause, self.cause)
            if math.isfinite(worst.error):
                head += f" (error {worst.error:.0e}, noise {worst.noise:.0e}, {worst.direction})"
        else:
            head += f"{worst.error:.0e} from {worst.against}"
            if worst.steps:
                head += f" (best h {worst.step:.0e}"
                slope = next((c.slope for c in self.comparisons if not math.isnan(c.slope)), None)
                head += f", slope {slope:.2f})" if slope is not None else ")"
        lines = [head.rstrip()]
        lines += [f"       {fault}" for fault in self.faults]
        wrong = {name: part for name, part in self.blocks.items() if part.verdict == "fail"}
        # A block of a product that is not linear has a ratio for every direction.
        linear = not any("not linear" in finding for finding in self.diagnosis)
        if wrong and self.verdict == "fail" and linear:
            ratios = "   ".join(f"{name}: ratio {part.ratio:.4g}" for name, part in wrong.items())
            others = "   others OK" if len(wrong) < len(self.blocks) else ""
            lines.append(f"       block {ratios}{others}")
        lines += [f"       {finding}" for finding in self.diagnosis]
        return lines


def _percent(error: float) -> str:
    return f"{error:.1e} of its norm" if error < 1e-4 else f"{100 * error:.3g} %"
