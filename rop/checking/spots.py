"""Every place where a rule of an op or of a loss emits something: where a bug can sit."""

from collections.abc import Iterator
from dataclasses import dataclass

from rop.checking.wrong_kernels import transposed
from rop.graph import Node, Shape
from rop.losses import LossGraph
from rop.losses.graph import beyond
from rop.objective.definition import programs_of
from rop.objective.objective import Objective
from rop.ops.families import Elementwise, Linear
from rop.ops.kernels import Kernel, Loops
from rop.ops.op import Op
from rop.ops.rules import State, Target, Value
from rop.programs.names import Names
from rop.programs.steps import Emitter, Program

RULES = ("value", "R", "reverse", "curvature")


@dataclass(frozen=True, eq=False)
class Spot:
    """One emission of one rule.

    Attributes
    ----------
    node : Node or None
        None for the loss.
    what : str
        Name of the op or of the loss.
    rule : str
        The rule that is wrong if it is: "value", "R", ...; "L", "L'", "L''".
    method : str
        Of the op or the loss.
    term : int or str
        Number of the term, or the label of what is computed once per θ.
    kernel : Kernel
        What is emitted.
    shape : tuple of int
        Of the target for one case.
    operands : tuple of tuple of int
        Shapes of the operands.
    """

    node: Node | None
    what: str
    rule: str
    method: str
    term: int | str
    kernel: Kernel
    shape: Shape
    operands: tuple[Shape, ...]

    def allows(self, kind: str) -> bool:
        """Whether a kind of bug can sit here."""
        if kind == "transposed":
            kernel = self.kernel
            if not isinstance(kernel, Loops):
                return False
            return transposed(kernel, self.shape, self.operands) is not None
        if kind == "float32":
            # A value that is rounded is less exact, but its derivatives are not wrong.
            return self.rule not in ("value", "L")
        if kind == "stale cache":
            return isinstance(self.term, str)
        if kind == "xN":
            return self.node is None
        if kind == "dropped term":
            # A value that is nowhere emitted would leave its node without one.
            return isinstance(self.term, int) and self.rule not in ("value", "L")
        return True


class _Listening(Emitter):
    """Takes steps like `Emitter` and notes them."""

    def __init__(self, names: dict[Node, str]) -> None:
        nowhere = Program("")
        super().__init__(nowhere, Names(names), nowhere, nowhere, {})
        self.heard: list[tuple[int | str, Kernel, Shape, tuple[Shape, ...]]] = []
        self.terms = 0

    def __call__(self, target: Target | None, kernel: Kernel, *operands: Value | None) -> None:
        given = [operand for operand in operands if operand is not None]
        if target is not None and len(given) == len(operands):
            node = target.node
            self._hear(self.terms, kernel, node.shape, given)
            target.state[node] = Value("", node.shape, node.per_case)
        self.terms += 1

    def once(
        self, label: str, kernel: Kernel, *operands: Value | None, shape: Shape | None = None
    ) -> Value:
        given = [operand for operand in operands if operand is not None]
        own = self.node.shape if shape is None else shape
        if (self.node, label) not in self.memo:
            self._hear(label, kernel, own, given)
            self.memo[self.node, label] = Value(label, own, self.node.per_case)
        return self.memo[self.node, label]

    def temporary(self, name: str, shape: Shape, kernel: Kernel, *operands: Value) -> Value:
        self._hear(name, kernel, shape, list(operands))
        return Value(name, shape, True)

    def _hear(self, term: int | str, kernel: Kernel, shape: Shape, operands: list[Value]) -> None:
        self.heard.append((term, kernel, shape, tuple(value.shape for value in operands)))


def spots(objective: Objective) -> Iterator[Spot]:
    """Every emission of every rule that is ever used.

    Parameters
    ----------
    objective : Objective

    Yields
    ------
    Spot
    """
    for node, active in differentiated(objective):
        for method in RULES:
            for term, kernel, shape, operands in _of_op(node, active, method):
                # s' and s'' are functions of the op: `wrong_functions` changes them.
                if isinstance(term, int):
                    assert node.op is not None
                    what = node.op.name
                    yield Spot(node, what, method, method, term, kernel, shape, operands)
    yield from _of_loss(objective)


def differentiated(objective: Objective) -> Iterator[tuple[Node, set[Node]]]:
    """Nodes that have derivatives, each with the set of all nodes that have them in its sweep."""
    programs, z = programs_of(objective), objective.z
    network, after = set(programs.network), {z, *beyond(z, objective.loss)}
    for node in programs.nodes:
        if node.op is None:
            continue
        if node in network:
            if node in programs.active:
                yield node, programs.active
        elif node in after:
            yield node, after


def functions(node: Node) -> tuple[str, ...]:
    """Which of an elementwise op's functions there are to get wrong: "ds", "d2s"."""
    if not isinstance(node.op, Elementwise):
        return ()
    return ("ds",) if node.op.d2s is None else ("ds", "d2s")


def _of_op(
    node: Node, active: set[Node], method: str
) -> list[tuple[int | str, Kernel, Shape, tuple[Shape, ...]]]:
    op = node.op
    assert isinstance(op, Op)
    emit = _Listening({parent: "" for parent in node.parents})
    emit.begin(node, method)
    a = _value(node)
    z = [_value(parent) for parent in node.parents]
    Rz = [_value(parent) if parent in active else None for parent in node.parents]
    targets = [Target(State(), p, "d") if p in active else None for p in node.parents]
    if method == "value":
        # A wrong multiple of what is no parameter's makes another F, but no wrong derivative.
        terms = Rz if isinstance(op, Linear) else z
        op.value(emit, Target(State(), node, ""), terms)
    elif method == "R":
        op.R(emit, Target(State(), node, "R"), a, z, Rz)
    elif method == "reverse":
        op.reverse(emit, a, a, z, targets)
    else:
        op.curvature(emit, a, a, z, Rz, targets)
    return emit.heard


def _of_loss(objective: Objective) -> Iterator[Spot]:
    loss, z = objective.loss, objective.z
    emit = _Listening({z: "z"})
    a = State({node: _value(node) for node in (*programs_of(objective).nodes, z)})
    share = Value("1/N", (), False)
    each = Node(None, (), ())
    loss.value(emit, Target(State(), each, ""), a, z)
    heard = [("L", "value", said) for said in emit.heard]
    emit.heard, emit.terms = [], 0
    d = loss.gradient(emit, a, z, share)
    # Of a loss that is a graph only the seed 1/N is its own; the rest are rules of its nodes.
    own = emit.heard[:1] if isinstance(loss, LossGraph) else emit.heard
    heard += [("L'", "gradient", said) for said in own]
    if not isinstance(loss, LossGraph):
        emit.heard, emit.terms = [], 0
        loss.hvp(emit, a, d, z, share, _value(z), Target(State(), z, "Rd"))
        heard += [("L''", "hvp", said) for said in emit.heard]
    for rule, method, (term, kernel, shape, operands) in heard:
        shared = term == "c" or (isinstance(loss, LossGraph) and method == "gradient")
        # A factor that L' and L'' share makes them the derivatives of another L.
        yield Spot(None, loss.name, "L" if shared else rule, method, term, kernel, shape, operands)


def _value(node: Node) -> Value:
    return Value("", node.shape, node.per_case)
