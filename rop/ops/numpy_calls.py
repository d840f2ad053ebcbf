"""What NumPy does with a node: its operators build nodes, its functions say what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from rop.errors import RopTypeError
from rop.graph import OPERATORS, Node
from rop.support.user import user_line

_SIGNS = {
    np.add: "+",
    np.subtract: "-",
    np.multiply: "*",
    np.true_divide: "/",
    np.matmul: "@",
    np.power: "**",
    np.greater: ">",
    np.greater_equal: ">=",
    np.logical_and: "&",
    np.bitwise_and: "&",
    np.logical_or: "|",
    np.bitwise_or: "|",
    np.logical_not: "~",
    np.invert: "~",
}
_TURNED = {np.less: ">", np.less_equal: ">="}
CATALOGUE: set[str] = set()
"""Names of the functions of `rop.ops`, which fills this in."""

_NAMES = {"absolute": "abs", "vecdot": "dot"}
_EQUALITY = {np.equal, np.not_equal}


def ufunc(function: np.ufunc, method: str, *inputs: Any, **options: Any) -> Node:
    """Build the node of an operator of an array and a node, such as ``array * node``.

    Parameters
    ----------
    function : ufunc
        NumPy's function.
    method : str
        "__call__" for the function itself.
    *inputs
        Its operands, one of them a node.
    **options
        Its other arguments.

    Returns
    -------
    Node

    Raises
    ------
    RopTypeError
        If the function belongs to no operator.
    """
    in_place = len(options.get("out", ())) == 1 and options["out"][0] is inputs[0]  # array += node
    if method == "__call__" and (in_place or not options):
        if function in _SIGNS:
            return OPERATORS[_SIGNS[function]](*inputs)
        if function in _TURNED:
            return OPERATORS[_TURNED[function]](*reversed(inputs))
    refuse(function)


def refuse(function: Callable[..., Any]) -> NoReturn:
    """Raise RopTypeError that says what to write in place of one of NumPy's functions."""
    name = function.__name__
    module = getattr(function, "__module__", None) or "numpy"  # ufuncs have none
    ours = _NAMES.get(name, name)
    if function in _EQUALITY:
        remedy = "compare by >, <, >= and <=, joined by & and |"
    elif ours in CATALOGUE:
        remedy = f"write rop.{ours}"
    else:
        remedy = "rop has no function of that name; build it from those of rop.ops"
    called = f"{module.replace('numpy', 'np')}.{name}"
    raise RopTypeError(f"{called} computes with arrays, not with nodes; {remedy} ({user_line()})")


def attribute(name: str) -> NoReturn:
    """Raise AttributeError that says how to write one of an array's methods.

    Parameters
    ----------
    name : str
        The attribute that a node does not have.

    Raises
    ------
    AttributeError
        Always.
    """
    remedy = f"; write rop.{name}(node, ...) ({user_line()})" if name in CATALOGUE else ""
    raise AttributeError(f"a node has no attribute {name!r}{remedy}")
