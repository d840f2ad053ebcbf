"""Parameters of any structure: what functions get and may return, and what errors say."""

from collections import namedtuple
from dataclasses import dataclass, field

import numpy as np
import pytest

from rop import RopTypeError, RopValueError
from rop.checking import check_products
from rop.checking.structures import Mismatch, Structure

Layer = namedtuple("Layer", ["W", "b"])
X = np.random.default_rng(0).normal(size=(7, 3))


@dataclass
class Model:
    W: np.ndarray
    b: float
    name: str = "model"
    extra: list = field(default_factory=list)


def arrays():
    rng = np.random.default_rng(1)
    return rng.normal(size=(3, 2)), rng.normal(size=2)


STRUCTURES = {
    "dict": lambda W, b: {"W": W, "b": b},
    "nested": lambda W, b: {"first": [W, {"bias": b}], "none": None},
    "tuple": lambda W, b: (W, b),
    "namedtuple": Layer,
    "dataclass": lambda W, b: Model(W, 0.5, extra=[b]),
    "scalar": lambda W, b: {"W": W, "b": b, "scale": 1.5},
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_and_its_vector_are_the_same(name):
    tree = STRUCTURES[name](*arrays())
    structure = Structure.of("theta", tree)
    vector = structure.flatten(tree)
    assert vector.shape == (structure.n,)
    again = structure.unflatten(vector)
    assert type(again) is type(tree)
    np.testing.assert_array_equal(structure.flatten(again), vector)
    assert repr(again) == repr(tree)


def test_blocks_are_named_by_paths():
    structure = Structure.of("theta", STRUCTURES["nested"](*arrays()))
    assert structure.blocks == {"first[0]": slice(0, 6), "first[1].bias": slice(6, 8)}
    structure = Structure.of("theta", STRUCTURES["dataclass"](*arrays()))
    assert list(structure.blocks) == ["W", "b", "extra[0]"]


def functions(factor=1.0):
    def value(theta):
        return np.sum(np.tanh(X @ theta["W"] + theta["b"]) ** 2)

    def gradient(theta):
        y = np.tanh(X @ theta["W"] + theta["b"])
        dx = 2 * y * (1 - y**2)
        return {"b": factor * dx.sum(axis=0), "W": X.T @ dx}

    return {"value": value, "gradient": gradient}


def test_functions_get_and_return_the_structure_and_reports_name_its_blocks():
    W, b = arrays()
    assert check_products({"W": W, "b": b}, **functions()).ok
    report = check_products({"W": W, "b": b}, **functions(1.01))
    assert report.verdict == "fail"
    blocks = report.products["gradient"].blocks
    assert {name: part.verdict for name, part in blocks.items()} == {"W": "pass", "b": "fail"} or (
        "block b" in str(report)
    )


def test_float32_stays_float32():
    W, b = (a.astype(np.float32) for a in arrays())
    seen = set()

    def value(theta):
        seen.update((theta["W"].dtype, theta["b"].dtype))
        return functions()["value"](theta)

    check_products({"W": W, "b": b}, value=value, gradient=functions()["gradient"])
    assert seen == {np.dtype(np.float32)}


def test_any_shape_and_a_bare_number():
    W, _ = arrays()
    assert check_products(W, value=lambda W: np.sin(W).sum(), gradient=np.cos).ok
    assert check_products(0.7, value=np.sin, gradient=np.cos).ok


def test_outputs_may_be_a_structure():
    def outputs(theta):
        return {"mean": np.sin(theta["a"]), "scale": np.exp(theta["b"])}

    def jvp(theta, v):
        return {"mean": np.cos(theta["a"]) * v["a"], "scale": np.exp(theta["b"]) * v["b"]}

    def vjp(theta, u):
        return {"a": np.cos(theta["a"]) * u["mean"], "b": np.exp(theta["b"]) * u["scale"]}

    theta = {"a": np.array([0.3, 1.0]), "b": np.array([0.1, -0.4, 0.2])}
    assert check_products(theta, outputs=outputs, jvp=jvp, vjp=vjp).ok


def test_an_argument_changed_in_place_is_noticed_in_any_dtype():
    for dtype in (np.float32, np.float64):

        def hvp(theta, v):
            v["a"] *= 2
            return v

        theta = {"a": np.array([0.3, 1.0], dtype)}
        report = check_products(theta, gradient=lambda theta: {"a": theta["a"] ** 2}, hvp=hvp)
        assert "changes its argument 1 in place" in str(report)


WRONG_THETA = [
    ([[1.0], [2.0, 3.0]], RopValueError, "ragged"),
    ({"W": np.ones(2), "steps": np.arange(3)}, RopTypeError, "theta at steps .* int64"),
    ({"W": {"x": 1j * np.ones(2)}}, RopTypeError, "theta at W.x is complex"),
    ([np.ones(2), "relu"], RopTypeError, r"theta at \[1\] is str"),
    ({"W": np.array([1.0, np.nan])}, RopValueError, "NaN"),
    ({}, RopValueError, "non-empty"),
    ({"mask": True}, RopTypeError, "theta at mask is bool"),
]


@pytest.mark.parametrize("theta, error, words", WRONG_THETA)
def test_what_cannot_be_parameters_is_named_with_its_path(theta, error, words):
    with pytest.raises(error, match=words):
        check_products(theta, value=lambda theta: 0.0)


def test_sparse_parameters_are_refused_with_what_to_write():
    import scipy.sparse

    with pytest.raises(RopTypeError, match=r"theta at W is sparse; write .toarray\(\)"):
        check_products({"W": scipy.sparse.eye(3)}, value=lambda theta: 0.0)


MISMATCHES = [
    (lambda W, b: (W, b), r"write dict\(zip\(theta, result\)\)"),
    (lambda W, b: {"W": W}, "missing: b"),
    (lambda W, b: {"W": W, "b": b, "c": b}, "not in theta: c"),
    (lambda W, b: {"W": W.T, "b": b}, r"shape \(2, 3\) at W.*write .reshape\(3, 2\)"),
    (lambda W, b: {"W": W, "b": None}, "NoneType at b.*materialize_grads"),
    (lambda W, b: {"W": (W,), "b": b}, r"tuple at W.*write \[0\]"),
    (lambda W, b: np.concatenate([W.ravel(), b]), "split it into parts of shapes"),
]


@pytest.mark.parametrize("wrong, words", MISMATCHES)
def test_a_result_of_another_structure_is_told_what_to_write(wrong, words):
    W, b = arrays()
    structure = Structure.of("theta", {"W": W, "b": b})
    with pytest.raises(Mismatch, match=words):
        structure.flatten(wrong(W, b))
    report = check_products({"W": W, "b": b}, gradient=lambda t: wrong(t["W"], t["b"]))
    assert report.verdict == "fail"
    assert report.products["gradient"].faults[0].kind in ("shape", "dtype")


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_tensors_need_no_adapter():
    torch = pytest.importorskip("torch")
    W, b = (torch.tensor(a, requires_grad=True) for a in arrays())
    x = torch.tensor(X)

    def value(theta):
        return (torch.tanh(x @ theta["W"] + theta["b"]) ** 2).sum()

    def gradient(theta):
        parts = torch.autograd.grad(value(theta), list(theta.values()))
        return dict(zip(theta, parts, strict=True))

    report = check_products(
        {"W": W, "b": b},
        value=value,
        gradient=gradient,
        hvp=lambda theta, v: torch.func.jvp(torch.func.grad(value), (theta,), (v,))[1],
    )
    assert report.ok, str(report)
    half = check_products({"W": W, "b": b}, value=value, gradient=lambda theta: W)
    assert "expected a dict like theta" in str(half)


def test_a_module_in_float32_is_told_what_to_write():
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(3, 2)
    report = check_products(
        torch.ones(3, dtype=torch.float64), value=lambda theta: module(theta).sum()
    )
    assert "write module.double()" in str(report)
    report = check_products(np.ones(3), value=lambda theta: module(theta).sum())
    assert "give theta as tensors" in str(report)


@pytest.mark.ci
def test_jax_arrays_and_registered_pytrees_need_no_adapter():
    jax = pytest.importorskip("jax")

    @jax.tree_util.register_pytree_node_class
    class Net:
        def __init__(self, W, b):
            self.W, self.b = W, b

        def tree_flatten_with_keys(self):
            return self.tree_flatten()

        def tree_flatten(self):
            return (self.W, self.b), None

        @classmethod
        def tree_unflatten(cls, _, parts):
            return cls(*parts)

    def value(net):
        return (jax.numpy.tanh(X @ net.W + net.b) ** 2).sum()

    with jax.enable_x64(True):
        theta = Net(*map(jax.numpy.asarray, arrays()))
    report = check_products(
        theta,
        value=value,
        gradient=jax.grad(value),
        hvp=jax.jit(lambda net, v: jax.jvp(jax.grad(value), (net,), (v,))[1]),
    )
    assert report.ok, str(report)
    assert all(report.products["hvp"].blocks)
