"""The penalty by parameter: whatever l2 enters, it enters with the strength of each parameter."""

import pickle
import re
from copy import copy

import numpy as np
import pytest
from matplotlib.text import Text

import rop

L2 = {"W1": 0.5, "W2": 2.0}


def build(l2):
    x, t = rop.data("x", 5), rop.data("t", 4)
    W1, b1 = rop.param("W1", (6, 5)), rop.param("b1", 6)
    W2, b2 = rop.param("W2", (4, 6)), rop.param("b2", 4)
    h = rop.tanh(W1 @ x + b1)
    return rop.Objective(W2 @ h + b2, rop.SoftmaxCrossEntropy(t), l2, hidden=[h])


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    batch = {"x": rng.normal(size=(9, 5)), "t": rng.integers(0, 4, 9)}
    theta, v = rng.normal(size=(2, 64))
    strengths = build(0.0).pack(
        {
            "W1": np.full((6, 5), 0.5),
            "b1": np.zeros(6),
            "W2": np.full((4, 6), 2.0),
            "b2": np.zeros(4),
        }
    )
    return theta, batch, v, strengths


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_adds_its_diagonal_to_everything(case, engine, dtype):
    theta, batch, v, d = case
    V = np.stack([v, 2 * v, theta], axis=1)
    options = {"engine": engine, "dtype": dtype}
    plain = build(0.0).linearize(theta, batch, **options)
    at = build(L2).linearize(theta, batch, **options)
    tolerance = {"rtol": 1e-12, "atol": 1e-12} if dtype == np.float64 else {"atol": 1e-4}

    def close(found, expected):
        assert np.asarray(found).dtype == dtype
        np.testing.assert_allclose(found, expected, **tolerance)

    assert at.value == pytest.approx(plain.value + 0.5 * d @ theta**2, rel=1e-6)
    value = build(L2).value(theta, batch, **options)
    assert value == pytest.approx(at.value, rel=1e-6)
    close(at.gradient(), plain.gradient() + d * theta)
    close(at.ggnvp(v), plain.ggnvp(v) + d * v)
    close(at.ggnvp(V), plain.ggnvp(V) + d[:, None] * V)
    close(at.ggnvp(v, lam=0.25), plain.ggnvp(v) + (d + 0.25) * v)
    close(at.ggnvp(v, mu=0.5, lam=0.25), plain.ggnvp(v, mu=0.5) + (d + 0.25) * v)
    close(at.hvp(v), plain.hvp(v) + d * v)
    close(at.hvp(V), plain.hvp(V) + d[:, None] * V)
    close(at.G @ v, plain.G @ v + d * v)
    close(at.G.matrix(), plain.G.matrix() + np.diag(d))
    close(at.H.matrix(), plain.H.matrix() + np.diag(d))
    for method in ("exact", "chapelle-erhan", "empirical-fisher"):
        close(at.diagonal(method), plain.diagonal(method) + d)


def test_equal_strengths_are_one_number(case, engine):
    theta, batch, v, _ = case
    one = build(0.3).linearize(theta, batch, engine)
    each = build(dict.fromkeys(("W1", "b1", "W2", "b2"), 0.3)).linearize(theta, batch, engine)
    assert one.value == pytest.approx(each.value, rel=1e-14)
    np.testing.assert_allclose(one.gradient(), each.gradient(), rtol=1e-13)
    np.testing.assert_allclose(one.hvp(v), each.hvp(v), rtol=1e-13)


def test_the_checker_knows_it(case):
    theta, batch, _, _ = case
    assert rop.check(build(L2), theta, batch).ok
    wrong = build(L2)
    wrong.penalty = 1.01 * wrong.penalty
    right = build(L2).linearize
    report = rop.check_products(
        theta,
        value=lambda theta: right(theta, batch).value,
        gradient=lambda theta: wrong.linearize(theta, batch).gradient(),
    )
    assert report.verdict == "fail"


@pytest.mark.parametrize("recipe", [None, "martens2010", "basic", "validated2012"])
def test_hf_minimises_ridge_regression_with_a_free_intercept(recipe):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), 10.0 + rng.normal(size=50)
    x, w, b = rop.data("x", 3), rop.param("w", 3), rop.param("b")
    objective = rop.Objective(w @ x + b, rop.SquaredError(rop.data("t")), l2={"w": 0.7})
    A, centred = X - X.mean(0), y - y.mean()
    right = np.linalg.solve(A.T @ A / 50 + 0.7 * np.eye(3), A.T @ centred / 50)
    found = rop.hf.minimize(
        objective, np.zeros(4), {"x": X, "t": y}, recipe, iterations=300, dtype=np.float64
    )
    np.testing.assert_allclose(found.theta[:3], right, atol=1e-6)
    np.testing.assert_allclose(found.theta[3], y.mean() - X.mean(0) @ right, atol=1e-5)


def test_a_recipe_may_replace_it(case):
    theta, batch, _, _ = case
    recipe = rop.hf.Recipe(l2=0.0)
    plain = rop.hf.minimize(build(0.0), theta, batch, iterations=3)
    replaced = rop.hf.minimize(build(L2), theta, batch, recipe, iterations=3)
    np.testing.assert_array_equal(plain.theta, replaced.theta)


def test_a_run_with_another_penalty_is_another_run(case, tmp_path):
    theta, batch, _, _ = case
    rop.hf.minimize(build(L2), theta, batch, iterations=2, folder=tmp_path)
    go_on = {"iterations": 3, "folder": tmp_path, "resume": True}
    assert rop.hf.minimize(build(L2), theta, batch, **go_on).nit == 3
    with pytest.raises(rop.RopValueError, match="l2"):
        rop.hf.minimize(build({"W1": 0.5}), theta, batch, **go_on)


def test_copies_keep_it(case):
    theta, batch, v, _ = case
    right = build(L2).linearize(theta, batch).hvp(v)
    for again in (copy(build(L2)), pickle.loads(pickle.dumps(build(L2)))):
        assert again.l2 == L2
        np.testing.assert_array_equal(again.linearize(theta, batch).hvp(v), right)


def test_it_is_shown():
    objective = build(L2)
    assert "l2 * v" in str(rop.explain(objective, "ggnvp"))
    said = [text.get_text() for text in rop.draw(objective).findobj(Text)]
    assert any("½ 0.5 |W1|² + ½ 2 |W2|²" in text for text in said)
    assert "l2 = 0.5 for W1, l2 = 2 for W2" in objective._repr_html_()


@pytest.mark.parametrize(
    ("l2", "error", "message"),
    [
        ({"W3": 1.0}, rop.RopValueError, "'W1', 'b1', 'W2', 'b2', got 'W3'"),
        ({"W1": -1.0}, rop.RopValueError, "l2['W1'] must be a finite number >= 0"),
        ({"W1": "much"}, rop.RopTypeError, "got 'much' (str); give a number, not text"),
        ([1.0], rop.RopTypeError, "l2 must be a finite number >= 0"),
        (np.inf, rop.RopValueError, "l2 must be a finite number >= 0"),
    ],
)
def test_strengths_that_do_not_fit(l2, error, message):
    with pytest.raises(error, match=re.escape(message)):
        build(l2)
