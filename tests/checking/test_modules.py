"""PyTorch modules and JAX functions, with somebody's products, in every mode."""

import numpy as np
import pytest

from rop import RopTypeError, RopValueError
from rop.checking import check_products, jax_functions, torch_functions
from rop.checking.modules import MODES

# What torch.func uses inside.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

modes = pytest.mark.parametrize("mode", MODES)
rng = np.random.default_rng(0)
X, LABELS = rng.normal(size=(6, 4)), rng.integers(3, size=6)


@pytest.fixture
def network():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    return module.double()


def of_network(network, **options):
    import torch

    return torch_functions(
        network,
        torch.nn.functional.cross_entropy,
        torch.tensor(X),
        torch.tensor(LABELS),
        **options,
    )


def ggnvp_by_columns(functions):
    """Gv as ΣₖΣₗ Jₖᵀ L''ₖₗ Jₗ v, from nothing but vjp: none of the functions that are given."""
    import torch

    def outputs(theta):
        return functions["outputs"](theta).reshape(-1)

    def ggnvp(theta, v):
        J = torch.func.jacrev(outputs)(theta)
        Jv = sum((J[name].reshape(18, -1) @ v[name].reshape(-1) for name in theta), 0)
        curvature = torch.func.jacrev(torch.func.jacrev(lambda z: functions["loss"](z)))
        L2 = curvature(functions["outputs"](theta)).reshape(18, 18)
        return {
            name: (J[name].reshape(18, -1).T @ (L2 @ Jv)).reshape(theta[name].shape)
            for name in theta
        }

    return ggnvp


@modes
def test_a_module_and_somebodys_gauss_newton_product_pass(network, mode):
    functions = of_network(network, mode=mode)
    report = check_products(**functions, ggnvp=ggnvp_by_columns(functions))
    assert report.ok, str(report)
    assert set(report.products) >= {"gradient", "jvp", "vjp", "loss_hvp", "ggnvp", "hvp"}
    assert "0.weight" in report.products["ggnvp"].blocks


def test_a_wrong_product_of_somebody_fails_alone_and_by_block(network):
    functions = of_network(network)
    right = ggnvp_by_columns(functions)

    def wrong(theta, v):
        product = right(theta, v)
        return product | {"2.bias": product["2.bias"] * 1.01}

    report = check_products(**functions, ggnvp=wrong)
    assert [name for name, p in report.products.items() if p.verdict == "fail"] == ["ggnvp"]
    assert "2.bias" in str(report)


def test_batch_normalisation_keeps_its_statistics(network):
    import torch

    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).double()
    module[0].bias.requires_grad_(False)
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    functions = of_network(module)
    assert "0.bias" not in functions["theta"]
    report = check_products(**{k: functions[k] for k in ("theta", "value", "gradient", "hvp")})
    assert report.ok, str(report)
    for name, buffer in module.named_buffers():
        assert torch.equal(buffer, before[name])


def test_modules_get_several_inputs_and_losses_may_have_no_target(network):
    import torch

    module = torch.nn.Bilinear(2, 2, 3).double()
    halves = torch.tensor(X[:, :2]), torch.tensor(X[:, 2:])
    functions = torch_functions(module, lambda z: (z**2).sum(), halves)
    again = torch_functions(
        module, lambda z: (z**2).sum(), dict(zip(("input1", "input2"), halves, strict=True))
    )
    value = functions["value"](functions["theta"])
    assert torch.equal(value, (module(*halves) ** 2).sum())
    assert torch.equal(value, again["value"](again["theta"]))


def test_what_is_no_module_or_mode_is_named(network):
    with pytest.raises(RopValueError, match="mode must be 'forward-reverse', .* 'backward'"):
        of_network(network, mode="backward")
    with pytest.raises(RopTypeError, match=r"module must be a torch.nn.Module, got function"):
        of_network(lambda x: x)
    with pytest.raises(RopValueError, match="no parameter that requires a gradient"):
        of_network(network.requires_grad_(False))


def jax_problem():
    jax = pytest.importorskip("jax")
    params = {"W": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}

    def outputs(params):
        return jax.numpy.tanh(X @ params["W"] + params["b"])

    def loss(z):
        return -jax.numpy.mean(jax.nn.log_softmax(z)[np.arange(6), LABELS])

    return outputs, params, loss


@pytest.mark.ci
@modes
def test_a_jax_function_and_somebodys_gauss_newton_product(mode):
    import jax

    outputs, params, loss = jax_problem()

    @jax.jit
    def ggnvp(params, v):
        z, Jv = jax.jvp(outputs, (params,), (v,))
        return jax.vjp(outputs, params)[1](jax.jvp(jax.grad(loss), (z,), (Jv,))[1])[0]

    functions = jax_functions(outputs, params, loss, mode=mode)
    assert check_products(**functions, ggnvp=ggnvp).ok
    doubled = check_products(
        **functions, ggnvp=lambda params, v: jax.tree.map(lambda a: 2 * a, ggnvp(params, v))
    )
    assert doubled.products["ggnvp"].verdict == "fail"


@pytest.mark.ci
def test_a_jax_function_that_returns_a_scalar():
    outputs, params, loss = jax_problem()
    functions = jax_functions(lambda params: loss(outputs(params)), params, jit=False)
    assert set(functions) == {"theta", "value", "gradient", "hvp"}
    assert check_products(**functions).ok
