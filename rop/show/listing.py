"""`explain`: the program of a product as a listing, for the user's own graph.

For a network of layers this is the paper's algorithm 1, 4 or 5, line by line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import overload

from rop.errors import RopTypeError, RopValueError
from rop.hf.recipe import Recipe
from rop.hf.recipes import named
from rop.objective.definition import Definition, programs_of
from rop.objective.objective import Objective
from rop.show import mathematics
from rop.show.folding import Loop, folded
from rop.show.lines import Line, lines_of, unrolled, without_value
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
                (part.steps, _comment(part))
                for line in lines_of(program.steps, within)
                for part in unrolled(line, within)
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
                # What a loop repeats is set in under its heading.
                start, end = (r"&\quad ", "") if isinstance(entry, Loop) else ("", "&")
                for text, _, said in [entry] if isinstance(entry, tuple) else entry.rows:
                    sign = " += " if " += " in text else " = "
                    target, formula = map(mathematics.formula, text.split(sign, 1))
                    equals = r"\mathrel{+}=" if sign == " += " else "="
                    words = rf" &&\text{{{mathematics.prose(said)}}}"
                    rows.append(f"{start}{target} {end}{equals} {formula}{words}")
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
        within = without_value(programs_of(self.objective))
        return {
            heading: folded([columns(part) for line in block for part in unrolled(line, within)])
            for heading, block in blocks.items()
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
    programs = programs_of(objective)
    within = without_value(programs)
    stages = programs.stages(product)
    once = tuple(line for stage in stages for line in lines_of(stage.steps, within))
    each = tuple(lines_of(programs.product(product).steps, within))
    if objective.l2 and product in ("gradient", "ggnvp", "hvp"):
        strength = f"{objective.l2:g}" if isinstance(objective.l2, float) else "l2 *"
        penalty = f"{strength} {'θ' if product == 'gradient' else 'v'}"
        each += (Line("result", (penalty,), ("penalty",), "n", adds=True),)
    return Listing(TITLES[product], once, each, objective, product)


def _comment(line: Line) -> str:
    """A line's rules, the paper's rules behind them, and where the user's file has the nodes."""
    return "; ".join(filter(None, (", ".join(line.rules), ", ".join(line.laws), *line.sources)))
