"""The checker rejects wrong rules: every rule of every op, every loss and every product."""

import time

import numpy as np
import pytest
import zoo

from rop.checking import check
from rop.checking.mutations import PRODUCTS, mutations
from rop.checking.trials import Trials
from rop.checking.wrong_kernels import KERNEL_KINDS
from rop.checking.wrong_objectives import rebuilt

# A rule that is a little wrong, one with the wrong sign, and one that lost a term.
FAST = ("x1.0005", "sign", "dropped term", "zero", "s'' for s'")

# The weights of a LossGraph are part of its graph.
LOSSES = [(name, False) for name in zoo.LOSSES]
LOSSES += [(name, True) for name in zoo.LOSSES if name != "LossGraph"]


def missed(objective, theta, batch, chosen):
    """The mutations among those chosen that change something and go unseen; how many were tried."""
    trials = Trials(objective, theta, batch, "numba", 0)
    unseen, tried = [], 0
    for mutation in chosen:
        if trials.harmless(mutation):
            continue
        tried += 1
        if not trials.sees(mutation):
            wrong = mutation.inject(objective, trials.cases)
            if check(wrong, theta, batch).verdict != "fail":
                unseen.append(str(mutation))
    return unseen, tried


def of_node(objective, node, cases, kinds=None):
    return [
        m
        for m in mutations(objective, cases)
        if m.node is node and (kinds is None or m.kind in kinds)
    ]


def test_the_examples_cover_the_catalogue():
    assert {kind.__name__ for kind in zoo.catalogue()} <= zoo.EXAMPLES.keys()


@pytest.mark.ci
@pytest.mark.parametrize("name", zoo.EXAMPLES)
def test_a_wrong_rule_of_any_op_is_rejected(name):
    objective, theta, batch, node = zoo.example(name)
    chosen = of_node(objective, node, 5, FAST)
    assert {m.rule for m in chosen if m.kind == "x1.0005"} >= {"value", "R", "reverse"}
    unseen, tried = missed(objective, theta, batch, chosen)
    assert not unseen
    # Few of them do no harm: s'' for s' of exp, whose multiples have right derivatives as well.
    assert tried >= len(chosen) - 3


@pytest.mark.ci
@pytest.mark.parametrize("name, weighted", LOSSES)
def test_a_wrong_rule_of_any_loss_is_rejected(name, weighted):
    objective, theta, batch = zoo.with_loss(name, weighted=weighted)
    kinds = (*FAST, "x1/N", "xN")
    chosen = [m for m in mutations(objective, 5) if m.what == name and m.kind in kinds]
    rules = {"L", "L'", "L''"} if name != "LossGraph" else {"L"}
    assert {m.rule for m in chosen} >= rules
    unseen, tried = missed(objective, theta, batch, chosen)
    assert not unseen
    # Softmax takes off the mean pᵀRz first, whose L'' is zero: a wrong mean does no harm.
    assert tried == len(chosen) - (18 if name == "SoftmaxCrossEntropy" else 0)


@pytest.mark.ci
@pytest.mark.parametrize("product", PRODUCTS)
def test_a_wrong_product_is_rejected(product):
    objective, theta, batch = zoo.with_loss("SoftmaxCrossEntropy")
    chosen = [m for m in mutations(objective, 5) if m.rule == "product" and m.what == product]
    assert {"x1.0005", "float32", "one entry", "stale cache"} <= {m.kind for m in chosen}
    unseen, tried = missed(objective, theta, batch, chosen)
    assert not unseen
    assert tried == len(chosen)


@pytest.mark.ci
def test_a_graph_that_is_rebuilt_without_a_bug_computes_the_same():
    for name in zoo.EXAMPLES:
        objective, theta, batch, node = zoo.example(name)
        again = rebuilt(objective, {node: node.op})
        v = np.random.default_rng(0).standard_normal(objective.n)
        right, other = (o.linearize(theta, batch) for o in (objective, again))
        np.testing.assert_array_equal(right.hvp(v), other.hvp(v))
        np.testing.assert_array_equal(right.ggnvp(v), other.ggnvp(v))


def test_the_original_is_left_as_it_is():
    objective, theta, batch, node = zoo.example("Tanh")
    v = np.ones(objective.n)
    before = objective.linearize(theta, batch).hvp(v)
    for mutation in of_node(objective, node, 5):
        mutation.inject(objective, 5).linearize(theta, batch).hvp(v)
    np.testing.assert_array_equal(objective.linearize(theta, batch).hvp(v), before)


def test_every_kind_of_bug_occurs():
    objective, *_ = zoo.with_loss("SoftmaxCrossEntropy")
    kinds = {m.kind for m in mutations(objective, 5)}
    products = {"dropped block", "transposed block", "other product", "without l2"}
    functions = {"s'' for s'", "s' for s''", "zero"}
    assert kinds == {*KERNEL_KINDS, *products, *functions}
    assert {m.kind for m in mutations(objective, 1)}.isdisjoint({"x1/N", "xN", "one case"})


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.EXAMPLES)
def test_every_bug_of_every_rule_of_every_op_is_found(name):
    objective, theta, batch, node = zoo.example(name)
    unseen, tried = missed(objective, theta, batch, of_node(objective, node, 5))
    assert tried > 20
    assert not unseen


@pytest.mark.slow
@pytest.mark.parametrize("name, weighted", LOSSES)
def test_every_bug_of_every_loss_is_found(name, weighted):
    objective, theta, batch = zoo.with_loss(name, weighted=weighted)
    chosen = [m for m in mutations(objective, 5) if m.what == name or m.in_loss]
    start = time.perf_counter()
    unseen, tried = missed(objective, theta, batch, chosen)
    assert time.perf_counter() - start < 300
    assert tried > 20
    assert not unseen
