"""One mistake of the museum: where it was made, what is wrong, and which check catches it."""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rop.checking import Report


@dataclass(frozen=True, repr=False)
class Exhibit:
    """A mistake that somebody made, as a small broken function beside the right one.

    Attributes
    ----------
    name : str
    source : str
        The paper's erratum, or the project, where it was made.
    mistake : str
        What is wrong, and what it does.
    check : str
        What catches it: a product's argument name in `rop.check_products`, or an identity's name.
    says : str
        Words of the report that tell what is wrong.
    broken, right : callable
        The code with the mistake and without, to be read.
    run : callable
        How it is checked: code -> `Report`.

    Examples
    --------
    >>> found = rop.museum.exhibit("algorithm 4 as printed")
    >>> found.run(found.broken).verdict, found.run(found.right).verdict
    ('fail', 'pass')
    """

    name: str
    source: str
    mistake: str
    check: str
    says: str
    broken: Callable[..., Any]
    right: Callable[..., Any]
    run: Callable[[Any], Report]

    def report(self) -> Report:
        """Check the broken code."""
        return self.run(self.broken)

    def corrected(self) -> Report:
        """Check the right code."""
        return self.run(self.right)

    @property
    def code(self) -> str:
        """Source of the broken code."""
        return textwrap.dedent(inspect.getsource(self.broken))

    def __str__(self) -> str:
        mistake = textwrap.fill(self.mistake, 88)
        return f"{self.name}\n  {self.source}\n\n{mistake}\n\n{self.code}\n{self.report()}"

    def __repr__(self) -> str:
        return f"<Exhibit {self.name!r}: {self.source}; caught by {self.check}>"


class Exhibits(tuple[Exhibit, ...]):
    """Exhibits that are listed by their names."""

    __slots__ = ()

    def __str__(self) -> str:
        wide = max(len(one.name) for one in self)
        return "\n".join(f"{one.name:<{wide}}  {one.source}" for one in self)

    def __repr__(self) -> str:
        return f"<Exhibits: {len(self)}; print them>"


def caught(report: Report) -> set[str]:
    """The products and identities that fail in a report.

    >>> found = rop.museum.exhibit("algorithm 4 as printed")
    >>> rop.museum.caught(found.run(found.broken))
    {'hvp'}
    """
    products = {name for name, product in report.products.items() if product.verdict == "fail"}
    return products | {
        identity.name for identity in report.identities if identity.verdict == "fail"
    }
