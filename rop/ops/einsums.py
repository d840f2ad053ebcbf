"""Products and sums in Einstein's notation."""

from __future__ import annotations

from math import prod

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, Operand, Shape, as_node
from rop.ops import kernels
from rop.ops.families import Linear
from rop.ops.op import misfit
from rop.ops.products import Product
from rop.support.user import user_line


class Einsum1(Linear):
    """a = Σ of z over the indices that the result lacks:  Ra = Σ Rz,  dz = da put back."""

    def __init__(self, z: Shape, *, subscripts: str) -> None:
        self.subscripts = subscripts
        kernel = kernels.einsum(subscripts, (z,), "einsum({0})")
        self.shape, self.maps = kernels.einsum_shape(subscripts, kernel), [kernel]
        self.adjoints = [kernel.adjoint(0, "einsumᵀ({0})", prod(z))]


class Einsum2(Product):
    """a = Σ x y over the indices that the result lacks; the adjoints exchange the indices."""

    texts = ("einsum({0}, {1})", "einsum({0}, {1})", "einsum({0}, {1})")

    def __init__(self, x: Shape, y: Shape, *, subscripts: str) -> None:
        self.subscripts = subscripts
        self._rules(x, y)


def einsum(subscripts: str, *operands: Operand) -> Node:
    """Sum of products in Einstein's notation, for one case.

    Parameters
    ----------
    subscripts : str
        For instance ``"ij,jk->ik"``. Without ``->``, the result has the letters that occur once, in
        alphabetical order. No ellipsis: the case axis is not part of it.
    *operands : Node or array_like
        One for each term. Three or more are multiplied from the left, two at a time.

    Returns
    -------
    Node

    Raises
    ------
    RopTypeError, RopValueError
        If the subscripts are malformed or do not fit the operands' shapes.

    Examples
    --------
    >>> A, x = rop.param("A", (2, 2)), rop.param("x", 2)
    >>> quadratic = rop.einsum("i,ij,j", x, A, x)
    >>> rop.Objective(quadratic, params=[x, A]).value_and_gradient([1.0, 2.0, 1.0, 0.0, 0.0, 1.0])
    (5.0, array([2., 4., 1., 2., 2., 4.]))
    """
    if not isinstance(subscripts, str):
        raise RopTypeError(
            f"einsum: expected subscripts such as 'ij,j->i' first, got "
            f"{type(subscripts).__name__} ({user_line()})"
        )
    nodes = [as_node(operand) for operand in operands]
    text = subscripts.replace(" ", "")
    inputs, arrow, target = text.partition("->")
    terms = inputs.split(",")
    if not arrow:
        target = "".join(sorted(c for c in set(inputs) - {","} if inputs.count(c) == 1))
    _refuse(subscripts, terms, target, nodes)
    while len(nodes) > 2:
        later = "".join(terms[2:]) + target
        kept = "".join(dict.fromkeys(c for c in terms[0] + terms[1] if c in later))
        joined = Einsum2.of(*nodes[:2], subscripts=f"{terms[0]},{terms[1]}->{kept}")
        nodes, terms = [joined, *nodes[2:]], [kept, *terms[2:]]
    op = Einsum1 if len(nodes) == 1 else Einsum2
    return op.of(*nodes, subscripts=f"{','.join(terms)}->{target}")


def _refuse(subscripts: str, terms: list[str], target: str, nodes: list[Node]) -> None:
    """Raise RopValueError if subscripts are malformed or do not fit the nodes."""
    letters = "".join(terms) + target
    if not all(c.isascii() and c.isalpha() for c in letters):
        raise RopValueError(
            f"einsum: expected letters, commas and one '->', got {subscripts!r} ({user_line()})"
        )
    shapes = [node.shape for node in nodes]
    if len(terms) != len(nodes) or not nodes:
        raise RopValueError(
            f"einsum: {subscripts!r} has {len(terms)} terms for {len(nodes)} operands "
            f"({user_line()})"
        )
    if len(set(target)) < len(target) or not set(target) <= set("".join(terms)):
        raise RopValueError(
            f"einsum: the result {target!r} must have letters of the operands, each once "
            f"({user_line()})"
        )
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        if len(term) != len(shape):
            raise misfit("einsum", f"{len(term)} axes for {term!r} in {subscripts!r}", *shapes)
        for c, n in zip(term, shape, strict=True):
            if sizes.setdefault(c, n) != n:
                raise misfit("einsum", f"one length for {c!r} in {subscripts!r}", *shapes)
