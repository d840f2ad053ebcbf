"""Objectives with one bug put in: the graph is rebuilt around an op, or a loss, that has it."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial, wraps
from typing import Any

import numpy as np

from rop.checking.spots import Spot
from rop.checking.wrong_kernels import FACTORS, Change, Stale, rounded
from rop.graph import Node, Shape, ancestors
from rop.losses import LossGraph
from rop.objective.objective import Objective
from rop.ops.families import Elementwise, taken
from rop.ops.kernels import Array, Kernel, Loops
from rop.ops.op import Op
from rop.ops.rules import Target, Value
from rop.programs.loss import Loss

FUNCTION_KINDS = {
    "ds": (*FACTORS, "float32", "stale cache", "s'' for s'"),
    "d2s": (*FACTORS, "float32", "stale cache", "s' for s''", "zero"),
}

_FUNCTION_CHANGES: dict[str, Callable[[Array], Array]] = {
    "float32": rounded,
    "zero": lambda result: 0.0 * result,
} | {kind: partial(np.multiply, factor) for kind, factor in FACTORS.items()}


def with_wrong_rule(objective: Objective, node: Node, spot: Spot, change: Change) -> Objective:
    """The objective with one emission of one op changed."""
    assert node.op is not None
    wrong = _meddled(node.op, spot, change)
    if hasattr(wrong, "maps"):
        # No node may be merged into this one: then the op's rules would not be asked.
        wrong.maps = tuple(
            replace(A, whole=False) if isinstance(A, Loops) and A.identity else A
            for A in wrong.maps
        )
    return rebuilt(objective, {node: wrong})


def with_wrong_function(objective: Objective, node: Node, name: str, kind: str) -> Objective:
    """The objective with s' ("ds") or s'' ("d2s") of one elementwise op changed."""
    op = node.op
    assert isinstance(op, Elementwise)
    wrong = copy.copy(op)
    right: Callable[..., Array] = getattr(op, name)
    if kind == "s'' for s'":
        wrong.ds = _second_for_first(op)
    elif kind == "s' for s''":
        wrong.d2s = lambda ds: 1.0 * ds
    else:
        change: Callable[[Array], Array] = _FUNCTION_CHANGES.get(kind, Stale())

        @wraps(right)
        def function(*arrays: Array) -> Array:
            if kind == "stale cache" and not isinstance(arrays[0], np.ndarray):
                raise TypeError("remembers arrays only")
            return change(right(*arrays))

        setattr(wrong, name, function)
    return rebuilt(objective, {node: wrong})


def with_wrong_loss(objective: Objective, spot: Spot, change: Change) -> Objective:
    """The objective with one emission of its loss changed."""
    return rebuilt(objective, {}, _meddled(objective.loss, spot, change))


def rebuilt(objective: Objective, ops: Mapping[Node, Op], loss: Loss | None = None) -> Objective:
    """The same objective with other ops in some of its nodes.

    Parameters
    ----------
    objective : Objective
    ops : mapping of Node to Op
    loss : Loss, optional
        Another loss.

    Returns
    -------
    Objective
    """
    new: dict[Node, Node] = {}
    for node in ancestors(objective.z, *objective.loss.given):
        parents = tuple(new.get(parent, parent) for parent in node.parents)
        if node in ops or parents != node.parents:
            new[node] = Node(ops.get(node, node.op), parents, node.shape, node.kind, node.name)
            new[node].per_case, new[node].line = node.per_case, node.line
            # It takes the old one's place in the graph, and its number in reports.
            new[node].order = node.order
    own = objective.loss if loss is None else loss
    if isinstance(own, LossGraph):
        own = copy.copy(own)
        own.node = new.get(own.node, own.node)
        own.given = (own.node,)
    z = new.get(objective.z, objective.z)
    return Objective(z, own, objective.l2, objective.parameters)


class _Meddling:
    """An emitter in which one emission comes out wrong; the rest it hands on."""

    def __init__(self, emit: Any, spot: Spot, change: Change) -> None:
        self._emit, self._spot, self._change, self._terms = emit, spot, change, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._emit, name)

    def __call__(self, target: Target | None, kernel: Kernel, *operands: Value | None) -> None:
        here = self._terms == self._spot.term
        self._terms += 1
        if here and target is not None and all(value is not None for value in operands):
            kernel = self._wrong(kernel, target.node.shape, operands) or kernel
        self._emit(target, kernel, *operands)

    def once(self, label: str, kernel: Kernel, *operands: Value, shape: Shape | None = None) -> Any:
        if label == self._spot.term:
            own = self._emit.node.shape if shape is None else shape
            kernel = self._wrong(kernel, own, operands) or kernel
        return self._emit.once(label, kernel, *operands, shape=shape)

    def temporary(self, name: str, shape: Shape, kernel: Kernel, *operands: Value) -> Any:
        if name == self._spot.term:
            kernel = self._wrong(kernel, shape, operands) or kernel
        return self._emit.temporary(name, shape, kernel, *operands)

    def _wrong(self, kernel: Kernel, shape: Shape, operands: Any) -> Kernel | None:
        return self._change(kernel, shape, [value.shape for value in operands])


def _meddled(owner: Any, spot: Spot, change: Change) -> Any:
    """A copy of an op, or of a loss, one of whose methods emits through `_Meddling`."""
    wrong = copy.copy(owner)
    right = getattr(owner, spot.method)

    def method(emit: Any, *arguments: Any) -> Any:
        return right(_Meddling(emit, spot, change), *arguments)

    setattr(wrong, spot.method, method)
    return wrong


def _second_for_first(op: Elementwise) -> Callable[..., Array]:
    def function(z: Array, a: Array) -> Array:
        ds: Array = op.ds(*taken(op.ds, z=z, a=a))
        second: Array = op.d2s(*taken(op.d2s, z=z, a=a, ds=ds))
        return second

    return function
