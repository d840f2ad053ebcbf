"""PCG against SciPy, closed forms and the Krylov subspace; its stops and its memory."""

import numpy as np
import pytest
import scipy.sparse.linalg as spla

import rop
from rop.hf import RelativeProgress
from rop.hf.cg import pcg
from rop.hf.conjugate_gradient import ConjugateGradient
from rop.hf.subproblem import Subproblem
from rop.hf.vectors import axpy, dot, norm


def positive_definite(n, condition=1e3, seed=0):
    rng = np.random.default_rng(seed)
    V, _ = np.linalg.qr(rng.standard_normal((n, n)))
    A = V @ np.diag(np.geomspace(1, condition, n)) @ V.T
    return (A + A.T) / 2, rng.standard_normal(n)


def q_of(A, b, x):
    return x @ A @ x / 2 - b @ x


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("warm", [False, True])
def test_every_iterate_is_scipys(preconditioned, warm):
    A, b = positive_definite(40, condition=30)  # rounding grows with the condition, in both
    x0 = np.linspace(-1, 1, 40) if warm else None
    inverse = np.diag(1 / A.diagonal()) if preconditioned else None
    expected = []
    spla.cg(
        A, b, x0=x0, M=inverse, maxiter=25, rtol=0, callback=lambda x: expected.append(x.copy())
    )
    solution = pcg(
        A.dot, b, x0, None if inverse is None else inverse.dot, max_steps=25, store=range(1, 26)
    )
    assert [iterate.steps for iterate in solution.iterates] == list(range(1, 26))
    for iterate, x in zip(solution.iterates, expected, strict=True):
        assert norm(iterate.x - x) <= 1e-9 * norm(x)


@pytest.mark.parametrize("warm", [False, True])
def test_q_is_that_of_the_definition_and_of_the_residual(warm):
    A, b = positive_definite(30)
    x0 = 3 * np.cos(np.arange(30.0)) if warm else None
    solution = pcg(A.dot, b, x0, max_steps=20, store=range(1, 21))
    start = np.zeros(30) if x0 is None else x0
    assert solution.q[0] == pytest.approx(q_of(A, b, start), rel=1e-13, abs=0)
    for iterate in solution.iterates:
        scale = abs(solution.q[0]) + abs(solution.q[-1])
        r = A @ iterate.x - b
        assert iterate.q == solution.q[iterate.steps]
        assert abs(iterate.q - q_of(A, b, iterate.x)) <= 1e-12 * scale
        assert abs(iterate.q - (r - b) @ iterate.x / 2) <= 1e-12 * scale
    assert norm(A @ solution.x - b) == pytest.approx(solution.residual, rel=1e-8)


def test_each_iterate_minimises_q_over_its_krylov_subspace():
    A, b = positive_definite(30, condition=50)
    basis = np.empty((30, 0))
    for iterate in pcg(A.dot, b, max_steps=8, store=range(1, 9)).iterates:
        v = A @ basis[:, -1] if basis.size else b
        v = v - basis @ (basis.T @ v)
        v = v - basis @ (basis.T @ v)
        basis = np.column_stack([basis, v / norm(v)])
        best = basis @ np.linalg.solve(basis.T @ A @ basis, basis.T @ b)
        assert norm(iterate.x - best) <= 1e-11 * norm(best)


@pytest.mark.parametrize("distinct", [1, 2, 5])
def test_ends_after_as_many_steps_as_there_are_distinct_eigenvalues(distinct):
    rng = np.random.default_rng(1)
    V, _ = np.linalg.qr(rng.standard_normal((24, 24)))
    A = V @ np.diag(np.arange(24) % distinct + 1.0) @ V.T
    b = rng.standard_normal(24)
    solution = pcg(A.dot, b, residual=1e-12)
    assert (solution.steps, solution.reason) == (distinct, "residual")
    np.testing.assert_allclose(solution.x, np.linalg.solve(A, b), rtol=1e-10, atol=1e-11)


def test_the_matrix_itself_as_preconditioner_converges_in_one_step():
    A, b = positive_definite(20)
    solution = pcg(A.dot, b, preconditioner=np.linalg.inv(A).dot, residual=1e-10)
    assert (solution.steps, solution.reason) == (1, "residual")
    np.testing.assert_allclose(solution.x, np.linalg.solve(A, b), rtol=1e-9)


def test_preconditioning_is_cg_in_transformed_coordinates_whatever_its_scale():
    A, b = positive_definite(20, condition=30)
    C = np.diag(np.geomspace(0.2, 5, 20))  # δ = C⁻¹γ and P = CᵀC (sec. 11)
    inverse = np.linalg.inv(C)
    plain = pcg((inverse.T @ A @ inverse).dot, inverse.T @ b, max_steps=9)
    for scale in (1.0, 1e4):
        there = pcg(A.dot, b, preconditioner=(inverse @ inverse.T / scale).dot, max_steps=9)
        assert norm(there.x - inverse @ plain.x) <= 1e-11 * norm(there.x)
        assert there.residual == pytest.approx(norm(A @ there.x - b), rel=1e-10)
        np.testing.assert_allclose(there.q, plain.q, rtol=1e-11, atol=1e-13)


def test_a_minimiser_plus_an_eigenvector_needs_one_step_though_q_starts_high():
    A, b = positive_definite(15)
    values, vectors = np.linalg.eigh(A)
    x0 = np.linalg.solve(A, b) + 100 * vectors[:, 7]
    solution = pcg(A.dot, b, x0, residual=1e-9)
    assert solution.q[0] > 0 > solution.q[-1]  # sec. 10
    assert solution.steps == 1


def test_negative_curvature_stops_before_the_step():
    A = np.diag([2.0, 1.0, -0.5])
    b = np.array([1.0, 1.0, 1.0])
    solution = pcg(A.dot, b)
    assert solution.reason == "negative curvature"
    assert solution.products == solution.steps + 1
    assert all(np.diff(solution.q) < 0)
    assert q_of(A, b, solution.x) == pytest.approx(solution.q[-1], rel=1e-12, abs=0)
    at_once = pcg(lambda v: -v, b)
    assert (at_once.reason, at_once.steps, at_once.q) == ("negative curvature", 0, [0.0])
    assert not at_once.x.any()


def test_a_flat_direction_counts_as_negative_curvature():
    assert pcg(np.zeros_like, np.ones(3)).reason == "negative curvature"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_product_that_is_not_finite_keeps_the_iterate_before_it(bad):
    A, b = positive_definite(10)
    products = []

    def operator(v):
        products.append(v)
        return A @ v if len(products) < 4 else np.full(10, bad)

    solution = pcg(operator, b)
    assert (solution.reason, solution.steps, solution.usable) == ("not finite", 3, False)
    np.testing.assert_array_equal(solution.x, pcg(A.dot, b, max_steps=3).x)


def test_a_start_whose_product_is_not_finite_is_said():
    A, b = positive_definite(4)
    solution = pcg(lambda v: v * np.nan, b, np.ones(4))
    assert (solution.reason, solution.steps) == ("not finite", 0)


def test_nothing_to_do_for_a_zero_right_hand_side():
    solution = pcg(np.eye(3).dot, np.zeros(3))
    assert (solution.reason, solution.steps, solution.products) == ("residual", 0, 0)
    assert not solution.usable


def test_an_indefinite_preconditioner_is_refused():
    A, b = positive_definite(5)
    with pytest.raises(rop.RopError, match="positive definite, but rᵀP⁻¹r = -"):
        pcg(A.dot, b, preconditioner=lambda r: -r)


def test_steps_and_products_are_counted():
    A, b = positive_definite(30)
    cold = pcg(A.dot, b, max_steps=7)
    warm = pcg(A.dot, b, np.ones(30), max_steps=7)
    assert (cold.reason, cold.steps, cold.products) == ("steps", 7, 7)
    assert (warm.steps, warm.products, len(warm.q)) == (7, 8, 8)


def test_residual_stop_is_relative_to_b():
    A, b = positive_definite(30)
    solution = pcg(A.dot, 1e-6 * b, residual=1e-3)
    assert solution.reason == "residual"
    assert norm(A @ solution.x - 1e-6 * b) <= 1.0001e-3 * norm(1e-6 * b)
    earlier = pcg(A.dot, 1e-6 * b, max_steps=solution.steps - 1)
    assert earlier.residual > 1e-3 * norm(1e-6 * b)


def test_wanted_iterates_are_kept_and_the_last_always_ends_them():
    A, b = positive_definite(30)
    solution = pcg(A.dot, b, max_steps=17, store=(2, 5, 9, 40))
    assert [iterate.steps for iterate in solution.iterates] == [2, 5, 9, 17]
    few = pcg(A.dot, b, max_steps=17, store=range(1, 18), keep=3)
    assert [iterate.steps for iterate in few.iterates] == [15, 16, 17]
    for iterate in solution.iterates:
        np.testing.assert_array_equal(iterate.x, pcg(A.dot, b, max_steps=iterate.steps).x)


def test_neither_b_nor_the_start_is_changed():
    A, b = positive_definite(10)
    x0 = np.ones(10)
    kept = b.copy()
    pcg(A.dot, b, x0, max_steps=5)
    np.testing.assert_array_equal(b, kept)
    np.testing.assert_array_equal(x0, 1)


def test_operators_may_reuse_one_buffer():
    A, b = positive_definite(20)
    Av, y = np.empty(20), np.empty(20)
    reused = pcg(lambda v: np.dot(A, v, out=Av), b, np.ones(20), lambda r: np.divide(r, 3, out=y))
    fresh = pcg(A.dot, b, np.ones(20), lambda r: r / 3)
    np.testing.assert_array_equal(reused.x, fresh.x)


def test_float32_stays_float32_and_follows_float64():
    A, b = positive_definite(200, condition=30)
    single = A.astype(np.float32)
    dtypes = set()

    def operator(v):
        dtypes.add(v.dtype)
        return single @ v

    solution = pcg(operator, b.astype(np.float32), max_steps=15)
    exact = pcg(A.dot, b, max_steps=15)
    assert solution.x.dtype == np.float32
    assert dtypes == {np.dtype(np.float32)}
    assert norm(solution.x - exact.x) <= 1e-5 * norm(exact.x)
    assert solution.q[-1] == pytest.approx(exact.q[-1], rel=1e-6)


def test_the_solver_policy_passes_its_stops_on():
    A, b = positive_definite(60, condition=1e5)
    solver = ConjugateGradient(max_steps=30, residual=0.0, forcing=None, keep=2)
    solution = solver.solve(Subproblem(A, b, store=range(10, 31, 5)))
    assert (solution.reason, solution.steps) == ("steps", 30)
    assert [iterate.steps for iterate in solution.iterates] == [25, 30]
    slow = ConjugateGradient(200, RelativeProgress(), forcing=None)
    assert slow.solve(Subproblem(A, b)).reason == "progress"
    loose = ConjugateGradient(residual=0.5, forcing=None).solve(Subproblem(A, b))
    assert loose.reason == "residual"


@pytest.mark.parametrize("settings", [{"max_steps": 0}, {"keep": 0}])
def test_a_solver_without_steps_or_memory_is_refused(settings):
    with pytest.raises(rop.RopError, match="ConjugateGradient: .* must be an int >= 1"):
        ConjugateGradient(**settings)


def test_dot_of_float32_is_summed_in_float64():
    n = 3_000_000
    a = np.full(n, np.float32(0.1))
    exact = n * float(np.float32(0.1)) ** 2
    assert dot(a, a) == pytest.approx(exact, rel=1e-6)
    assert norm(a) == pytest.approx(exact**0.5, rel=1e-6)
    # Large terms that cancel from block to block must leave the small ones.
    a[0], a[-1] = 1e4, -1e4
    b = np.ones(n, np.float32)
    assert dot(a, b) == pytest.approx((n - 2) * float(np.float32(0.1)), rel=1e-5)


@pytest.mark.parametrize("y", [np.ones(6), np.ones(12)[::2], np.ones(6, np.float32)])
def test_axpy_always_changes_its_argument(y):
    axpy(2.0, np.arange(6.0), y)
    np.testing.assert_array_equal(y, 1 + 2 * np.arange(6))


def test_iterates_that_overflow_are_left():
    b = np.array([1e30, 1.0], np.float32)
    A = np.diag(np.array([1e-20, 1.0], np.float32))
    solution = pcg(A, b, max_steps=2, store=[1, 2])
    assert solution.reason == "not finite"
    assert all(np.isfinite(it.x).all() for it in solution.iterates)
    start = np.array([3.0, 4.0], np.float32)
    solution = pcg(A, np.array([1e30, 4.0], np.float32), start, max_steps=1)
    assert (solution.steps, solution.reason) == (0, "not finite")
    np.testing.assert_array_equal(solution.x, start)
