"""The nodes that users hand over for an objective, refused where they make no sense."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node
from rop.losses import LossGraph
from rop.ops.elementwise import Sigmoid, Tanh
from rop.programs.loss import Loss


def checked_loss(z: Node, loss: Loss | None) -> Loss:
    """Return the loss, or z itself as one; raises RopError unless it is a loss of the outputs z."""
    if not isinstance(z, Node):
        raise RopTypeError(f"z: expected a node, got {type(z).__name__}")
    if isinstance(loss, Node):
        raise RopTypeError(
            "loss: a node is no loss by itself; write rop.LossGraph(node) for one that is a "
            "scalar for one case"
        )
    if isinstance(loss, type):
        raise RopTypeError(
            f"loss: {loss.__name__} is a class; write rop.{loss.__name__}(t), with the targets "
            't = rop.data("t", ...)'
        )
    if loss is None and not z.shape:
        loss = LossGraph(z)
    if loss is None:
        raise RopTypeError(
            f"loss: outputs of shape {z.shape} for one case need one, such as "
            "rop.SquaredError(t); only a scalar is an objective by itself"
        )
    if not isinstance(loss, Loss):
        raise RopTypeError(
            f"loss: expected a loss such as rop.SquaredError(t), got {type(loss).__name__}"
        )
    loss.fit(z)
    return loss


def checked_nodes(name: str, nodes: Iterable[Node]) -> list[Node]:
    """Return a list of nodes; raises RopTypeError that names the argument if it is none."""
    if isinstance(nodes, Node) or not isinstance(nodes, Iterable):
        raise RopTypeError(f"{name}: expected a list of nodes, got {nodes!r}")
    listed = list(nodes)
    for node in listed:
        if not isinstance(node, Node):
            raise RopTypeError(f"{name}: expected a list of nodes, got {node!r} in it")
    return listed


def checked_parameters(nodes: Iterable[Node], params: Iterable[Node] | None) -> list[Node]:
    """Return the parameters in θ's order; raises RopError if some of the nodes' are left out."""
    found = [node for node in nodes if node.kind == "param"]
    chosen = found if params is None else checked_nodes("params", params)
    for node in chosen:
        if node.kind != "param":
            raise RopTypeError(f"params: expected parameters, made by rop.param, got {node!r}")
    listed = set(chosen)
    left_out = [node.name for node in found if node not in listed]
    if left_out:
        raise RopValueError(f"params: z depends on {left_out} too; list every parameter")
    if not chosen:
        raise RopValueError("z depends on no parameter; make one with rop.param")
    return chosen


def refuse_duplicates(nodes: Iterable[Node]) -> None:
    """Raise RopValueError if two parameters or data nodes have one name."""
    names = [str(node.name) for node in nodes]
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise RopValueError(
            f"two different nodes are called {twice[0]!r}; give every parameter and data node a "
            "name of its own (to share a parameter, use its node twice)"
        )


def refuse_hidden(
    hidden: Iterable[Node], distance: str, moving: Collection[Node], per_case: bool
) -> None:
    """Raise RopValueError if structural damping makes no sense at one of the hidden nodes.

    Parameters
    ----------
    hidden : iterable of Node
        The nodes.
    distance : str
        How their changes are measured.
    moving : collection of Node
        The nodes that depend on parameters.
    per_case : bool
        Whether the outputs depend on data.
    """
    if distance not in ("squared", "matching"):
        raise RopValueError(f"distance: expected 'squared' or 'matching', got {distance!r}")
    for node in hidden:
        if node.op is None or node not in moving or node.per_case != per_case:
            raise RopValueError(
                f"hidden: expected nodes that depend on parameters, and on data if the outputs "
                f"do, got {node!r}"
            )
        if distance == "matching" and not isinstance(node.op, Tanh | Sigmoid):
            raise RopValueError(
                f"hidden: distance='matching' is for tanh and sigmoid units, got {node!r}; "
                "use distance='squared'"
            )
