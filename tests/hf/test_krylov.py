"""Krylov subspace descent: never worse than the best Tikhonov λ over the same subspace (8.1)."""

import numpy as np
import pytest
from damped import damped

import rop
from rop.hf import HessianFree, KrylovDescent, LastIterate, Subproblem, Undamped, pcg
from rop.hf.lanczos import Lanczos
from rop.hf.vectors import norm
from rop.nets import mlp

LAMS = np.geomspace(1e-8, 1e3, 80)


def classifier(seed=0, cases=60):
    rng = np.random.default_rng(seed)
    _, z = mlp([4, 6, 3])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=1e-3)
    X = rng.standard_normal((cases, 4))
    T = np.eye(3)[1 * (X[:, 0] * X[:, 1] > 0) + (X[:, 2] > 0)]
    # From flat to saturated: the quadratic model is good for some and useless for others.
    theta = objective.init("glorot", seed=seed) * rng.uniform(0.3, 3)
    return objective, theta, {"x": X, "t": T}


def along(objective, theta, data):
    def f(x):
        at = objective.linearize(theta + x, data, engine="numpy")
        return at.value, at.gradient()

    return f


def krylov_basis(G, b, dimension):
    basis = np.empty((b.size, 0))
    v = b
    for _ in range(dimension):
        for _ in range(2):
            v = v - basis @ (basis.T @ v)
        basis = np.column_stack([basis, v / norm(v)])
        v = G @ basis[:, -1]
    return basis


@pytest.mark.parametrize("evaluations", [30, 60])
@pytest.mark.parametrize("dimension", [1, 4, 12])
@pytest.mark.parametrize("seed", range(8))
def test_no_lam_does_better_within_the_subspace(seed, dimension, evaluations):
    objective, theta, data = classifier(seed)
    at = objective.linearize(theta, data, engine="numpy")
    f, b, G = along(objective, theta, data), -at.gradient(), at.G.matrix()
    solver = KrylovDescent(max_steps=dimension, evaluations=evaluations)
    solution = solver.solve(Subproblem(G, b, objective=f))
    Q = krylov_basis(G, b, dimension)
    T, c = Q.T @ G @ Q, Q.T @ b
    scale = np.linalg.eigvalsh(G)[-1]
    damped = [Q @ np.linalg.solve(T + lam * scale * np.eye(dimension), c) for lam in LAMS]
    assert f(solution.x)[0] <= min(f(x)[0] for x in damped)
    # These are what CG from 0 gives at any λ, if it is not preconditioned (erratum M38).
    x = pcg(G + 0.1 * scale * np.eye(b.size), b, max_steps=dimension, residual=1e-14).x
    assert norm(x - Q @ (Q.T @ x)) <= 1e-9 * norm(x)
    assert norm(solution.x - Q @ (Q.T @ solution.x)) <= 1e-9 * norm(solution.x)


def test_it_is_exact_on_a_quadratic():
    rng = np.random.default_rng(0)
    R = rng.standard_normal((10, 10))
    A, b = R @ R.T + np.eye(10), rng.standard_normal(10)
    f = lambda x: (x @ A @ x / 2 - b @ x, A @ x - b)  # noqa: E731
    solution = KrylovDescent(max_steps=10, evaluations=40).solve(Subproblem(A, b, objective=f))
    np.testing.assert_allclose(solution.x, np.linalg.solve(A, b), rtol=1e-6)
    assert solution.reason == "subspace"
    assert solution.q[-1] == pytest.approx(f(solution.x)[0], rel=1e-10)
    assert solution.residual == pytest.approx(norm(A @ solution.x - b), rel=1e-9)


def test_the_update_before_widens_the_subspace():
    rng = np.random.default_rng(1)
    R = rng.standard_normal((30, 30))
    A, b = R @ R.T, rng.standard_normal(30)
    best = np.linalg.solve(A, b)
    f = lambda x: (x @ A @ x / 2 - b @ x, A @ x - b)  # noqa: E731
    solver = KrylovDescent(max_steps=3, evaluations=60)
    without = solver.solve(Subproblem(A, b, objective=f))
    with_it = solver.solve(Subproblem(A, b, x0=0.9 * best, objective=f))
    assert f(with_it.x)[0] < f(without.x)[0]
    np.testing.assert_allclose(with_it.x, best, rtol=1e-4)
    assert with_it.products == without.products + 1
    # One that lies in the subspace already adds nothing, and no noise.
    inside = solver.solve(Subproblem(A, b, x0=without.x, objective=f))
    assert inside.products == without.products


def test_f_is_evaluated_no_more_often_than_allowed():
    objective, theta, data = classifier()
    at = objective.linearize(theta, data, engine="numpy")
    for allowed in (1, 2, 9):
        calls = []
        f = along(objective, theta, data)
        problem = Subproblem(
            at.ggnvp,
            -at.gradient(),
            objective=lambda x, f=f, calls=calls: (calls.append(x), f(x))[1],
        )
        solution = KrylovDescent(evaluations=allowed).solve(problem)
        assert len(calls) <= allowed
        assert f(solution.x)[0] <= at.value
    assert solution.products == 21


def test_a_loss_that_is_not_finite_is_walked_around():
    # ln p at p = 3 with the target -3: the Newton step is far beyond 0, where f is NaN.
    p = rop.param("p")
    objective = rop.Objective(rop.log(p), rop.SquaredError(-3.0))
    theta = np.array([3.0])
    at = objective.linearize(theta, {}, engine="numpy")

    def f(x):
        if theta + x <= 0:
            return np.nan, np.full(1, np.nan)
        return along(objective, theta, {})(x)

    with np.errstate(invalid="ignore"):
        solution = KrylovDescent().solve(Subproblem(at.ggnvp, -at.gradient(), objective=f))
    assert f(solution.x)[0] < 0.1 * at.value
    nothing = KrylovDescent().solve(
        Subproblem(at.ggnvp, -at.gradient(), objective=lambda x: (np.nan, np.zeros(1)))
    )
    assert not nothing.x.any() and not nothing.usable


def test_products_that_are_not_finite_and_a_zero_gradient_are_said():
    f = lambda x: (0.0, 0 * x)  # noqa: E731
    bad = KrylovDescent().solve(Subproblem(lambda v: v * np.nan, np.ones(4), objective=f))
    assert (bad.reason, bad.steps) == ("not finite", 0)
    zero = KrylovDescent().solve(Subproblem(np.eye(4), np.zeros(4), objective=f))
    assert (zero.reason, zero.products) == ("residual", 0)
    with pytest.raises(rop.RopError, match="needs objective="):
        KrylovDescent().solve(Subproblem(np.eye(4), np.ones(4)))


@pytest.mark.parametrize("settings", [{"max_steps": 0}, {"evaluations": 0}, {"floor": 0.0}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(rop.RopError, match="KrylovDescent: "):
        KrylovDescent(**settings)


def test_hf_needs_no_lam_with_it():
    objective, theta, data = classifier()
    recipe = damped(cg=KrylovDescent(), damping=Undamped(), selection=LastIterate())
    optimizer = HessianFree(objective, theta, data, recipe, engine="numpy", dtype=np.float64)
    records = [next(optimizer) for _ in range(15)]
    assert records[-1].f_after < 0.2 * records[0].f_before
    assert {it.lam_after for it in records} == {0.0}
    assert {it.cg.reason for it in records} == {"subspace"}
    assert records[1].cg.warm and records[1].cg.products == 22  # 20, the update before, the check
    assert all(it.step.alpha == 1 for it in records)


@pytest.mark.parametrize("preconditioned", [False, True])
def test_the_lanczos_process_makes_b_tridiagonal(preconditioned):
    rng = np.random.default_rng(2)
    R = rng.standard_normal((30, 30))
    A, b = (R + R.T) / 2, rng.standard_normal(30)
    P = np.diag(rng.uniform(0.1, 3, 30)) if preconditioned else np.eye(30)
    inverse = (lambda r: r / P.diagonal()) if preconditioned else None
    lanczos = Lanczos(A.dot, b, inverse, 30)
    while lanczos.k < 12:
        assert lanczos.extend()
    Q = np.column_stack([lanczos.vector(e) for e in np.eye(12)])
    T = (
        np.diag(lanczos.diagonal)
        + np.diag(lanczos.beside[:-1], 1)
        + np.diag(lanczos.beside[:-1], -1)
    )
    np.testing.assert_allclose(Q.T @ P @ Q, np.eye(12), atol=1e-13)
    np.testing.assert_allclose(Q.T @ A @ Q, T, atol=1e-12)
    np.testing.assert_allclose(Q.T @ b, lanczos.start * np.eye(12)[0], atol=1e-12)
    np.testing.assert_allclose(lanczos.dual(np.ones(12)), P @ Q.sum(1), rtol=1e-12)
    u, Pu = lanczos.orthogonal(b[::-1].copy(), P @ b[::-1])
    assert np.abs(Q.T @ Pu).max() <= 1e-13 * norm(b)
    np.testing.assert_allclose(Pu, P @ u, atol=1e-13)


def test_a_closed_subspace_is_recognised():
    b = np.array([1.0, 2.0, 0.0, 0.0])
    lanczos = Lanczos(np.diag([1.0, 3.0, 5.0, 7.0]).dot, b, None, 4)
    assert lanczos.extend() and not lanczos.closed
    assert lanczos.extend() and lanczos.closed
    np.testing.assert_allclose(lanczos.eigen()[0], [1.0, 3.0], rtol=1e-12)
