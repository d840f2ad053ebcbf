"""Functions that misbehave: each fault is named in the report, and none crashes it."""

import numpy as np
import pytest

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
    [lambda a: a.astype(int), lambda a: a + 0j, lambda a: None, lambda a: [[1.0], [2.0, 3.0]]],
    ids=["integers", "complex", "nothing", "ragged"],
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
