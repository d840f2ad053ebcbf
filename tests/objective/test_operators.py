"""G, H and J as SciPy's operators and as matrices; the three diagonals; gradients case by case."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, cg, eigsh, lsqr

import rop
import rop.engines.room
from rop.objective import diagonals, per_case
from rop.objective.linearization import products_of


@pytest.fixture(params=["squared", "sigmoid", "softmax"])
def at(request, network, engine):
    model = network(loss=request.param)
    return model.objective.linearize(model.theta, model.batch, engine)


RNG = np.random.default_rng(0)


def test_as_scipy_sees_them(at):
    V, U = RNG.standard_normal((64, 3)), RNG.standard_normal((28, 3))
    for A, shape, right, left in [
        (at.G, (64, 64), at.ggnvp, at.ggnvp),
        (at.H, (64, 64), at.hvp, at.hvp),
        (
            at.J,
            (28, 64),
            lambda V: at.jvp(V).reshape(28, *V.shape[1:]),
            lambda U: at.vjp(U.reshape(7, 4, *U.shape[1:])),
        ),
    ]:
        assert isinstance(A, LinearOperator) and A.shape == shape and A.dtype == np.float64
        left_block = U if shape[0] == 28 else V
        np.testing.assert_array_equal(A.matvec(V[:, 0]), right(V[:, 0]))
        np.testing.assert_array_equal(A @ V[:, 0], right(V[:, 0]))
        np.testing.assert_array_equal(A.matvec(V[:, :1]), right(V[:, 0])[:, None])
        np.testing.assert_array_equal(A.matmat(V), right(V))
        np.testing.assert_array_equal(A @ V, right(V))
        np.testing.assert_array_equal(A.rmatvec(left_block[:, 0]), left(left_block[:, 0]))
        np.testing.assert_array_equal(A.rmatmat(left_block), left(left_block))
        for turned in (A.T, A.H, A.adjoint(), A.transpose()):
            assert turned.shape == shape[::-1]
            np.testing.assert_array_equal(turned @ left_block, left(left_block))
            np.testing.assert_array_equal(turned.rmatvec(V[:, 0]), right(V[:, 0]))
            np.testing.assert_array_equal(turned.matrix(), A.matrix().T)
        M = A.matrix()
        assert M.shape == shape and M.flags.writeable
        np.testing.assert_allclose(M @ V, A @ V, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(M, A @ np.eye(64), rtol=1e-12, atol=1e-14)


def test_scipy_can_work_with_them(at):
    b = RNG.standard_normal(64)
    x, info = cg(at.G, b, rtol=1e-12, maxiter=2000)
    assert info == 0
    np.testing.assert_allclose(x, np.linalg.solve(at.G.matrix(), b), rtol=1e-7, atol=1e-9)
    largest = eigsh(at.H, k=1, which="LM", return_eigenvectors=False)[0]
    spectrum = np.linalg.eigvalsh(at.H.matrix())
    assert abs(largest) == pytest.approx(np.abs(spectrum).max(), rel=1e-8)
    target = at.J @ b
    found = lsqr(at.J, target, atol=1e-12, btol=1e-12, iter_lim=2000)[0]
    np.testing.assert_allclose(at.J @ found, target, rtol=1e-6, atol=1e-7)


def test_more_outputs_than_parameters(engine):
    """G is then formed by products instead of rows; the same matrix."""
    x, w = rop.data("x", 2), rop.param("w", 2)
    objective = rop.Objective(rop.tanh(w * x), rop.SquaredError(np.zeros(2)), l2=0.1)
    theta, X = RNG.standard_normal(2), RNG.standard_normal((9, 2))
    at = objective.linearize(theta, {"x": X}, engine)
    J = at.J.matrix()
    assert J.shape == (18, 2)
    np.testing.assert_allclose(at.G.matrix(), J.T @ J / 9 + 0.1 * np.eye(2), rtol=1e-12)


def test_matrices_that_do_not_fit(at, monkeypatch):
    monkeypatch.setattr(rop.engines.room, "_ALWAYS_FITS", 0)
    monkeypatch.setattr(rop.engines.room, "available", lambda: 1000)
    monkeypatch.setattr(rop.engines.room, "_ALWAYS_FITS", 0)
    for A in (at.G, at.H, at.J):
        with pytest.raises(rop.RopMemoryError) as caught:
            A.matrix()
        message = str(caught.value)
        assert "x 64" in message and "MiB" in message and "products" in message


def test_rows(at):
    """J_iᵀ u_i of every case by itself; summed over the cases, Jᵀu."""
    U = RNG.standard_normal((7, 4, 3))
    rows = per_case.rows(products_of(at), U)
    assert rows.shape == (7, 3, 64)
    J = at.J.matrix().reshape(7, 4, 64)
    np.testing.assert_allclose(rows, np.einsum("nmk,nmj->nkj", U, J), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(rows.sum(0).T, at.vjp(U), rtol=1e-12, atol=1e-14)
    alone, squares = (
        per_case.rows(products_of(at), U[..., 0])[:, 0],
        per_case.squares(products_of(at), U),
    )
    np.testing.assert_allclose(alone, rows[:, 0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(squares, (rows**2).sum((0, 1)), rtol=1e-12, atol=1e-14)


def test_gradients_case_by_case(at):
    gradients = at.per_case_gradients()
    assert gradients.shape == (7, 64)
    for i in range(7):
        batch = {name: array[i : i + 1] for name, array in at.batch.items()}
        alone = at.objective.linearize(at.theta, batch, at.engine)
        right = alone.gradient() - 0.25 * at.theta
        np.testing.assert_allclose(gradients[i], right, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(gradients.mean(0) + 0.25 * at.theta, at.gradient(), atol=1e-13)


def test_the_exact_diagonal(at):
    np.testing.assert_allclose(at.diagonal(), np.diag(at.G.matrix()), rtol=1e-12)
    np.testing.assert_array_equal(at.diagonal(), at.diagonal("exact", seed=5))


def test_the_empirical_fisher(at):
    """The mean over cases of squared gradients; N times the sum of squares with 1/N (M59)."""
    right = (at.per_case_gradients() ** 2).mean(0) + 0.25
    np.testing.assert_allclose(at.diagonal("empirical-fisher"), right, rtol=1e-12)


def test_chapelle_and_erhans_estimate(at):
    """Unbiased: the mean of draws lies within 6 of its standard errors, which one in 10⁹ misses.

    A draw of one element is the sum over cases of squares of sums of m independent signs; the
    mean of 600 of them is as good as normal. Over all elements the squares of their deviations, in
    standard errors, have mean 1.
    """
    draws, rng = 600, np.random.default_rng(0)
    found = np.array([at.diagonal("chapelle-erhan", seed=rng) for _ in range(draws)])
    mean, error = found.mean(0), found.std(0, ddof=1) / np.sqrt(draws)
    exact = at.diagonal("exact")
    # Where a case reaches a parameter through one output only, every draw is the same and exact.
    assert (np.abs(mean - exact) <= 6 * error + 1e-12 * exact).all()
    varied = error > 1e-9 * exact
    assert (((mean - exact)[varied] / error[varied]) ** 2).mean() < 2.0 or not varied.any()
    assert (found >= 0.25).all()
    first = at.diagonal("chapelle-erhan", seed=7)
    np.testing.assert_array_equal(first, at.diagonal("chapelle-erhan", seed=7))
    assert varied.any() == (not np.array_equal(first, at.diagonal("chapelle-erhan", seed=8)))


def test_draws_do_not_depend_on_the_engine(network, sharded):
    """Signs belong to cases, however these are split."""
    model = network()
    found = []
    for engine, shards in [("numpy", 1), ("numba", 1), ("numba", 3)]:
        with sharded(shards):
            at = model.objective.linearize(model.theta, model.batch, engine)
            found.append(at.diagonal("chapelle-erhan", seed=3))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-12)


def test_the_root_is_a_root(at):
    """S diag(signs) Sᵀ = L'' for every case."""
    S, signs = diagonals.root(products_of(at))
    unit = np.broadcast_to(np.eye(4), (7, 4, 4))
    roots = S(unit)
    L2 = np.einsum("nik,nk,njk->nij", roots, np.broadcast_to(signs, (7, 4)), roots)
    np.testing.assert_allclose(L2, products_of(at).loss_hessians(), atol=1e-15)


def test_diagonals_of_an_indefinite_loss(engine):
    """The exact one has negative elements; there is no root for signs to be drawn for."""
    x, W = rop.data("x", 3), rop.param("W", (2, 3))
    z = W @ x
    graph = rop.square(z[0]) - 2.0 * rop.square(z[1]) + z[0] * z[1]
    X, theta = RNG.standard_normal((5, 3)), RNG.standard_normal(6)
    at = rop.Objective(z, rop.LossGraph(graph)).linearize(theta, {"x": X}, engine)
    G = at.G.matrix()
    np.testing.assert_allclose(G, at.ggnvp(np.eye(6)), atol=1e-13)
    np.testing.assert_allclose(at.diagonal(), np.diag(G), atol=1e-13)
    assert (np.diag(G)[3:] < 0).all()
    with pytest.raises(rop.RopValueError, match="positive semidefinite"):
        at.diagonal("chapelle-erhan")
    convex = rop.Objective(z, rop.LossGraph(graph, "eigen")).linearize(theta, {"x": X}, engine)
    draws = np.array([convex.diagonal("chapelle-erhan", seed=s) for s in range(400)])
    error = draws.std(0, ddof=1) / 20
    assert (np.abs(draws.mean(0) - convex.diagonal()) <= 6 * error + 1e-12).all()


def test_weights_enter_the_root(engine):
    """Weights of cases and outputs, zero among them."""
    x, t, w = rop.data("x", 3), rop.data("t", 2), rop.data("w", 2)
    W = rop.param("W", (2, 3))
    objective = rop.Objective(W @ x, rop.SigmoidCrossEntropy(t, weight=w))
    batch = {
        "x": RNG.standard_normal((5, 3)),
        "t": RNG.uniform(0, 1, (5, 2)),
        "w": RNG.choice([0.0, 0.5, 3.0], (5, 2)),
    }
    at = objective.linearize(RNG.standard_normal(6), batch, engine)
    np.testing.assert_allclose(at.diagonal(), np.diag(at.ggnvp(np.eye(6))), rtol=1e-12)
    np.testing.assert_allclose(at.G.matrix(), at.ggnvp(np.eye(6)), rtol=1e-12, atol=1e-15)
