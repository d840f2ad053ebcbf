"""`listing.numpy()` writes functions that need NumPy alone and compute the same products."""

import ast
import re

import numpy as np
import pytest
from hypothesis import given
from random_graphs import examples, models

import rop
from rop.errors import RopTypeError, RopValueError

PRODUCTS = ("gradient", "jvp", "vjp", "loss_hvp", "ggnvp", "hvp")


def compiled(objective, product):
    """The function of a listing's source, in a module of its own."""
    source = rop.explain(objective, product).numpy()
    imports = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert {ast.unparse(node) for node in imports} <= {"import numpy as np", "import math"}
    space = {}
    exec(compile(source, f"<{product}>", "exec"), space)
    return space[product]


def agree(objective, theta, batch, v, u):
    at = objective.linearize(theta, batch, engine="numpy")
    for product in PRODUCTS:
        vector = {"gradient": (), "vjp": (u,), "loss_hvp": (u,)}.get(product, (v,))
        expected = getattr(at, product)(*vector)
        found = compiled(objective, product)(theta, batch, *vector)
        assert found.shape == expected.shape
        scale = np.abs(expected).max(initial=1.0)
        assert np.allclose(found, expected, rtol=0, atol=1e-12 * scale), product


@pytest.mark.ci
@given(models())
@examples(60)
def test_the_source_of_random_graphs_computes_the_same(model):
    v, u = model.vectors()
    agree(model.objective, model.theta, model.batch, v, u)


def test_every_way_to_give_a_network_its_data():
    """Labels, penalties by parameter, outputs without cases, a table of embeddings, a solve."""
    i, E = rop.data("i", 3, dtype=int), rop.param("E", (5, 2))
    A, b = rop.param("A", (2, 2)), rop.param("b")
    h = rop.solve(A + 4.0 * np.eye(2), rop.sum(rop.take(E, i, axis=0), axis=0))
    z = rop.concatenate([h, rop.stack([b * h[0]])])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2={"A": 0.3})
    rng = np.random.default_rng(0)
    theta, v = rng.normal(size=(2, objective.n))
    batch = {"i": rng.integers(0, 5, (7, 3)), "t": rng.integers(0, 3, 7)}
    agree(objective, theta, batch, v, rng.normal(size=(7, 3)))
    alone = rop.Objective(rop.sum(rop.square(A)) - 2.0 * rop.sum(A))
    agree(alone, theta[:4], None, v[:4], np.ones(1))


def test_a_recurrent_network():
    x, t = rop.data("x", (4, 3)), rop.data("t", 2)
    W, V, U = rop.param("W", (5, 3)), rop.param("V", (5, 5)), rop.param("U", (2, 5))
    h = rop.tanh(W @ x[0])
    for step in range(1, 4):
        h = rop.tanh(W @ x[step] + V @ h)
    objective = rop.Objective(U @ h, rop.SquaredError(t))
    rng = np.random.default_rng(0)
    theta, v = rng.normal(size=(2, objective.n))
    batch = {"x": rng.normal(size=(6, 4, 3)), "t": rng.normal(size=(6, 2))}
    agree(objective, theta, batch, v, rng.normal(size=(6, 2)))


def test_a_convolutional_network():
    """Max pooling: its functions take as many arrays as a window has elements."""
    x, t, W = rop.data("x", (2, 6, 6)), rop.data("t", 3), rop.param("W", (3, 2, 3, 3))
    pooled = rop.max_pool2d(rop.relu(rop.conv2d(x, W)), 2)
    z = rop.param("V", (3, 12)) @ rop.flatten(pooled)
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(t))
    rng = np.random.default_rng(0)
    theta, v = rng.normal(size=(2, objective.n))
    batch = {"x": rng.normal(size=(4, 2, 6, 6)), "t": np.eye(3)[[0, 1, 2, 0]]}
    agree(objective, theta, batch, v, rng.normal(size=(4, 3)))


def test_a_long_sum_has_a_line_for_each_term():
    x, w, u = rop.data("x", 20), rop.param("w"), rop.param("u")
    h = total = rop.tanh(u * x[0])
    for step in range(1, 20):
        h = rop.tanh(w * h + u * x[step])
        total = total + h
    objective = rop.Objective(total, rop.SquaredError(rop.data("t")))
    rng = np.random.default_rng(0)
    batch = {"x": rng.normal(size=(3, 20)), "t": rng.normal(size=3)}
    agree(objective, *rng.normal(size=(1, 2)), batch, rng.normal(size=2), rng.normal(size=3))
    source = rop.explain(objective, "hvp").numpy()
    assert source.count("    Rdu = Rdu + ") == 19
    assert max(map(len, source.splitlines())) <= 100


def test_the_source_reads_like_the_listing():
    x, W, b = rop.data("x", 4), rop.param("W", (3, 4)), rop.param("b", 3)
    objective = rop.Objective(rop.tanh(W @ x + b), rop.SquaredError(rop.data("t", 3)))
    source = rop.explain(objective, "hvp").numpy()
    for line in (
        "x2 = x @ W.T + b  # value of matvec a1, value of add; test_source.py, line",
        "ds_x2 = 1.0 - z * z  # s' of tanh; chain rule (eq. 6); test_source.py, line",
        "Rx2 = x @ RW.T + Rb",
        "Rz = ds_x2 * Rx2",
        "RdW = Rdx2.T @ x",
        "return np.concatenate([RdW.ravel(), Rdb.ravel()])",
    ):
        assert line in source
    assert max(map(len, source.splitlines())) <= 100
    assert "product rule (eq. 5)" in source and "linearity (eq. 4)" in source
    assert not re.search(r"line$|# \d+$", source, re.MULTILINE)


def test_formulas_in_one_line_are_told_apart():
    w, x = rop.param("w", 3), rop.data("x", 3)
    z = Squared.of(rop.log1p(rop.square(w * x)))
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 3)))
    theta, v, X, t, u = np.random.default_rng(0).normal(size=(5, 1, 3))
    agree(objective, theta[0], {"x": X, "t": t}, v[0], u)


class Squared(rop.ops.Elementwise):
    """Three lambdas of one argument."""

    s, ds, d2s = map(staticmethod, (lambda z: z * z, lambda z: z + z, lambda z: 2.0 + 0.0 * z))


def test_what_cannot_be_written_is_named():
    W = rop.param("W", (400, 300))
    large = rop.Objective(W * np.ones((400, 300)), rop.SquaredError(rop.data("t", (400, 300))))
    with pytest.raises(RopValueError, match="constants have 120,000 elements"):
        rop.explain(large).numpy()

    space = {"rop": rop, "np": np}
    exec(
        "class Unseen(rop.ops.Elementwise):\n"
        "    s = staticmethod(lambda z: np.sin(z))\n"
        "    ds = staticmethod(lambda z: np.cos(z))\n"
        "    d2s = staticmethod(lambda z: -np.sin(z))\n",
        space,
    )
    own = rop.Objective(space["Unseen"].of(rop.param("p", 3)), rop.SquaredError(np.zeros(3)))
    with pytest.raises(RopTypeError, match="its source is not known; define it in a file"):
        rop.explain(own).numpy()
