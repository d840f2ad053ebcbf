"""Functions that misbehave: each fault is named in the report, and none crashes it."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network

from rop.checking import check_products

PRODUCTS = ("gradient", "jvp", "vjp", "loss_gradient", "loss_hvp", "ggnvp", "hvp")


def report_with(net, **replaced):
    return check_products(net.theta, **net.functions() | replaced, blocks=net.blocks, l2=net.l2)


def fault(report, name):
    (found,) = report.products[name].faults
    assert found.function == name
    assert found.message in str(report)
    return found


def boom(*arguments):
    raise RuntimeError("no luck today")


@pytest.mark.parametrize("name", [*PRODUCTS, "value", "outputs", "loss"])
def test_what_raises_is_named_and_the_rest_is_not_blamed(network, name):
    report = report_with(network(), **{name: boom})
    assert fault(report, name).kind == "raises"
    assert "RuntimeError: no luck today" in str(report)
    assert report.verdict == "fail"
    assert [p for p in report.products if report.products[p].verdict == "fail"] == [name]


def test_everything_may_raise(network):
    net = network()
    report = check_products(net.theta, **dict.fromkeys(net.NAMES, boom))
    assert report.verdict == "fail"
    assert str(report).count("no luck today") >= 6


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_wrong_shape_is_named_with_both_shapes(network, name):
    net = network()
    good = getattr(net, name)
    report = report_with(net, **{name: lambda *arguments: good(*arguments)[..., None]})
    found = fault(report, name)
    assert found.kind == "shape"
    assert "118, 1)" in found.message or "(9, 4, 1)" in found.message
    assert "expected (118,)" in found.message or "expected (9, 4)" in found.message


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_nan_is_named(network, name):
    net = network()
    good = getattr(net, name)

    def spoilt(*arguments):
        result = good(*arguments)
        result.flat[1] = np.nan
        return result

    report = report_with(net, **{name: spoilt})
    assert fault(report, name).kind == "not finite"
    assert report.products[name].verdict == "fail"


@pytest.mark.parametrize(
    "convert",
    [lambda a: a + 0j, lambda a: None, lambda a: [[1.0], [2.0, 3.0]]],
    ids=["complex", "nothing", "ragged"],
)
def test_a_wrong_dtype_is_named(network, convert):
    net = network()
    report = report_with(net, hvp=lambda theta, v: convert(net.hvp(theta, v)))
    assert fault(report, "hvp").kind == "dtype"


def test_a_list_of_floats_is_as_good_as_an_array(network):
    net = network()
    assert report_with(net, hvp=lambda theta, v: list(net.hvp(theta, v))).ok


@pytest.mark.parametrize("position", [0, 1])
def test_a_changed_input_is_named(network, position):
    net = network()

    def careless(*arguments):
        result = net.hvp(*arguments)
        arguments[position][...] += 1.0
        return result

    report = report_with(net, hvp=careless)
    assert fault(report, "hvp").kind == "changes its input"
    assert f"argument {position}" in str(report)
    assert report.products["hvp"].verdict == "fail"


@pytest.mark.parametrize("name", [*PRODUCTS, "outputs", "value"])
def test_a_random_function_is_inconclusive_and_blames_nobody_else(network, name):
    net, rng = network(), np.random.default_rng(0)
    good = getattr(net, name)
    report = report_with(
        net, **{name: lambda *arguments: good(*arguments) * (1 + 0.01 * rng.standard_normal())}
    )
    assert fault(report, name).kind == "random"
    assert report.verdict == "inconclusive"
    assert not any(product.verdict == "fail" for product in report.products.values())


class Caches:
    """Ways to get caching wrong."""

    def __init__(self, net):
        self.net, self.theta, self.copy = net, None, None

    def of_the_first_theta(self, theta, v):
        if self.theta is None:
            self.theta = theta.copy()
        return self.net.hvp(self.theta, v)

    def of_the_last_theta(self, theta, v):
        used = theta if self.theta is None else self.theta
        self.theta = theta.copy()
        return self.net.hvp(used, v)

    def by_identity(self, theta, v):
        if self.theta is not theta:
            self.theta, self.copy = theta, theta.copy()
        return self.net.hvp(self.copy, v)

    def outputs(self, theta):
        self.theta = theta.copy()
        return self.net.outputs(theta)

    def of_another_function(self, theta, v):
        return self.net.hvp(self.theta, v)


@pytest.mark.parametrize("kind", ["of_the_first_theta", "of_the_last_theta", "by_identity"])
def test_a_stale_cache_fails(network, kind):
    net = network()
    report = report_with(net, hvp=getattr(Caches(net), kind))
    assert report.products["hvp"].verdict == "fail"
    assert any(word in str(report) for word in ("stale", "remembers"))


def test_a_cache_that_another_function_fills_is_stale(network):
    caches = Caches(network())
    report = report_with(caches.net, outputs=caches.outputs, hvp=caches.of_another_function)
    assert fault(report, "hvp").kind == "stale"
    assert report.products["jvp"].verdict == "pass"


def test_a_function_with_a_small_domain_is_checked_inside_it(network):
    net = network()
    edge = np.linalg.norm(net.theta) * 1.0001

    def within(function):
        def guarded(theta, *vectors):
            if np.linalg.norm(theta) > edge:
                raise ValueError("outside")
            return function(theta, *vectors)

        return guarded

    functions = {
        name: within(function) if name in ("value", "outputs", "gradient") else function
        for name, function in net.functions().items()
    }
    report = check_products(net.theta, **functions, blocks=net.blocks)
    assert report.verdict == "pass"


@pytest.mark.parametrize("name", ["hvp", "outputs", "gradient"])
def test_a_function_that_ends_the_program_is_named(network, name):
    report = report_with(network(), **{name: lambda *arguments: sys.exit(3)})
    assert fault(report, name).message.startswith("raises SystemExit: 3 (test_calls.py, line ")


def test_a_function_of_other_arguments_is_named(network):
    report = report_with(network(), hvp=lambda theta: theta)
    assert "TypeError" in fault(report, "hvp").message


def test_a_buffer_returned_again_and_again_is_right(network):
    net = network()
    buffer = np.empty(net.n)

    def into_buffer(theta, v):
        buffer[:] = net.hvp(theta, v)
        return buffer

    assert report_with(net, hvp=into_buffer).ok


def test_a_gradient_that_piles_up_is_named(network):
    net = network()
    total = np.zeros(net.n)

    def piling(theta):
        total[:] += net.gradient(theta)
        return total

    report = report_with(net, gradient=piling)
    assert fault(report, "gradient").kind == "stale"
    assert "accumulates" in str(report)


class Sometimes:
    """Right for some calls, then wrong in the given way."""

    def __init__(self, good, bad, calls):
        self.good, self.bad, self.calls = good, bad, calls

    def __call__(self, *arguments):
        self.calls -= 1
        return self.good(*arguments) if self.calls >= 0 else self.bad(self.good, *arguments)


def nan(good, *arguments):
    return np.nan * good(*arguments)


def changing(good, *arguments):
    result = good(*arguments)
    arguments[-1][...] = 0.0
    return result


MISBEHAVIOUR = {
    "raises": boom,
    "exits": lambda good, *arguments: sys.exit(1),
    "nan": nan,
    "infinite": lambda good, *arguments: good(*arguments) / 0.0,
    "shape": lambda good, *arguments: np.ones((2, 3, 4)),
    "empty": lambda good, *arguments: np.array([]),
    "nothing": lambda good, *arguments: None,
    "words": lambda good, *arguments: "1.0",
    "dict": lambda good, *arguments: {"result": 1.0},
    "complex": lambda good, *arguments: good(*arguments) * 1j,
    "integers": lambda good, *arguments: np.asarray(good(*arguments)).astype(int),
    "objects": lambda good, *arguments: np.asarray(good(*arguments)).astype(object),
    "changes its input": changing,
    "random": lambda good, *arguments: good(*arguments) * np.random.default_rng().normal(),
    "transposed": lambda good, *arguments: np.asarray(good(*arguments)).T,
    "half precision": lambda good, *arguments: np.asarray(good(*arguments)).astype(np.float16),
}


@pytest.mark.ci
@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.sampled_from([*PRODUCTS, "value", "outputs", "loss"]),
        st.tuples(st.sampled_from(sorted(MISBEHAVIOUR)), st.sampled_from([0, 1, 7, 60])),
        min_size=1,
        max_size=4,
    ),
    st.sets(st.sampled_from([*PRODUCTS, "value", "outputs", "loss"])),
    st.booleans(),
)
def test_no_mixture_of_misbehaviour_crashes_the_check(bad, missing, full):
    net = Network((3, 4, 3), cases=4)
    functions = {name: f for name, f in net.functions().items() if name not in missing - set(bad)}
    for name, (kind, calls) in bad.items():
        functions[name] = Sometimes(functions[name], MISBEHAVIOUR[kind], calls)
    report = check_products(net.theta, **functions, blocks=net.blocks, full=full)
    assert json.loads(report.to_json())["verdict"] == report.verdict
    for name, (kind, calls) in bad.items():
        unchanged = kind == "transposed" and name not in ("jvp", "loss_gradient", "loss_hvp")
        if name in report.products and calls == 0 and not unchanged:
            product = report.products[name]
            assert product.verdict != "pass" or kind == "half precision", f"{name} {kind}\n{report}"
            assert name + "=" in str(report) or product.symbol in str(report)


@pytest.mark.parametrize("calls", [1, 2, 5, 40])
def test_a_shape_that_changes_between_calls_is_named(network, calls):
    net = network()
    late = Sometimes(net.outputs, MISBEHAVIOUR["empty"], calls)
    report = report_with(net, outputs=late)
    assert report.verdict == "fail"
    assert "returns shape (0,), expected (9, 4)" in str(report)


def test_a_function_that_exists_at_theta_only_is_inconclusive(network):
    net = network()

    def only_here(theta):
        if not np.array_equal(theta, net.theta):
            raise ValueError("elsewhere")
        return net.value(theta)

    report = check_products(net.theta, value=only_here, gradient=net.gradient)
    assert report.products["gradient"].verdict == "inconclusive"
    assert "no finite value beside theta" in str(report)
    assert report.verdict == "inconclusive"
