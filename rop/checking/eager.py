"""Rules evaluated as they are emitted: every node keeps its own values, and none are merged."""

from collections.abc import Mapping, Sequence
from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from rop.checking.lines import Array
from rop.graph import Node, Shape, ancestors
from rop.ops.kernels import Kernel, Loops
from rop.ops.rules import State, Target, Value
from rop.programs.loss import Loss
from rop.programs.names import Names
from rop.programs.steps import Emitter, Program


class Known(Value):
    """A value together with its array, (N, *shape) or (1, *shape)."""

    __slots__ = ("array",)

    def __init__(self, array: Array, name: str = "") -> None:
        super().__init__(name, array.shape[1:], len(array) > 1)
        self.array = array


def array_of(value: Value | None) -> Array:
    """The array of a value that is known."""
    assert isinstance(value, Known)
    return value.array


class Eager(Emitter):
    """Takes steps like `Emitter`, and carries each out at once in float64.

    Parameters
    ----------
    cases : int
        N.
    names : dict of Node to str
        Names of the nodes' values.
    """

    def __init__(self, cases: int, names: dict[Node, str]) -> None:
        nowhere = Program("")
        super().__init__(nowhere, Names(names), nowhere, nowhere, {})
        self.cases = cases

    def __call__(self, target: Target | None, kernel: Kernel, *operands: Value | None) -> None:
        """Add a term to the target's array."""
        if target is None or any(operand is None for operand in operands):
            return
        node = target.node
        term = evaluate(kernel, node.shape, [array_of(operand) for operand in operands])
        if node.per_case:
            term = np.broadcast_to(term, (self.cases, *node.shape))
        elif len(term) > 1:
            term = term.sum(axis=0, keepdims=True)
        made = target.state.get(node)
        total = term if made is None else array_of(made) + term
        target.state[node] = Known(total, f"{target.prefix}{self.names.get(node, '')}")

    def once(
        self, label: str, kernel: Kernel, *operands: Value | None, shape: Shape | None = None
    ) -> Value:
        """Compute something of the current node the first time that it is asked for."""
        key = (self.node, label)
        if key not in self.memo:
            own = self.node.shape if shape is None else shape
            arrays = [array_of(operand) for operand in operands]
            self.memo[key] = Known(evaluate(kernel, own, arrays), label)
        return self.memo[key]

    def temporary(self, name: str, shape: Shape, kernel: Kernel, *operands: Value) -> Value:
        """Compute something that is no node's value."""
        return Known(evaluate(kernel, shape, [array_of(operand) for operand in operands]), name)

    def losses(self, loss: Loss, a: State, z: Node) -> Array:
        """The loss of each case: (N,), or (1,) where it does not depend on data."""
        each = Node(None, (), ())
        each.per_case = z.per_case or any(node.per_case for node in loss.given)
        target = Target(State(), each, "")
        loss.value(self, target, a, z)
        return array_of(target.state[each])


def evaluate(kernel: Kernel, shape: Shape, arrays: Sequence[Array]) -> Array:
    """Run one kernel.

    Parameters
    ----------
    kernel : Loops, Map or Call
    shape : tuple of int
        Of the target, for one case.
    arrays : sequence of arrays
        The operands, (N, *shape) or (1, *shape).

    Returns
    -------
    ndarray, (N, *shape) or (1, *shape)
    """
    if not isinstance(kernel, Loops):
        with np.errstate(all="ignore"):
            return np.asarray(kernel.function(*arrays), dtype=np.float64)
    rows = max(len(array) for array in arrays)
    views: list[Array] = []
    for array, walk in zip(arrays, kernel.walks[1:], strict=True):
        flat = np.ascontiguousarray(array).reshape(len(array), -1)
        strides = (flat.strides[0] if len(flat) > 1 else 0, *(8 * s for s in walk.strides))
        views.append(as_strided(flat[:, walk.offset :], (rows, *kernel.extents), strides))
    to = kernel.walks[0]
    kept = [
        i for i, (e, s) in enumerate(zip(kernel.extents, to.strides, strict=True)) if s or e == 1
    ]
    letters = ascii_lowercase[: len(kernel.extents)]
    subscripts = ",".join(f"Z{letters}" for _ in views) + "->Z" + "".join(letters[i] for i in kept)
    term = kernel.coefficient * np.einsum(subscripts, *views)
    result = np.zeros((rows, int(np.prod(shape))))
    places = np.array(to.offset)
    for i in kept:
        places = places[..., None] + to.strides[i] * np.arange(kernel.extents[i])
    everywhere: Any = (slice(None), places)
    np.add.at(result, everywhere, term)
    return result.reshape(rows, *shape)


def leaves(
    nodes: Sequence[Node], parameters: Mapping[str, Array], batch: Mapping[str, Array]
) -> State:
    """Values of data, parameters and constants."""
    a = State()
    for node in ancestors(*nodes):
        if node.constant is not None:
            a[node] = Known(node.constant[None], node.name or "")
        elif node.kind == "data":
            a[node] = Known(np.asarray(batch[str(node.name)], np.float64), str(node.name))
        elif node.kind == "param":
            a[node] = Known(np.asarray(parameters[str(node.name)])[None], str(node.name))
    return a
