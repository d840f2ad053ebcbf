"""Wrong rules, one at a time: in the op of one node, in the loss, or in a finished product.

The checker is tested on them, and `power` counts how many of them a check at some θ would see.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rop.checking.spots import Spot, differentiated, functions, spots
from rop.checking.wrong_kernels import KERNEL_KINDS, Change
from rop.checking.wrong_objectives import (
    FUNCTION_KINDS,
    with_wrong_function,
    with_wrong_loss,
    with_wrong_rule,
)
from rop.checking.wrong_products import product_kinds, with_wrong_product
from rop.graph import Node
from rop.objective.definition import programs_of
from rop.objective.objective import Objective

PRODUCTS = ("gradient", "jvp", "vjp", "ggnvp", "hvp")


@dataclass(frozen=True, eq=False)
class Mutation:
    """One bug.

    Attributes
    ----------
    node : Node or None
        Whose op has it; None for the loss and for products.
    what : str
        "tanh", "SoftmaxCrossEntropy" or "ggnvp".
    rule : str
        "value", "R", "reverse", "s'", "curvature"; "L", "L'", "L''"; or "product".
    kind : str
        "sign", "dropped term", "x1.0005", ...
    spot : Spot or None
        Which emission of the rule it changes.
    in_loss : bool
        Whether the node belongs to a loss that is a graph.
    """

    node: Node | None
    what: str
    rule: str
    kind: str
    spot: Spot | None = None
    in_loss: bool = False

    def __str__(self) -> str:
        term = "" if self.spot is None or self.spot.term == 0 else f", term {self.spot.term}"
        name = f" ({self.node.name})" if self.node is not None and self.node.name else ""
        return f"{self.what}{name}, {self.rule}{term}: {self.kind}"

    def number_in(self, objective: Objective) -> int:
        """Position of the node in the graph."""
        assert self.node is not None
        return programs_of(objective).nodes.index(self.node)

    def inject(self, objective: Objective, cases: int) -> Objective:
        """The objective with this bug.

        Parameters
        ----------
        objective : Objective
            Without it; left as it is.
        cases : int
            N, for factors of N too many or too few.

        Returns
        -------
        Objective
        """
        if self.rule == "product":
            return with_wrong_product(objective, self.what, self.kind, cases)
        if self.spot is None:
            assert self.node is not None
            function = "ds" if self.rule == "s'" else "d2s"
            return with_wrong_function(objective, self.node, function, self.kind)
        change = Change(self.kind, cases)
        if self.node is None:
            return with_wrong_loss(objective, self.spot, change)
        return with_wrong_rule(objective, self.node, self.spot, change)


def mutations(objective: Objective, cases: int) -> Iterator[Mutation]:
    """Every bug of every kind that can be put into an objective.

    Parameters
    ----------
    objective : Objective
    cases : int
        N; with one case there are no factors of N and no single cases.

    Yields
    ------
    Mutation
        Node by node, then of the loss, then of the products. Some change nothing.
    """
    network = set(programs_of(objective).network)
    for spot in spots(objective):
        in_loss = spot.node is not None and spot.node not in network
        for kind in KERNEL_KINDS:
            if cases == 1 and kind in ("x1/N", "xN", "one case"):
                continue
            if spot.allows(kind):
                yield Mutation(spot.node, spot.what, spot.rule, kind, spot, in_loss)
    for node, _ in differentiated(objective):
        for function in functions(node):
            assert node.op is not None
            rule = "s'" if function == "ds" else "curvature"
            for kind in FUNCTION_KINDS[function]:
                if kind != "s'' for s'" or "d2s" in functions(node):
                    yield Mutation(node, node.op.name, rule, kind, in_loss=node not in network)
    for name in PRODUCTS:
        for kind in product_kinds(objective, name, cases):
            yield Mutation(None, name, "product", kind)
