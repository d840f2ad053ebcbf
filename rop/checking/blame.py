"""Whom a failed check blames: the guilty rules, and how every node's own comparisons came out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rop.checking.outcomes import Outcome

RULE_NAMES = {
    "value": "value rule (R and reverse agree with each other)",
    "R": "R rule",
    "reverse": "reverse rule",
    "s'": "s' (the R rule and the reverse rule are wrong in the same way)",
    "curvature": "curvature rule",
    "L": "L, or a factor that L' and L'' share (they agree with each other)",
    "L'": "L'",
    "L''": "L''",
}


@dataclass(frozen=True)
class Guilt:
    """A rule that is wrong.

    Attributes
    ----------
    node : int or None
        Position of the node in the graph, None for a loss or a product.
    what : str
        Op and name, as "tanh (y1)"; or the loss, or the product.
    rule : str
        "value", "R", "reverse", "s'", "curvature", "L", "L'", "L''"; "product" where every rule is
        right and their composition is not; "raises" where a rule raised.
    operands : tuple of str
        Those whose derivative is wrong, if not all are.
    line : str
        Where the user built the node, "" if unknown.
    tests : dict
        Comparison -> `Outcome`.
    message : str
        Of the exception, or how large the difference is.
    """

    node: int | None
    what: str
    rule: str
    operands: tuple[str, ...] = ()
    line: str = ""
    tests: Mapping[str, Outcome] = field(default_factory=dict)
    message: str = ""

    def __str__(self) -> str:
        where = "" if self.node is None else f"#{self.node} "
        place = f" ({self.line})" if self.line else ""
        if self.rule == "product":
            return f"{self.what} is not what the rules make: {self.message}"
        if self.rule == "raises":
            return f"{where}{self.what}{place}: {self.message}"
        text = f"{where}{self.what}{place}: {RULE_NAMES[self.rule]}"
        if self.operands:
            text += f" for {' and '.join(self.operands)}"
        outcomes = [
            f"{name}: {'off by' if outcome.wrong else 'OK,'} {outcome.error:.1e}"
            for name, outcome in self.tests.items()
        ]
        if self.message:
            text += f" {self.message}"
        return f"{text} ({'; '.join(outcomes)})"


@dataclass(frozen=True)
class Localization:
    """Where the blame for a failed check lies.

    Attributes
    ----------
    guilty : tuple of Guilt
        In the order of the graph.
    tests : dict
        Node as "#2 tanh (y1)" -> comparison -> `Outcome`, for every node with derivatives.
    """

    guilty: tuple[Guilt, ...]
    tests: Mapping[str, Mapping[str, Outcome]]

    @property
    def first(self) -> Guilt | None:
        """The first guilty rule."""
        return self.guilty[0] if self.guilty else None

    def lines(self) -> list[str]:
        """The report's lines."""
        if not self.guilty:
            return ["No rule of any node is wrong at this theta by itself"]
        lines = [f"first guilty node: {self.guilty[0]}"]
        if self.guilty[0].node is None:
            lines = [f"guilty, with all nodes innocent: {self.guilty[0]}"]
        lines += [f"       also guilty: {guilt}" for guilt in self.guilty[1:4]]
        if len(self.guilty) > 4:
            lines.append(f"       and {len(self.guilty) - 4} more")
        return lines
