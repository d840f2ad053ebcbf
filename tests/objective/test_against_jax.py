"""Every product, on random graphs, in both engines, against JAX."""

import numpy as np
import pytest
from agreement import all_products, compare
from hypothesis import given
from jax_reference import Reference
from random_graphs import examples, models


class _Expected:
    """JAX's products at a model, and how much they change when its numbers do."""

    def __init__(self, model):
        self.model = model
        self.v, self.u = model.vectors()
        self.reference = Reference(model.objective, model.theta, model.batch)
        self.products = self.reference.products(self.v, self.u)

    def sensitivity(self):
        rng, step = np.random.default_rng(0), 1e-9
        model = self.model

        def shaken(array):
            return array * (1 + step * rng.standard_normal(array.shape))

        batch = {name: shaken(array) for name, array in model.batch.items()}
        other = self.reference.at(shaken(model.theta), batch).products(self.v, self.u)
        return {k: np.linalg.norm(other[k] - a) / step for k, a in self.products.items()}


ENGINES = [("numpy", 1), ("numba", 1), ("numba", 2), ("numba", 3)]


def _check_products(model, sharded):
    expected = _Expected(model)
    for dtype, relative in ((np.float64, 1e-12), (np.float32, 1e-5)):
        epsilon = float(np.finfo(dtype).eps)
        for engine, shards in ENGINES:
            with sharded(shards):
                at = model.objective.linearize(model.theta, model.batch, engine, dtype)
                found = all_products(at, expected.v, expected.u)
                value = model.objective.value(model.theta, model.batch, engine, dtype)
            compare(found, expected.products, relative, epsilon, expected.sensitivity)
            assert value == pytest.approx(at.value, rel=10 * epsilon, abs=10 * epsilon)
            assert all(a.dtype == dtype for name, a in found.items() if name != "value")


@examples(50)
@given(model=models())
def test_products(sharded, model):
    _check_products(model, sharded)


@pytest.mark.slow
@examples(400)
@given(model=models(largest=25))
def test_products_of_many_graphs(sharded, model):
    _check_products(model, sharded)


@examples(25)
@given(model=models(largest=6))
def test_matrices(sharded, model):
    right = Reference(model.objective, model.theta, model.batch).matrices()
    J, L2, l2 = right["J"], right["L2"], model.objective.l2
    G = np.einsum("nia,nij,njb->ab", J, L2, J) + l2 * np.eye(model.objective.n)
    expected = {"J": J.reshape(-1, J.shape[-1]), "H": right["H"], "G": G, "diagonal": np.diag(G)}
    if model.objective.z.per_case or model.cases == 1:
        expected["per-case gradients"] = right["gradients"]
        expected["Fisher"] = np.mean(right["gradients"] ** 2, axis=0) + l2
    for engine, shards in ENGINES:
        with sharded(shards):
            at = model.objective.linearize(model.theta, model.batch, engine)
            found = {
                "J": at.J.matrix(),
                "H": at.H.matrix(),
                "G": at.G.matrix(),
                "diagonal": at.diagonal("exact"),
                "per-case gradients": at.per_case_gradients(),
                "Fisher": at.diagonal("empirical-fisher"),
            }
        compare(found, expected, 1e-12, float(np.finfo(np.float64).eps))
