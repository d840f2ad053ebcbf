"""Wrong numbers and types in what users call: every one gives a clear error."""

from types import SimpleNamespace

import numpy as np
import pytest

import rop
from rop import init, nets, ops

GRAPHS = """
rop.data("class", 3)
rop.data("", 3)
rop.data(3, 3)
rop.data("x", -1)
rop.data("x", 2.5)
rop.data("x", nan)
rop.data("x", "a")
rop.data("x", (3, True))
rop.param("W", 10**30)
rop.param("W", 0)
rop.concatenate([x, x], axis="0")
rop.concatenate([x, x], axis=7)
rop.concatenate(5)
rop.concatenate([])
rop.stack([x, x], axis=0.5)
rop.stack(5)
rop.constant("a")
rop.constant(nan)
ops.scale(x, "a")
ops.scale(x, inf)
ops.scale(x, nan)
ops.scale(x, None)
ops.scale(x, 1j)
ops.scale(x, True)
x ** "a"
x ** nan
x * "a"
x + None
x * np.array([1, nan, 1, 1])
x["a"]
x[1.5]
x[10]
rop.sum(x, axis="a")
rop.mean(x, axis=3)
rop.reshape(x, "a")
rop.reshape(x, (3,))
rop.transpose(x, "a")
rop.clip(x, nan, 1)
rop.leaky_relu(x, nan)
rop.leaky_relu(x, "a")
rop.pad(x, -1)
rop.pad(x, "a")
rop.roll(x, 1.5)
rop.take(x, [10])
rop.take(x, 1.5)
rop.tanh("a")
"""

OBJECTIVES = """
rop.Objective(z, rop.SquaredError(t), l2=1e308).value(th, B)
rop.Objective(z, rop.SquaredError(t), l2=nan)
rop.Objective(z, rop.SquaredError(t), l2=-1)
rop.Objective(z, rop.SquaredError(t), l2="a")
rop.Objective(z, rop.SquaredError(t), l2=True)
rop.Objective(z, rop.SquaredError(t), params=3)
rop.Objective(z, rop.SquaredError(t), params=[3])
rop.Objective(z, rop.SquaredError(t), params=W)
rop.Objective(z, rop.SquaredError(t), hidden=[3])
rop.Objective(z, rop.SquaredError(t), hidden=3)
rop.Objective(z, rop.SquaredError(t), hidden=z)
rop.Objective(z, rop.SquaredError(t), distance="x")
rop.Objective(z, 5)
rop.Objective(5, rop.SquaredError(t))
rop.Objective(z, rop.SquaredError(t, weight=rop.data("w"))).value(th, {**B, "w": -np.ones(20)})
rop.Objective(z, rop.SquaredError(t, weight=-1.0)).value(th, B)
rop.SquaredError("a")
rop.SquaredError(nan)
rop.SquaredError(None)
rop.SquaredError(t, weight=nan)
rop.SquaredError(t, weight="a")
rop.LossGraph(3)
rop.LossGraph("a")
rop.LossGraph(z, convexify="x")
"""

STARTS = """
o.init("sparse", seed=-1)
o.init("sparse", seed="a")
o.init("sparse", seed=nan)
o.init("sparse", seed=1.5)
o.init("sparse", seed=True)
o.init("x")
o.init(5)
o.init("sparse", connections=2.5)
o.init("sparse", connections="a")
o.init("sparse", connections=-1)
o.init("sparse", connections=nan)
o.init("sparse", nothing=3)
o.init("normal", std="a")
o.init("normal", std=nan)
o.init("normal", std=-1)
o.init("glorot", gain=nan)
init.initialize("sparse", {"W": (3, -1)})
init.initialize("sparse", 5)
init.initialize(5, {"W": (3, 4)})
init.glorot({"W": (3, 4)}, None)
init.sparse({"W": (3, 4)}, 5)
o.pack(5)
o.pack({"W": 5})
o.pack({"W": np.ones((3,4)), "b": "abc"})
o.unpack(5)
o.unpack("a")
"""

PLACES = """
o.linearize(th, B, checkpoints=10**9)
o.linearize(th, B, checkpoints=-1)
o.linearize(th, B, checkpoints=1.5)
o.linearize(th, B, checkpoints="a")
o.linearize(th, B, checkpoints=True)
o.linearize(th, B, engine="x")
o.linearize(th, B, engine=5)
o.linearize(th, B, dtype="float33")
o.linearize(th, B, dtype=int)
o.linearize(th + 1j, B)
o.linearize(None, B)
o.linearize("a", B)
o.linearize(th, 5)
o.linearize(th, (X, T))
o.linearize(th, None)
o.linearize(th, {"x": X})
o.linearize(th, {"x": X, "t": None})
o.linearize(np.ma.masked_array(th, th > 0), B)
o.scipy(5)
o.scipy((X, T))
o.scipy(B, curvature="x")
o.scipy(B, engine="x")
o.scipy(B)["fun"](np.ones(3))
o.scipy(B)["hessp"](th, np.ones(3))
o.value(th, B, engine="x")
o.value(np.ones(3), B)
o.predict(th, 5)
o.outputs(th, {"x": None})
"""

PRODUCTS = """
at.ggnvp(np.ones(n), lam=nan)
at.ggnvp(np.ones(n), lam=inf)
at.ggnvp(np.ones(n), lam=None)
at.ggnvp(np.ones(n), lam="a")
at.ggnvp(np.ones(n), lam=np.ones(n))
at.ggnvp(np.ones(n), lam=-1e30)
at.ggnvp(np.ones(n), lam=-1)
at.ggnvp(np.ones(n), lam=1j)
at.ggnvp(np.ones(n), lam=True)
at.ggnvp(np.ones(n), mu=nan)
at.ggnvp(np.ones(n), mu=-1)
at.ggnvp(np.ones(n), mu="a")
at.ggnvp(np.ones(n), mu=1j)
at.ggnvp(np.ones(n), mu=1.0)
at.ggnvp(np.ones(n + 1))
at.ggnvp(None)
at.ggnvp("a")
at.hvp(np.ones((n, 2, 2)))
at.jvp(1j * np.ones(n))
at.vjp(np.ones(3))
at.loss_hvp(nan)
at.diagonal("x")
at.diagonal(5)
at.diagonal("chapelle-erhan", seed=-1)
at.diagonal("chapelle-erhan", seed="a")
at.diagonal("chapelle-erhan", seed=nan)
at.diagonal("chapelle-erhan", mu=nan)
at.G @ np.ones(n + 1)
at.G @ "a"
at.G @ None
at.G @ (1j * np.ones(n))
at.H.matvec(np.ones((n, 2)))
at.H.matvec(np.ones(n + 1))
at.H.matmat(np.ones((n + 1, 2)))
at.J.rmatvec(np.ones(n + 1))
at.G @ np.full(n, nan)
at.G.T @ np.ones(n + 1)
"""

NETS = """
nets.mlp([3, True])
nets.mlp([3])
nets.mlp([])
nets.mlp(5)
nets.mlp([3, 2.5])
nets.mlp([3, -1])
nets.mlp([3, nan])
nets.mlp("ab")
nets.mlp([3, 4], activation="x")
nets.mlp([3, 4, 2], activation=5)
nets.rnn([2, 3, 1], 5, biases="no")
nets.rnn([2, 3, 1], -1)
nets.rnn([2, 3, 1], nan)
nets.rnn([2, 3, 1], 2.5)
nets.rnn([2, 3], 5)
nets.rnn(5, 5)
nets.rnn([2, 3, 1], 5, at=10)
nets.rnn([2, 3, 1], 5, at="a")
"""


@pytest.fixture(scope="module")
def names():
    rng = np.random.default_rng(0)
    x, t, w = rop.data("x", 4), rop.data("t", 3), rop.param("W", (3, 4))
    b = rop.param("b", 3)
    z = w @ x + b
    o = rop.Objective(z, rop.SquaredError(t))
    X, T = rng.standard_normal((20, 4)), rng.standard_normal((20, 3))
    B, th = {"x": X, "t": T}, o.init("glorot")
    at = o.linearize(th, B)
    known = SimpleNamespace(x=x, t=t, W=w, b=b, z=z, o=o, B=B, X=X, T=T, th=th, at=at, n=o.n)
    return vars(known) | {
        "rop": rop,
        "np": np,
        "ops": ops,
        "nets": nets,
        "init": init,
        "inf": np.inf,
        "nan": np.nan,
    }


WRONG = [GRAPHS, OBJECTIVES, STARTS, PLACES, PRODUCTS, NETS]


@pytest.mark.parametrize("line", [line for kind in WRONG for line in kind.split("\n") if line])
def test_wrong_arguments(names, line):
    with pytest.raises(rop.RopError) as caught:
        eval(line, dict(names))
    assert len(str(caught.value)) > 15


RIGHT = """
at.ggnvp(np.ones(n), lam=0)
at.ggnvp(np.ones(n), lam=np.float32(0.5))
at.ggnvp(np.ones(n), lam=1e-300)
at.G @ np.ones(n)
at.G @ np.ones((n, 2))
at.G.matvec(np.ones((n, 1)))
(2.0 * at.G) @ np.ones(n)
(at.G @ at.H) @ np.ones(n)
at.J.rmatvec(np.ones(60))
at.J.T @ np.ones((60, 2))
at.diagonal("chapelle-erhan", seed=np.random.default_rng(0))
o.linearize(th, B, checkpoints=2)
o.init("sparse", seed=np.int64(3))
o.init("sparse", seed=np.random.default_rng(0))
rop.Objective(z, rop.SquaredError(t), l2=np.float32(0.1))
rop.Objective(z, rop.SquaredError(t), l2=1)
rop.concatenate((x, x), axis=-1)
rop.concatenate((node for node in (x, x)))
"""


@pytest.mark.parametrize("line", RIGHT.strip().split("\n"))
def test_right_arguments(names, line):
    """What is close to a wrong argument, and right."""
    eval(line, dict(names))
