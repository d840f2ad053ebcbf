"""Ops of users, of each family, wherever they may stand; and graphs of unusual make."""

import numpy as np
import pytest
from own_ops import Arctan, Convolution, CumulativeSum, Swirl

import rop

RNG = np.random.default_rng(0)


def hessian_by_columns(at, step=1e-6):
    """Central differences of the gradient: H to about nine digits."""
    columns = []
    for e in np.eye(at.n):
        sides = [
            at.objective.linearize(at.theta + s * step * e, at.batch, at.engine).gradient()
            for s in (1, -1)
        ]
        columns.append((sides[0] - sides[1]) / (2 * step))
    return np.stack(columns, axis=1)


def check(z, batch, engine, loss=rop.SquaredError):
    """All products of a small graph against differences, and of K directions against one."""
    t = np.full(z.shape, 0.3)
    objective = rop.Objective(z, loss(t), l2=0.1)
    theta = np.random.default_rng(1).uniform(-1, 1, objective.n)
    at = objective.linearize(theta, batch, engine)
    H = hessian_by_columns(at)
    np.testing.assert_allclose(at.H.matrix(), H, atol=1e-7 * np.abs(H).max())
    J, L2 = at.J.matrix(), 1.0 / at.cases
    G = L2 * J.T @ J + 0.1 * np.eye(at.n)
    np.testing.assert_allclose(at.G.matrix(), G, atol=1e-12 * np.abs(G).max())
    np.testing.assert_allclose(at.ggnvp(np.eye(at.n)), G, atol=1e-12 * np.abs(G).max())
    np.testing.assert_allclose(at.diagonal(), np.diag(G), rtol=1e-10)
    v = RNG.standard_normal(at.n)
    np.testing.assert_allclose(J @ v, at.jvp(v).ravel(), rtol=1e-10, atol=1e-12)
    return at


X = RNG.uniform(-1, 1, (5, 2, 3))

PLACES = {
    "on data": lambda op, x, W: W * op(x),
    "on a parameter": lambda op, x, W: op(W) * x,
    "on both": lambda op, x, W: op(W * x),
    "as the outputs": lambda op, x, W: op(rop.tanh(W) + x),
    "twice": lambda op, x, W: op(op(W * x)) + op(W),
    "reshaped after": lambda op, x, W: rop.reshape(op(W * x), 6),
    "reshaped before": lambda op, x, W: op(rop.reshape(rop.reshape(W * x, 6), (2, 3))),
    "reshaped and added": lambda op, x, W: rop.reshape(op(W * x), (3, 2)) + rop.reshape(W, (3, 2)),
    "turned": lambda op, x, W: op(x * W).T @ op(W),
    "added": lambda op, x, W: W * x + op(W * x),
    "joined": lambda op, x, W: rop.concatenate([op(W), op(x), op(x * W)], axis=1),
}
OWN = {
    "elementwise": Arctan.of,
    "linear": CumulativeSum.of,
    "bilinear": lambda y: Convolution.of(y, rop.tanh(y)),
    "general": lambda y: Swirl.of(y, rop.tanh(y)),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("family", OWN)
def test_ops_of_users(engine, family, place):
    x, W = rop.data("x", (2, 3)), rop.param("W", (2, 3))
    z = PLACES[place](OWN[family], x, W)
    check(z, {"x": X}, engine)


@pytest.mark.parametrize("op", [Convolution, Swirl])
def test_operands_that_are_one_node_or_without_cases(engine, op):
    x, W, q = rop.data("x", (2, 3)), rop.param("W", (2, 3)), rop.param("q", (2, 3))
    for pair in [(W, W), (W, q), (W, x), (x, W), (W * x, W * x), (np.ones((2, 3)), W)]:
        check(op.of(*pair) * rop.tanh(x), {"x": X}, engine)


def test_an_op_in_the_loss(engine):
    x, W = rop.data("x", (2, 3)), rop.param("W", (2, 3))
    z = W * x
    loss = rop.LossGraph(rop.sum(Swirl.of(Arctan.of(z), CumulativeSum.of(z))))
    objective = rop.Objective(z, loss)
    theta = RNG.uniform(-1, 1, 6)
    at = objective.linearize(theta, {"x": X}, engine)
    H = hessian_by_columns(at)
    np.testing.assert_allclose(at.H.matrix(), H, atol=1e-7 * np.abs(H).max())
    # F is linear: G is all of H.
    np.testing.assert_allclose(at.G.matrix(), at.H.matrix(), atol=1e-13)


def test_after_a_larger_program_has_needed_more_room(engine):
    """A product that leaves the compiled code finds its temporaries where they were."""
    x, W = rop.data("x", 5), rop.param("W", (7, 5))
    z = CumulativeSum.of(W) @ rop.tanh(x)
    objective = rop.Objective(z, rop.SquaredError(np.zeros(7)))
    at = objective.linearize(RNG.uniform(-1, 1, 35), {"x": RNG.uniform(-1, 1, (4, 5))}, engine)
    v, u = RNG.standard_normal(35), RNG.standard_normal((4, 7))
    before = at.jvp(v), at.vjp(u), at.ggnvp(v), at.hvp(v)
    at.hvp(RNG.standard_normal((35, 40)))
    after = at.jvp(v), at.vjp(u), at.ggnvp(v), at.hvp(v)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


class Wrong(rop.ops.Linear):
    """Its adjoint has the wrong shape."""

    def A(self, z):
        return 2.0 * z

    def AT(self, da):
        return da[..., :1]


def test_a_rule_of_the_wrong_shape(engine):
    x, W = rop.data("x", 3), rop.param("W", 3)
    objective = rop.Objective(Wrong.of(W * x), rop.SquaredError(np.zeros(3)))
    at = objective.linearize(np.ones(3), {"x": np.ones((2, 3))}, engine)
    with pytest.raises(rop.RopValueError) as caught:
        at.gradient()
    message = str(caught.value)
    assert all(word in message for word in ("wrong", "reverse", "(cases, 3)", "1)")), message
    # And nothing has been changed by the failure.
    np.testing.assert_allclose(at.jvp(np.ones(3)), 2.0)


def test_what_an_op_must_define():
    class Nothing(rop.ops.Elementwise):
        @staticmethod
        def s(z):
            return z

    class Strange(rop.ops.Elementwise):
        @staticmethod
        def s(z, other):
            return z

        ds = d2s = s

    class Halfway(rop.ops.Linear):
        def A(self, z):
            return z

    with pytest.raises(rop.RopTypeError, match="Nothing must define ds"):
        Nothing.of(rop.data("x"))
    with pytest.raises(rop.RopTypeError, match="other"):
        Strange.of(rop.data("x"))

    class Part(rop.ops.Bilinear):
        def B(self, x, y):
            return x * y

    class Any(rop.ops.General):
        def s(self, *z):
            return z[0]

        Rs = sT = s

    with pytest.raises(rop.RopTypeError, match=r"Halfway must define AT\(self, da\) .*own_ops"):
        Halfway.of(rop.data("x"))
    with pytest.raises(rop.RopTypeError, match=r"Part must define B1\(self, da, y\)"):
        Part.of(rop.data("x"), rop.data("y"))
    with pytest.raises(rop.RopTypeError, match=r"Any must define RsT\(self, z, Rz, da\)"):
        Any.of(rop.data("x"))


# Graphs of unusual make


def test_rosenbrock(engine):
    """No data: one case, and the Hessian known in closed form."""
    p = rop.param("p", 2)
    z = rop.stack([10.0 * (p[1] - p[0] ** 2), 1.0 - p[0]])
    objective = rop.Objective(z, rop.SquaredError(np.zeros(2)))
    a, b = -1.2, 1.0
    for batch in (None, {}):
        at = objective.linearize([a, b], batch, engine)
        assert at.cases == 1 and at.outputs.shape == (1, 2)
        assert at.value == pytest.approx(50 * (b - a * a) ** 2 + 0.5 * (1 - a) ** 2, rel=1e-14)
        gradient = [-200 * a * (b - a * a) - (1 - a), 100 * (b - a * a)]
        np.testing.assert_allclose(at.gradient(), gradient, rtol=1e-13)
        H = [[600 * a * a - 200 * b + 1, -200 * a], [-200 * a, 100]]
        np.testing.assert_allclose(at.H.matrix(), H, rtol=1e-13)
        J = np.array([[-20 * a, 10], [-1, 0]])
        np.testing.assert_allclose(at.J.matrix(), J, rtol=1e-14)
        np.testing.assert_allclose(at.G.matrix(), J.T @ J, rtol=1e-13)
        assert objective.value([a, b], batch, engine) == pytest.approx(at.value, rel=1e-15)


UNUSUAL = {
    "a square as a product": lambda x, W, b: W * W * x,
    "a sum with itself": lambda x, W, b: (b + b) * x,
    "a difference with itself": lambda x, W, b: (W - W) * x + b,
    "a diamond": lambda x, W, b: rop.tanh(W * x) * rop.sin(W * x) + rop.tanh(W * x),
    "tied weights": lambda x, W, b: W @ (W.T @ rop.tanh(W @ x[0])),
    "a parameter alone": lambda x, W, b: W,
    "a function of parameters alone": lambda x, W, b: rop.exp(W) * b,
    "parameters, then data": lambda x, W, b: rop.exp(W) @ x[0],
    "a product of parameters": lambda x, W, b: (W @ W.T) @ x[:, 0],
    "a recurrence": lambda x, W, b: recur(x, W, b),
    "an input skipped to the end": lambda x, W, b: rop.concatenate([rop.tanh(W * x), x, b * x]),
    "a matrix for every case": lambda x, W, b: rop.tanh(W * x) @ rop.tanh(b * x).T,
    "a long sum": lambda x, W, b: sum((W * x for _ in range(7)), b),
    "a copy of a copy": lambda x, W, b: (rop.reshape(W * x + b, 6) ** 1)[...],
    "reversed twice": lambda x, W, b: rop.exp(W[::-1, ::-1] * x)[::-1, ::-1],
}


def recur(x, W, b):
    h = b[0]
    for _ in range(5):
        h = rop.tanh(W[:, :2] @ h[:2] + x[0, :2])
        h = rop.concatenate([h, h[:1]])
    return h


@pytest.mark.parametrize("name", UNUSUAL)
def test_graphs_of_unusual_make(engine, name):
    x, W, b = rop.data("x", (2, 3)), rop.param("W", (2, 3)), rop.param("b", (2, 3))
    z = UNUSUAL[name](x, W, b)
    batch = {"x": X} if z.per_case else {}
    check(z, batch, engine)


def test_parameters_alone_beside_data_in_the_loss(engine):
    """The outputs do not depend on data, the targets do: every case has the same outputs."""
    p, t = rop.param("p", 2), rop.data("t", 2)
    T = RNG.uniform(0, 1, (5, 2))
    for loss in (rop.SquaredError(t), rop.SigmoidCrossEntropy(t)):
        objective = rop.Objective(rop.exp(rop.sin(p)), loss)
        at = objective.linearize([0.2, 0.4], {"t": T}, engine)
        assert at.outputs.shape == (5, 2)
        assert at.per_case_gradients().shape == (5, 2)
        np.testing.assert_allclose(at.per_case_gradients().mean(0), at.gradient(), rtol=1e-13)
        H = hessian_by_columns(at)
        np.testing.assert_allclose(at.H.matrix(), H, atol=1e-8)


def test_a_graph_loss_with_data_on_outputs_without(engine):
    """z = F(θ) alone, L(z, t) of five cases: J has the rows of one z."""
    p, t = rop.param("p", 2), rop.data("t", 2)
    z = rop.exp(rop.sin(p))
    objective = rop.Objective(z, rop.LossGraph(0.5 * rop.square(z - t)))
    right = rop.Objective(z, rop.SquaredError(t))
    T, theta = RNG.uniform(0, 1, (5, 2)), np.array([0.2, 0.4])
    at = objective.linearize(theta, {"t": T}, engine)
    expected = right.linearize(theta, {"t": T}, engine)
    assert at.value == pytest.approx(expected.value, rel=1e-14)
    v = np.array([1.0, -2.0])
    for name in ("gradient", "hvp", "ggnvp"):
        arguments = () if name == "gradient" else (v,)
        found = getattr(at, name)(*arguments)
        np.testing.assert_allclose(found, getattr(expected, name)(*arguments), rtol=1e-13)
    J = np.diag(np.exp(np.sin(theta)) * np.cos(theta))
    np.testing.assert_allclose(at.J @ v, J @ v, rtol=1e-13)
    np.testing.assert_allclose(at.J.matrix(), J, rtol=1e-13)
    np.testing.assert_allclose(at.G.matrix(), expected.G.matrix(), rtol=1e-13)
    np.testing.assert_allclose(at.diagonal(), np.diag(expected.G.matrix()), rtol=1e-13)


def test_parameters_that_do_not_reach_the_outputs(engine):
    """They are part of θ if listed, with derivatives that are zero."""
    x, W, unused = rop.data("x", 3), rop.param("W", 3), rop.param("unused", (2, 2))
    z = rop.tanh(W * x)
    objective = rop.Objective(z, rop.SquaredError(np.zeros(3)), l2=0.5, params=[unused, W])
    assert objective.n == 7 and list(objective.shapes) == ["unused", "W"]
    theta, batch = RNG.uniform(-1, 1, 7), {"x": RNG.uniform(-1, 1, (4, 3))}
    at = objective.linearize(theta, batch, engine)
    alone = rop.Objective(z, rop.SquaredError(np.zeros(3)), l2=0.5)
    right = alone.linearize(theta[4:], batch, engine)
    np.testing.assert_allclose(at.gradient(), [*(0.5 * theta[:4]), *right.gradient()], rtol=1e-14)
    V = RNG.standard_normal((7, 3))
    for name in ("ggnvp", "hvp"):
        expected = np.concatenate([0.5 * V[:4], getattr(right, name)(V[4:])])
        np.testing.assert_allclose(getattr(at, name)(V), expected, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(at.jvp(V), right.jvp(V[4:]), rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(at.diagonal(), [*[0.5] * 4, *right.diagonal()], rtol=1e-13)
    assert not at.per_case_gradients()[:, :4].any()


def test_outputs_that_depend_on_no_parameter(engine):
    """Only with the parameters listed; everything but the penalty is zero."""
    x, p = rop.data("x", 3), rop.param("p", 2)
    with pytest.raises(rop.RopValueError, match="no parameter"):
        rop.Objective(rop.tanh(x), rop.SquaredError(np.zeros(3)))
    objective = rop.Objective(rop.tanh(x), rop.SquaredError(np.zeros(3)), params=[p], l2=2.0)
    at = objective.linearize([1.0, 2.0], {"x": np.ones((2, 3))}, engine)
    np.testing.assert_array_equal(at.gradient(), [2.0, 4.0])
    np.testing.assert_array_equal(at.hvp([1.0, 1.0]), [2.0, 2.0])
    np.testing.assert_array_equal(at.ggnvp([1.0, 1.0]), [2.0, 2.0])
    assert not at.jvp([1.0, 1.0]).any() and not at.vjp(np.ones((2, 3))).any()


def test_nodes_that_are_not_used():
    """Data and parameters that nothing depends on are no part of the objective."""
    x, W = rop.data("x", 3), rop.param("W", 3)
    rop.data("never", 2), rop.param("neither", 2)
    aside = rop.tanh(W) * rop.param("aside", 3)
    objective = rop.Objective(W * x, rop.SquaredError(np.zeros(3)))
    assert list(objective.shapes) == ["W"] and list(objective.data_shapes) == ["x"]
    assert aside.shape == (3,)


def linear(**rules):
    """An op of the family Linear, some of whose rules are others."""
    kept = {"A": lambda self, z: 2.0 * z, "AT": lambda self, da: 2.0 * da}
    return type("Mine", (rop.ops.Linear,), kept | rules)


def elementwise(**functions):
    """An elementwise op, some of whose functions are others."""
    kept = {
        "s": lambda z: np.tanh(z),
        "ds": lambda z, a: 1 - a * a,
        "d2s": lambda z, a, ds: -2 * a * ds,
    }
    static = {name: staticmethod(f) for name, f in (kept | functions).items()}
    return type("Mine", (rop.ops.Elementwise,), static)


def raises(z=None):
    raise ZeroDivisionError("as told")


def masked(z):
    return np.ma.masked_less(np.tanh(z), 0.0)


WRONG = {
    "s, one column": (elementwise(s=lambda z: np.tanh(z)[..., :1]), "value"),
    "s, one more axis": (elementwise(s=lambda z: np.tanh(z)[..., None]), "value"),
    "s, None": (elementwise(s=lambda z: None), "value"),
    "s, text": (elementwise(s=lambda z: np.full(z.shape, "a")), "value"),
    "s, complex": (elementwise(s=lambda z: np.tanh(z) * 1j), "value"),
    "s, objects": (elementwise(s=lambda z: np.asarray(z).astype(object)), "value"),
    "s, masked": (elementwise(s=masked), "value"),
    "s, raises": (elementwise(s=raises), "value"),
    "s, branches": (elementwise(s=lambda z: z if z > 0 else -z), "value"),
    "ds, another shape": (elementwise(ds=lambda z, a: np.ones((2, 2))), "s'"),
    "ds, None": (elementwise(ds=lambda z, a: None), "s'"),
    "d2s, another shape": (elementwise(d2s=lambda z, a, ds: np.ones((2, 2))), "s''"),
    "A, one column": (linear(A=lambda self, z: z[..., :1]), "value"),
    "A, one number": (linear(A=lambda self, z: 2.0), "value"),
    "A, a list": (linear(A=lambda self, z: [1.0, 2.0]), "value"),
    "A, None": (linear(A=lambda self, z: None), "value"),
    "A, complex": (linear(A=lambda self, z: 2j * z), "value"),
    "A, raises": (linear(A=lambda self, z: raises()), "value"),
    "AT, one column": (linear(AT=lambda self, da: da[..., :1]), "reverse"),
    "AT, None": (linear(AT=lambda self, da: None), "reverse"),
    "AT, one case": (linear(AT=lambda self, da: da[:2]), "reverse"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_rule_returns_is_checked(engine, wrong):
    """The error names the op and the rule, in every engine."""
    op, rule = WRONG[wrong]
    x, w = rop.data("x", 3), rop.param("w", (3, 3))
    objective = rop.Objective(op.of(rop.sin(w @ x)), rop.SquaredError(np.zeros(3)))
    batch = {"x": np.random.default_rng(0).standard_normal((40, 3))}
    with pytest.raises(rop.RopError, match=f"the {rule} rule of mine"):
        objective.linearize(np.ones(9), batch, engine).hvp(np.ones(9))


def test_what_a_rule_raises_keeps_its_class(engine):
    x, w = rop.data("x", 3), rop.param("w", 3)
    objective = rop.Objective(elementwise(s=raises).of(w * x), rop.SquaredError(np.zeros(3)))
    with pytest.raises(ZeroDivisionError, match="value rule of mine .* as told") as caught:
        objective.linearize(np.ones(3), {"x": np.ones((4, 3))}, engine)
    assert isinstance(caught.value, rop.RopError)


def test_a_derivative_that_is_one_number(engine):
    """It is the same everywhere: that is no mistake."""
    op = elementwise(s=lambda z: 2 * z, ds=lambda z, a: 2.0, d2s=lambda z, a, ds: 0.0)
    x, w = rop.data("x", 3), rop.param("w", 3)
    objective = rop.Objective(op.of(w * x), rop.SquaredError(np.zeros(3)))
    at = objective.linearize(np.ones(3), {"x": np.ones((4, 3))}, engine)
    np.testing.assert_allclose(at.hvp(np.ones(3)), np.full(3, 4.0))
