"""What the report says about products that are wrong in a known way."""

import numpy as np
import pytest

from rop.checking import check_products

N, C = 9, 4


def report_of(net, **wrong):
    return check_products(
        net.theta,
        **net.functions() | wrong,
        blocks=net.blocks,
        shapes=net.shapes,
        l2=net.l2,
    )


@pytest.mark.parametrize(
    "factor, words",
    [
        (-1, "sign"),
        (0, "always zero"),
        (2, "a factor 2 too much"),
        (0.5, "a factor 2 is missing"),
        (N, "= N, the number of cases: missing 1/N in L''"),
        (1 / N, "a second 1/N in L''"),
        (C, "= C, the number of outputs"),
        (1 / C, "= 1/C for 4 outputs"),
        (N * C, "= N C, the number of all outputs"),
        (1.2345, "1.2345 times the true product"),
    ],
)
def test_factors_are_named(network, factor, words):
    net = network()
    for name in ("ggnvp", "loss_hvp"):
        good = getattr(net, name)
        report = report_of(net, **{name: lambda *a, good=good: factor * good(*a)})
        assert any(words in finding for finding in report.products[name].diagnosis), report


def test_hv_in_place_of_gv_and_the_other_way_round(network):
    net = network()
    report = report_of(net, ggnvp=net.hvp, hvp=net.ggnvp)
    assert "this is Hv, not Gv" in report.products["ggnvp"].diagnosis
    report = report_of(net, hvp=net.ggnvp)
    assert "this is Gv, not Hv" in report.products["hvp"].diagnosis
    report = report_of(net, ggnvp=lambda t, v: 3 * net.hvp(t, v))
    assert "this is 3 times Hv, not Gv" in report.products["ggnvp"].diagnosis


def test_the_empirical_fisher_matrix_is_recognised(network):
    net = network()

    def fisher(theta, v):
        e = N * net.loss_gradient(net.outputs(theta))
        along = (e * net.jvp(theta, v)).sum(axis=1, keepdims=True)
        return net.vjp(theta, e * along / N)

    report = report_of(net, ggnvp=fisher)
    assert "this is the empirical Fisher matrix times v, not Gv" in str(report)


@pytest.mark.parametrize("factor, words", [(0.25, "Gv + 0.25 v"), (-0.1, "Gv - 0.1 v")])
def test_damping_is_recognised(network, factor, words):
    net = network(l2=0.1)
    report = report_of(net, ggnvp=lambda t, v: net.ggnvp(t, v) + factor * v)
    assert words in str(report)


def test_a_transposed_block_is_recognised(network):
    net = network()
    where, shape = net.blocks["W2"], net.shapes["W2"]

    def transposed(theta, v):
        product = net.hvp(theta, v)
        product[where] = product[where].reshape(shape).T.ravel()
        return product

    report = report_of(net, hvp=transposed)
    assert "block W2 is transposed" in report.products["hvp"].diagnosis


def test_blocks_are_judged_apart(network):
    net = network()

    def wrong(theta, v):
        product = net.hvp(theta, v)
        product[net.blocks["b1"]] *= 2
        product[net.blocks["W2"]] = 0
        return product

    report = report_of(net, hvp=wrong)
    blocks = report.products["hvp"].blocks
    assert {name for name, part in blocks.items() if part.verdict == "fail"} == {"b1", "W2"}
    assert blocks["b1"].ratio == pytest.approx(2)
    assert "block W2 is zero" in report.products["hvp"].diagnosis
    assert "block b1 is 2 times the true one" in report.products["hvp"].diagnosis


def test_wrong_cases_are_listed(network):
    net = network()

    def wrong(theta, v):
        product = net.jvp(theta, v)
        product[[2, 5]] *= 1.5
        return product

    report = report_of(net, jvp=wrong)
    assert "wrong only in 2 of 9 cases: 2, 5" in report.products["jvp"].diagnosis


def test_a_stale_cache_is_recognised_at_the_second_theta(network):
    net = network()
    first = net.theta.copy()
    report = report_of(net, hvp=lambda theta, v: net.hvp(first, v))
    assert report.verdict == "fail"
    assert "it still answers for the first theta" in str(report)


def test_a_leak_of_float32_is_recognised(network):
    net = network()
    constants = np.random.default_rng(0).standard_normal(net.n) * 2e-8 + 1
    report = report_of(net, hvp=lambda theta, v: net.hvp(theta, v) * constants)
    assert "float32" in str(report)


def test_right_products_get_no_diagnosis(network):
    report = report_of(network())
    assert all(product.diagnosis == () for product in report.products.values())
