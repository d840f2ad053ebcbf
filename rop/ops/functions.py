"""Elementwise functions of the catalogue, each stated once: by its formulas s, s' and s''."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, cast

from rop.graph import Node, Operand
from rop.ops.families import Elementwise
from rop.ops.kernels import Array
from rop.support.user import call_it

Formula: TypeAlias = Callable[..., Array]


class Function(Protocol):
    """A function that builds a node; `op` is the class of the node's op."""

    op: type[Elementwise]

    def __call__(self, x: Operand) -> Node:
        """Build the node."""


def elementwise(*, ds: Formula | None, d2s: Formula | None) -> Callable[[Formula], Function]:
    """Make a function of nodes from that of their elements; a decorator of s.

    The three formulas serve all engines, as those of `Elementwise`: they are written with NumPy
    functions, float literals, and those of z, a = s(z) and ds = s'(z) that they need.

    Parameters
    ----------
    ds, d2s : callable or None
        s' and s''; None where they are zero.

    Returns
    -------
    callable
        Takes s, and returns a function of a node with the name and the docstring of s.
    """

    def function_of(s: Formula) -> Function:
        def function(x: Operand) -> Node:
            return op.of(x)

        for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(function, attribute, getattr(s, attribute))
        call_it(function, s.__name__)
        # Pickles find the class and its formulas as the function's attribute.
        path = f"{s.__qualname__}.op"
        members: dict[str, Any] = dict.fromkeys(("ds", "d2s"))
        for rule, formula in (("s", s), ("ds", ds), ("d2s", d2s)):
            if formula is not None:
                formula.__qualname__ = f"{path}.{rule}"
                members[rule] = staticmethod(formula)
        members |= {"__module__": s.__module__, "__qualname__": path, "__doc__": s.__doc__}
        title = "".join(part.capitalize() for part in s.__name__.split("_"))
        op: type[Elementwise] = type(title, (Elementwise,), members)
        made = cast(Function, function)
        made.op = op
        return made

    return function_of
