"""Names of values in listings, drawings and errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop.graph import Node
from rop.ops.families import Elementwise

_SHORT = 3  # elements of a constant that is called by its value


class Names(dict[Node, str]):
    """Names of the nodes' values, and of all values that belong to a node: no two share one."""

    def __init__(self, names: dict[Node, str]) -> None:
        super().__init__(names)
        self._given: dict[tuple[Node, str], str] = {}
        self._taken = {"1/N", "μ/N", *names.values()}
        self._again: dict[str, int] = {}

    def of(self, node: Node, prefix: str) -> str:
        """The name of a node's value, such as Rdx2; with _ where a parameter is called that."""
        return self.apart(node, prefix, prefix + self[node]) if prefix else self[node]

    def apart(self, node: Node, label: str, wanted: str) -> str:
        """A name that no other value has; one label of a node has one name.

        It is the name wanted; or with _, _2, _3, ... after it, the first that is free.
        """
        if (node, label) not in self._given:
            name, again = wanted, self._again.get(wanted, 0)
            while name in self._taken:
                again += 1
                name = f"{wanted}_{again}" if again > 1 else f"{wanted}_"
            self._again[wanted] = again
            self._given[node, label] = name
            self._taken.add(name)
        return self._given[node, label]


def node_names(nodes: Sequence[Node], z: Node) -> Names:
    """Names of the nodes' values as the paper has them: x2, y2 for the two sides of a layer.

    A node's own name comes first, and a constant is called by its value where that is short. No two
    nodes share a name but constants of the same value.
    """
    names: dict[Node, str] = {node: node.name for node in nodes if node.name is not None}
    taken = set(names.values())
    layer, other = 1, 0
    constants: dict[str, NDArray[Any]] = {}

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
                short = _value(node.constant)
                if np.array_equal(constants.setdefault(short, node.constant), node.constant):
                    names[node] = short
            give(node, f"c{other}" if node.kind == "constant" else f"a{other}")
    return Names(names)


def _value(constant: NDArray[Any]) -> str:
    """A constant as a formula has it: 2, (-1), [0.5, 1]."""
    if constant.ndim:
        return np.array2string(constant, separator=", ", formatter={"all": "{:g}".format})
    return f"{constant:g}" if constant >= 0 else f"({constant:g})"
