"""What users may get wrong at run time: a clear error and nothing changed; and what is fine."""

import copy

import numpy as np
import pytest

import rop
from rop.objective import per_case
from rop.objective.linearization import products_of

RNG = np.random.default_rng(0)


@pytest.fixture
def model(network):
    return network()


def fails(call, error, *words):
    """A call raises an error whose message has all the words."""
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, rop.RopError)
    message = str(caught.value)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "theta, error, words",
    [
        (np.zeros(3), rop.RopValueError, ["theta", "(64,)", "(3,)"]),
        (np.zeros((64, 1)), rop.RopValueError, ["theta", "(64,)", "(64, 1)"]),
        (0.0, rop.RopValueError, ["theta", "(64,)", "()"]),
        (np.zeros(64, complex), rop.RopTypeError, ["theta", "complex128"]),
        (np.zeros(64, np.float16), rop.RopTypeError, ["theta", "float16", "dtype="]),
        (np.zeros(64, object), rop.RopTypeError, ["theta", "object"]),
        (["a"] * 64, rop.RopTypeError, ["theta"]),
        ([[1.0, 2.0], [3.0]], rop.RopTypeError, ["theta"]),
        (None, rop.RopTypeError, ["theta"]),
        ({}, rop.RopTypeError, ["theta"]),
    ],
)
def test_theta(model, engine, theta, error, words):
    objective = model.objective
    for call in (objective.linearize, objective.value):
        fails(lambda call=call: call(theta, model.batch, engine), error, *words)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_theta_that_is_not_finite(model, engine, bad, dtype):
    theta = model.theta.astype(dtype)
    # 6 × 5 + 6 elements come before W2, of shape (4, 6).
    theta[36 + 7] = bad
    words = ["theta", str(bad), "index 43", "W2[1, 1]", "1 of 64"]
    fails(lambda: model.objective.linearize(theta, model.batch, engine), rop.RopValueError, *words)


def test_where_a_line_search_may_get(model, engine):
    """f of a θ that is not finite, or where it overflows, is a number all the same; no warning."""
    theta = model.theta.copy()
    theta[3] = np.nan
    assert np.isnan(model.objective.value(theta, model.batch, engine))
    x, w = rop.data("x", 3), rop.param("w", 3)
    objective = rop.Objective(rop.exp(w * x), rop.SquaredError(np.zeros(3)))
    batch = {"x": np.ones((6, 3))}
    assert objective.value(np.full(3, 1e3), batch, engine) == np.inf
    assert objective.value(np.full(3, 1e200), batch, engine) == np.inf
    at = objective.linearize(np.full(3, 1e3), batch, engine)
    assert at.value == np.inf
    # And afterwards, all is as before.
    assert objective.value(np.zeros(3), batch, engine) == 1.5


def changed(batch, **entries):
    """A batch with entries replaced, added, or taken out (None)."""
    merged = {**batch, **entries}
    return {name: array for name, array in merged.items() if array is not None}


@pytest.mark.parametrize(
    "entries, error, words",
    [
        ({"t": None}, rop.RopValueError, ["batch", "missing 't'"]),
        ({"y": np.ones(7)}, rop.RopValueError, ["batch", "unknown 'y'"]),
        ({"x": None, "X": np.ones((7, 5))}, rop.RopValueError, ["missing 'x'", "unknown 'X'"]),
        ({"x": np.ones((7, 4))}, rop.RopValueError, ["batch['x']", "(N, 5)", "(7, 4)"]),
        ({"x": np.ones(5)}, rop.RopValueError, ["batch['x']", "(N, 5)", "first axis"]),
        ({"x": np.ones((7, 5, 1))}, rop.RopValueError, ["batch['x']", "(7, 5, 1)"]),
        ({"x": 3.0}, rop.RopValueError, ["batch['x']", "()"]),
        ({"x": np.ones((6, 5))}, rop.RopValueError, ["batch", "cases differ", "6", "7"]),
        ({"x": np.ones((0, 5)), "t": np.ones((0, 4))}, rop.RopValueError, ["no cases", "N = 0"]),
        ({"x": np.ones((7, 5), complex)}, rop.RopTypeError, ["batch['x']", "complex128"]),
        ({"x": np.full((7, 5), "a")}, rop.RopTypeError, ["batch['x']"]),
        ({"x": [[1.0], [2.0, 3.0]]}, rop.RopTypeError, ["batch['x']"]),
        ({"x": {}}, rop.RopTypeError, ["batch['x']"]),
    ],
)
def test_batches(model, engine, entries, error, words):
    batch = changed(model.batch, **entries)
    for call in (model.objective.linearize, model.objective.value):
        fails(lambda call=call: call(model.theta, batch, engine), error, *words)


def test_batches_that_are_none(model, engine):
    objective = model.objective
    fails(lambda: objective.linearize(model.theta, None, engine), rop.RopValueError, "'x', 't'")
    fails(lambda: objective.linearize(model.theta, [1, 2], engine), rop.RopTypeError, "list")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_batches_that_are_not_finite(model, engine, bad):
    X = model.batch["x"].copy()
    X[3, 2] = bad
    batch = changed(model.batch, x=X)
    words = ["batch['x']", str(bad), "[3, 2]", "1 of 35"]
    for call in (model.objective.linearize, model.objective.value):
        fails(lambda call=call: call(model.theta, batch, engine), rop.RopValueError, *words)


def test_numbers_too_large_for_float32(model, engine):
    """They are infinite there: an error that names them, and not a warning of NumPy's."""
    X = model.batch["x"].copy()
    X[3, 2] = 1e300
    batch, theta = changed(model.batch, x=X), model.theta.astype(np.float32)
    call = model.objective.linearize
    fails(lambda: call(theta, batch, engine), rop.RopValueError, "batch['x']", "[3, 2]")
    large = model.theta.copy()
    large[0] = 1e300
    words = ["theta", "W1[0, 0]"]
    fails(lambda: call(large, model.batch, engine, np.float32), rop.RopValueError, *words)
    at = call(theta, model.batch, engine)
    fails(lambda: at.jvp(large), rop.RopValueError, "v", "W1[0, 0]")


def test_numbers_whose_squares_overflow_are_finite(model, engine):
    X = model.batch["x"].copy()
    X[3, 2] = 1e200
    at = model.objective.linearize(model.theta, changed(model.batch, x=X), engine)
    assert np.isfinite(at.outputs).all()


PRODUCTS = {"jvp": "v", "ggnvp": "v", "hvp": "v", "vjp": "u", "loss_hvp": "w"}


@pytest.mark.parametrize("name", PRODUCTS)
def test_vectors(model, engine, name):
    at = model.objective.linearize(model.theta, model.batch, engine)
    product, what = getattr(at, name), PRODUCTS[name]
    shape = (64,) if what == "v" else (7, 4)
    good = RNG.standard_normal(shape)
    before = product(good)
    for wrong in ((63,), (64, 2, 2), (4, 7), (7, 5), (8, 4), (), (*shape, 0), (2, *shape)):
        words = [f"{what}:", str(shape), str(wrong)]
        fails(lambda wrong=wrong: product(np.zeros(wrong)), rop.RopValueError, *words)
    fails(lambda: product(good + 0j), rop.RopTypeError, what, "complex")
    fails(lambda: product("v"), rop.RopTypeError, what)
    fails(lambda: product(None), rop.RopTypeError, what)
    bad = good.copy()
    bad.flat[9] = np.nan
    position = "W1[1, 4]" if what == "v" else "[2, 1]"
    fails(lambda: product(bad), rop.RopValueError, f"{what}:", "nan", position)
    block = np.stack([good, bad, good], axis=-1)
    position = "W1[1, 4]" if what == "v" else "[2, 1, 1]"
    fails(lambda: product(block), rop.RopValueError, f"{what}:", "nan", position)
    np.testing.assert_array_equal(product(good), before)


def test_engines_and_dtypes(model):
    objective, theta, batch = model.objective, model.theta, model.batch
    for call in (objective.linearize, objective.value):
        fails(lambda call=call: call(theta, batch, "cupy"), rop.RopValueError, "engine", "cupy")
        fails(lambda call=call: call(theta, batch, dtype=int), rop.RopTypeError, "int64")
        fails(lambda call=call: call(theta, batch, dtype="f9"), rop.RopTypeError, "f9")
    at = objective.linearize(theta, batch)
    fails(lambda: at.diagonal("approximate"), rop.RopValueError, "approximate", "exact")


def test_an_error_changes_nothing(model, engine):
    """Inputs, the linearization and what it handed out stay as they were."""
    theta, batch, v = model.theta, model.batch, model.v
    copies = theta.copy(), {name: array.copy() for name, array in batch.items()}, v.copy()
    at = model.objective.linearize(theta, batch, engine)
    before = at.value, at.gradient(), at.hvp(v)
    for wrong in (np.zeros(3), np.full(64, np.nan)):
        with pytest.raises(rop.RopError):
            at.hvp(wrong)
        with pytest.raises(rop.RopError):
            model.objective.linearize(wrong, batch, engine)
        with pytest.raises(rop.RopError):
            model.objective.linearize(theta, {"x": wrong, "t": wrong}, engine)
    after = at.value, at.gradient(), at.hvp(v)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(theta, copies[0])
    np.testing.assert_array_equal(v, copies[2])
    for name, array in batch.items():
        np.testing.assert_array_equal(array, copies[1][name])


# What is fine


def forms(array):
    """The same numbers in every way NumPy may hold them."""
    array = np.asarray(array, np.float64)
    wide = np.zeros((*array.shape, 2))
    wide[..., 0] = array
    backwards = np.ascontiguousarray(np.flip(array))
    unaligned = np.zeros(array.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(array.shape)
    unaligned[...] = array
    frozen = array.copy()
    frozen.flags.writeable = False
    return {
        "every second": wide[..., 0],
        "backwards": np.flip(backwards),
        "by columns": np.asfortranarray(array),
        "read-only": frozen,
        "unaligned": unaligned,
        "other byte order": array.astype(">f8"),
        "a list": array.tolist(),
        "a subclass": array.view(_Subclass),
        "long doubles": array.astype(np.longdouble),
    }


class _Subclass(np.ndarray):
    """As np.matrix is one, or a unit-carrying array."""


@pytest.mark.parametrize("form", list(forms(np.zeros(1))))
def test_arrays_of_every_form(model, engine, form):
    objective, u = model.objective, RNG.standard_normal((7, 4))
    right = objective.linearize(model.theta, model.batch, engine)
    batch = {name: forms(array)[form] for name, array in model.batch.items()}
    at = objective.linearize(forms(model.theta)[form], batch, engine, dtype=np.float64)
    V, U = np.stack([model.v] * 2, -1), np.stack([u] * 2, -1)
    for name, vector in [("hvp", model.v), ("hvp", V), ("vjp", u), ("vjp", U), ("jvp", V)]:
        found = getattr(at, name)(forms(vector)[form])
        np.testing.assert_array_equal(found, getattr(right, name)(vector))
        assert type(found) is np.ndarray and found.flags.writeable


def test_whole_numbers_and_truth_values(engine):
    x, w = rop.data("x", 2), rop.param("w", 2)
    objective = rop.Objective(w * x, rop.SigmoidCrossEntropy(rop.data("t", 2)))
    batch = {"x": np.array([[1, 2], [3, 4]]), "t": np.array([[True, False], [False, True]])}
    at = objective.linearize([1, -1], batch, engine)
    assert at.dtype == np.float64
    right = {name: array.astype(float) for name, array in batch.items()}
    expected = objective.linearize([1.0, -1.0], right, engine)
    np.testing.assert_array_equal(at.hvp([1, 2]), expected.hvp([1.0, 2.0]))
    for dtype in (np.int8, np.uint64, bool):
        assert objective.linearize(np.ones(2, dtype), right, engine).dtype == np.float64


def test_dtypes(model, engine):
    """θ's own unless another is asked for; results are of it."""
    objective, batch = model.objective, model.batch
    single = model.theta.astype(np.float32)
    for theta, asked, got in [
        (single, None, np.float32),
        (model.theta, None, np.float64),
        (model.theta, np.float32, np.float32),
        (single, "float64", np.float64),
        (single.astype(np.float16), np.float32, np.float32),
    ]:
        at = objective.linearize(theta, batch, engine, dtype=asked)
        assert at.dtype == got and at.theta.dtype == got
        for result in (at.outputs, at.gradient(), at.hvp(model.v), at.jvp(model.v)):
            assert result.dtype == got
        assert isinstance(at.value, float)


def test_results_share_no_memory(model, engine):
    """Neither with each other, nor with inputs or what is cached: all may be written to."""
    theta, batch, v = model.theta.copy(), model.batch, model.v
    u = RNG.standard_normal((7, 4))
    at = model.objective.linearize(theta, batch, engine)
    calls = {
        "outputs": lambda: at.outputs,
        "gradient": at.gradient,
        "loss_gradient": at.loss_gradient,
        "jvp": lambda: at.jvp(v),
        "vjp": lambda: at.vjp(u),
        "loss_hvp": lambda: at.loss_hvp(u),
        "ggnvp": lambda: at.ggnvp(v),
        "hvp": lambda: at.hvp(v),
        "hvp of a block": lambda: at.hvp(np.stack([v, v], axis=1)),
        "per_case_gradients": at.per_case_gradients,
        "diagonal": at.diagonal,
        "rows": lambda: per_case.rows(products_of(at), u[..., None]),
    }
    first = {name: call() for name, call in calls.items()}
    kept = {name: array.copy() for name, array in first.items()}
    given = [theta, v, u, *batch.values()]
    arrays = [*first.values(), *given]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[i + 1 :])
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name])
        array.fill(np.nan)
    for name, call in calls.items():
        np.testing.assert_array_equal(call(), kept[name], err_msg=name)


def test_what_is_changed_later_does_not_matter(model, engine):
    """A linearization holds its own θ and batch."""
    theta, batch = model.theta.copy(), {k: a.copy() for k, a in model.batch.items()}
    at = model.objective.linearize(theta, batch, engine)
    before = at.hvp(model.v)
    theta.fill(0.0)
    for array in batch.values():
        array.fill(0.0)
    batch.clear()
    np.testing.assert_array_equal(at.hvp(model.v), before)
    assert at.value == model.objective.value(model.theta, model.batch, engine)
    with pytest.raises(ValueError, match="read-only"):
        at.theta[0] = 1.0


def test_many_linearizations_at_once(model, engine):
    """At other θ and other batches, of several sizes, used in turn."""
    rng = np.random.default_rng(1)
    places = []
    for cases in (1, 2, 7, 7, 7, 2, 20, 1):
        batch = {"x": rng.standard_normal((cases, 5)), "t": np.eye(4)[rng.integers(0, 4, cases)]}
        places.append((rng.standard_normal(64), batch))
    alone = [
        model.objective.linearize(theta, batch, engine).hvp(model.v) for theta, batch in places
    ]
    ats = [model.objective.linearize(theta, batch, engine) for theta, batch in places]
    for _ in range(2):
        for at, right in zip(ats, alone, strict=True):
            np.testing.assert_array_equal(at.hvp(model.v), right)
            np.testing.assert_array_equal(at.ggnvp(model.v), at.ggnvp(model.v))
        ats, alone = ats[::-1], alone[::-1]


def test_linearizations_that_come_and_go(model, engine):
    """Memory passes from one that is gone to the next, and nothing else does."""
    theta, batch = model.theta, model.batch
    at = model.objective.linearize(theta, batch, engine)
    outputs, gradient, G = at.outputs, at.gradient(), at.G
    kept = outputs.copy(), gradient.copy(), G @ model.v
    del at
    for sign in (-1, 0.5):
        other = model.objective.linearize(sign * theta, batch, engine)
        other.hvp(model.v)
        model.objective.value(sign * theta, batch, engine)
        del other
    np.testing.assert_array_equal(outputs, kept[0])
    np.testing.assert_array_equal(gradient, kept[1])
    # The operator keeps its linearization alive.
    np.testing.assert_array_equal(G @ model.v, kept[2])
    again = model.objective.linearize(theta, batch, engine)
    np.testing.assert_array_equal(again.gradient(), gradient)


def test_a_copy_that_goes_takes_nothing_along(model, engine):
    """Memory is in use as long as the linearization or any copy of it is."""
    objective, v = model.objective, model.v
    at = objective.linearize(model.theta, model.batch, engine)
    right = at.jvp(v)
    other = copy.copy(at)
    del other
    elsewhere = objective.linearize(-model.theta, model.batch, engine)
    np.testing.assert_array_equal(at.jvp(v), right)
    assert not np.array_equal(elsewhere.jvp(v), right)


def test_curvature_that_overflows(engine):
    """Where L'' is not finite it cannot be made convex; elsewhere it can again."""
    z = rop.param("p", 2) * rop.data("x")
    objective = rop.Objective(z, rop.LossGraph(rop.sum(rop.exp(z)), convexify="eigen"))
    batch = {"x": np.ones(5)}
    at = objective.linearize([1e4, 0.0], batch, engine)
    assert at.value == np.inf
    for _ in range(2):
        fails(lambda: at.ggnvp([1.0, 1.0]), rop.RopValueError, "L''", "finite")
    again = objective.linearize([0.0, 0.0], batch, engine)
    np.testing.assert_allclose(again.ggnvp([1.0, 2.0]), [1.0, 2.0], rtol=1e-13)


def test_more_sizes_than_plans_are_kept_for(model, engine):
    at = model.objective.linearize(model.theta, model.batch, engine)
    before = at.hvp(model.v)
    for cases in range(1, 90):
        batch = {"x": np.ones((cases, 5)), "t": np.eye(4)[np.zeros(cases, int)]}
        single = model.objective.linearize(model.theta, batch, engine).gradient()
        if cases == 1:
            first = single
        np.testing.assert_allclose(single, first, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(at.hvp(model.v), before)


def test_masked_arrays_are_refused(model, engine):
    """Whatever is masked: no product leaves it out."""
    theta, x = np.ma.masked_less(model.theta, 0.0), np.ma.masked_array(model.batch["x"])
    at = model.objective.linearize(model.theta, model.batch, engine)
    fails(lambda: model.objective.linearize(theta, model.batch), rop.RopTypeError, "theta", "fill")
    fails(lambda: model.objective.value(theta, model.batch), rop.RopTypeError, "theta", "fill")
    batch = model.batch | {"x": x}
    fails(lambda: model.objective.linearize(model.theta, batch), rop.RopTypeError, "'x'", "fill")
    fails(lambda: at.hvp(np.ma.masked_array(model.v)), rop.RopTypeError, "v", "masked", "fill")
