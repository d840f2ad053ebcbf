"""Names of values in listings, drawings and errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop.graph import Node
from rop.ops.families import Elementwise

_SHORT = 3  # elements of a constant that is called by its value


def node_names(nodes: Sequence[Node], z: Node) -> dict[Node, str]:
    """Names of the nodes' values as the paper has them: x2, y2 for the two sides of a layer.

    Parameters
    ----------
    nodes : sequence of Node
        The graph, in topological order.
    z : Node
        The outputs.

    Returns
    -------
    dict of Node to str
        Names; a node's own name comes first, and a constant is called by its value where that is
        short. All others are unique.
    """
    names: dict[Node, str] = {node: node.name for node in nodes if node.name is not None}
    taken = set(names.values())
    layer, other = 1, 0

    def give(node: Node, name: str) -> None:
        if node not in names:
            while name in taken:
                name += "_"
            names[node] = name
            taken.add(name)

    give(z, "z")
    for node in nodes:
        if isinstance(node.op, Elementwise):
            layer += 1
            if node.parents[0].op is not None:
                give(node.parents[0], f"x{layer}")
            give(node, f"y{layer}")
    for node in nodes:
        if node not in names:
            other += 1
            if node.constant is not None and node.constant.size <= _SHORT:
                names[node] = _value(node.constant)
            else:
                give(node, f"c{other}" if node.kind == "constant" else f"a{other}")
    return names


def _value(constant: NDArray[Any]) -> str:
    """A constant as a formula has it: 2, (-1), [0.5, 1]."""
    if constant.ndim:
        return np.array2string(constant, separator=", ", formatter={"all": "{:g}".format})
    return f"{constant:g}" if constant >= 0 else f"({constant:g})"
