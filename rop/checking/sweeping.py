"""The products of an objective as the four sweeps make them, rule by rule, without a program."""

import numpy as np

from rop.checking.eager import Eager, Known, array_of
from rop.checking.lines import Array
from rop.graph import Node
from rop.losses import LossGraph
from rop.objective.definition import programs_of
from rop.objective.objective import Objective
from rop.ops.rules import State, Target
from rop.programs.sweeps import r_forward, r_reverse, reverse


def sweep_products(
    objective: Objective, a: State, cases: int, v: Array, u: Array
) -> dict[str, Array]:
    """Value, gradient and products along one v and one u.

    Parameters
    ----------
    objective : Objective
    a : dict of Node to Value
        Values of all nodes, with their arrays.
    cases : int
        N.
    v : (n,)
    u : (N, *output shape)

    Returns
    -------
    dict
        Name -> array. Of a convexified loss, neither "loss_hvp" nor "ggnvp" (sec. 6.3).
    """
    programs, z, loss = programs_of(objective), objective.z, objective.loss
    network, active = programs.network, programs.active
    emit = Eager(cases, programs.names)
    theta = _join(objective, a)
    share = Known(np.array([1.0 / cases]), "1/N")

    R = State({p: Known(part[None]) for p, part in _parts(objective, v)})
    r_forward(network, emit, a, R, {})
    d = loss.gradient(emit, a, z, share)
    dz = d[z]
    reverse(network, emit, a, d, active)
    du = State({z: Known(u)})
    reverse(network, emit, a, du, active)

    def loss_hvp(Rz: Array) -> Array:
        target = Target(State(), z, "Rd")
        loss.hvp(emit, a, d, z, share, Known(Rz), target)
        return array_of(target.state[z]) if z in target.state else np.zeros_like(Rz)

    penalty = 0.5 * float((objective.penalty * theta) @ theta)
    products = {
        "value": np.array(emit.losses(loss, a, z).sum() / cases + penalty),
        "jvp": array_of(R[z]) if z in R else np.zeros_like(array_of(a[z])),
        "vjp": _join(objective, du),
        "loss_gradient": array_of(dz),
        "gradient": _join(objective, d) + objective.penalty * theta,
    }
    w = loss_hvp(products["jvp"])
    Rd = State({z: Known(w)})
    r_reverse(network, emit, a, R, d, Rd, active, curvature=True)
    products["hvp"] = _join(objective, Rd) + objective.penalty * v
    if not (isinstance(loss, LossGraph) and loss.convexify):
        products["loss_hvp"] = loss_hvp(u)
        Gd = State({z: Known(w)})
        r_reverse(network, emit, a, R, State(), Gd, active, curvature=False)
        products["ggnvp"] = _join(objective, Gd) + objective.penalty * v
    return products


def _parts(objective: Objective, v: Array) -> list[tuple[Node, Array]]:
    return list(zip(objective.parameters, objective.unpack(v).values(), strict=True))


def _join(objective: Objective, state: State) -> Array:
    """The parameters' values as one vector (n,), zero where there are none."""
    return np.concatenate(
        [
            array_of(state[p]).ravel() if p in state else np.zeros(p.size)
            for p in objective.parameters
        ]
    )
