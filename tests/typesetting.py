"""Listings in LaTeX, set by Matplotlib's mathtext."""

import re
from functools import cache

from matplotlib.mathtext import MathTextParser

PRODUCTS = ("gradient", "jvp", "vjp", "loss_hvp", "ggnvp", "hvp")


def set_by_matplotlib(latex):
    """Matplotlib's mathtext sets every formula of every line."""
    assert latex.startswith("\\begin{aligned}\n") and latex.endswith("\n\\end{aligned}")
    for row in latex.splitlines()[1:-1]:
        formula, _, words = row.removesuffix(r" \\").partition(r"\text{")
        formula = formula.replace("&", "").replace(r"\mathrel{+}", "+").strip()
        pieces = [f"${formula}$"] if formula else []
        pieces += re.findall(r"\$[^$]*\$", words.removesuffix("}"))
        assert words.endswith("}") and words.count("$") % 2 == 0
        for piece in pieces:
            _set(piece)


@cache
def _set(piece):
    MathTextParser("path").parse(piece)
