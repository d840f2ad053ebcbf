"""The identity of a run: what counts in a graph, and in data."""

import numpy as np
import pytest

import rop
from rop.hf import identity


def test_every_setting_of_an_op_counts():
    def model(scale=2.0, key=slice(1, 3), bias=0.5, weight=None):
        x, W = rop.data("x", 4), rop.param("W", (3, 4))
        z = (scale * rop.tanh(W @ x + bias))[key]
        t = rop.data("t", z.shape)
        return identity.Model.of(rop.Objective(z, rop.SquaredError(t, weight=weight)))

    assert model() == model()
    others = [model(2.1), model(key=slice(0, 2)), model(bias=0.6), model(weight=2.0)]
    assert model() not in others and len({other.sha256 for other in others}) == 4


def test_an_own_function_counts_by_its_numbers():
    def model(c):
        class Cubic(rop.ops.Elementwise):
            s = staticmethod(lambda z: c * z * z * z)
            ds = staticmethod(lambda z: c * 3.0 * z * z)
            d2s = staticmethod(lambda z: c * 6.0 * z)

        z = Cubic.of(rop.param("W", 3))
        return identity.Model.of(rop.Objective(z, rop.SquaredError(np.zeros(3)))).sha256

    assert model(1.0) == model(1.0) != model(2.0)


@pytest.mark.parametrize("cases", [70, 400_000])
def test_the_identity_of_data(cases):
    X = np.zeros((cases, 100))
    before = identity.Values.of(X)
    assert identity.Values.of(X.copy(order="F")) == before
    for place in (0, -1):
        X[place, place] = 1
        assert identity.Values.of(X) != before
        X[place, place] = 0
    assert identity.Values.of(X) == before
