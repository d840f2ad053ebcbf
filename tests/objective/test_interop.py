"""An objective in SciPy's hands."""

import numpy as np
import pytest
import scipy.optimize

import rop
from rop.errors import RopValueError
from rop.objective.scipy import ScipyFunctions, scipy_functions


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    _, z = rop.nets.mlp([4, 6, 3])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=1e-2)
    X = rng.standard_normal((60, 4))
    T = np.eye(3)[1 * (X[:, 0] * X[:, 1] > 0) + (X[:, 2] > 0)]
    return objective, objective.init("glorot", seed=0), {"x": X, "t": T}


def test_the_gradient_is_that_of_fun(problem):
    objective, theta, batch = problem
    functions = scipy_functions(objective, batch, engine="numpy")
    assert scipy.optimize.check_grad(functions["fun"], functions["jac"], theta) < 1e-5


@pytest.mark.parametrize("curvature", ["hessian", "ggn"])
def test_the_products_are_those_of_the_objective(problem, curvature):
    objective, theta, batch = problem
    functions = scipy_functions(objective, batch, curvature, engine="numpy")
    v = np.random.default_rng(1).standard_normal(objective.n)
    at = objective.linearize(theta, batch, "numpy")
    expected = at.hvp(v) if curvature == "hessian" else at.ggnvp(v)
    np.testing.assert_array_equal(functions["hessp"](theta, v), expected)
    with pytest.raises(RopValueError, match="fisher"):
        scipy_functions(objective, batch, "fisher")


@pytest.mark.parametrize("method", ["Newton-CG", "trust-krylov", "trust-ncg"])
def test_scipys_newton_methods_find_a_minimum(problem, method):
    objective, theta, batch = problem
    functions = scipy_functions(objective, batch, engine="numpy")
    found = scipy.optimize.minimize(x0=theta, method=method, **functions)
    assert np.linalg.norm(objective.linearize(found.x, batch, "numpy").gradient()) < 1e-4
    assert found.fun < 0.5 * objective.value(theta, batch, "numpy")


def test_the_ggn_lets_newton_cg_find_it_too(problem):
    objective, theta, batch = problem
    functions = scipy_functions(objective, batch, "ggn", engine="numpy")
    found = scipy.optimize.minimize(x0=theta, method="Newton-CG", **functions)
    assert np.linalg.norm(functions["jac"](found.x)) < 1e-2


def test_one_sweep_serves_a_theta(problem, monkeypatch):
    objective, theta, batch = problem
    calls = []

    def counted(name):
        method = getattr(objective, name)
        monkeypatch.setattr(objective, name, lambda *a: calls.append(name) or method(*a))

    counted("linearize")
    counted("value_and_gradient")
    functions = ScipyFunctions(objective, batch, engine="numpy")
    functions.fun(theta)
    functions.jac(theta)[:] = 0.0  # a caller may write to what it gets
    np.testing.assert_array_equal(functions.jac(theta), objective.gradient(theta, batch, "numpy"))
    functions.hessp(theta, theta), functions.hessp(theta, 2 * theta)
    assert calls == ["value_and_gradient", "linearize"]
    theta[0] += 1.0  # SciPy changes vectors in place
    before = functions.fun(theta)
    assert calls[2:] == ["value_and_gradient"]
    assert before == objective.value(theta, batch, "numpy")


def test_float64_whatever_theta_is(problem):
    objective, theta, batch = problem
    functions = ScipyFunctions(objective, batch, engine="numpy")
    assert functions.jac(theta.astype(np.float32)).dtype == np.float64
