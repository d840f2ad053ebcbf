"""What a check found: verdicts, numbers and diagnosis, as text, dictionary and JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rop.checking.calls import Fault
from rop.checking.lines import Array
from rop.checking.policy import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    "random": "two calls with the same arguments differ",
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


@dataclass(frozen=True)
class ProductReport:
    """The verdict on one of the functions given.

    Attributes
    ----------
    name : str
        Its argument name.
    verdict : {"pass", "fail", "inconclusive"}
    cause : str
        Why it is inconclusive, else "".
    comparisons : tuple of Comparison
    faults : tuple of Fault
        Everything wrong with it apart from its numbers against an oracle.
    diagnosis : tuple of str
        What the numbers look like, where they are wrong.
    """

    name: str
    verdict: Verdict
    cause: str
    comparisons: tuple[Comparison, ...]
    faults: tuple[Fault, ...]
    diagnosis: tuple[str, ...]

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
        if worst is None:
            head += CAUSES.get(self.cause, self.cause) if not self.faults else ""
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
        if wrong:
            ratios = "   ".join(f"{name}: ratio {part.ratio:.4g}" for name, part in wrong.items())
            others = "   others OK" if len(wrong) < len(self.blocks) else ""
            lines.append(f"       block {ratios}{others}")
        lines += [f"       {finding}" for finding in self.diagnosis]
        return lines


@dataclass(frozen=True)
class Columns:
    """The test of sec. 7.2 to the letter: every column of every matrix, at one step.

    Attributes
    ----------
    verdict : {"pass", "fail", "inconclusive"}
    step : float
        ε of the central differences.
    allowed : float
        Largest relative error of a column that is as expected.
    errors : dict
        Matrix name -> relative error of its worst column.
    worst : dict
        Matrix name -> index of that column.
    beyond : dict
        Matrix name -> number of columns with a larger error than allowed.
    wrong : dict
        Matrix name -> columns that are wrong, as the whole ladder of steps shows.
    """

    verdict: Verdict
    step: float
    allowed: float
    errors: Mapping[str, float]
    worst: Mapping[str, int]
    beyond: Mapping[str, int]
    wrong: Mapping[str, tuple[int, ...]]

    def lines(self) -> list[str]:
        """The report's lines on it."""
        lines = [f"Every column e_j at eps = {self.step:.0e} (sec. 7.2): {self.verdict.upper()}"]
        for matrix, error in self.errors.items():
            line = f"       {matrix:<4}worst column {self.worst[matrix]}: {error:.1e}"
            if self.beyond[matrix]:
                line += f"; {self.beyond[matrix]} columns above {self.allowed:.0e}"
            wrong = self.wrong[matrix]
            if wrong:
                line += f"; wrong: {', '.join(map(str, wrong[:8]))}{', ...' * (len(wrong) > 8)}"
            lines.append(line)
        return lines


@dataclass(frozen=True)
class Identity:
    """A relation between two ways to compute the same, which needs no differences.

    Attributes
    ----------
    name : str
    verdict : {"pass", "fail", "inconclusive"}
    error, allowed : float
        Relative.
    """

    name: str
    verdict: Verdict
    error: float
    allowed: float


@dataclass(frozen=True)
class Report:
    """Everything that a check found.

    Attributes
    ----------
    verdict : {"pass", "fail", "inconclusive"}
        "pass" only if every function given was checked and passed.
    products : dict
        Argument name -> `ProductReport`.
    not_checked : tuple of str
        What was not checked, and what would unlock it.
    warnings : tuple of str
        About θ, dtypes and the strength of the test.
    columns : Columns or None
        The whole of J and G against differences, if asked for (sec. 7.2).
    identities : tuple of Identity
        Relations that hold for every graph.
    localization : tuple of str
        First guilty node and rule, for graphs.
    power : dict or None
        How many injected bugs this check would see, for graphs.
    n : int
        Number of parameters.
    seed : int
    reproduce : str
        How to run the same check again.
    seconds : float
    calls : dict
        Argument name -> number of calls.
    """

    verdict: Verdict
    products: Mapping[str, ProductReport]
    not_checked: tuple[str, ...]
    warnings: tuple[str, ...]
    n: int
    seed: int
    reproduce: str
    seconds: float
    calls: Mapping[str, int]
    columns: Columns | None = None
    identities: tuple[Identity, ...] = ()
    localization: tuple[str, ...] = ()
    power: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether everything given was checked and passed."""
        return self.verdict == "pass"

    @property
    def exit_code(self) -> int:
        """0 for pass, 1 for fail, 2 for inconclusive."""
        return {"pass": 0, "fail": 1, "inconclusive": 2}[self.verdict]

    def __str__(self) -> str:
        lines = [
            f"rop.check  {self.verdict.upper()}  n = {self.n:,}, {sum(self.calls.values()):,} calls "
            f"in {self.seconds:.2f} s"
        ]
        # Where something is wrong, it comes first.
        rank = {"fail": 0, "inconclusive": 1, "pass": 2}
        for product in sorted(self.products.values(), key=lambda p: rank[p.verdict]):
            lines += product.lines()
        if self.columns is not None:
            lines += self.columns.lines()
        broken = [identity for identity in self.identities if identity.verdict != "pass"]
        lines += [
            f"{i.name}: {i.verdict.upper()}, {i.error:.1e} where {i.allowed:.0e} is allowed"
            for i in broken
        ]
        if self.identities and not broken:
            lines.append("Hold too: " + ", ".join(i.name for i in self.identities))
        lines += list(self.localization)
        lines += [f"Warning: {warning}" for warning in self.warnings]
        if self.not_checked:
            lines.append("Not checked: " + "; ".join(self.not_checked))
        lines.append(f"Reproduce: {self.reproduce}")
        return "\n".join(lines)

    def plot(self, path: str | Path | None = None) -> "Figure":
        """A matplotlib figure of errors against steps and of block ratios, also saved to a path."""
        from rop.checking.figures import plot

        figure = plot(self)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers; no arrays; None for nan."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        plain["ok"] = self.ok
        for name, product in self.products.items():
            plain["products"][name]["symbol"] = product.symbol
            plain["products"][name]["blocks"] = _plain(product.blocks)
        return plain

    def to_json(self, path: str | Path | None = None) -> str:
        """The dictionary as JSON text, also written to a file if a path is given."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text


def _percent(error: float) -> str:
    return f"{error:.1e} of its norm" if error < 1e-4 else f"{100 * error:.3g} %"


def _plain(thing: Any) -> Any:
    if is_dataclass(thing) and not isinstance(thing, type):
        return {f.name: _plain(getattr(thing, f.name)) for f in fields(thing) if f.compare}
    if isinstance(thing, Mapping):
        return {str(key): _plain(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_plain(item) for item in thing]
    if isinstance(thing, float):
        return float(thing) if math.isfinite(thing) else None
    return thing
