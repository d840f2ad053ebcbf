"""The paper's algorithms: each puts sweeps together to the program of one product.

| product  | is                  | by                                                      |
|----------|---------------------|---------------------------------------------------------|
| gradient | Jᵀ ∇L (alg. 1)      | the reverse sweep from ∇L                               |
| vjp      | Jᵀ u                | the reverse sweep from u                                |
| jvp      | J v (sec. 5)        | the R-forward sweep from v                              |
| loss_hvp | L'' w (table 2)     | the loss's own rule                                     |
| ggnvp    | Jᵀ L'' J v (alg. 5) | R-forward from v, L'', R-reverse without curvature rule |
| hvp      | H v (alg. 4)        | the same with the curvature rule                        |

What does not depend on the direction goes into programs of its own, which run once for each θ and
batch: that is the activity caching of sec. 7.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from rop.graph import Node, descendants
from rop.ops.kernels import einsum, letters
from rop.ops.rules import State, Target, Value
from rop.programs.model import Model
from rop.programs.steps import Emitter, Program
from rop.programs.sweeps import forward, r_forward, r_reverse, reverse


def forward_and_loss(model: Model) -> None:
    """Emit the values a_i and slopes s'(z_i), the loss of each case, and ∇L."""
    forward(model.nodes, model.emit_to(model.forward), model.a, model.into)
    emit = model.emit_to(model.loss_value, bends=model.loss_curvature)
    stand_in = Node(None, (), ())
    model.loss.value(emit, Target(State({stand_in: model.losses}), stand_in, ""), model.a, model.z)
    emit = model.emit_to(model.loss_gradient, bends=model.loss_gradient)
    model.d = model.loss.gradient(emit, model.a, model.z, model.N)


def gradient(model: Model) -> Program:
    """∇f = Jᵀ ∇L: reverse from ∇L (alg. 1)."""
    return _reverse(model, model.emit_to(Program("gradient")), model.d[model.z])


def vjp(model: Model) -> Program:
    """Jᵀ u: reverse from u."""
    return _reverse(model, model.emit_to(Program("vjp"), directional=True), model.given("u"))


def _reverse(model: Model, emit: Emitter, dz: Value) -> Program:
    results = model.blocks("d", "output", emit.directional)
    emit.program.passed_on[model.names.of(model.z, "d")] = dz
    d = State({**results, model.z: dz})
    reverse(model.network, emit, model.a, d, model.active)
    model.finish(emit, d, "d", results)
    return emit.program


def jvp(model: Model) -> Program:
    """J v: R-forward from v (sec. 5)."""
    emit, z, Rz = model.emit_to(Program("jvp"), directional=True), model.z, model.result("R")
    R = model.blocks("R", "input", True)
    R.setdefault(z, Rz)
    r_forward(model.network, emit, model.a, R, model.into)
    emit.begin(z, "R")
    emit.finish(Target(R, z, "R"), Rz)
    return emit.program


def loss_hvp(model: Model, name: str = "loss_hvp") -> Program:
    """L'' w (table 2); under the name "raw_loss_hvp" before L'' is made positive semidefinite."""
    emit, z, Rdz = model.emit_to(Program(name), directional=True), model.z, model.result("Rd")
    Rd, w = State({z: Rdz}), model.given("w")
    emit.program.passed_on[model.names.of(z, "R")] = w
    _add_loss_hvp(model, emit.program, w, Rd, convex=name == "loss_hvp")
    emit.begin(z, "loss")
    emit.finish(Target(Rd, z, "Rd"), Rdz)
    return emit.program


def ggnvp(model: Model, hidden: Sequence[Node] = ()) -> Program:
    """Gv = Jᵀ L'' J v (alg. 5), and with hidden units the product of structural damping."""
    return _curvature(model, Program("structural" if hidden else "ggnvp"), None, hidden)


def hvp(model: Model) -> Program:
    """Hv: as Gv, with the curvature rule (alg. 4), which reads the adjoints da_i of ∇f."""
    d = State({model.z: model.d[model.z]})
    reverse(model.network, model.emit_to(model.adjoints), model.a, d, model.active)
    return _curvature(model, Program("hvp"), d, ())


def _curvature(model: Model, program: Program, d: State | None, hidden: Sequence[Node]) -> Program:
    """R-forward from v, L'' at the loss, and R-reverse; with the curvature rule if d is given."""
    z, network = model.z, model.leading_to(model.z, *hidden)
    emit = model.emit_to(program, directional=True)
    R = model.blocks("R", "input", True)  # Rθ = v
    r_forward(network, emit, model.a, R, model.into)  # Rz = J v
    results = model.blocks("Rd", "output", True)
    Rd = State({node: results[node] for node in model.parameters if node is not z})
    if z in R:
        _add_loss_hvp(model, program, R[z], Rd, convex=d is None)  # Rdz = L'' Rz
    for node in hidden:
        _add_structural_damping(model, emit, node, R, Rd)
    active, curvature = descendants(network, model.parameters), d is not None
    r_reverse(network, emit, model.a, R, d or State(), Rd, active, curvature=curvature)
    model.finish(emit, Rd, "Rd", results)  # Rdθ = Gv or Hv
    return program


def _add_loss_hvp(model: Model, program: Program, Rz: Value, Rd: State, convex: bool) -> None:
    """Rdz += L'' Rz; convex: with what the loss has in its place (sec. 6.3)."""
    emit = model.emit_to(program, directional=True, bends=model.loss_curvature)
    target = Target(Rd, model.z, "Rd")
    if convex and model.loss.convexify is not None:
        m = model.z.size
        emit.begin(model.z, "loss")
        emit(target, einsum("ij,j->i", ((m, m), (m,)), "{0} {1}"), model.convex, Rz)
    else:
        model.loss.hvp(emit, model.a, model.d, model.z, model.N, Rz, target)


def _add_structural_damping(model: Model, emit: Emitter, node: Node, R: State, Rd: State) -> None:
    """Rdh += μ Rh; with the matching loss Rdx += μ s'(x) Rx, so Rdh += μ Rx (erratum M47)."""
    emit.begin(node, "structural")
    axes = letters(node.shape)
    times = einsum(f"{axes},->{axes}", (node.shape, ()), "{1} {0}")
    emit(Target(Rd, node, "Rd"), times, R[model.damped_at(node)], model.mu)
