"""Statistics on functions written in PyTorch and JAX: false alarms, bugs found, blocks named."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from black_box import ACTIVATIONS, FRAMEWORKS, LOSSES, Case

from rop.checking import check_products

# What torch.func uses inside.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

# Each product with the functions that its best oracle needs.
NEEDS = {
    "jvp": ("outputs",),
    "vjp": ("outputs", "jvp"),
    "loss_gradient": ("outputs", "loss"),
    "gradient": ("value", "outputs"),
    "loss_hvp": ("outputs", "loss_gradient"),
    "ggnvp": ("outputs", "jvp", "vjp", "loss_gradient"),
    "hvp": ("gradient", "outputs"),
}
# A change below this is none (sec. 5 of the policy).
EQUIVALENT = 1e-12


@dataclass(frozen=True)
class Bug:
    """A wrong product: what it does, in words of the report if it has some, and in which block."""

    name: str
    spoil: Callable
    words: str = ""
    block: str = ""


def one_entry(a):
    a = a.copy()
    a.flat[a.size // 2] *= 1.5
    return a


def one_case(a):
    a = a.copy()
    a[-1] = 0
    return a


def in_block(where, change):
    def spoil(a):
        a = a.copy()
        a[where] = change(a[where])
        return a

    return spoil


def bugs_of(case, name):
    """Bugs of one product, everywhere and in single blocks."""
    N, C = case.cases, 3
    yield Bug("sign", lambda a: -a, "the sign is wrong")
    yield Bug("factor 2", lambda a: 2 * a, "a factor 2 too much")
    yield Bug("half", lambda a: a / 2, "a factor 2 is missing")
    yield Bug("zero", lambda a: 0 * a, "it is always zero")
    yield Bug("N", lambda a: N * a, "= N, the number of cases")
    yield Bug("1/N", lambda a: a / N, f"= 1/N for {N} cases")
    yield Bug("1/C", lambda a: a / C, f"= 1/C for {C} outputs")
    yield Bug("0.05 %", lambda a: 1.0005 * a)
    yield Bug("1e-5", lambda a: (1 + 1e-5) * a)
    yield Bug("absolute value", abs)
    yield Bug("off by one", lambda a: np.roll(a, 1))
    yield Bug("one entry", one_entry)
    yield Bug("float32", lambda a: a.astype(np.float32).astype(np.float64))
    if name in ("jvp", "loss_gradient", "loss_hvp"):
        words = "wrong only in 1 of" if name != "loss_gradient" else ""
        yield Bug("one case", one_case, words)
    else:
        for block, where in case.blocks.items():
            shape = case.shapes[block]
            yield Bug(f"{block} zero", in_block(where, lambda b: 0 * b), block=block)
            yield Bug(f"{block} 1 %", in_block(where, lambda b: 1.01 * b), block=block)
            if len(shape) == 2:
                turned = in_block(where, lambda b, shape=shape: b.reshape(shape).T.ravel())
                words = "is transposed" if name in ("ggnvp", "hvp") else ""
                yield Bug(f"{block} transposed", turned, words, block)


def spoilt(function, spoil):
    return lambda *arguments: spoil(function(*arguments))


def numbers(function, name, case, functions):
    rng = np.random.default_rng(1)
    _, _, theta = case.arrays()
    z = functions["outputs"](theta)
    arguments = {
        "gradient": (theta,),
        "loss_gradient": (z,),
        "vjp": (theta, rng.standard_normal(z.shape)),
        "loss_hvp": (z, rng.standard_normal(z.shape)),
    }.get(name, (theta, rng.standard_normal(theta.size)))
    return function(*arguments)


@dataclass
class Tally:
    """Counts of one run."""

    bugs: int = 0
    missed: tuple = ()
    blocks: int = 0
    misplaced: tuple = ()
    words: int = 0
    unexplained: tuple = ()


def hunt(tally, case, functions, name, bug):
    good = functions[name]
    wrong = spoilt(good, bug.spoil)
    before, after = (numbers(f, name, case, functions) for f in (good, wrong))
    if np.linalg.norm(after - before) <= EQUIVALENT * np.linalg.norm(before):
        return
    given = {need: functions[need] for need in NEEDS[name]} | {name: wrong}
    theta = case.arrays()[2]
    report = check_products(theta, **given, blocks=case.blocks, shapes=case.shapes, seed=case.seed)
    which = (case.activation, case.loss, name, bug.name)
    product = report.products[name]
    tally.bugs += 1
    if product.verdict != "fail":
        tally.missed += (which,)
        return
    if bug.block and np.linalg.norm(after - before) > 1e-3 * np.linalg.norm(before):
        tally.blocks += 1
        found = {block for block, part in product.blocks.items() if part.verdict == "fail"}
        if found != {bug.block}:
            tally.misplaced += ((*which, found),)
    if bug.words:
        tally.words += 1
        if bug.words not in str(report):
            tally.unexplained += ((*which, bug.words),)


@pytest.mark.ci
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_sample_of_bugs_is_found(framework):
    pytest.importorskip(framework)
    case, tally = Case("tanh", "softmax"), Tally()
    functions = FRAMEWORKS[framework](case)
    for name in NEEDS:
        for bug in list(bugs_of(case, name))[1::12]:
            hunt(tally, case, functions, name, bug)
    assert tally.bugs >= 12
    assert not tally.missed
    assert not tally.misplaced
    assert not tally.unexplained


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    "case",
    [Case("tanh", "softmax"), Case("softplus", "sigmoid", seed=1), Case("relu", "squared", seed=2)],
    ids=lambda case: case.activation,
)
def test_bugs_of_products_are_found_and_placed(framework, case):
    pytest.importorskip(framework)
    functions, tally = FRAMEWORKS[framework](case), Tally()
    for name in NEEDS:
        for bug in bugs_of(case, name):
            hunt(tally, case, functions, name, bug)
    assert tally.bugs > 150
    assert len(tally.missed) <= 0.01 * tally.bugs, tally.missed
    assert len(tally.misplaced) <= 0.03 * tally.blocks, tally.misplaced
    assert len(tally.unexplained) <= 0.03 * tally.words, tally.unexplained


RULES = {
    "r_rule": {"jvp"},
    "reverse_rule": {"vjp", "gradient"},
    "curvature_rule": {"hvp"},
}
WRONG = {
    "sign": lambda d: -d,
    "factor 2": lambda d: 2 * d,
    "zero": lambda d: 0 * d,
    "0.05 %": lambda d: 1.0005 * d,
    "1e-5": lambda d: (1 + 1e-5) * d,
    "squared": lambda d: d * d,
}


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("activation, loss", [("tanh", "softmax"), ("softplus", "squared")])
def test_wrong_rules_of_an_activation_are_found(framework, rule, activation, loss):
    pytest.importorskip(framework)
    case = Case(activation, loss)
    for kind, wrong in WRONG.items():
        functions = FRAMEWORKS[framework](case, **{rule: wrong})
        report = check_products(case.arrays()[2], **functions, blocks=case.blocks)
        failed = {name for name, product in report.products.items() if product.verdict == "fail"}
        assert RULES[rule] <= failed, f"{kind}: {report}"
        assert not failed & {"value", "outputs", "loss", "loss_gradient", "loss_hvp"}


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_right_products_raise_no_alarm(framework, activation, loss):
    """Many θ each, of several sizes: saturated and tiny ones may be inconclusive."""
    pytest.importorskip(framework)
    rng = np.random.default_rng(len(activation) + len(loss))
    case = Case(
        activation,
        loss,
        cases=int(rng.choice([1, 9, 64])),
        loss_scale=float(10.0 ** rng.choice([-6, 0, 6])),
    )
    functions = FRAMEWORKS[framework](case)
    inconclusive = 0
    for seed in range(12):
        theta = case.arrays()[2] * 10 ** rng.uniform(-2.5, 1.5)
        theta = rng.permutation(theta)
        report = check_products(
            theta, **functions, blocks=case.blocks, shapes=case.shapes, seed=seed
        )
        assert report.verdict != "fail", str(report)
        inconclusive += not report.ok
    assert inconclusive <= 6
