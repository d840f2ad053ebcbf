"""The checker on products made by PyTorch and JAX, right and wrong."""

import numpy as np
import pytest

from rop.checking import check_products, from_jax, from_torch

# What torch.func uses inside.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

SHAPES = ((6, 5), (6,), (4, 6), (4,))
N = 9


def unpack(theta):
    arrays, start = [], 0
    for shape in SHAPES:
        size = int(np.prod(shape))
        arrays.append(theta[start : start + size].reshape(shape))
        start += size
    return arrays


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((N, 5)), np.eye(4)[rng.integers(4, size=N)]
    theta = rng.standard_normal(sum(int(np.prod(shape)) for shape in SHAPES)) / 2
    return x, t, theta


@pytest.fixture(scope="module")
def torch_functions(problem):
    torch = pytest.importorskip("torch")
    func = torch.func
    x, t = torch.tensor(problem[0]), torch.tensor(problem[1])

    def F(theta):
        W1, b1, W2, b2 = unpack(theta)
        return torch.tanh(x @ W1.T + b1) @ W2.T + b2

    def L(z):
        return torch.nn.functional.cross_entropy(z, t)

    def f(theta):
        return L(F(theta))

    def jvp(theta, v):
        return func.jvp(F, (theta,), (v,))[1]

    def vjp(theta, u):
        return func.vjp(F, theta)[1](u)[0]

    def loss_hvp(z, w):
        return func.jvp(func.grad(L), (z,), (w,))[1]

    functions = {
        "value": f,
        "outputs": F,
        "gradient": func.grad(f),
        "jvp": jvp,
        "vjp": vjp,
        "loss": L,
        "loss_gradient": func.grad(L),
        "loss_hvp": loss_hvp,
        "ggnvp": lambda theta, v: vjp(theta, loss_hvp(F(theta), jvp(theta, v))),
        "hvp": lambda theta, v: func.jvp(func.grad(f), (theta,), (v,))[1],
    }
    return {name: from_torch(function) for name, function in functions.items()}


@pytest.fixture(scope="module")
def jax_functions(problem):
    jax = pytest.importorskip("jax")
    x, t, _ = problem

    def F(theta):
        W1, b1, W2, b2 = unpack(theta)
        return jax.numpy.tanh(x @ W1.T + b1) @ W2.T + b2

    def L(z):
        return -jax.numpy.mean((t * jax.nn.log_softmax(z)).sum(axis=1))

    def f(theta):
        return L(F(theta))

    def jvp(theta, v):
        return jax.jvp(F, (theta,), (v,))[1]

    def vjp(theta, u):
        return jax.vjp(F, theta)[1](u)[0]

    def loss_hvp(z, w):
        return jax.jvp(jax.grad(L), (z,), (w,))[1]

    functions = {
        "value": f,
        "outputs": F,
        "gradient": jax.grad(f),
        "jvp": jvp,
        "vjp": vjp,
        "loss": L,
        "loss_gradient": jax.grad(L),
        "loss_hvp": loss_hvp,
        "ggnvp": lambda theta, v: vjp(theta, loss_hvp(F(theta), jvp(theta, v))),
        "hvp": lambda theta, v: jax.jvp(jax.grad(f), (theta,), (v,))[1],
    }
    return {name: from_jax(jax.jit(function)) for name, function in functions.items()}


@pytest.fixture(params=["torch", "jax"])
def functions(request):
    return request.getfixturevalue(f"{request.param}_functions")


@pytest.mark.ci
def test_right_products_pass_in_float64(functions, problem):
    report = check_products(problem[2], **functions)
    assert report.ok, str(report)
    assert report.warnings == ()
    assert max(c.error for p in report.products.values() for c in p.comparisons) < 1e-8


@pytest.mark.ci
@pytest.mark.parametrize("name", ["gradient", "jvp", "vjp", "loss_hvp", "ggnvp", "hvp"])
@pytest.mark.parametrize("factor", [-1, 2, 1.0005])
def test_wrong_products_fail(functions, problem, name, factor):
    good = functions[name]
    wrong = functions | {name: lambda *arguments: factor * good(*arguments)}
    report = check_products(problem[2], **wrong)
    assert report.products[name].verdict == "fail"
    others = {key for key in report.products if report.products[key].verdict == "fail"} - {name}
    assert not others


def test_a_tensor_that_requires_gradients_is_read(problem):
    torch = pytest.importorskip("torch")
    weights = torch.ones(problem[2].size, dtype=torch.float64, requires_grad=True)
    report = check_products(
        problem[2], value=lambda t: t @ t, gradient=lambda t: 2 * torch.tensor(t) * weights
    )
    assert report.ok, str(report)


def test_ctypes_functions_need_no_adapter():
    import ctypes
    import ctypes.util

    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    for function in (libm.sin, libm.cos):
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double]
    report = check_products(
        [0.3, 1.2],
        value=lambda theta: sum(libm.sin(x) for x in theta),
        gradient=lambda theta: np.array([libm.cos(x) for x in theta]),
        hvp=lambda theta, v: np.array([-libm.sin(x) for x in theta]) * v,
    )
    assert report.ok, str(report)
