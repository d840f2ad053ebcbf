"""Clusters inside this process: workers are threads, so they start at once and leave nothing."""

from contextlib import contextmanager

import numpy as np
import pytest
from distributed import Client, LocalCluster

import rop
import rop.distributed


@contextmanager
def _cluster(workers):
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as local,
        Client(local) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def cluster():
    return _cluster


@pytest.fixture(scope="module")
def client():
    with _cluster(2) as made:
        yield made


@pytest.fixture(scope="module")
def digits():
    """Some real images, and an objective whose penalty differs from parameter to parameter."""
    train = rop.datasets.digits().train
    data = {"x": train["x"][:203].astype(np.float64), "t": train["t"][:203].astype(np.float64)}
    x, z = rop.nets.mlp([64, 8, 10])
    t = rop.data("t", 10)
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(t), l2={"W1": 0.1, "W2": 0.01})
    return objective, objective.init("sparse", seed=1), data
