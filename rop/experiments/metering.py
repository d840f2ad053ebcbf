"""The work of a method, in units of one gradient on all cases (erratum M24)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.objective.linearization import Linearization
from rop.objective.objective import Objective

# Multiplications with all P weights and with the P1 of the first layer, which the data enter.
_MULTIPLICATIONS = {
    "forward": (1, 0),
    "gradient": (2, -1),  # without the forward sweep
    "ggnvp": (4, -2),
    "hvp": (6, -4),
    "diagonal": (3, -1),  # squares of per-case gradients, and a backward sweep for these
}


class _MeteredLinearization(Linearization):
    """A linearization that counts its forward sweep and its products."""

    objective: Metered

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.objective.count["forward"] += self.cases

    def gradient(self) -> NDArray[Any]:
        self.objective.count["gradient"] += self.cases
        return super().gradient()

    def ggnvp(self, v: ArrayLike, *arguments: Any, **settings: Any) -> NDArray[Any]:
        self.objective.count["ggnvp"] += self.cases
        return super().ggnvp(v, *arguments, **settings)

    def hvp(self, v: ArrayLike) -> NDArray[Any]:
        self.objective.count["hvp"] += self.cases
        return super().hvp(v)

    def diagonal(self, *arguments: Any, **settings: Any) -> NDArray[Any]:
        self.objective.count["diagonal"] += self.cases
        return super().diagonal(*arguments, **settings)


class Metered(Objective):
    """An objective that counts the cases of everything it computes.

    Parameters
    ----------
    objective : Objective
        The objective.
    cases : int
        The number of cases that make up one gradient-equivalent.

    Attributes
    ----------
    count : Counter
        The number of cases for each kind of computation.
    """

    _linearization = _MeteredLinearization

    def __init__(self, objective: Objective, cases: int) -> None:
        super().__init__(objective.z, objective.loss, objective.l2, objective.parameters)
        self.count: Counter[str] = Counter()
        self._all = cases
        weights = [prod(shape) for shape in self.shapes.values() if len(shape) >= 2]
        self._weights = sum(weights) or self.n
        self._first = weights[0] if weights and self.data_shapes else 0

    @property
    def gradients(self) -> float:
        """The multiplications so far, over those of one gradient on all cases."""
        done = sum(cases * self._cost(what) for what, cases in self.count.items())
        return done / (self._all * (self._cost("forward") + self._cost("gradient")))

    def value(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None = None,
        *arguments: Any,
        **settings: Any,
    ) -> float:
        """f(θ), counted; see `Objective.value`.

        Returns
        -------
        float
        """
        self.count["forward"] += _cases(batch)
        return super().value(theta, batch, *arguments, **settings)

    def _differentiate(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None,
        *arguments: Any,
        **settings: Any,
    ) -> tuple[float, NDArray[Any]]:
        self.count.update(forward=_cases(batch), gradient=_cases(batch))
        return super()._differentiate(theta, batch, *arguments, **settings)

    def _cost(self, what: str) -> float:
        weights, first = _MULTIPLICATIONS[what]
        return weights * self._weights + first * self._first


def _cases(batch: Mapping[str, ArrayLike] | None) -> int:
    return len(np.asarray(next(iter(batch.values())))) if batch else 1
