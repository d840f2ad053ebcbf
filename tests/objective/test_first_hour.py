"""What people try in their first hour: labels, prediction, one number to minimise."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize

import rop

PAGE = (Path(__file__).parents[2] / "docs/howto/own_loss.md").read_text(encoding="utf-8")

ENGINES = ["numba", "numpy"]


def classifier(shape=(), weight=None):
    """A net for 3 classes; with a shape, for so many groups of them."""
    x, t = rop.data("x", 5), rop.data("t", (*shape, 3))
    W = rop.param("W", (3 * int(np.prod(shape)), 5))
    z = rop.reshape(rop.tanh(W @ x), (*shape, 3))
    return rop.Objective(z, rop.SoftmaxCrossEntropy(t, weight), l2=0.1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(), (4,)])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
@pytest.mark.parametrize("engine", ENGINES)
def test_labels_are_one_hot_targets(rng, shape, dtype, engine):
    objective = classifier(shape)
    theta, X = rng.normal(size=objective.n), rng.normal(size=(300, 5))
    labels = rng.integers(0, 3, (300, *shape)).astype(dtype)
    one_hot = np.eye(3)[labels]
    v = rng.normal(size=objective.n)
    at = objective.linearize(theta, {"x": X, "t": labels}, engine)
    right = objective.linearize(theta, {"x": X, "t": one_hot}, engine)
    assert at.value == right.value
    assert objective.value(theta, {"x": X, "t": labels}, engine) == right.value
    np.testing.assert_array_equal(at.gradient(), right.gradient())
    np.testing.assert_array_equal(at.hvp(v), right.hvp(v))
    np.testing.assert_array_equal(
        at.diagonal("empirical-fisher"), right.diagonal("empirical-fisher")
    )


def test_labels_as_a_list():
    objective = classifier()
    X = np.ones((2, 5))
    value = objective.value(np.ones(15), {"x": X, "t": [0, 2]})
    assert value == objective.value(np.ones(15), {"x": X, "t": [[1, 0, 0], [0, 0, 1]]})


def test_labels_in_hf_streams_check_and_scipy(rng):
    objective = classifier()
    X, labels = rng.normal(size=(60, 5)), rng.integers(0, 3, 60)
    theta = objective.init("glorot")
    given, right = {"x": X, "t": labels}, {"x": X, "t": np.eye(3)[labels]}
    best = rop.hf.minimize(objective, theta, right, iterations=4).theta
    np.testing.assert_array_equal(
        rop.hf.minimize(objective, theta, given, iterations=4).theta, best
    )
    by_labels, by_vectors = (
        rop.hf.minimize(objective, theta, rop.hf.Stream(lambda k, d=d: d), iterations=4).theta
        for d in (given, right)
    )
    np.testing.assert_array_equal(by_labels, by_vectors)
    assert rop.check(objective, theta, {name: array[:8] for name, array in given.items()}).ok
    found, best = (
        scipy.optimize.minimize(x0=theta, method="trust-krylov", **objective.scipy(batch)).fun
        for batch in (given, right)
    )
    assert found == best


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 3]), "labels of 3 classes are integers from 0 to 2, got 3 at [1]"),
        (np.array([-1, 1]), "labels of 3 classes are integers from 0 to 2, got -1 at [0]"),
        (
            np.array([0.0, 1.0]),
            "expected shape (N, 3), or integer labels of shape (N,), got (2,) of float64",
        ),
        (
            np.array([[0, 1]]),
            "expected shape (N, 3), or integer labels of shape (N,), got (1, 2) of int64",
        ),
        (np.array([[1, 0, 0], [1, 1, 0]]), "targets must be one-hot or distributions"),
    ],
)
def test_what_is_neither_labels_nor_one_hot(labels, message):
    objective = classifier()
    with pytest.raises(rop.RopValueError, match=re.escape(message)):
        objective.value(np.zeros(15), {"x": np.ones((2, 5)), "t": labels})


def test_other_losses_take_no_labels():
    x = rop.data("x", 2)
    objective = rop.Objective(rop.param("W", (2, 2)) @ x, rop.SquaredError(rop.data("t", 2)))
    with pytest.raises(rop.RopValueError, match=re.escape("expected shape (N, 2), got (3,)")):
        objective.value(np.ones(4), {"x": np.ones((3, 2)), "t": np.zeros(3, int)})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("N", [1, 1024, 2500])
def test_outputs_need_no_targets(rng, engine, N):
    objective = classifier()
    theta, X = rng.normal(size=objective.n), rng.normal(size=(N, 5))
    right = np.tanh(X @ theta.reshape(3, 5).T)
    outputs = objective.outputs(theta, {"x": X}, engine)
    np.testing.assert_allclose(outputs, right, rtol=1e-14)
    labelled = {"x": X, "t": "not read", "other": None}
    np.testing.assert_array_equal(objective.outputs(theta, labelled, engine), outputs)
    e = np.exp(right)
    p = e / e.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(objective.predict(theta, {"x": X}, engine), p, rtol=1e-13)
    assert objective.outputs(theta, {"x": X}, engine, np.float32).dtype == np.float32
    batch = {"x": X, "t": np.full((N, 3), 1 / 3)}
    at = objective.linearize(theta, batch, engine)
    np.testing.assert_allclose(at.outputs, outputs, rtol=1e-14)


@pytest.mark.parametrize("engine", ENGINES)
def test_values_after_outputs_of_as_many_cases(rng, engine):
    objective = classifier()
    theta = rng.normal(size=objective.n)
    X, T = rng.normal(size=(8, 5)), np.eye(3)[rng.integers(0, 3, 8)]
    objective.outputs(theta, {"x": X}, engine)
    f = objective.value(theta, {"x": X, "t": T}, engine)
    for cases in range(1, 8):  # memory for so many numbers of cases is not kept
        objective.value(theta, {"x": X[:cases], "t": T[:cases]}, engine)
    assert objective.value(theta, {"x": X, "t": T}, engine) == f


def test_each_loss_predicts(rng):
    x = rop.data("x", 2)
    W = rop.param("W", (2, 2))
    theta, X = rng.normal(size=4), rng.normal(size=(5, 2))
    z = X @ theta.reshape(2, 2).T
    predictions = {
        rop.SquaredError: z,
        rop.SigmoidCrossEntropy: 1 / (1 + np.exp(-z)),
    }
    for loss, right in predictions.items():
        objective = rop.Objective(W @ x, loss(rop.data("t", 2)))
        np.testing.assert_allclose(objective.predict(theta, {"x": X}), right, rtol=1e-13)
    z = W @ x
    objective = rop.Objective(z, rop.LossGraph(rop.sum(rop.exp(z))))
    with pytest.raises(rop.RopTypeError, match="LossGraph does not say what it predicts"):
        objective.predict(theta, {"x": X})


def test_outputs_that_are_data_or_parameters():
    W, x = rop.param("W", 2), rop.data("x", 2)
    theta = np.array([1.0, 2.0])
    parameter = rop.Objective(W, rop.SquaredError([0.0, 0.0]))
    np.testing.assert_array_equal(parameter.outputs(theta), [[1.0, 2.0]])
    repeated = rop.Objective(W, rop.SquaredError(x))
    np.testing.assert_array_equal(repeated.outputs(theta), [[1.0, 2.0]])
    constant = rop.Objective(x, rop.SquaredError([0.0, 0.0]), params=[W])
    np.testing.assert_array_equal(constant.outputs(theta, {"x": [[3.0, 4.0]]}), [[3.0, 4.0]])


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ({}, rop.RopValueError, "missing 'x'"),
        ([1], rop.RopTypeError, "batch: expected a mapping of 'x' to arrays, got list"),
        ({"x": np.ones(5)}, rop.RopValueError, "batch['x']: expected shape (N, 5), got (5,)"),
        ({"x": np.full((1, 5), np.nan)}, rop.RopValueError, "5 of 5 elements are NaN or inf"),
    ],
)
def test_outputs_of_data_that_do_not_fit(batch, error, message):
    with pytest.raises(error, match=re.escape(message)):
        classifier().outputs(np.zeros(15), batch)


def rosenbrock():
    a = rop.param("a", 2)
    return rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)


def test_a_scalar_node_is_an_objective():
    objective, theta = rosenbrock(), np.array([-1.2, 1.0])
    at = objective.linearize(theta)
    assert at.value == pytest.approx(24.2, rel=1e-14)
    np.testing.assert_allclose(at.gradient(), [-215.6, -88.0], rtol=1e-14)
    np.testing.assert_allclose(at.H.matrix(), [[1330.0, 480.0], [480.0, 200.0]], rtol=1e-14)
    assert "Rx2 = Ra[0]" in str(rop.explain(objective, "hvp"))
    found = scipy.optimize.minimize(x0=theta, method="trust-krylov", **objective.scipy())
    np.testing.assert_allclose(found.x, 1.0, atol=1e-3)
    assert rop.check(objective, theta, {}).ok


@pytest.mark.parametrize(
    "recipe", [None, "default", "basic", "martens2010", rop.hf.Recipe().replace(lam=0.1)]
)
def test_hf_minimises_a_scalar_node_by_its_hessian(recipe):
    found = rop.hf.minimize(rosenbrock(), [-1.2, 1.0], {}, recipe, dtype=np.float64)
    np.testing.assert_allclose(found.theta, 1.0, rtol=1e-12)
    assert found.recipe.curvature == "hessian"
    assert found.nit < 40


def test_structural_damping_makes_no_sense_for_a_scalar_node():
    recipe = rop.hf.Recipe(damping=rop.hf.Structural())
    with pytest.raises(rop.RopValueError, match="needs Gv; .* an objective with a loss"):
        rop.hf.minimize(rosenbrock(), [-1.2, 1.0], {}, recipe)


def lennard_jones(atoms):
    p, energy = rop.param("p", (atoms, 3)), 0
    for i in range(atoms):
        for j in range(i):
            s = 1 / rop.sum((p[i] - p[j]) ** 2) ** 3
            energy += 4 * (s**2 - s)
    return rop.Objective(energy)


def test_the_default_for_a_function_alone_finds_a_minimum_of_a_molecule():
    molecule = lennard_jones(7)
    for seed in (1, 2, 3):
        start = np.random.default_rng(seed).normal(size=21)
        found = rop.hf.minimize(molecule, start, {}, dtype=np.float64)
        assert found.recipe == rop.hf.recipes.newton()
        assert found.success and found.nit < 60
        assert all(it.step.alpha > 0 for it in found.records)
        H = molecule.linearize(found.theta).H.matrix()
        assert (np.linalg.eigvalsh(H) > -1e-5).all()  # six are 0: the molecule may move and turn
        assert found.fun < -15.5


def test_a_limit_is_no_success_and_the_message_says_how_far_the_run_came():
    start = np.random.default_rng(1).normal(size=21)
    recipe = rop.hf.recipes.damped()
    found = rop.hf.minimize(lennard_jones(7), start, {}, recipe, iterations=40, dtype=np.float64)
    rejected = sum(it.step.alpha == 0 for it in found.records)
    assert (found.reason, found.success, found.status) == ("iterations", False, 1)
    assert rejected > 0 and f"{rejected} of 40 updates were rejected" in found.message
    assert f"gradient was {found.records[-1].gradient_norm:.3g}" in found.message


def test_what_is_no_loss_is_refused_with_what_to_write():
    z, t = rop.param("W", 3), rop.data("t", 3)
    with pytest.raises(rop.RopTypeError, match=r"write rop\.LossGraph\(node\)"):
        rop.Objective(z, rop.sum((z - t) ** 2))
    with pytest.raises(rop.RopTypeError, match=r"is a class; write rop\.SquaredError\(t\)"):
        rop.Objective(z, rop.SquaredError)
    assert repr(rosenbrock()) == "<Objective: a scalar, 2 parameters in a>"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lam": 3}, "recipe=rop.hf.Recipe().replace(lam=...)"),
        ({"max_iter": 3}, "no argument is called 'max_iter'; there are objective, theta, data, re"),
        ({"iteration": 3}, "did you mean 'iterations'?"),
    ],
)
def test_an_argument_that_minimize_does_not_have(settings, message):
    with pytest.raises(rop.RopTypeError, match=re.escape(message)):
        rop.hf.minimize(rosenbrock(), [-1.2, 1.0], {}, **settings)


def test_a_mapping_is_refused_in_the_same_words_everywhere():
    for use in (
        lambda f, theta: f.value(theta),
        lambda f, theta: rop.hf.minimize(f, theta, {}),
    ):
        with pytest.raises(rop.RopTypeError, match=r"write objective.pack\(theta\)"):
            use(rosenbrock(), {"a": [1.0, 2.0]})


def test_a_scalar_for_each_case_is_averaged(rng):
    x = rop.data("x", 3)
    objective = rop.Objective(rop.exp(rop.param("w", 3) @ x))
    X, theta = rng.normal(size=(7, 3)), rng.normal(size=3)
    at = objective.linearize(theta, {"x": X})
    assert at.value == pytest.approx(np.exp(X @ theta).mean(), rel=1e-14)
    np.testing.assert_allclose(at.gradient(), (np.exp(X @ theta) @ X) / 7, rtol=1e-13)


def test_outputs_without_a_loss():
    message = "loss: outputs of shape (3,) for one case need one, such as rop.SquaredError(t)"
    with pytest.raises(rop.RopTypeError, match=re.escape(message)):
        rop.Objective(rop.param("W", 3))


def test_theta_by_name():
    with pytest.raises(rop.RopTypeError, match=re.escape("write objective.pack(theta)")):
        classifier().value({"W": np.zeros((3, 5))}, {})


@pytest.mark.parametrize(
    "build",
    [
        lambda array, node: array + node,
        lambda array, node: array - node,
        lambda array, node: array * node,
        lambda array, node: array / node,
        lambda array, node: array**node,
        lambda array, node: array > node,
        lambda array, node: array <= node,
        lambda array, node: array[0] * node,
        lambda array, node: np.stack([array, array]) @ node,
        lambda array, node: np.multiply(array, node),
    ],
)
def test_arrays_and_nodes_together(build):
    w = rop.param("w", 2)
    array, theta = np.array([2.0, 3.0]), np.array([0.5, 3.5])
    objective = rop.Objective(1.0 * build(array, w), rop.SquaredError(np.zeros(2)), params=[w])
    np.testing.assert_allclose(objective.outputs(theta)[0], build(array, theta))


def test_an_array_that_takes_in_a_node():
    w, total = rop.param("w", 2), np.array([2.0, 3.0])
    total += w
    assert isinstance(total, rop.Node)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda x, y: np.tanh(x), "np.tanh computes with arrays, not with nodes; write rop.tanh"),
        (lambda x, y: np.abs(x), "write rop.abs"),
        (lambda x, y: np.add(x, y, out=np.ones(3)), "np.add computes with arrays"),
        (lambda x, y: np.add.reduce(x), "write rop.add"),
        (lambda x, y: np.sum(x), "np.sum computes with arrays, not with nodes; write rop.sum"),
        (lambda x, y: np.concatenate([x, y]), "write rop.concatenate"),
        (lambda x, y: np.where(x > 0, x, y), "write rop.where"),
        (lambda x, y: np.sinc(x), "rop has no function of that name"),
        (lambda x, y: np.asarray(x), "rop.stack joins nodes"),
        (lambda x, y: 1 if x else 2, "write rop.where(condition, a, b)"),
        (lambda x, y: 1 if x[0] < y[0] else 2, "write rop.where(condition, a, b)"),
        (lambda x, y: max(x[0], y[0]), "write rop.where(condition, a, b)"),
        (lambda x, y: rop.where(0 < x[0] < 1, x[0], y[0]), "(x > 0) & (x < 1)"),
        (lambda x, y: rop.where(x == 0, x, y), "where: expected a comparison such as x > 0, got F"),
        (lambda x, y: rop.where(x != 0, x, y), "Write (x >= 0) & (x <= 0) for where x is 0"),
        (lambda x, y: np.zeros(3) == x, "with nodes; compare by >, <, >= and <="),
        (lambda x, y: x > 0 & (y > 0), "&: expected comparisons in parentheses"),
        (lambda x, y: (x > 0) | y, "|: expected comparisons in parentheses"),
        (lambda x, y: ~rop.tanh(x), "~: expected comparisons in parentheses"),
        (lambda x, y: rop.ops.Elementwise(x), "to apply the op write Elementwise.of(...)"),
        (lambda x, y: np.linalg.norm(x), "np.linalg.norm computes with arrays"),
        (lambda x, y: float(x), "objective.outputs(theta, batch) computes them"),
        (lambda x, y: int(x[0]), "objective.outputs(theta, batch) computes them"),
        (lambda x, y: math.tanh(x[0]), "rop.tanh, ... build functions"),
    ],
)
def test_what_people_try_with_nodes(attempt, message):
    x, y = rop.data("x", 3), rop.param("y", 3)
    with pytest.raises(rop.RopTypeError, match=re.escape(message)):
        attempt(x, y)


@pytest.mark.parametrize("name", ["sum", "mean", "reshape", "flatten", "dot"])
def test_the_methods_of_arrays_are_functions_of_nodes(name):
    x = rop.data("x", 3)
    with pytest.raises(AttributeError, match=rf"write rop\.{name}\(node, \.\.\.\)"):
        getattr(x, name)
    with pytest.raises(AttributeError, match="a node has no attribute 'shpae'"):
        x.shpae  # noqa: B018
    assert not hasattr(x, "__array_interface__")


@pytest.mark.parametrize(
    "condition",
    [
        lambda x: (x > -1) & (x < 1),
        lambda x: (x < -1) | (x >= 1),
        lambda x: ~(x > 0),
        lambda x: ~((x > -2) & (x < 2)) | ((x >= 0) & (x <= 0)),
        lambda x: np.array([True, False, True, True, False]) & (x > 0),
        lambda x: np.array([True, False, True, True, False]) | (x > 0),
        lambda x: np.logical_not(x > 0),
    ],
)
def test_comparisons_are_joined_as_in_numpy(condition):
    w, theta = rop.param("w", 5), np.array([-3.0, -1.0, 0.0, 0.5, 2.0])
    objective = rop.Objective(rop.where(condition(w), w**2, 3 * w), rop.SquaredError(np.zeros(5)))
    right = np.where(condition(theta), theta**2, 3 * theta)
    np.testing.assert_array_equal(objective.outputs(theta)[0], right)
    slope = np.where(condition(theta), 2 * theta, 3.0)
    np.testing.assert_array_equal(objective.linearize(theta).jvp(np.ones(5))[0], slope)


def test_abs_of_a_node():
    w = rop.param("w", 3)
    objective = rop.Objective(rop.sum(abs(w)))
    assert objective.value([-1.0, 2.0, -3.0]) == 6.0


def test_the_scalars_of_the_page_on_losses_are_at_their_minima():
    """That the page runs, and prints what it says, is a test of all pages."""
    _, _, section = PAGE.partition("## One number to minimise\n")
    found = {"np": np, "rop": rop}
    for block in re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.DOTALL):
        exec(compile(block, "own_loss.md", "exec"), found)
    np.testing.assert_allclose(found["run"].theta, 1.0, rtol=1e-12)
    energy, chain = found["energy"], found["chain"]
    best = scipy.optimize.minimize(x0=found["start"], method="trust-krylov", **energy.scipy())
    assert chain.fun == pytest.approx(best.fun, rel=1e-9)
    assert np.linalg.norm(energy.linearize(chain.theta).gradient()) < 1e-6
