"""Objectives with bugs, checked at one θ; what their bugs cannot change is computed once."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

import numpy as np

from rop.checking.calls import Function, Guarded
from rop.checking.graph_functions import functions_of
from rop.checking.lines import Array
from rop.checking.localisation import agree
from rop.checking.mutations import Mutation
from rop.checking.session import DEFINITIONS, PRODUCTS, Session
from rop.errors import RopError
from rop.objective.definition import programs_of
from rop.objective.objective import Objective

# A bug that changes no product by more than this is none.
EQUIVALENT = 1e-12

Batch = Mapping[str, Array]


class Trials:
    """One θ at which objectives with bugs are checked; what bugs cannot change is kept.

    Parameters
    ----------
    objective : Objective
        Without bugs.
    theta : (n,)
    batch : mapping of str to arrays
    engine : str
    seed : int
    """

    def __init__(
        self, objective: Objective, theta: Array, batch: Batch, engine: str, seed: int
    ) -> None:
        self.objective, self.theta, self.batch = objective, theta, batch
        self.engine, self.seed = engine, seed
        self.cases = len(next(iter(batch.values()))) if batch else 1
        self._right = {
            name: _remembering(function)
            for name, function in functions_of(objective, batch, engine).items()
        }
        self.products: dict[str, Array] | None = None

    def change(self, mutation: Mutation) -> float:
        """The largest relative change of any product at this θ, infinite where one raises."""
        if self.products is None:
            self.products = self.evaluated(self.objective)
        wrong = mutation.inject(self.objective, self.cases)
        if mutation.kind == "stale cache":
            self.evaluated(wrong, 0.9 * self.theta)
        found = self.evaluated(wrong)
        if found.keys() != self.products.keys():
            return np.inf
        return max(_change(right, found[name]) for name, right in self.products.items())

    def harmless(self, mutation: Mutation) -> bool:
        """Whether a bug is none here: it changes no product, or makes another right function.

        Twice the value of exp is such a function: its s' is taken from the value.
        """
        if self.change(mutation) < EQUIVALENT:
            return True
        if mutation.rule != "value":
            return False
        wrong = mutation.inject(self.objective, self.cases)
        number = mutation.number_in(self.objective)
        return agree(wrong, self.theta, self.batch, programs_of(wrong).nodes[number])

    def sees(self, mutation: Mutation) -> bool:
        """Whether a check at this θ would fail."""
        wrong = mutation.inject(self.objective, self.cases)
        touched = products_of(mutation)
        functions = {
            name: Guarded(name, function if name in touched else self._right[name])
            for name, function in functions_of(wrong, self.batch, self.engine).items()
        }
        session = Session(
            functions,
            self.theta,
            self.objective.slices,
            self.objective.shapes,
            self.objective.penalty,
            self.seed,
        )
        return session.fails(touched)

    def evaluated(self, objective: Objective, theta: Array | None = None) -> dict[str, Array]:
        """Every product along fixed directions, as far as none raises; here, or at another θ."""
        rng = np.random.default_rng(self.seed)
        products: dict[str, Array] = {}
        # A wrong rule may make anything fail; what is missing then counts as seen.
        with suppress(RopError, ArithmeticError, ValueError):
            at = objective.linearize(
                self.theta if theta is None else theta, self.batch, self.engine
            )
            v, u = rng.standard_normal(at.n), rng.standard_normal(at.outputs.shape)
            products["value"] = np.array(at.value)
            products["gradient"] = at.gradient()
            products["loss_gradient"] = at.loss_gradient()
            for name, vector in (
                ("jvp", v), ("vjp", u), ("loss_hvp", u), ("ggnvp", v), ("hvp", v),
            ):  # fmt: skip
                products[name] = getattr(at, name)(vector)
        return products


def products_of(mutation: Mutation) -> Collection[str]:
    """The products that a bug can change."""
    everything: Collection[str] = (*DEFINITIONS, *PRODUCTS)
    if mutation.rule == "product":
        return (mutation.what,)
    if mutation.in_loss:
        return everything
    return {
        "R": ("jvp", "ggnvp", "hvp"),
        "reverse": ("vjp", "gradient", "ggnvp", "hvp"),
        "curvature": ("hvp",),
        "s'": ("jvp", "vjp", "gradient", "ggnvp", "hvp"),
        "L'": ("loss_gradient", "gradient", "loss_hvp", "ggnvp", "hvp"),
        "L''": ("loss_hvp", "ggnvp", "hvp"),
    }.get(mutation.rule, everything)


def _remembering(function: Function) -> Callable[..., Array]:
    """The function with its results kept by the bytes of its arguments."""
    results: dict[tuple[int, ...], Array] = {}

    def call(*arrays: Array) -> Array:
        key = tuple(hash(array.tobytes()) for array in arrays)
        if key not in results:
            results[key] = np.asarray(function(*arrays))
        return results[key]

    return call


def _change(right: Array, wrong: Array) -> float:
    if not np.isfinite(wrong).all():
        return np.inf
    difference, size = float(np.linalg.norm(wrong - right)), float(np.linalg.norm(right))
    if difference == 0.0:
        return 0.0
    return difference / size if size > 0 else np.inf
