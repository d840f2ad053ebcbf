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


def forward_and_loss(of: Model) -> None:
    """Emit the values a_i and slopes s'(z_i), the loss of each case, and ∇L."""
    forward(of.nodes, of.emit_to(of.forward), of.a, of.into)
    emit = of.emit_to(of.loss_value, bends=of.loss_curvature)
    stand_in = Node(None, (), ())
    of.loss.value(emit, Target(State({stand_in: of.losses}), stand_in, ""), of.a, of.z)
    emit = of.emit_to(of.loss_gradient, bends=of.loss_gradient)
    of.d = of.loss.gradient(emit, of.a, of.z, of.N)


def gradient(of: Model) -> Program:
    """∇f = Jᵀ ∇L: reverse from ∇L (alg. 1)."""
    return _reverse(of, of.emit_to(Program("gradient")), of.d[of.z])


def vjp(of: Model) -> Program:
    """Jᵀ u: reverse from u."""
    return _reverse(of, of.emit_to(Program("vjp"), directional=True), of.given("u"))


def _reverse(of: Model, emit: Emitter, dz: Value) -> Program:
    results = of.blocks("d", "output", emit.directional)
    emit.program.passed_on[of.names.of(of.z, "d")] = dz
    d = State({**results, of.z: dz})
    reverse(of.network, emit, of.a, d, of.active)
    of.finish(emit, d, "d", results)
    return emit.program


def jvp(of: Model) -> Program:
    """J v: R-forward from v (sec. 5)."""
    emit, z, Rz = of.emit_to(Program("jvp"), directional=True), of.z, of.result("R")
    R = of.blocks("R", "input", True)
    R.setdefault(z, Rz)
    r_forward(of.network, emit, of.a, R, of.into)
    emit.begin(z, "R")
    emit.finish(Target(R, z, "R"), Rz)
    return emit.program


def loss_hvp(of: Model, name: str = "loss_hvp") -> Program:
    """L'' w (table 2); under the name "raw_loss_hvp" before L'' is made positive semidefinite."""
    emit, z, Rdz = of.emit_to(Program(name), directional=True), of.z, of.result("Rd")
    Rd, w = State({z: Rdz}), of.given("w")
    emit.program.passed_on[of.names.of(z, "R")] = w
    _add_loss_hvp(of, emit.program, w, Rd, convex=name == "loss_hvp")
    emit.begin(z, "loss")
    emit.finish(Target(Rd, z, "Rd"), Rdz)
    return emit.program


def ggnvp(of: Model, hidden: Sequence[Node] = ()) -> Program:
    """Gv = Jᵀ L'' J v (alg. 5), and with hidden units the product of structural damping."""
    return _curvature(of, Program("structural" if hidden else "ggnvp"), None, hidden)


def hvp(of: Model) -> Program:
    """Hv: as Gv, with the curvature rule (alg. 4), which reads the adjoints da_i of ∇f."""
    d = State({of.z: of.d[of.z]})
    reverse(of.network, of.emit_to(of.adjoints), of.a, d, of.active)
    return _curvature(of, Program("hvp"), d, ())


def _curvature(of: Model, program: Program, d: State | None, hidden: Sequence[Node]) -> Program:
    """R-forward from v, L'' at the loss, and R-reverse; with the curvature rule if d is given."""
    z, network = of.z, of.leading_to(of.z, *hidden)
    emit = of.emit_to(program, directional=True)
    R = of.blocks("R", "input", True)
    r_forward(network, emit, of.a, R, of.into)
    results = of.blocks("Rd", "output", True)
    Rd = State({node: results[node] for node in of.parameters if node is not z})
    if z in R:
        _add_loss_hvp(of, program, R[z], Rd, convex=d is None)
    for node in hidden:
        _add_structural_damping(of, emit, node, R, Rd)
    active = descendants(network, of.parameters)
    r_reverse(network, emit, of.a, R, d or State(), Rd, active, curvature=d is not None)
    of.finish(emit, Rd, "Rd", results)
    return program


def _add_loss_hvp(of: Model, program: Program, Rz: Value, Rd: State, convex: bool) -> None:
    """Rdz += L'' Rz; convex: with what the loss has in its place (sec. 6.3)."""
    emit, target = of.emit_to(program, True, bends=of.loss_curvature), Target(Rd, of.z, "Rd")
    if convex and of.loss.convexify is not None:
        m = of.z.size
        emit.begin(of.z, "loss")
        emit(target, einsum("ij,j->i", ((m, m), (m,)), "{0} {1}"), of.convex, Rz)
    else:
        of.loss.hvp(emit, of.a, of.d, of.z, of.N, Rz, target)


def _add_structural_damping(of: Model, emit: Emitter, node: Node, R: State, Rd: State) -> None:
    """Rdh += μ Rh; with the matching loss Rdx += μ s'(x) Rx, so Rdh += μ Rx (erratum M47)."""
    emit.begin(node, "structural")
    axes = letters(node.shape)
    times = einsum(f"{axes},->{axes}", (node.shape, ()), "{1} {0}")
    emit(Target(Rd, node, "Rd"), times, R[of.damped_at(node)], of.mu)
