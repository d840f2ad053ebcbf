"""The paper's algorithms as programs over a graph: gradient (alg. 1), Hv (alg. 4), Gv (alg. 5).

What does not depend on the direction v is split off into programs that run once per θ and batch:
that is the activity caching of sec. 7.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Literal, NamedTuple, TypeAlias

from rop.graph import Node
from rop.ops.kernels import einsum
from rop.ops.rules import Place, State, Target, Value
from rop.programs import per_case
from rop.programs.checkpointing import Checkpoints, Segments, cut
from rop.programs.loss import Loss
from rop.programs.model import Model
from rop.programs.steps import Emitter, Program, in_order_of
from rop.programs.sweeps import descendants, forward, r_forward, r_reverse, reverse, sums

Space: TypeAlias = Literal["theta", "outputs"]


class Product(NamedTuple):
    """What a product takes, and the spaces that it maps from and to.

    Attributes
    ----------
    vector : str
        What its vector is called; "" if it takes none.
    domain, codomain : {"theta", "outputs"}
        The spaces of the vector and of the result.
    """

    vector: str
    domain: Space
    codomain: Space


PRODUCTS = {
    "gradient": Product("", "theta", "theta"),
    "jvp": Product("v", "theta", "outputs"),
    "vjp": Product("u", "outputs", "theta"),
    "loss_hvp": Product("w", "outputs", "outputs"),
    "ggnvp": Product("v", "theta", "theta"),
    "hvp": Product("v", "theta", "theta"),
}
"""The products that users ask for."""

MAPS = PRODUCTS | {
    "algorithm 1": PRODUCTS["gradient"],
    "algorithm 1 with f": PRODUCTS["gradient"],
    "raw_loss_hvp": PRODUCTS["loss_hvp"],
    "structural": PRODUCTS["ggnvp"],
    "rows": Product("u", "outputs", "outputs"),
    "squares": Product("u", "outputs", "theta"),
    "structural squares": Product("u", "outputs", "theta"),
}
"""All products, with those that other parts of rop are made of; see `Algorithms.product`."""


class Algorithms(Model):
    """All programs of one objective f(θ) = mean over cases of L(F(θ)).

    Parameters
    ----------
    z : Node
        The outputs of F.
    loss : Loss
        The loss L.
    parameters : sequence of Node
        The parameters, in the order in which they make up θ.
    hidden : sequence of Node
        Units whose changes structural damping penalises (sec. 8.4).
    distance : {"squared", "matching"}
        How their changes are measured.
    checkpoints : int or "sqrt"
        Into how many segments the forward sweep is cut, of which only the ends are kept (sec. 7.1);
        0 keeps everything, "sqrt" needs the least memory.

    Attributes
    ----------
    forward : Program
        Values a_i and slopes s'(z_i) (once per θ and batch).
    loss_value : Program
        Loss of each case.
    loss_gradient : Program
        ∇L.
    loss_curvature : Program
        The factors of L''.
    adjoints : Program
        da_i and s''(z_i)·da_i, for Hv.
    into : dict of Node to Node
        Nodes whose values are only terms of another node's value, and that node; see `sums`.
    """

    def __init__(
        self,
        z: Node,
        loss: Loss,
        parameters: Sequence[Node],
        hidden: Sequence[Node] = (),
        distance: str = "squared",
        checkpoints: Checkpoints = 0,
    ) -> None:
        super().__init__(z, loss, parameters, hidden, distance)
        apart = {z, *loss.given, *hidden}
        self.into = sums(self.nodes, apart)
        self.loss_value, self.loss_gradient = Program("loss value"), Program("loss gradient")
        self.loss_curvature = Program("loss curvature")
        self.cases = Value("1/N", (), False, place=Place("cases"))
        self.strength = Value("μ/N", (), False, place=Place("strength"))
        self.d: State = State()
        self.values: dict[str, Value] = {}
        self._products: dict[str, Program] = {}
        self.segments: Segments | None = None
        self._build()
        if checkpoints:
            self._cut(checkpoints)

    def product(self, name: str) -> Program:
        """The program of one product.

        Parameters
        ----------
        name : str
            "gradient", "jvp", "vjp", "loss_hvp", "ggnvp", "hvp"; "structural" (ggnvp with
            structural damping); "rows" (vjp for each case apart) or "squares" (sum over cases and
            directions of the squares of "rows"), "structural squares"; "algorithm 1" (from θ to ∇f,
            without stages) or "algorithm 1 with f", which keeps the loss of each case.

        Returns
        -------
        Program
        """
        if name not in self._products:
            builders: dict[str, Callable[[], Program]] = {
                "rows": partial(per_case.rows, self),
                "squares": partial(per_case.squares, self),
                "structural squares": partial(per_case.squares, self, self.hidden),
                "algorithm 1": self._algorithm_1,
                "algorithm 1 with f": partial(self._algorithm_1, self.loss_value),
            }
            self._products[name] = self._with_checkpoints(builders[name]().needed())
        return self._products[name]

    def stages(self, name: str) -> list[Program]:
        """The programs of θ and the batch that a product builds on, in their order."""
        stages = [self.forward]
        curvature = name in ("loss_hvp", "raw_loss_hvp", "ggnvp", "structural", "hvp")
        if curvature or name == "gradient":
            stages.append(self.loss_gradient)
        if curvature:
            stages.append(self.loss_curvature)
        if name == "hvp":
            stages.append(self.adjoints)
        return stages

    @cached_property
    def flops(self) -> float:
        """Multiplications of one Gv, for one case."""
        return float(sum(step.multiplications for step in self.product("ggnvp").steps))

    def _build(self) -> None:
        z, loss = self.z, self.loss
        forward(self.nodes, self.emit_to(self.forward), self.a, self.into)
        self._value()
        self.d = loss.gradient(self._loss_emit(self.loss_gradient), self.a, z, self.cases)
        self.values["loss gradient"] = self.d[z]
        self._products = {
            "gradient": self._vjp("gradient", self.d[z], "d", directional=False),
            "vjp": self._vjp("vjp", self.given("u", z), "d", directional=True),
            "jvp": self._jvp(),
            "loss_hvp": self._loss_hvp("loss_hvp", self.loss.convexify is not None),
            "ggnvp": self._curvature("ggnvp"),
        }
        if self.hidden:
            self._products["structural"] = self._curvature("structural", hidden=self.hidden)
        d = State({z: self.d[z]})
        reverse(self.network, self.emit_to(self.adjoints), self.a, d, self.active)
        self._products["hvp"] = self._curvature("hvp", d)
        if self.loss.convexify:
            self._products["raw_loss_hvp"] = self._loss_hvp("raw_loss_hvp", False)
        self.forward.steps = in_order_of(self.nodes, self.forward.steps)
        self.adjoints.steps = in_order_of(self.nodes[::-1], self.adjoints.steps)
        self._keep()

    def _keep(self) -> None:
        products = {name: program.needed() for name, program in self._products.items()}
        self._products = products
        outputs = {self.a[self.z], self.d[self.z], self.values["loss"]}
        stages = [
            self.forward,
            self.loss_value,
            self.loss_gradient,
            self.loss_curvature,
            self.adjoints,
        ]
        for stage, later in zip(stages, range(1, len(stages) + 1), strict=True):
            read = outputs.union(*(p.reads() for p in (*products.values(), *stages[later:])))
            stage.keep = read & {step.target for step in stage.steps}
        self.adjoints.steps = self.adjoints.needed().steps
        self.loss_gradient.steps = self.loss_gradient.needed().steps
        self.loss_curvature.steps = self.loss_curvature.needed().steps

    def _cut(self, checkpoints: Checkpoints) -> None:
        """Keep the ends of segments only, and recompute the rest within each product."""
        del self._products["hvp"]
        stages = (self.loss_value, self.loss_gradient, self.loss_curvature)
        read = {self.a[self.z]}.union(*(stage.reads() for stage in stages))
        products = list(self._products.values())
        self.segments = cut(self.forward, read, products, checkpoints)
        self.forward.keep = (self.forward.keep & read) | self.segments.checkpoints
        self._products = {
            name: self._with_checkpoints(product) for name, product in self._products.items()
        }

    def _with_checkpoints(self, program: Program) -> Program:
        return program if self.segments is None else self.segments.recomputing(program)

    @cached_property
    def value_program(self) -> Program:
        """Forward sweep and loss, keeping nothing but the loss of each case."""
        program = Program("value", self.forward.steps + self.loss_value.steps)
        program.keep = {self.values["loss"]}
        return program.needed()

    def _algorithm_1(self, *more: Program) -> Program:
        """Forward sweep, ∇L and reverse sweep in one, and the loss of each case if it is wanted."""
        parts = (self.forward, *more, self.loss_gradient, self.product("gradient"))
        program = Program("algorithm 1 with f" if more else "algorithm 1")
        program.steps = [step for part in parts for step in part.steps]
        program.keep = {self.values["loss"]} if more else set()
        return program

    @cached_property
    def outputs_program(self) -> Program:
        """Forward sweep to the outputs, which need no targets."""
        program = Program("outputs", list(self.forward.steps))
        program.keep = {self.a[self.z]} & {step.target for step in program.steps}
        return program.needed()

    def _value(self) -> None:
        z = self.z
        per_case = z.per_case or any(node.per_case for node in self.loss.given)
        value = Value("loss", (), per_case)
        self.values["loss"] = value
        stand_in = Node(None, (), ())
        target = Target(State({stand_in: value}), stand_in, "")
        self.loss.value(self._loss_emit(self.loss_value), target, self.a, z)

    def _loss_emit(self, program: Program, directional: bool = False) -> Emitter:
        # What the loss computes once per θ belongs to its gradient or to its curvature.
        emit = self.emit_to(program, directional)
        own = program if program is self.loss_gradient else self.loss_curvature
        emit.bends = own
        return emit

    def _vjp(self, name: str, dz: Value, prefix: str, directional: bool) -> Program:
        """Jᵀu by a reverse sweep; from u = ∇L it is the gradient (alg. 1)."""
        emit = self.emit_to(Program(name), directional)
        results = self.blocks(prefix, "output", directional)
        emit.program.passed_on[self.names.of(self.z, prefix)] = dz
        d = State({**results, self.z: dz})
        reverse(self.network, emit, self.a, d, self.active, prefix)
        if self.z in results:
            d[self.z] = dz
        self.finish(emit, d, prefix, results)
        return emit.program

    def _jvp(self) -> Program:
        """J v by an R-forward sweep (sec. 5)."""
        emit = self.emit_to(Program("jvp"), directional=True)
        z = self.z
        Rz = Value(self.names.of(z, "R"), z.shape, z.per_case, True, Place("output"))
        R = self.blocks("R", "input", True)
        R.setdefault(z, Rz)
        r_forward(self.network, emit, self.a, R, self.into)
        emit.begin(z, "R")
        emit.finish(Target(R, z, "R"), Rz)
        return emit.program

    def _loss_hvp(self, name: str, convex: bool) -> Program:
        emit = self._loss_emit(Program(name), directional=True)
        z = self.z
        Rdz = Value(self.names.of(z, "Rd"), z.shape, z.per_case, True, Place("output"))
        Rd, w = State({z: Rdz}), self.given("w", z)
        emit.program.passed_on[self.names.of(z, "R")] = w
        self._loss_curvature(emit, w, Rd, convex)
        emit.begin(z, "loss")
        emit.finish(Target(Rd, z, "Rd"), Rdz)
        return emit.program

    def _loss_curvature(self, emit: Emitter, Rz: Value, Rd: State, convex: bool) -> None:
        z = self.z
        if convex:
            m = z.size
            emit.begin(z, "loss")
            L2 = self.values.setdefault(
                "convex", Value("L''", (m, m), z.per_case, place=Place("convex"))
            )
            emit(Target(Rd, z, "Rd"), einsum("ij,j->i", ((m, m), (m,)), "{0} {1}"), L2, Rz)
        else:
            self.loss.hvp(emit, self.a, self.d, z, self.cases, Rz, Target(Rd, z, "Rd"))

    def _curvature(self, name: str, d: State | None = None, hidden: Sequence[Node] = ()) -> Program:
        """Gv by algorithm 5, or Hv by algorithm 4 when the adjoints d are given."""
        z, network = self.z, self.leading_to(self.z, *hidden)
        emit = self.emit_to(Program(name), directional=True)
        R = self.blocks("R", "input", True)
        r_forward(network, emit, self.a, R, self.into)
        results = self.blocks("Rd", "output", True)
        Rd = State({node: results[node] for node in self.parameters if node is not z})
        if z in R:
            loss_emit = self._loss_emit(emit.program, directional=True)
            self._loss_curvature(loss_emit, R[z], Rd, self.loss.convexify is not None and d is None)
        for node in hidden:
            self._structural_damping(emit, node, R, Rd)
        active = descendants(network, self.parameters)
        r_reverse(network, emit, self.a, R, d or State(), Rd, active, curvature=d is not None)
        self.finish(emit, Rd, "Rd", results)
        return emit.program

    def _structural_damping(self, emit: Emitter, node: Node, R: State, Rd: State) -> None:
        """Rdh += μ Rh; with the matching loss Rdx += μ s'(x) Rx, so Rdh += μ Rx (erratum M47)."""
        emit.begin(node, "structural")
        letters = "abcdefghijklmnopqrstuvwxyz"[: len(node.shape)]
        times = einsum(f"{letters},->{letters}", (node.shape, ()), "{1} {0}")
        before = node.parents[0] if self.distance == "matching" else node
        emit(Target(Rd, node, "Rd"), times, R[before], self.strength)
