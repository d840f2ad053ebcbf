"""What the core's tests share: memory that starts as NaN, and the two engines, whole or in shards."""

import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

import rop.engines.memory
import rop.engines.numba
import rop.engines.numpy
import rop.execution
import rop.linearization


class _Poisoned:
    """NumPy, but memory that is not initialised holds NaN: to read it is to be found out."""

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, *arguments, **options):
        array = np.empty(*arguments, **options)
        if array.dtype.kind == "f":
            array.fill(np.nan)
        return array


@pytest.fixture(autouse=True, scope="module")
def poisoned_memory():
    modules = (rop.engines.memory, rop.engines.numpy, rop.execution, rop.linearization)
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            patch.setattr(module, "np", _Poisoned())
        yield


@contextmanager
def _sharded(count: int):
    """Make the Numba engine split every batch into so many parts, as far as there are cases."""
    with mock.patch.object(rop.engines.numba, "shards", lambda cases, flops: min(count, cases)):
        yield


@pytest.fixture(scope="session")
def sharded():
    return _sharded


@pytest.fixture(params=["numpy", "numba", "numba, 3 shards"])
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
def _chunks(small: bool):
    """Make room for temporaries so short that directions run one by one."""
    room = 1 if small else rop.execution._DIRECTIONS_BYTES
    with mock.patch.object(rop.execution, "_DIRECTIONS_BYTES", room):
        yield


@pytest.fixture(scope="session")
def monkeypatched_chunks():
    return _chunks
