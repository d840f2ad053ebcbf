"""What tests of the core share: memory that is watched, and the two engines, whole or in shards."""

import signal
from collections import Counter, deque
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import random_graphs

import rop.engines.execution
import rop.engines.memory
import rop.engines.numba.binding
import rop.engines.numpy
import rop.engines.shard
import rop.engines.sharded
import rop.objective.linearization
import rop.objective.products


def pytest_configure(config):
    """Try all random graphs unless the tests marked `ci` are left out; let Ctrl-C interrupt."""
    # A shell that starts the tests in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "not ci" not in config.option.markexpr:
        random_graphs.ONE_IN = 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of the cases of a test marked `one_in(n)`, mark all but one in n as `ci`."""
    cases = Counter()
    for item in items:
        one_in = item.get_closest_marker("one_in")
        if one_in is not None:
            test = item.nodeid.partition("[")[0]
            if cases[test] % one_in.args[0]:
                item.add_marker("ci")
            cases[test] += 1


class _Watched:
    """NumPy, but what is allocated holds NaN, and lies between margins that nobody may write to.

    So memory that is read before it is written is found out, and so is a write beside it.
    """

    MARGIN, MARK = 64, 12345.0

    def __init__(self):
        self.blocks = deque()

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, shape, dtype=float):
        array = np.empty(shape, dtype)
        if array.dtype.kind != "f":
            return array
        block = np.full(array.size + 2 * self.MARGIN, self.MARK, array.dtype)
        self.blocks.append(block)
        if len(self.blocks) > 1000:
            self.check(self.blocks.popleft())
        inside = block[self.MARGIN : -self.MARGIN]
        inside.fill(np.nan)
        return inside.reshape(array.shape)

    def check(self, block):
        margins = np.concatenate([block[: self.MARGIN], block[-self.MARGIN :]])
        assert (margins == self.MARK).all(), "something has been written beside its memory"


@pytest.fixture(autouse=True, scope="module")
def watched_memory(request):
    # The tests of memory count what the library itself holds; those of other layers need no watch.
    core = request.path.parent.name in ("ops", "programs", "engines", "objective")
    core = core or request.path.name == "test_losses.py"
    if not core or request.path.name == "test_memory.py":
        yield
        return
    modules = (
        rop.engines.memory,
        rop.engines.numpy,
        rop.engines.execution,
        rop.engines.shard,
        rop.engines.sharded,
        rop.objective.linearization,
        rop.objective.products,
    )
    watched = _Watched()
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            patch.setattr(module, "np", watched)
        yield
    for block in watched.blocks:
        watched.check(block)


@contextmanager
def _sharded(count: int):
    """Make the Numba engine split every batch into so many parts, as far as there are cases."""
    with mock.patch.object(
        rop.engines.numba.binding, "shards", lambda cases, flops: min(count, cases)
    ):
        yield


@pytest.fixture(scope="session")
def sharded():
    return _sharded


@pytest.fixture(params=["numpy", "numba", pytest.param("numba, 3 shards", marks=pytest.mark.ci)])
def engine(request):
    """The name of an engine; under the last of the three, batches are split."""
    name, _, shards = request.param.partition(",")
    with _sharded(3 if shards else 1):
        yield name


def _network(cases=7, loss="softmax", seed=0, l2=0.25):
    """A network of two layers, 5-6-4, at some θ and batch."""
    rng = np.random.default_rng(seed)
    x, t = rop.data("x", 5), rop.data("t", 4)
    W1, b1 = rop.param("W1", (6, 5)), rop.param("b1", 6)
    W2, b2 = rop.param("W2", (4, 6)), rop.param("b2", 4)
    z = W2 @ rop.tanh(W1 @ x + b1) + b2
    losses = {
        "squared": rop.SquaredError,
        "sigmoid": rop.SigmoidCrossEntropy,
        "softmax": rop.SoftmaxCrossEntropy,
    }
    objective = rop.Objective(z, losses[loss](t), l2=l2)
    X, T = rng.standard_normal((cases, 5)), np.eye(4)[rng.integers(0, 4, cases)]
    theta = rng.standard_normal(objective.n)
    v = rng.standard_normal(objective.n)
    return SimpleNamespace(
        objective=objective, theta=theta, batch={"x": X, "t": T}, v=v, z=z, t=t, rng=rng
    )


@pytest.fixture(scope="session")
def network():
    return _network


@contextmanager
def _short_of_room(small: bool):
    """Make room for temporaries so short that directions run one by one."""
    room = 1 if small else rop.engines.execution._DIRECTIONS_BYTES
    with mock.patch.object(rop.engines.execution, "_DIRECTIONS_BYTES", room):
        yield


@pytest.fixture(scope="session")
def short_of_room():
    return _short_of_room
