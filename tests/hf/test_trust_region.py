"""Trust regions: Steihaug-Toint and GLTR against SciPy and the optimality conditions (sec. 8.6)."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from scipy.optimize import minimize
from scipy.sparse.linalg import aslinearoperator

import rop
from rop.hf import LanczosTrustRegion, LevenbergMarquardt, Subproblem, TrustRegion, gltr, pcg
from rop.hf.conjugate_gradient import ConjugateGradient
from rop.hf.secular import solve_secular
from rop.hf.trust_region import Ball
from rop.hf.vectors import norm

SEEDS = range(12)


def symmetric(n, seed, definite):
    rng = np.random.default_rng(seed)
    V, _ = np.linalg.qr(rng.standard_normal((n, n)))
    values = rng.standard_normal(n) * 10.0 ** rng.integers(-1, 2)
    A = V @ np.diag(np.abs(values) if definite else values) @ V.T
    return (A + A.T) / 2, rng.standard_normal(n)


def positive(n, seed):
    R = np.random.default_rng(seed).standard_normal((n, n))
    return R @ R.T / n + 0.5 * np.eye(n)


def one_step_of_scipy(method, A, b, radius, **options):
    """Return the first trial step of SciPy's trust-region method on the quadratic itself."""
    steps = []

    def f(x):
        steps.append(x.copy())
        return x @ A @ x / 2 - b @ x

    minimize(
        f, np.zeros(b.size), jac=lambda x: A @ x - b, hess=lambda x: A, method=method,
        options={"initial_trust_radius": radius, "max_trust_radius": 2 * radius, "maxiter": 1}
        | options,
    )  # fmt: skip
    return next(x for x in steps if x.any())


def violation(A, b, P, radius, solution):
    """Return by how much the optimality conditions are missed (erratum M50)."""
    x, lam = solution.x, solution.multiplier
    size = np.sqrt(x @ P @ x)
    scale = np.abs(scipy.linalg.eigvalsh(A, P)).max()
    return max(
        norm(A @ x + lam * P @ x - b) / norm(b),
        size / radius - 1,
        lam / scale * abs(size / radius - 1),
        -(scipy.linalg.eigvalsh(A, P)[0] + lam) / scale,
        -lam,
    )


@pytest.mark.parametrize("definite", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_steihaug_takes_scipys_step(seed, definite):
    A, b = symmetric(15, seed, definite)
    # So short that SciPy's own residual rule, sqrt(‖g‖) or a half, does not stop before.
    radius = 0.1 * norm(b) / np.abs(np.linalg.eigvalsh(A)).max()
    solution = pcg(A, b, radius=radius)
    assert solution.reason == "boundary"
    expected = one_step_of_scipy("trust-ncg", A, b, radius)
    np.testing.assert_allclose(solution.x, expected, rtol=1e-9, atol=1e-12 * radius)


@pytest.mark.parametrize("seed", SEEDS)
def test_steihaug_ends_on_the_ellipsoid_and_is_half_as_good_as_the_best(seed):
    A, b = symmetric(20, seed, definite=True)
    P = positive(20, seed)
    inverse = np.linalg.inv(P).dot
    radius = 0.3 * norm(np.linalg.solve(A, b))
    ours = pcg(A, b, preconditioner=inverse, radius=radius, max_steps=200, store=range(200))
    sizes = [np.sqrt(it.x @ P @ it.x) for it in ours.iterates]
    assert ours.reason == "boundary"
    assert all(np.diff(sizes) > 0)
    assert sizes[-1] == pytest.approx(radius, rel=1e-8)
    x = ours.x
    assert ours.q[-1] == pytest.approx(x @ A @ x / 2 - b @ x, rel=1e-9)
    assert ours.residual == pytest.approx(norm(A @ x - b), rel=1e-8)
    best = gltr(A, b, radius, inverse, tolerance=1e-12)
    assert best.q[-1] <= ours.q[-1] <= 0.5 * best.q[-1]  # erratum M51: for a PSD A, from 0


def test_steihaug_is_plain_cg_in_a_large_region():
    A, b = symmetric(10, 3, definite=True)
    np.testing.assert_array_equal(pcg(A, b, radius=1e9).x, pcg(A, b).x)


def test_negative_curvature_leads_to_the_boundary():
    A, b = np.diag([2.0, -1.0]), np.array([1e-3, 1.0])
    solution = pcg(A, b, radius=5.0)
    assert (solution.reason, norm(solution.x)) == ("boundary", pytest.approx(5.0))
    assert solution.q[-1] == pytest.approx(solution.x @ A @ solution.x / 2 - b @ solution.x)


def test_a_start_and_a_radius_exclude_each_other():
    with pytest.raises(rop.RopError, match="must start from 0"):
        pcg(np.eye(2), np.ones(2), np.ones(2), radius=1.0)


@pytest.mark.parametrize("elliptical", [False, True])
@pytest.mark.parametrize("definite", [True, False])
@pytest.mark.parametrize("radius", [1e-3, 0.3, 1e3])
@pytest.mark.parametrize("seed", SEEDS)
def test_gltr_satisfies_the_optimality_conditions(seed, radius, definite, elliptical):
    A, b = symmetric(25, seed, definite)
    P = positive(25, seed) if elliptical else np.eye(25)
    inverse = np.linalg.inv(P).dot if elliptical else None
    solution = gltr(A, b, radius, inverse, tolerance=1e-13)
    assert violation(A, b, P, radius, solution) <= 1e-8
    x = solution.x
    assert solution.q[-1] == pytest.approx(x @ A @ x / 2 - b @ x, rel=1e-10)
    assert all(np.diff(solution.q) <= 1e-12 * abs(solution.q[-1]))


@pytest.mark.parametrize("definite", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_gltr_takes_scipys_step(seed, definite):
    A, b = symmetric(12, seed, definite)
    x = gltr(A, b, 0.5, tolerance=1e-13).x
    # trlib, which is GLTR too, to its full precision.
    krylov = one_step_of_scipy("trust-krylov", A, b, 0.5, inexact=False)
    assert norm(x - krylov) <= 1e-6 * norm(x)
    # Moré and Sorensen's method stops some percent beside the boundary, so compare at the radius it
    # reached; and within a tenth of the minimum where the hard case is near.
    exact = one_step_of_scipy("trust-exact", A, b, 0.5)
    x = gltr(A, b, norm(exact), tolerance=1e-13).x
    q, q_exact = (y @ A @ y / 2 - b @ y for y in (x, exact))
    assert q <= q_exact + 1e-12
    assert q_exact <= 0.9 * q


@pytest.mark.parametrize("multiplicity", [1, 3])
@pytest.mark.parametrize("elliptical", [False, True])
@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_gltr_solves_the_hard_case(seed, rotated, elliptical, multiplicity):
    n, rng = 20, np.random.default_rng(seed)
    values = np.sort(rng.standard_normal(n))
    values[:multiplicity] = -3.0
    # In the eigenbasis the zeros of b are exact: rounding cannot bring the direction to light.
    V = np.linalg.qr(rng.standard_normal((n, n)))[0] if rotated else np.eye(n)
    c = rng.standard_normal(n)
    c[:multiplicity] = 0.0
    P = positive(n, seed) if elliptical else np.eye(n)
    L = np.linalg.cholesky(P)  # in coordinates γ = Lᵀδ the ellipsoid is a ball
    A, b = L @ V @ np.diag(values) @ V.T @ L.T, L @ V @ c
    A = (A + A.T) / 2
    radius = 2 * norm(c[multiplicity:] / (values[multiplicity:] + 3.0))
    inverse = np.linalg.inv(P).dot if elliptical else None
    solution = gltr(A, b, radius, inverse, tolerance=1e-13)
    assert solution.multiplier == pytest.approx(3.0, rel=1e-9)
    assert violation(A, b, P, radius, solution) <= 1e-8
    assert solution.reason == "boundary"
    if not rotated and not elliptical:
        blind = gltr(A, b, radius, tolerance=1e-13, semidefinite=True)
        assert blind.q[-1] > solution.q[-1] + 0.1


def test_negative_curvature_that_b_does_not_show_is_found():
    solution = gltr(np.diag([1.0, -1.0]), np.array([1.0, 0.0]), 3.0)
    assert (solution.reason, solution.multiplier) == ("boundary", pytest.approx(1.0))
    np.testing.assert_allclose(np.abs(solution.x), [0.5, np.sqrt(9 - 0.25)], rtol=1e-12)


def test_every_iterate_of_gltr_is_the_best_of_its_subspace():
    A, b = symmetric(18, 0, definite=True)
    solution = gltr(A, b, 0.7, max_steps=6, store=range(1, 7), semidefinite=True)
    assert (solution.reason, len(solution.iterates)) == ("steps", 6)
    basis = np.empty((18, 0))
    for iterate in solution.iterates:
        v = A @ basis[:, -1] if basis.size else b
        for _ in range(2):
            v = v - basis @ (basis.T @ v)
        basis = np.column_stack([basis, v / norm(v)])
        values, V = np.linalg.eigh(basis.T @ A @ basis)
        best = basis @ V @ solve_secular(values, V.T @ basis.T @ b, 0.7).h
        assert norm(iterate.x - best) <= 1e-9 * norm(best)
        assert iterate.q == solution.q[iterate.steps]


@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array, aslinearoperator,
                                  lambda A: lambda v: A @ v])  # fmt: skip
def test_any_curvature_will_do(make):
    A, b = symmetric(12, 1, definite=True)
    np.testing.assert_allclose(gltr(make(A), b, 0.4).x, gltr(A, b, 0.4).x, rtol=1e-9)
    np.testing.assert_allclose(pcg(make(A), b).x, np.linalg.solve(A, b), rtol=1e-6)
    problem = Subproblem(make(A), b, radius=0.4)
    assert problem.q(b) == pytest.approx(b @ A @ b / 2 - b @ b)
    for solver in (ConjugateGradient(), LanczosTrustRegion()):
        x = solver.solve(problem).x
        assert norm(x) == pytest.approx(0.4, rel=1e-9)
    with pytest.raises(rop.RopError, match=r"expected shape \(3, 3\)"):
        pcg(np.eye(2), np.ones(3))


def test_float32_stays_float32():
    A, b = symmetric(40, 2, definite=False)
    single = gltr(A.astype(np.float32), b.astype(np.float32), 0.5, tolerance=1e-5)
    assert single.x.dtype == np.float32
    assert single.q[-1] == pytest.approx(gltr(A, b, 0.5).q[-1], rel=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_product_that_is_not_finite_is_said(bad):
    calls = []

    def operator(v):
        calls.append(v)
        return 2 * v + np.roll(v, 1) + np.roll(v, -1) if len(calls) < 3 else bad * np.ones(8)

    solution = gltr(operator, np.arange(8.0), 1.0)
    assert (solution.reason, solution.steps, solution.usable) == ("not finite", 2, False)
    assert np.isfinite(solution.x).all()
    at_once = gltr(lambda v: np.full(8, bad), np.ones(8), 1.0)
    assert (at_once.reason, at_once.steps) == ("not finite", 0)
    assert not at_once.x.any()


def test_nothing_to_do_and_nothing_to_do_it_in():
    solution = gltr(np.eye(3), np.zeros(3), 1.0)
    assert (solution.reason, solution.steps, solution.products) == ("residual", 0, 0)
    with pytest.raises(rop.RopError, match="radius must be a number > 0, got 0"):
        gltr(np.eye(3), np.ones(3), 0.0)


@pytest.mark.parametrize("tiny", [1e-8, 1e-80, 1e-300])
def test_the_secular_equation_next_to_the_hard_case(tiny):
    values, c = np.array([-1.0, 1.0, 2.0]), np.array([tiny, 1.0, 1.0])
    found = solve_secular(values, c, 10.0)
    assert norm(found.h) == pytest.approx(10.0, rel=1e-12)
    assert found.multiplier == pytest.approx(1.0, rel=1e-7)
    assert found.h[0] > 9.9
    np.testing.assert_allclose(found.h[1:], c[1:] / (values[1:] + found.multiplier), rtol=1e-12)


def test_the_radius_follows_the_rule_but_grows_only_on_the_boundary():
    region = TrustRegion(2.0)
    assert region.adapt(2.0, 0.9, boundary=True) == pytest.approx(3.0)
    assert region.adapt(2.0, 0.9, boundary=False) == 2.0
    assert region.adapt(2.0, 0.5, boundary=True) == pytest.approx(2.0)
    for rho in (0.1, -np.inf, np.nan):
        assert region.adapt(2.0, rho, boundary=False) == pytest.approx(4 / 3)
    bounded = TrustRegion(1.0, LevenbergMarquardt(lowest=0.9, highest=1.1))
    assert bounded.adapt(1.0, 1.0, boundary=True) == pytest.approx(1 / 0.9)


@pytest.mark.parametrize("radius", [0.0, -1.0, np.nan, 1e-31])
def test_a_radius_that_means_nothing_is_refused(radius):
    with pytest.raises(rop.RopError, match="TrustRegion: radius(=| must be a finite number > 0)"):
        TrustRegion(radius)
    with pytest.raises(rop.RopError, match="max_steps must be an int >= 1"):
        LanczosTrustRegion(max_steps=0)


def test_a_direction_of_no_length_leads_nowhere():
    assert Ball(1.0, 0.0).exit() == 0.0
    assert Ball(2.0, 4.0).exit() == 1.0
