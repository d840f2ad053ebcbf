"""check_products on hand-written networks: right ones pass, wrong ones fail, whatever is given."""

import copy
import itertools

import numpy as np
import pytest

from rop.checking import check_products
from rop.errors import RopTypeError, RopValueError

LOSSES = ("softmax", "sigmoid", "squared")
ACTIVATIONS = ("tanh", "sigmoid", "softplus", "relu", "sin")


def check(net, **settings):
    functions = net.functions() | settings.pop("functions", {})
    return check_products(net.theta, **functions, blocks=net.blocks, l2=net.l2, **settings)


def random_network(network, seed, **settings):
    rng = np.random.default_rng(seed)
    sizes = tuple(int(k) for k in rng.integers(2, 9, size=rng.integers(2, 5)))
    drawn = {
        "sizes": sizes,
        "activation": str(rng.choice(ACTIVATIONS)),
        "loss": str(rng.choice(LOSSES)),
        "cases": int(rng.choice([1, 9, 256])),
        "weights": float(10 ** rng.uniform(-0.7, 0.7)),
        "loss_scale": float(10.0 ** rng.choice([-6, 0, 6])),
        "l2": float(rng.choice([0.0, 2e-5, 0.1])),
        "seed": seed,
    }
    return network(**drawn | settings)


@pytest.mark.ci
@pytest.mark.parametrize("seed", range(0, 100, 20))
def test_random_networks_pass(network, seed):
    verdicts = [check(random_network(network, seed + k), seed=k).verdict for k in range(20)]
    assert "fail" not in verdicts
    assert verdicts.count("inconclusive") <= 1


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2000, 100))
def test_a_thousand_random_networks_raise_no_alarm(network, first):
    """Saturated and tiny weights too, where a check may be inconclusive, but must not convict."""
    for seed in range(first, first + 100):
        weights = float(10 ** np.random.default_rng([seed]).uniform(-4, 2))
        net = random_network(network, seed, weights=weights)
        report = check(net, seed=seed)
        assert report.verdict != "fail", f"seed {seed}\n{report}"


@pytest.mark.ci
@pytest.mark.parametrize("weights", [1e-6, 1e-5, 1e-4, 1e-3])
def test_dense_kinks_raise_no_alarm(network, weights):
    """Tiny relu networks have all of their kinks within the step of any difference."""
    for seed in range(12):
        net = network((4, 6, 3), "relu", "softmax", 256, weights=weights, seed=seed)
        assert check(net, seed=seed).verdict != "fail"


RULES = (
    "r_linear",
    "r_activation",
    "reverse_activation",
    "curvature_activation",
    "reverse_weights",
    "reverse_bias",
    "reverse_input",
    "curvature_weights",
    "curvature_input",
    "residual",
    "loss_curvature",
)
PRODUCTS = ("gradient", "jvp", "vjp", "loss_gradient", "loss_hvp", "ggnvp", "hvp")


def one_entry(a):
    a = a.copy()
    a.flat[a.size // 2] *= 1.5
    return a


def one_case(a):
    a = a.copy()
    a[-1] = 0
    return a


GROSS = {
    "sign": lambda a: -a,
    "factor 2": lambda a: 2 * a,
    "zero": lambda a: 0 * a,
    "N": lambda a: 9 * a,
    "1/N": lambda a: a / 9,
    "absolute value": abs,
    "off by one": lambda a: np.roll(a, 1),
    "transposed": lambda a: a.T.reshape(a.shape),
}
SMALL = {
    "0.05 %": lambda a: 1.0005 * a,
    "one entry": one_entry,
    "one case": one_case,
    "1e-5": lambda a: (1 + 1e-5) * a,
    "1e-7": lambda a: (1 + 1e-7) * a,
    "float32 leak": lambda a: a.astype(np.float32).astype(np.float64),
}


def numbers(functions, net, rng):
    v, z = rng.standard_normal(net.n), net.outputs(net.theta)
    u = rng.standard_normal(z.shape)
    return [
        functions["gradient"](net.theta),
        functions["jvp"](net.theta, v),
        functions["vjp"](net.theta, u),
        functions["loss_gradient"](z),
        functions["loss_hvp"](z, u),
        functions["ggnvp"](net.theta, v),
        functions["hvp"](net.theta, v),
    ]


def changes(net, functions):
    """Largest relative change of any product by a mutation."""
    right = numbers(net.functions(), net, np.random.default_rng(0))
    wrong = numbers(functions, net, np.random.default_rng(0))
    pairs = zip(right, wrong, strict=True)
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(a)) for a, b in pairs)


def mutate(net, target, mutation):
    """A copy of a network with a wrong rule, or its functions with one wrong product."""
    mutant = copy.copy(net)
    good = getattr(net, target)
    setattr(mutant, target, lambda *arguments: mutation(good(*arguments)))
    if target in PRODUCTS:
        return net.functions() | {target: getattr(mutant, target)}
    # The methods of the copy must see the wrong rule.
    return mutant.functions()


NETWORKS = [
    {"activation": "tanh", "loss": "softmax"},
    {"activation": "relu", "loss": "squared", "sizes": (5, 8, 3)},
    {"activation": "softplus", "loss": "sigmoid", "l2": 0.01, "loss_scale": 1e-6},
]


@pytest.mark.ci
@pytest.mark.parametrize("settings", NETWORKS, ids=lambda s: f"{s['activation']}, {s['loss']}")
@pytest.mark.parametrize("kind", [*GROSS, *SMALL])
def test_every_wrong_rule_is_found(network, settings, kind):
    net, mutation = network(**settings), (GROSS | SMALL)[kind]
    for target in (*RULES, *PRODUCTS) if settings is NETWORKS[0] else RULES:
        functions = mutate(net, target, mutation)
        # Some mutations change nothing: a curvature rule of relu, a factor of a zero.
        if changes(net, functions) < 1e-9:
            continue
        report = check(net, functions=functions)
        expected = {"fail"} if kind in GROSS or kind == "0.05 %" else {"fail", "inconclusive"}
        assert report.verdict in expected, f"{target}: {report}"


@pytest.mark.parametrize("dropped", list(itertools.combinations(("jvp", "vjp", "loss"), 2)))
def test_gv_is_checked_with_whatever_is_there(network, dropped):
    net = network(l2=0.01)
    kept = {k: f for k, f in net.functions().items() if k not in dropped}
    right = check_products(net.theta, **kept, l2=0.01)
    assert right.products["ggnvp"].verdict == "pass"
    wrong = check_products(
        net.theta, **kept | {"ggnvp": lambda t, v: 1.0005 * net.ggnvp(t, v)}, l2=0.01
    )
    assert wrong.products["ggnvp"].verdict == "fail"


def test_a_wrong_jvp_that_gv_shares_does_not_pass_gv(network):
    net = network()
    good = net.r_activation
    net.r_activation = lambda z, Rz: 1.1 * good(z, Rz)
    report = check(net)
    assert {report.products[p].verdict for p in ("jvp", "ggnvp", "hvp")} == {"fail"}
    assert {report.products[p].verdict for p in ("vjp", "gradient", "loss_hvp")} == {"pass"}


def test_gv_alone_is_checked_at_zero_residual(network):
    net = network()

    def zero_residual(theta, at):
        z = net.outputs(theta)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        other = copy.copy(net)
        other.t = e / e.sum(axis=1, keepdims=True)
        return other.gradient(at)

    given = {"zero_residual": zero_residual, "blocks": net.blocks}
    assert check_products(net.theta, ggnvp=net.ggnvp, **given).ok
    report = check_products(net.theta, ggnvp=net.hvp, gradient=net.gradient, **given)
    assert report.products["ggnvp"].verdict == "fail"
    assert "this is Hv, not Gv" in str(report)


def test_a_hook_that_leaves_a_residual_convicts_nobody(network):
    net = network()
    report = check_products(
        net.theta, ggnvp=net.ggnvp, zero_residual=lambda theta, at: net.gradient(at)
    )
    assert report.verdict == "inconclusive"
    assert "zero_residual" in report.products["ggnvp"].cause


def test_what_is_not_checked_is_listed_with_what_would_unlock_it(network):
    net = network()
    report = check_products(net.theta, ggnvp=net.ggnvp, value=net.value)
    assert report.verdict == "inconclusive"
    assert "Gv (needs outputs= and loss_gradient=, or zero_residual=)" in report.not_checked
    assert "L''w (give loss_hvp= to check it)" in report.not_checked
    assert check(net).not_checked == ()


def test_nothing_given_is_inconclusive():
    assert check_products(np.ones(3)).verdict == "inconclusive"


def test_a_missing_l2_is_seen(network):
    net = network(l2=0.1)
    report = check_products(net.theta, **net.functions())
    assert report.verdict == "fail"
    assert report.products["hvp"].verdict == "pass"
    assert "this is Gv + 0.1 v" in str(report)
    assert "f has 0.1/2 |theta|² more" in str(report)


def test_the_same_seed_gives_the_same_report(network):
    def numbers(report):
        return [[c.error for c in p.comparisons] for p in report.products.values()]

    assert numbers(check(network(), seed=3)) == numbers(check(network(), seed=3))
    assert numbers(check(network(), seed=3)) != numbers(check(network(), seed=4))


def test_functions_in_float32_are_judged_by_its_precision(network):
    net = network(dtype=np.float32)
    single = {
        name: lambda *a, f=f: np.asarray(f(*[x.astype(np.float32) for x in a]), np.float32)
        for name, f in net.functions().items()
    }
    report = check_products(net.theta, **single, blocks=net.blocks)
    assert report.verdict != "fail"
    assert any("float32" in warning for warning in report.warnings)
    gross = check_products(net.theta, **single | {"hvp": lambda t, v: -single["hvp"](t, v)})
    assert gross.products["hvp"].verdict == "fail"


@pytest.mark.parametrize("sizes, seed", [((4, 3), 0), ((1, 1), 1), ((3, 1, 2), 2)])
def test_tiny_models(network, sizes, seed):
    for loss in ("squared", "sigmoid"):
        assert check(network(sizes, loss=loss, cases=1, seed=seed)).ok


def test_one_parameter_and_scalar_outputs():
    functions = {
        "value": lambda theta: np.sin(theta[0]) ** 2 / 2,
        "outputs": lambda theta: np.sin(theta[0]),
        "gradient": lambda theta: np.sin(theta) * np.cos(theta),
        "jvp": lambda theta, v: np.cos(theta[0]) * v[0],
        "vjp": lambda theta, u: np.cos(theta) * u,
        "ggnvp": lambda theta, v: np.cos(theta) ** 2 * v,
        "hvp": lambda theta, v: np.cos(2 * theta) * v,
        "loss": lambda z: z**2 / 2,
        "loss_gradient": lambda z: 1.0 * z,
        "loss_hvp": lambda z, w: 1.0 * w,
    }
    assert check_products([0.7], **functions).ok
    wrong = functions | {"hvp": lambda theta, v: np.cos(theta) ** 2 * v}
    report = check_products([0.7], **wrong)
    assert report.products["hvp"].verdict == "fail"
    assert "this is Gv, not Hv" in str(report) or "times the true product" in str(report)


def test_recorded_products_are_checked_from_a_file(network, tmp_path):
    net, V = network(l2=0.1), np.random.default_rng(0).standard_normal((118, 3))
    path = tmp_path / "products.npz"
    np.savez(
        path,
        theta=net.theta,
        directions=V,
        jvp=np.stack([net.jvp(net.theta, v) for v in V.T]),
        ggnvp=np.stack([net.ggnvp(net.theta, v) for v in V.T], axis=1),
        hvp=np.stack([net.hvp(net.theta, v) for v in V.T], axis=1),
    )
    oracles = {
        "outputs": net.outputs,
        "loss": net.loss,
        "loss_gradient": net.loss_gradient,
        "l2": 0.1,
    }
    with np.load(path) as recorded:
        report = check_products(**recorded, **oracles, gradient=net.gradient)
        assert report.ok
        wrong = dict(recorded) | {"ggnvp": 2 * recorded["ggnvp"]}
    report = check_products(**wrong, **oracles)
    assert report.products["ggnvp"].verdict == "fail"
    assert "2 times the true product" in str(report)
    assert report.products["hvp"].verdict == "inconclusive"


def test_theta_is_checked():
    with pytest.raises(RopValueError, match="one non-empty vector"):
        check_products(np.ones((0, 2)))
    with pytest.raises(RopValueError, match="NaN or infinite"):
        check_products([1.0, np.inf])
    with pytest.raises(RopTypeError, match="real numbers"):
        check_products(["a"])


def test_blocks_and_directions_are_checked(network):
    net = network()
    with pytest.raises(RopValueError, match="must be a slice"):
        check_products(net.theta, blocks={"W": 3})
    with pytest.raises(RopValueError, match="no non-empty run"):
        check_products(net.theta, blocks={"W": slice(0, 1000)})
    with pytest.raises(RopValueError, match="one direction a column"):
        check_products(net.theta, directions=np.ones((3, 2)))
    with pytest.raises(RopTypeError, match="go with directions="):
        check_products(net.theta, hvp=np.ones(118))
    with pytest.raises(RopValueError, match="2 products for 3 directions"):
        check_products(net.theta, hvp=np.ones((118, 2)), directions=np.ones((118, 3)))
