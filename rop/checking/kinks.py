"""Units of a graph that sit at a kink, by name: where derivatives have two sides."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rop.checking.lines import Array
from rop.checking.session import Session
from rop.graph import Node, ancestors, descendants
from rop.losses import LossGraph
from rop.objective.objective import Objective
from rop.ops.families import Elementwise, taken
from rop.ops.pooling import MaxPool

# Relative to the size of a node's values.
NEAR = 1e-6
JUMP = 1e-3


def name_kinks(
    objective: Objective,
    theta: Array,
    batch: Mapping[str, npt.NDArray[np.generic]],
    session: Session,
) -> list[str]:
    """Say which nodes have units at, or next to, a jump of s', or two largest elements in a pool.

    Parameters
    ----------
    objective : Objective
    theta : (n,)
    batch : mapping of str to arrays
    session : Session
        Nothing is looked for unless one of its products met kinks.

    Returns
    -------
    list of str
    """
    if all(product.cause != "kink" for product in session.products.values()):
        return []
    messages = []
    nodes = ancestors(objective.z)
    active = descendants(nodes, objective.parameters)
    for number, node in enumerate(nodes):
        if isinstance(node.op, MaxPool) and node.parents[0] in active:
            messages += _name_ties(
                node, node.op, node.name or f"#{number}", objective, theta, batch
            )
        if not isinstance(node.op, Elementwise) or node.parents[0] not in active:
            continue
        z = _values(node.parents[0], objective, theta, batch)
        near = NEAR * (float(np.sqrt(np.mean(z**2))) or 1.0)
        jump = np.abs(_slope(node.op, z + near) - _slope(node.op, z - near)) > JUMP
        if jump.any():
            name = f"{node.op.name} {node.name or f'#{number}'}"
            messages.append(
                f"{int(jump.sum())} of {z.size} units of {name} are within {near:.0e} of a kink, "
                f"{int((z == 0).sum())} of them at exactly 0: move theta to check there"
            )
    return messages


def _name_ties(
    node: Node,
    op: MaxPool,
    name: str,
    objective: Objective,
    theta: Array,
    batch: Mapping[str, npt.NDArray[np.generic]],
) -> list[str]:
    """Windows whose two largest elements are next to each other, and part as θ moves."""
    z = _values(node.parents[0], objective, theta, batch)
    near = NEAR * (float(np.sqrt(np.mean(z**2))) or 1.0)
    aside = theta + NEAR * np.random.default_rng(0).standard_normal(theta.shape)
    margins = op.margins(z)
    # Elements that stay equal, such as zeros of relu, make no kink.
    parting = (margins > 0) | (op.margins(_values(node.parents[0], objective, aside, batch)) > 0)
    found = int(np.sum((margins < near) & parting))
    if not found:
        return []
    return [
        f"the two largest elements of {found} of {margins.size} windows of {op.name} {name} are "
        f"within {near:.0e} of each other, {int(np.sum((margins == 0) & parting))} of them equal: "
        "move theta to check there"
    ]


def _values(
    node: Node,
    objective: Objective,
    theta: Array,
    batch: Mapping[str, npt.NDArray[np.generic]],
) -> Array:
    """Values of a node, as the outputs of an objective of its own."""
    own = Objective(node, LossGraph(node))
    values = objective.unpack(theta)
    own_theta = own.pack({name: values[name] for name in own.shapes})
    own_batch = {name: batch[name] for name in own.data_shapes}
    return own.linearize(own_theta, own_batch, "numpy").outputs


def _slope(op: Elementwise, z: Array) -> Array:
    """s'(z) from the op's scalar functions; the value itself where s' is zero, as of x > 0."""
    if op.ds is None:
        value: Array = op.s(z)
        return value
    slope: Array = op.ds(*taken(op.ds, z=z, a=op.s(z)))
    return slope
