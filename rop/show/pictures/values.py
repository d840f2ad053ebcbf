"""What a picture says of each node: its values, or its work."""

from __future__ import annotations

from collections import Counter
from typing import Literal, TypeAlias, get_args

from numpy.typing import ArrayLike

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node
from rop.objective.definition import programs_of
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
from rop.programs.catalogue import PRODUCTS
from rop.show.numbers import of_first_case
from rop.support.words import either

Show: TypeAlias = Literal["shape", "a", "Ra", "da", "Rda", "flops"]


def said_of(
    what: Objective | Node,
    at: Linearization | None,
    v: ArrayLike | None,
    show: Show,
    product: str | None,
) -> dict[Node, str] | None:
    """What a picture says of each node, besides its name.

    Parameters
    ----------
    what : Objective or Node
        The graph.
    at, v, show, product
        As in `rop.draw`.

    Returns
    -------
    dict of Node to str, or None
        None for the shapes.

    Raises
    ------
    RopTypeError, RopValueError
        If something is missing, or does not fit.
    """
    if show not in get_args(Show):
        raise RopValueError(f"show: expected {either(get_args(Show))}, got {show!r}")
    if show == "shape":
        return None
    if not isinstance(what, Objective):
        raise RopTypeError(f"draw: show={show!r} needs an Objective, got {type(what).__name__}")
    name = product or ("gradient" if show == "da" else "ggnvp")
    if name not in PRODUCTS:
        raise RopValueError(f"product: expected {either(PRODUCTS)}, got {name!r}")
    if show == "flops":
        return _work(what, name)
    if at is None:
        raise RopTypeError(
            f"draw: show={show!r} needs at, such as at=objective.linearize(theta, batch)"
        )
    if at.objective is not what:
        raise RopValueError("at: expected a linearization of the drawn objective")
    if show == "a" and v is None:
        name = "gradient"
    trace = at.trace(name, v if PRODUCTS[name].vector else None)
    found = {node: trace.of(node, show) for node in programs_of(what).names}
    if all(array is None for array in found.values()):
        raise RopValueError(f"show: product {name!r} computes no {show}; give another product=")
    return {node: of_first_case(array, node) for node, array in found.items() if array is not None}


def _work(objective: Objective, product: str) -> dict[Node, str]:
    """Multiplications for a case of a product's steps, by the node whose rule each is."""
    work: Counter[Node] = Counter()
    for step in programs_of(objective).product(product).steps:
        work[step.node] += step.multiplications
    return {node: f"{count:,}" for node, count in work.items() if count}
