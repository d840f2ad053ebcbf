"""All programs of one objective: stages of θ and the batch, and the products that build on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple, TypeAlias

from rop.graph import Node
from rop.programs import algorithms, per_case
from rop.programs.checkpointing import Checkpoints, Segments, cut
from rop.programs.loss import Loss
from rop.programs.model import Model
from rop.programs.steps import Program, Step

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

ALL_PRODUCTS = PRODUCTS | {
    "algorithm 1": PRODUCTS["gradient"],  # from θ to ∇f, without stages
    "algorithm 1 with f": PRODUCTS["gradient"],  # which keeps the loss of each case
    "raw_loss_hvp": PRODUCTS["loss_hvp"],  # before L'' is made positive semidefinite
    "structural": PRODUCTS["ggnvp"],  # with structural damping
    "rows": Product("u", "outputs", "outputs"),  # vjp for each case apart
    "squares": Product("u", "outputs", "theta"),  # sum over cases and directions of squared rows
    "structural squares": Product("u", "outputs", "theta"),
}
"""All products, with those that other parts of rop are made of."""


class Programs(Model):
    """All programs of one objective f(θ) = mean over cases of L(F(θ)).

    Parameters
    ----------
    z, loss, parameters, hidden, distance
        See `Model`.
    checkpoints : int or "sqrt"
        Into how many segments the forward sweep is cut, of which only the ends are kept (sec. 7.1);
        0 keeps everything, "sqrt" needs the least memory.

    Attributes
    ----------
    prepared : dict of str to object
        What engines keep for later batches: memory plans, and memory itself.
    segments : Segments or None
        The forward sweep in segments, if there are checkpoints.
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
        self.prepared: dict[str, Any] = {}
        algorithms.forward_and_loss(self)
        products = [
            algorithms.gradient(self),
            algorithms.vjp(self),
            algorithms.jvp(self),
            algorithms.loss_hvp(self),
            algorithms.ggnvp(self),
        ]
        if hidden:
            products.append(algorithms.ggnvp(self, hidden))
        products.append(algorithms.hvp(self))
        if loss.convexify:
            products.append(algorithms.loss_hvp(self, "raw_loss_hvp"))
        self._products = {product.name: product.needed() for product in products}
        self._keep_what_is_read()
        self.segments: Segments | None = None
        if checkpoints:
            self._cut(checkpoints)

    def product(self, name: str) -> Program:
        """The program of one of `ALL_PRODUCTS`."""
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

    @cached_property
    def value_program(self) -> Program:
        """Forward sweep and loss, keeping nothing but the loss of each case."""
        program = Program("value", self.forward.steps + self.loss_value.steps)
        program.keep = {self.losses}
        return program.needed()

    @cached_property
    def outputs_program(self) -> Program:
        """Forward sweep to the outputs, which need no targets."""
        program = Program("outputs", list(self.forward.steps))
        program.keep = {self.a[self.z]} & {step.target for step in program.steps}
        return program.needed()

    def _algorithm_1(self, *more: Program) -> Program:
        """Forward sweep, ∇L and reverse sweep in one, and the loss of each case if it is wanted."""
        parts = (self.forward, *more, self.loss_gradient, self.product("gradient"))
        program = Program("algorithm 1 with f" if more else "algorithm 1")
        program.steps = [step for part in parts for step in part.steps]
        program.keep = {self.losses} if more else set()
        return program

    def _keep_what_is_read(self) -> None:
        """Say what each stage keeps for later ones, for the products and for users."""
        self.forward.steps = _in_order_of(self.nodes, self.forward.steps)
        self.adjoints.steps = _in_order_of(self.nodes[::-1], self.adjoints.steps)
        outputs = {self.a[self.z], self.d[self.z], self.losses}
        stages = [
            self.forward,
            self.loss_value,
            self.loss_gradient,
            self.loss_curvature,
            self.adjoints,
        ]
        for i, stage in enumerate(stages, 1):
            read = outputs.union(*(p.reads() for p in (*self._products.values(), *stages[i:])))
            stage.keep = read & {step.target for step in stage.steps}
        for stage in (self.adjoints, self.loss_gradient, self.loss_curvature):
            stage.steps = stage.needed().steps

    def _cut(self, checkpoints: Checkpoints) -> None:
        """Keep the ends of segments only, and recompute the rest within each product."""
        del self._products["hvp"]
        stages = (self.loss_value, self.loss_gradient, self.loss_curvature)
        read = {self.a[self.z]}.union(*(stage.reads() for stage in stages))
        if self.distance == "matching":  # the diagonal of structural damping reads them
            read |= {self.slope(node) for node in self.hidden}
        products = list(self._products.values())
        self.segments = cut(self.forward, read, products, checkpoints)
        self.forward.keep = (self.forward.keep & read) | self.segments.checkpoints
        self._products = {
            name: self._with_checkpoints(product) for name, product in self._products.items()
        }

    def _with_checkpoints(self, program: Program) -> Program:
        return program if self.segments is None else self.segments.recomputing(program)


def _in_order_of(nodes: Sequence[Node], steps: Iterable[Step]) -> list[Step]:
    """Sort steps by their nodes, so that what is computed once per θ follows its operands."""
    order = {node: i for i, node in enumerate(nodes)}
    return sorted(steps, key=lambda step: order[step.node])
