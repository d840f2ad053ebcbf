"""What a check found: verdicts, numbers and diagnosis, as text, dictionary and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rop.checking.blame import Localization
from rop.checking.findings import ProductReport
from rop.checking.lines import Array
from rop.checking.policy import Verdict
from rop.support import display
from rop.support.display import Displayed
from rop.support.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

    Examples
    --------
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> report = rop.check(objective, [3.0, 4.0, 0.0], {"x": np.eye(2), "t": [[1.0], [0.0]]})
    >>> [(identity.name, identity.verdict) for identity in report.identities][:2]
    [('repeated in another order', 'pass'), ('duplicated batch', 'pass')]
    """

    name: str
    verdict: Verdict
    error: float
    allowed: float


@dataclass(frozen=True)
class Power:
    """How many injected bugs a check at some θ would see.

    Attributes
    ----------
    seen, tried : int
        Of `tried` bugs that change some product somewhere, at this θ or another.
    equivalent : int
        Bugs that change nothing anywhere, left out.
    untried : int
        Bugs for which there was no time; those tried are a random sample of all.
    hidden : tuple of str
        The bugs that the check would not see.
    rules : dict
        Op or loss -> rule -> (seen, tried).
    scale : float or None
        Size of random weights, in units of 1/√(inputs of a unit), at which most hidden bugs show;
        None if no better θ was found, or none is needed.
    uncovered, retried : int
        How many of the hidden bugs would be seen there, of so many.
    theta : (n,) or None
        Such weights.
    """

    seen: int
    tried: int
    equivalent: int
    untried: int
    hidden: tuple[str, ...]
    rules: Mapping[str, Mapping[str, tuple[int, int]]]
    scale: float | None = None
    uncovered: int = 0
    retried: int = 0
    theta: Array | None = field(default=None, repr=False, compare=False)

    def lines(self) -> list[str]:
        """The report's lines."""
        sample = f" (a sample: {self.untried} more untried)" if self.untried else ""
        lines = [
            f"Power at this theta: {self.seen} of {self.tried} injected bugs would be seen{sample}"
        ]
        for what, rules in self.rules.items():
            missed = [f"{rule} {n - k} of {n}" for rule, (k, n) in rules.items() if k < n]
            if missed:
                lines.append(f"       hidden in {what}: {', '.join(missed)}")
        if self.scale is not None:
            lines.append(
                f"       {self.uncovered} of {self.retried} hidden ones would be seen at random "
                f"weights of size {self.scale:g}/sqrt(fan-in), such as report.power.theta in Python"
            )
        return lines


@dataclass(frozen=True, repr=False)
class Report(Displayed):
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
    localization : Localization or None
        First guilty node and rule, for graphs that failed.
    power : Power or None
        How many injected bugs this check would see, for graphs, if asked for.
    n : int
        Number of parameters.
    seed : int
    reproduce : str
        How to run the same check again.
    seconds : float
    calls : dict
        Argument name -> number of calls.

    Examples
    --------
    >>> report = rop.check_products(np.ones(2), gradient=np.cos, hvp=lambda x, v: -np.sin(x) * v)
    >>> report.verdict, report.ok, sorted(report.products)
    ('inconclusive', False, ['gradient', 'hvp'])
    >>> report.not_checked[0]
    'Jv (give jvp= to check it)'
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
    localization: Localization | None = None
    power: Power | None = None

    @property
    def ok(self) -> bool:
        """Whether everything given was checked and passed."""
        return self.verdict == "pass"

    @property
    def exit_code(self) -> int:
        """0 for pass, 1 for fail, 2 for inconclusive."""
        return {"pass": 0, "fail": 1, "inconclusive": 2}[self.verdict]

    def __bool__(self) -> bool:
        """Whether it is ok, so that ``assert rop.check(...)`` fails unless every check passed."""
        return self.ok

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{p.symbol} {p.verdict}" for p in self.products.values())
        return f"<Report: {self.verdict.upper()}, n = {self.n:,}, seed {self.seed}; {verdicts}>"

    def __str__(self) -> str:
        lines = [
            f"rop.check  {self.verdict.upper()}  n = {self.n:,}, "
            f"{counted(sum(self.calls.values()), 'call')} in {self.seconds:.2f} s"
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
        if self.localization is not None:
            lines += self.localization.lines()
        if self.power is not None:
            lines += self.power.lines()
        lines += [f"Warning: {warning}" for warning in self.warnings]
        if self.not_checked:
            lines.append("Not checked: " + "; ".join(self.not_checked))
        lines.append(f"Reproduce: {self.reproduce}")
        return "\n".join(lines)

    def plot(self, path: str | Path | None = None) -> Figure:
        """A matplotlib figure of errors against steps and of block ratios, also saved to a path."""
        figure: Figure = display.figure(self)
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
