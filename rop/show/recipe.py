"""Algorithm 3 with the choices of a recipe: what `explain` shows of a recipe."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from rop.hf.recipe import Recipe
from rop.show.tables import markdown_table
from rop.support.display import Displayed
from rop.support.words import thirds

HEADS = ("", "algorithm 3", "choice", "constants", "section")
"""The headings of `RecipeListing.rows`."""

# The fields of a recipe, each with the line of algorithm 3 that it decides, and its section.
_LINES = {
    "batches": ("draw the cases; g = ∇f(θ)", "12"),
    "curvature": ("B = the curvature matrix", "6"),
    "damping": ("A = B + λD", "8"),
    "preconditioner": ("P for CG", "11"),
    "pairs": ("P corrected by quasi-Newton pairs", "11"),
    "decay": ("x₀ = ζ times an iterate of the run before", "10"),
    "start": ("which iterate that is", "10"),
    "restart": ("x₀ = 0 at times", "10"),
    "cg": ("minimise q(x) = gᵀx + ½ xᵀAx by CG", "4"),
    "growth": ("more cases for the curvature", "12"),
    "length": ("the limit of CG's steps", "8.7"),
    "selection": ("δ = one of CG's iterates", "8.7"),
    "reduction": ("ρ = Δf / q(δ), and λ by ρ", "8.5"),
    "moments": ("move along moments of δ", ""),
    "learning_rate": ("the first α", "12.2"),
    "line_search": ("θ ← θ + αδ", "8.8"),
    "l2": ("weight decay", "13"),
}
_CURVATURE = {
    "ggn": "the generalized Gauss-Newton matrix G (alg. 5)",
    "hessian": "the Hessian H (alg. 4)",
}
_SECTION = re.compile(r"\(sec\. ([\d., ]+\d)[^)]*\)")


@dataclass(frozen=True)
class Choice:
    """One line of algorithm 3, and what a recipe chooses there.

    Attributes
    ----------
    does : str
        The line, such as "A = B + λD".
    choice : str
        The policy, such as "Tikhonov", or the value.
    words : str
        What that means.
    constants : dict of str to object
        The policy's constants by name.
    section : str
        The paper's section.
    """

    does: str
    choice: str
    words: str
    constants: dict[str, Any]
    section: str

    @property
    def numbers(self) -> str:
        """The constants in a line."""
        return ", ".join(f"{name} = {_short(value)}" for name, value in self.constants.items())


@dataclass(frozen=True, repr=False)
class RecipeListing(Displayed):
    """Algorithm 3 with the choices of one recipe.

    Attributes
    ----------
    title : str
        The algorithm.
    lines : tuple of Choice
        Its lines, in the order of the algorithm.
    """

    title: str
    lines: tuple[Choice, ...]

    def __str__(self) -> str:
        text = [f"{self.title}: for each iteration"]
        for number, line in enumerate(self.lines, 1):
            section = f"   (sec. {line.section})" if line.section else ""
            text.append(f"\n{number:>3}. {line.does}{section}")
            text.append(f"     {line.choice}{f': {line.words}' if line.words else ''}")
            if line.constants:
                text.append(f"     {line.numbers}")
        return "\n".join(text)

    def __repr__(self) -> str:
        return f"<RecipeListing: {self.title}, {len(self.lines)} lines; print it>"

    def markdown(self) -> str:
        """Write the lines as a table in Markdown.

        Returns
        -------
        str
        """
        return f"**{self.title}**\n\n{markdown_table(HEADS, self.rows())}\n"

    def rows(self) -> list[tuple[str, ...]]:
        """The table: a row for each line."""
        return [
            (
                str(number),
                line.does,
                f"{line.choice}{f': {line.words}' if line.words else ''}",
                line.numbers,
                line.section,
            )
            for number, line in enumerate(self.lines, 1)
        ]


def recipe_listing(recipe: Recipe) -> RecipeListing:
    """List algorithm 3 with a recipe's choices, constants and section numbers.

    Parameters
    ----------
    recipe : Recipe
        The recipe.

    Returns
    -------
    RecipeListing
    """
    lines = []
    for name, (does, section) in _LINES.items():
        value = getattr(recipe, name)
        if value is None:
            continue
        if is_dataclass(value):
            words = inspect.cleandoc(type(value).__doc__ or "").partition("\n\n")[0]
            found = _SECTION.search(words)
            words = _SECTION.sub("", words).replace("\n", " ").rstrip(" .")
            own = found[1] if found else section
            lines.append(Choice(does, type(value).__name__, words, dict(_constants(value)), own))
        else:
            words = _CURVATURE.get(str(value), "")
            lines.append(Choice(does, f"{name} = {_short(value)}", words, {}, section))
    return RecipeListing("HF, algorithm 3", tuple(lines))


def _constants(policy: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """The numbers and words of a policy and of those within it, by dotted names."""
    for each in fields(policy):
        value = getattr(policy, each.name)
        if is_dataclass(value):
            yield from _constants(value, f"{prefix}{each.name}.")
        elif value is not None:
            yield f"{prefix}{each.name}", value


def _short(value: Any) -> str:
    if isinstance(value, float):
        return thirds(value, f"{value:.4g}")
    return str(value)
