"""What a survey checks: functions of a library, each with the arguments to call it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rop.checking.lines import Array

Draw = Callable[[np.random.Generator], Array]


@dataclass(frozen=True)
class Entry:
    """A function to survey.

    Attributes
    ----------
    name : str
        Its name in its library, with what is special about the call.
    theme : str
        Where it stands in the table: "activations", "losses", ...
    function : callable
        Takes arrays of the library and returns one, or a tuple of them.
    draws : tuple of callables
        Generator -> float64 array, for each argument that it is differentiated with respect to.
    library : {"torch", "jax"}
        Whose arrays it takes.
    """

    name: str
    theme: str
    function: Callable[..., Any]
    draws: tuple[Draw, ...]
    library: str


def normal(*shape: int, scale: float = 1.0) -> Draw:
    """Gaussian entries."""
    return lambda rng: scale * rng.standard_normal(shape)


def uniform(low: float, high: float, *shape: int) -> Draw:
    """Entries between two numbers."""
    return lambda rng: rng.uniform(low, high, shape)


def apart(*shape: int) -> Draw:
    """Entries in random order, 0.25 apart and none within 0.06 of zero: no ties and no kinks."""

    def draw(rng: np.random.Generator) -> Array:
        size = int(np.prod(shape))
        grid = (np.arange(size) - (size - 1) / 2 + 0.25) / 4
        return np.asarray(rng.permutation(grid).reshape(shape))

    return draw


def spd(n: int, batch: int = 0) -> Draw:
    """A symmetric positive definite matrix, or several, well conditioned."""

    def draw(rng: np.random.Generator) -> Array:
        A = rng.standard_normal((batch, n, n) if batch else (n, n))
        product: Array = A @ np.swapaxes(A, -1, -2) / n + np.eye(n)
        return product

    return draw


def regular(n: int, m: int = 0, shift: float = 2.0) -> Draw:
    """A matrix far from singular."""
    return lambda rng: rng.standard_normal((n, m or n)) + shift * np.eye(n, m or n)


def probabilities(*shape: int) -> Draw:
    """Rows that sum to one."""

    def draw(rng: np.random.Generator) -> Array:
        p = rng.uniform(0.2, 1.0, shape)
        rows: Array = p / p.sum(axis=-1, keepdims=True)
        return rows

    return draw
