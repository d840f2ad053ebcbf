"""`explain`: the program of a product as a listing, for the user's own graph.

For a network of layers this is the paper's algorithm 1, 4 or 5, line by line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import overload

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node
from rop.hf.recipe import Recipe
from rop.hf.recipes import named
from rop.objective.definition import Definition, programs_of
from rop.objective.objective import Objective
from rop.ops.families import Bilinear, Elementwise
from rop.ops.general import General
from rop.ops.kernels import Loops
from rop.ops.rules import Value
from rop.programs.algorithms import Algorithms
from rop.programs.steps import Step
from rop.show import mathematics
from rop.show.folding import Loop, folded
from rop.show.recipe import RecipeListing, recipe_listing
from rop.show.tables import markdown_table
from rop.support.display import Displayed
from rop.support.words import either

TITLES = {
    "gradient": "∇f = Jᵀ ∇L by reverse mode (algorithm 1)",
    "jvp": "J v by R-forward mode (sec. 5)",
    "vjp": "Jᵀ u by reverse mode",
    "loss_hvp": "L'' w (table 2)",
    "ggnvp": "G v = Jᵀ L'' J v (algorithm 5)",
    "hvp": "H v (algorithm 4)",
}

_RULES = {
    "value": "value",
    "R": "R rule",
    "reverse": "reverse rule",
    "curvature": "curvature rule",
    "s'": "s'",
    "s''": "s''",
    "s''·da": "s''·da",
}


@dataclass(frozen=True)
class Line:
    """One line of a listing: what is assigned to one value.

    Attributes
    ----------
    target : str
        Name of the value, as Rx2.
    terms : tuple of str
        The terms of the sum, each with its sign; Σ is the sum over the cases.
    rules : tuple of str
        The rules that the terms come from, such as "R rule of matvec a1". The node is named if its
        value has no line of its own, because it is added to another value.
    shape : str
        The value's shape: for one case, with "N ×" before it where there is one for each case.
    adds : bool
        Whether the line adds to the value of earlier lines.
    steps : tuple of Step
        The program's steps that the line stands for; none for the penalty.
    """

    target: str
    terms: tuple[str, ...]
    rules: tuple[str, ...]
    shape: str
    adds: bool = False
    steps: tuple[Step, ...] = field(default=(), repr=False)

    @property
    def laws(self) -> tuple[str, ...]:
        """The paper's rules behind the terms, such as "product rule (eq. 5)"."""
        return tuple(dict.fromkeys(law for step in self.steps if (law := law_of(step))))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes whose rules the terms are."""
        return tuple(dict.fromkeys(step.node for step in self.steps))

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the user's file builds these nodes, such as "model.py, line 12"."""
        return tuple(dict.fromkeys(node.line for node in self.nodes))

    @property
    def formula(self) -> str:
        """The assignment, as Rx2 = RW1 x + Rb1."""
        first, *rest = self.terms
        text = first.removeprefix("+ ")
        return " ".join([f"{self.target} {'+=' if self.adds else '='} {text}", *rest])


@dataclass(frozen=True, repr=False)
class Listing(Displayed):
    """A product's program as text: what runs once for θ and batch, and what runs for each vector.

    Attributes
    ----------
    title : str
        The product and its algorithm.
    once : tuple of Line
        The lines that are cached across products (sec. 7.1).
    each : tuple of Line
        The lines that run for each product.
    """

    title: str
    once: tuple[Line, ...]
    each: tuple[Line, ...]
    objective: Definition = field(compare=False)
    product: str

    def numpy(self) -> str:
        """Write the product as a function that needs NumPy alone, such as ggnvp(theta, batch, v).

        Its arguments are those of `Objective.linearize` and of the product, its result is the same.
        Each line has the rule, the node and the line of the user's file in a comment. A recurrence
        is not folded: each of its rounds has its own lines, so that of 100 steps is 100 times as
        long as that of one.

        Returns
        -------
        str
            The source of a module.

        Raises
        ------
        RopTypeError
            If a user's op cannot be written without what its file holds besides.
        RopValueError
            If the graph's constants have more than 100,000 elements.

        Examples
        --------
        >>> a = rop.param("a", 2)
        >>> source = rop.explain(rop.Objective(a[0] ** 2 * a[1]), "hvp").numpy()
        >>> found = {}
        >>> exec(str(source), found)
        >>> found["hvp"](np.array([2.0, 3.0]), {}, np.array([1.0, 2.0]))
        array([14.,  4.])
        """
        from rop.show.source.module import numpy_source

        within = without_value(programs_of(self.objective))
        return numpy_source(
            self.objective,
            self.product,
            self.title,
            lambda program: [
                (line.steps, _comment(line)) for line in _lines(program.steps, within)
            ],
        )

    def latex(self) -> str:
        """Write the lines as LaTeX: an ``aligned`` environment, for a formula of its own.

        Returns
        -------
        str
        """
        rows = []
        for heading, table in self._tables(_with_laws).items():
            if table:
                rows.append(rf"&\text{{{mathematics.prose(heading)}}}")
            for entry in table:
                if isinstance(entry, Loop):
                    rows.append(rf"&\text{{for $k = 0, \ldots, {entry.rounds - 1}$:}}")
                for text, _, said in [entry] if isinstance(entry, tuple) else entry.rows:
                    sign = " += " if " += " in text else " = "
                    target, formula = map(mathematics.formula, text.split(sign, 1))
                    equals = r"\mathrel{+}=" if sign == " += " else "="
                    indent = r"\quad " if isinstance(entry, Loop) else ""
                    words = rf" &&\text{{{mathematics.prose(said)}}}"
                    rows.append(f"{indent}{target} &{equals} {formula}{words}")
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def markdown(self) -> str:
        """Write the lines as tables in Markdown.

        Returns
        -------
        str
        """
        text = [f"**{self.title}**"]
        heads = ("formula", "shape", "rule", "paper", "source")
        for heading, table in self._tables(_with_sources).items():
            if not table:
                continue
            rows = []
            for entry in table:
                if isinstance(entry, Loop):
                    rows.append([f"for k = 0, ..., {entry.rounds - 1}:", *[""] * 4])
                for formula, *rest in _rows(entry):
                    indent = "&emsp;" if isinstance(entry, Loop) else ""
                    rows.append([f"{indent}`{formula.strip()}`", *rest])
            text += ["", heading, "", markdown_table(heads, rows)]
        return "\n".join(text) + "\n"

    def _tables(
        self, columns: Callable[[Line], tuple[str, ...]]
    ) -> dict[str, list[tuple[str, ...] | Loop]]:
        """The lines of each part under its heading, folded."""
        blocks = {"once for each θ and batch": self.once, "for each product": self.each}
        return {
            heading: folded([columns(line) for line in block]) for heading, block in blocks.items()
        }

    def __str__(self) -> str:
        text = [self.title]
        tables = self._tables(lambda line: (line.formula, line.shape, ", ".join(line.rules)))
        shown = [row for table in tables.values() for entry in table for row in _rows(entry)]
        wide = max((len(formula) for formula, _, _ in shown), default=0)
        shapes = max((len(shape) for _, shape, _ in shown), default=0)
        for heading, table in tables.items():
            if table:
                text.append(f"\n  {heading}")
            for entry in table:
                if isinstance(entry, Loop):
                    text.append(f"    for k = 0, ..., {entry.rounds - 1}:")
                for formula, shape, rules in _rows(entry):
                    text.append(f"    {formula:<{wide}}   {shape:>{shapes}}   {rules}")
        return "\n".join(text)

    def __repr__(self) -> str:
        lines = f"{len(self.once)} lines once, {len(self.each)} for each product"
        return f"<Listing: {self.title}, {lines}; print it>"


def _with_laws(line: Line) -> tuple[str, ...]:
    return (
        line.formula,
        line.shape,
        "; ".join(filter(None, map(", ".join, (line.rules, line.laws)))),
    )


def _with_sources(line: Line) -> tuple[str, ...]:
    return line.formula, line.shape, *map(", ".join, (line.rules, line.laws, line.sources))


def _rows(entry: tuple[str, ...] | Loop) -> list[tuple[str, ...]]:
    if isinstance(entry, Loop):
        return [(f"  {formula}", *rest) for formula, *rest in entry.rows]
    return [entry]


@overload
def explain(objective: Objective, product: str = "ggnvp") -> Listing: ...


@overload
def explain(objective: Recipe | str) -> RecipeListing: ...


def explain(objective: Objective | Recipe | str, product: str = "ggnvp") -> Listing | RecipeListing:
    """List the program that computes a product: the paper's algorithm for this very graph.

    Of a recipe of HF, list algorithm 3 with its choices and constants.

    Parameters
    ----------
    objective : Objective or Recipe or str
        The objective, or a recipe, by its name too: "martens2010".
    product : str
        "gradient", "jvp", "vjp", "loss_hvp", "ggnvp" or "hvp".

    Returns
    -------
    Listing or RecipeListing
        The lines; `print` folds the steps of a recurrence into a loop.

    Raises
    ------
    RopTypeError
        If it is neither an objective nor a recipe.
    RopValueError
        If there is no such product, or no recipe of that name.

    Examples
    --------
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> print(rop.explain(objective, "ggnvp"))
    G v = Jᵀ L'' J v (algorithm 5)
    <BLANKLINE>
      once for each θ and batch
        z = W1 x + b1      N × 1   value of matvec a1, value of add
        dz = z/N - t/N     N × 1   loss
    <BLANKLINE>
      for each product
        Rz = RW1 x + Rb1   N × 1   R rule of matvec a1, R rule of add
        Rdz = Rz/N         N × 1   loss
        Rdb1 = Σ Rdz           1   reverse rule of add
        RdW1 = Σ Rdz xᵀ    1 × 2   reverse rule of matvec a1
    """
    if isinstance(objective, Recipe | str):
        return recipe_listing(named(objective))
    if not isinstance(objective, Objective):
        raise RopTypeError(
            f"explain: expected an Objective or a Recipe, got {type(objective).__name__}"
        )
    if product not in TITLES:
        raise RopValueError(f"explain: expected {either(TITLES)}, got {product!r}")
    algorithms = programs_of(objective)
    within = without_value(algorithms)
    stages = algorithms.stages(product)
    once = tuple(line for stage in stages for line in _lines(stage.steps, within))
    each = tuple(_lines(algorithms.product(product).steps, within))
    if objective.l2 and product in ("gradient", "ggnvp", "hvp"):
        strength = f"{objective.l2:g}" if isinstance(objective.l2, float) else "l2 *"
        penalty = f"{strength} {'θ' if product == 'gradient' else 'v'}"
        each += (Line("result", (penalty,), ("penalty",), "n", adds=True),)
    return Listing(TITLES[product], once, each, objective, product)


def without_value(algorithms: Algorithms) -> dict[Node, str]:
    """Names of the nodes that no line of the forward sweep assigns a value to."""
    assigned = {step.target.name for step in algorithms.forward.steps}
    return {node: name for node, name in algorithms.names.items() if name not in assigned}


def _lines(steps: Iterable[Step], within: Mapping[Node, str]) -> Iterator[Line]:
    """Put the steps that add to one value into one line."""
    group: list[Step] = []
    for step in steps:
        if group and (step.target is not group[0].target or _part(step) != _part(group[0])):
            yield _line(group, within)
            group = []
        group.append(step)
    if group:
        yield _line(group, within)


def _line(steps: list[Step], within: Mapping[Node, str]) -> Line:
    target = steps[0].target
    return Line(
        target.name + _part(steps[0]),
        tuple(_term(step) for step in steps),
        tuple(dict.fromkeys(rule_of(step, within) for step in steps)),
        shape_of(target),
        steps[0].accumulate,
        tuple(steps),
    )


def shape_of(value: Value) -> str:
    """A value's shape in words: 6 × 4, or N × 6 where there is one for each case."""
    shape = " × ".join(map(str, value.shape)) or "1"
    return f"N × {shape}" if value.per_case else shape


def formula_of(step: Step) -> str:
    """One step as a formula, as Rx2 += Rb1."""
    return Line(step.target.name + _part(step), (_term(step),), (), "", step.accumulate).formula


def law_of(step: Step) -> str:
    """The paper's rule that a step applies; "" where there is none, as for a value."""
    if step.rule not in ("R", "reverse", "curvature", "s'", "s''", "s''·da"):
        return ""
    op = step.node.op
    if isinstance(op, Bilinear):
        return "product rule (eq. 5)"
    if isinstance(op, Elementwise | General):
        return "chain rule (eq. 6)"
    return "linearity (eq. 4)"


def _comment(line: Line) -> str:
    """A line's rules, the paper's rules behind them, and where the user's file has the nodes."""
    return "; ".join(filter(None, (", ".join(line.rules), ", ".join(line.laws), *line.sources)))


def _part(step: Step) -> str:
    return step.kernel.part if isinstance(step.kernel, Loops) else ""


def _term(step: Step) -> str:
    if step.kernel is None:
        return "+ 0"
    text = step.kernel.text.format(*(value.name for value in step.operands))
    if not step.target.per_case and any(value.per_case for value in step.operands):
        text = f"Σ {text}"
    coefficient = step.kernel.coefficient if isinstance(step.kernel, Loops) else 1.0
    sign = "-" if coefficient < 0 else "+"
    size = abs(coefficient)
    return f"{sign} {text}" if size == 1.0 else f"{sign} {size:g} {text}"


def rule_of(step: Step, within: Mapping[Node, str]) -> str:
    """The rule that a step applies, and its op; the node's name if no value bears it."""
    op = step.node.op
    if step.rule in _RULES and op is not None:
        return " ".join([f"{_RULES[step.rule]} of {op.name}", *within.get(step.node, "").split()])
    return "loss"
