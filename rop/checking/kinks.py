"""Units of a graph that sit at a kink, by name: where derivatives have two sides."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rop.checking.lines import Array
from rop.checking.session import Session
from rop.graph import Node, ancestors
from rop.losses import LossGraph
from rop.objective.objective import Objective
from rop.ops import Elementwise
from rop.ops.kernels import wanted
from rop.programs.sweeps import descendants

# Relative to the size of a node's values.
NEAR = 1e-6
JUMP = 1e-3


def name_kinks(
    objective: Objective,
    theta: Array,
    batch: Mapping[str, npt.NDArray[np.generic]],
    session: Session,
) -> list[str]:
    """Say which elementwise nodes have units at, or next to, a jump of s'.

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
    given = {"z": z, "a": op.s(z)}
    slope: Array = op.ds(*[given[name] for name in wanted(op.ds)])
    return slope
