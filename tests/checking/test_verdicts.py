"""Right verdicts at every scale, precision and resolution: one table for each kind of problem."""

import numpy as np
import pytest

from rop.checking import check_products
from rop.errors import RopError

RNG = np.random.default_rng(0)
A = RNG.standard_normal((6, 6))
A = A @ A.T / 6
THETA = RNG.standard_normal(6)


def f(x):
    return 0.5 * x @ A @ x + np.sum(np.cos(x))


def g(x):
    return A @ x - np.sin(x)


def H(x, v):
    return A @ v - np.cos(x) * v


def functions(scale=1.0, unit=1.0, value=f, gradient=g, hvp=H):
    """The same function in other units of f and θ."""
    return {
        "value": lambda p: scale * value(p / unit),
        "gradient": lambda p: scale * gradient(p / unit) / unit,
        "hvp": lambda p, v: scale * hvp(p / unit, v / unit) / unit,
    }


WRONG = {
    "sign": {"gradient": lambda x: -g(x)},
    "10 %": {"gradient": lambda x: 1.1 * g(x)},
    "zero": {"gradient": lambda x: 0 * x},
    "one entry": {"gradient": lambda x: g(x) * np.array([1, 1, 1, 1, 1, 1.3])},
    "sign of H": {"hvp": lambda x, v: -H(x, v)},
    "0.01 % of H": {"hvp": lambda x, v: 1.0001 * H(x, v)},
    "no H": {"hvp": lambda x, v: 0 * v},
}
UNITS = [
    (1e-300, 1.0),
    (1e-15, 1.0),
    (1e155, 1.0),
    (1e300, 1.0),
    (1.0, 1e-30),
    (1.0, 1e-9),
    (1.0, 1e9),
    (1.0, 1e30),
    (1e200, 1e-30),
    (1e-200, 1e30),
    (1.0, 10.0 ** np.linspace(-6, 6, 6)),
    (1e-100, 10.0 ** np.linspace(-20, -8, 6)),
]


@pytest.mark.ci
@pytest.mark.parametrize("scale, unit", UNITS, ids=str)
def test_units_do_not_matter(scale, unit):
    right = check_products(THETA * unit, **functions(scale, unit))
    assert right.ok, str(right)
    for name, wrong in WRONG.items():
        report = check_products(THETA * unit, **functions(scale, unit, **wrong))
        assert report.verdict == "fail", f"{name}\n{report}"


@pytest.mark.ci
@pytest.mark.parametrize("scale", [1e-320, 1e-316, 1e306])
def test_at_the_ends_of_the_range_nothing_wrong_passes(scale):
    assert check_products(THETA, **functions(scale)).verdict != "fail"
    for name in ("10 %", "zero", "sign of H"):
        report = check_products(THETA, **functions(scale, **WRONG[name]))
        assert report.verdict != "pass", f"{name}\n{report}"


@pytest.mark.parametrize("width", [1e-3, 1e-5])
def test_steps_beyond_a_narrow_feature_neither_confirm_nor_convict(width):
    """A line of that width at θ of order one."""
    centre = np.array([1.0, 2.0, -1.0, 0.5])
    theta = centre + width * np.array([0.9, 1.2, -1.0, 0.7])

    def line(p):
        return np.exp(-(((p - centre) / width) ** 2))

    def slope(p):
        return -2 * (p - centre) / width**2 * line(p)

    given = {"value": lambda p: line(p).sum()}
    assert check_products(theta, **given, gradient=slope).verdict != "fail"
    assert check_products(theta, **given, gradient=lambda p: 0 * p).verdict == "fail"


@pytest.mark.parametrize("size", [1e-10, 1e-18])
def test_outputs_that_vanish_beside_the_targets_convict_nothing_right(size):
    """At 1e-18, no step in proportion to the outputs changes a digit of the residual."""
    given = {"outputs": lambda p: size * p, "loss_gradient": lambda z: z - 3.0}
    right = check_products(THETA, **given, loss_hvp=lambda z, w: w)
    assert right.products["loss_hvp"].verdict == "pass", str(right)


def test_a_wrong_product_of_outputs_that_are_small_beside_the_targets_fails():
    given = {"outputs": lambda p: 1e-10 * p, "loss_gradient": lambda z: z - 3.0}
    wrong = check_products(THETA, **given, loss_hvp=lambda z, w: 1.1 * w)
    assert wrong.products["loss_hvp"].verdict == "fail"


ROUNDINGS = {
    "float16": lambda x: float(np.float16(x)),
    "float32": lambda x: float(np.float32(x)),
    "3 digits": lambda x: float(f"{x:.3g}"),
    "6 decimals": lambda x: np.round(x, 6),
    "10 decimals": lambda x: np.round(x, 10),
    "a grid": lambda x: np.floor(x * 4096) / 4096,
}


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_a_value_in_coarse_digits_convicts_nothing_right_and_confirms_nothing_wrong(rounding):
    value = {"value": lambda p: ROUNDINGS[rounding](f(p))}
    right = check_products(THETA, **value, gradient=g, hvp=H)
    assert right.verdict != "fail", str(right)
    assert right.products["hvp"].verdict == "pass"
    wrong = check_products(THETA, **value, gradient=lambda p: 1.1 * g(p), hvp=H)
    assert wrong.products["gradient"].verdict != "pass"
    # An oracle that is not confirmed itself does not convict.
    assert wrong.products["hvp"].verdict == "inconclusive", str(wrong)


def test_a_stationary_point_passes_where_its_neighbourhood_does():
    theta = THETA
    for _ in range(50):
        hessian = np.array([H(theta, e) for e in np.eye(6)])
        step = np.linalg.solve(hessian, -g(theta))
        theta = theta + step / max(1.0, np.linalg.norm(step))
    theta = theta + 1e-10
    assert np.linalg.norm(g(theta)) < 1e-9
    assert check_products(theta, value=f, gradient=g, hvp=H).ok
    for name in ("10 %", "sign", "0.01 % of H"):
        report = check_products(theta, **functions(**WRONG[name]))
        assert report.verdict == "fail", f"{name}\n{report}"


@pytest.mark.parametrize("theta", [[0.0, 0.0], [0.0, 1.0, -2.0]])
def test_a_kink_at_the_origin_is_called_one(theta):
    report = check_products(
        theta, value=lambda p: np.abs(p).sum(), gradient=np.sign, hvp=lambda p, v: 0 * v
    )
    assert report.products["gradient"].cause == "kink", str(report)
    assert report.products["hvp"].cause == "kink", str(report)


def test_a_linear_function_has_a_hessian_of_zero():
    c = np.arange(1.0, 4.0)
    given = {"value": lambda p: c @ p, "gradient": lambda p: c}
    assert check_products(np.ones(3), **given, hvp=lambda p, v: 0 * v).ok
    report = check_products(np.ones(3), **given, hvp=lambda p, v: 1e-6 * v)
    assert report.verdict == "fail", str(report)


# Float32


def single(net, **changes):
    """A network's functions in float32, some of them off by a factor."""

    def of(function, factor):
        return lambda *a: (
            np.float32(factor)
            * np.asarray(function(*[x.astype(np.float32) for x in a]), np.float32)
        )

    return {name: of(f, changes.get(name, 1.0)) for name, f in net.functions().items()}


@pytest.mark.parametrize("activation", ["tanh", "softplus", "relu"])
def test_right_products_in_float32_raise_no_alarm(network, activation):
    net = network(activation=activation, dtype=np.float32)
    report = check_products(net.theta, **single(net), blocks=net.blocks)
    assert report.verdict != "fail", str(report)
    assert activation == "relu" or report.ok, str(report)
    assert any("float32: an error of 0.1 % passes" in warning for warning in report.warnings)


@pytest.mark.ci
@pytest.mark.parametrize("name", ["gradient", "jvp", "vjp", "ggnvp", "hvp"])
@pytest.mark.parametrize("error", [0.003, 0.01, 0.05])
def test_products_in_float32_that_are_off_do_not_pass(network, name, error):
    net = network(dtype=np.float32)
    report = check_products(net.theta, **single(net, **{name: 1 + error}), blocks=net.blocks)
    assert report.products[name].verdict != "pass", str(report)
    if error >= 0.01:
        assert report.products[name].verdict == "fail", str(report)


@pytest.mark.parametrize("factor, verdict", [(1, "pass"), (-1, "fail")])
def test_float16_is_judged_by_its_digits(factor, verdict):
    report = check_products(
        THETA,
        value=lambda p: np.float16(np.sin(p).sum()),
        gradient=lambda p: (factor * np.cos(p)).astype(np.float16),
    )
    assert report.verdict == verdict, str(report)
    assert any("float16: an error of 3 % passes" in warning for warning in report.warnings)


# Hints and words


def test_a_gauss_newton_product_of_an_affine_model_is_checked_by_the_gradient(network):
    net = network((5, 3))
    given = {name: getattr(net, name) for name in ("value", "outputs", "gradient")}
    assert check_products(net.theta, **given, ggnvp=net.ggnvp).ok
    wrong = check_products(net.theta, **given, ggnvp=lambda t, v: 1.1 * net.ggnvp(t, v))
    assert wrong.verdict == "fail"
    assert "F is affine, so G = H" in str(wrong)


def test_hints_name_only_what_is_not_given(network):
    net = network()
    given = {name: getattr(net, name) for name in ("value", "outputs", "gradient", "ggnvp")}
    report = check_products(net.theta, **given)
    assert report.products["ggnvp"].verdict == "inconclusive"
    assert "Gv (needs loss_gradient=, or zero_residual=)" in report.not_checked


def test_negative_curvature_alone_convicts_unless_the_loss_is_not_convex(network):
    net = network()
    assert check_products(net.theta, ggnvp=net.hvp).verdict == "fail"
    assert check_products(net.theta, ggnvp=net.hvp, convex=False).verdict == "inconclusive"


@pytest.mark.parametrize(
    "message", ["derivative for aten::x is not implemented", "has not been implemented yet"]
)
def test_a_rule_that_is_not_implemented_is_unavailable(network, message):
    def missing(theta, v):
        raise RuntimeError(message)

    net = network()
    report = check_products(net.theta, gradient=net.gradient, value=net.value, hvp=missing)
    assert report.products["hvp"].verdict == "inconclusive"
    assert report.products["hvp"].cause == "unavailable"
    assert report.products["gradient"].verdict == "pass"


def test_integers_are_numbers_and_no_entries_are_none():
    c = np.array([1, 2, 3])
    assert check_products(np.ones(3), value=lambda p: c @ p, gradient=lambda p: c).ok
    report = check_products(np.ones(3), outputs=lambda p: p[:0], jvp=lambda p, v: v[:0])
    assert report.verdict == "fail"
    assert "no entries" in str(report)


def test_an_outer_product_of_the_gradient_is_named(network):
    net = network()
    outer = {"ggnvp": lambda t, v: net.gradient(t) * (net.gradient(t) @ v)}
    report = check_products(net.theta, **net.functions() | outer)
    assert "this is ∇f ∇fᵀ v, not Gv" in str(report)


def test_no_ratios_are_given_for_what_is_not_linear(network):
    net = network()
    wrong = {"hvp": lambda t, v: np.abs(net.hvp(t, v))}
    report = check_products(net.theta, **net.functions() | wrong, blocks=net.blocks)
    assert "not linear" in str(report)
    assert "ratio" not in str(report)


def test_g_in_place_of_h_where_both_agree_is_no_stale_cache(network):
    net = network(loss="squared")
    net.t = net.outputs(net.theta)
    report = check_products(net.theta, **net.functions() | {"hvp": net.ggnvp})
    assert report.products["hvp"].verdict == "fail"
    assert "this is Gv, not Hv" in str(report)
    assert "stale" not in str(report)


# Budgets


def test_a_budget_is_kept_and_what_it_cannot_see_is_said(network):
    net = network()
    full = check_products(net.theta, **net.functions(), blocks=net.blocks)
    small = check_products(net.theta, **net.functions(), blocks=net.blocks, budget="300 calls")
    assert small.ok, str(small)
    assert sum(small.calls.values()) <= 300 < sum(full.calls.values()) / 2
    assert any("not seen within this budget: an error in a small" in w for w in small.warnings)
    least = check_products(net.theta, **net.functions(), blocks=net.blocks, budget="40 calls")
    assert sum(least.calls.values()) <= 40
    assert least.verdict == "inconclusive"
    assert "the budget ended before it was checked" in str(least)


def test_a_small_budget_still_finds_what_is_wrong_everywhere(network):
    net = network()
    report = check_products(
        net.theta,
        value=net.value,
        gradient=net.gradient,
        hvp=lambda t, v: 1.01 * net.hvp(t, v),
        budget="120 calls",
    )
    assert report.products["hvp"].verdict == "fail", str(report)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": 1.5},
        {"full": "yes"},
        {"l2": -1.0},
        {"l2": float("nan")},
        {"budget": 0},
        {"budget": "a while"},
        {"budget": True},
        {"directions": np.zeros((6, 2))},
        {"directions": np.full((6, 1), np.nan)},
        {"directions": "up"},
        {"value": 3},
        {"blocks": [slice(0, 3)]},
        {"shapes": {"theta[0:1]": (7,)}},
        {"convex": "no"},
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_named(wrong):
    (name,) = wrong
    with pytest.raises(RopError, match=name):
        check_products(THETA, **{"gradient": g} | wrong)
