"""Which rule of which node is to blame for products that failed (sec. 5, sec. 7.2)."""

from collections.abc import Iterator, Mapping

import numpy as np

from rop.checking.blame import Guilt, Localization
from rop.checking.eager import Eager, leaves
from rop.checking.lines import Array, relative_difference
from rop.checking.loss_rules import LossRules
from rop.checking.outcomes import Outcome
from rop.checking.rules import (
    CURVATURE_TEST,
    R_TEST,
    REVERSE_TEST,
    LocalRules,
    guilty_rule,
)
from rop.checking.spots import differentiated
from rop.checking.sweeping import sweep_products
from rop.graph import Node
from rop.objective.definition import programs_of
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
from rop.ops.rules import State
from rop.programs.sweeps import forward

# Relative difference at which a product is not what the rules make of it.
ASSEMBLED = 1e-9


def localise(
    objective: Objective,
    theta: Array,
    batch: Mapping[str, Array],
    engine: str,
    seed: int = 0,
) -> Localization:
    """Try every rule of every node, then the loss, then the products made of them.

    Each node is tried at the values that its parents have at θ, apart from the others, so that no
    wrong node can hide another. The first guilty node comes first.

    Parameters
    ----------
    objective : Objective
    theta : (n,)
    batch : mapping of str to arrays
    engine : str
        Whose products are compared with what the rules make.
    seed : int

    Returns
    -------
    Localization
    """
    search = _Search(objective, theta, batch, seed)
    guilty = [*search.nodes(), *search.loss()]
    if not guilty:
        guilty = list(search.products(engine))
    return Localization(tuple(guilty), search.tests)


def agree(
    objective: Objective, theta: Array, batch: Mapping[str, Array], node: Node, seed: int = 0
) -> bool:
    """Whether the rules of one node are right for each other at θ."""
    search = _Search(objective, theta, batch, seed)
    return all(
        search.accuse(other, active) is None for other, active in search.tried() if other is node
    )


class _Search:
    """One θ and batch: the values of all nodes, and what has been found so far."""

    def __init__(
        self, objective: Objective, theta: Array, batch: Mapping[str, Array], seed: int
    ) -> None:
        self.objective, self.theta, self.batch = objective, theta, batch
        self.rng = np.random.default_rng(seed)
        self.programs = programs_of(objective)
        self.all_nodes = self.programs.nodes
        self.cases = len(next(iter(batch.values()))) if batch else 1
        self.tests: dict[str, Mapping[str, Outcome]] = {}
        self.a: State = leaves(
            [*self.all_nodes, *objective.parameters], objective.unpack(theta), batch
        )
        self.raised: Guilt | None = None
        self._forward()

    def _forward(self) -> None:
        for node in self.all_nodes:
            if node.op is not None and all(parent in self.a for parent in node.parents):
                try:
                    forward([node], Eager(self.cases, self.programs.names), self.a, {})
                except Exception as error:
                    self.raised = self._raises(node, error)

    def nodes(self) -> Iterator[Guilt]:
        """Guilty nodes, of the network and of a loss that is a graph."""
        if self.raised is not None:
            yield self.raised
        for node, active in self.tried():
            guilt = self.accuse(node, active)
            if guilt is not None:
                yield guilt

    def accuse(self, node: Node, active: set[Node]) -> Guilt | None:
        """What is wrong with a node, if anything is."""
        try:
            return self._node(node, active)
        except Exception as error:
            return self._raises(node, error)

    def tried(self) -> Iterator[tuple[Node, set[Node]]]:
        """Nodes with derivatives, and those of their parents that have them."""
        for node, active in differentiated(self.objective):
            if node in self.a:
                yield node, active

    def _node(self, node: Node, active: set[Node]) -> Guilt | None:
        rules = LocalRules(node, self.a, active, self.cases, self.rng)
        R, reverse, curvature = (
            test(rules.slots) for test in (rules.test_R, rules.test_reverse, rules.test_curvature)
        )
        tests = {R_TEST: R, REVERSE_TEST: reverse, CURVATURE_TEST: curvature}
        self.tests[self._label(node)] = tests
        single = rules.rounded_rules()
        rule = single[0] if single else guilty_rule(rules, R, reverse, curvature)
        if not rule:
            return None
        message = "passes through float32" if single else ""
        operands: tuple[str, ...] = ()
        test = {"curvature": rules.test_curvature, "reverse": rules.test_reverse}.get(
            rule, rules.test_R
        )
        if len(rules.slots) > 1 and rule not in ("value", "s'") and not single:
            wrong = [i for i in rules.slots if test([i]).wrong]
            if len(wrong) < len(rules.slots):
                operands = tuple(self.programs.names[node.parents[i]] for i in wrong)
        return Guilt(
            self._number(node), self._what(node), rule, operands, node.line, tests, message
        )

    def loss(self) -> Iterator[Guilt]:
        """The loss, if it is guilty."""
        loss, z = self.objective.loss, self.objective.z
        if z not in self.a or not all(node in self.a for node in loss.given):
            return
        try:
            rule, tests = LossRules(loss, z, self.a, self.cases, self.rng).guilty()
        except Exception as error:
            yield Guilt(None, loss.name, "raises", message=_text(error))
            return
        self.tests[loss.name] = tests
        if rule:
            yield Guilt(None, loss.name, rule, tests=tests)

    def products(self, engine: str) -> Iterator[Guilt]:
        """Products that are not what the rules make: a fault of no rule."""
        at = self.objective.linearize(self.theta, self.batch, engine)
        v = self.rng.standard_normal(at.n)
        u = self.rng.standard_normal(at.outputs.shape)
        right = sweep_products(self.objective, self.a, self.cases, v, u)
        for name, expected in right.items():
            try:
                error = relative_difference(_product(at, name, v, u), expected)
            except Exception as failure:
                yield Guilt(None, name, "product", message=_text(failure))
                continue
            if error > ASSEMBLED:
                message = f"they differ by {error:.1e} in engine {engine!r}"
                yield Guilt(None, name, "product", message=message)

    def _raises(self, node: Node, error: Exception) -> Guilt:
        return Guilt(
            self._number(node), self._what(node), "raises", line=node.line, message=_text(error)
        )

    def _number(self, node: Node) -> int:
        return self.all_nodes.index(node)

    def _what(self, node: Node) -> str:
        assert node.op is not None
        return f"{node.op.name} ({self.programs.names[node]})"

    def _label(self, node: Node) -> str:
        return f"#{self._number(node)} {self._what(node)}"


def _product(at: Linearization, name: str, v: Array, u: Array) -> Array:
    product: Array
    if name == "value":
        return np.array(at.value)
    if name in ("gradient", "loss_gradient"):
        product = getattr(at, name)()
    else:
        product = getattr(at, name)(u if name in ("vjp", "loss_hvp") else v)
    return product


def _text(error: Exception) -> str:
    return f"raises {type(error).__name__}: {error}"
