"""Objectives of which one finished product comes out wrong, whatever their rules say."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from rop.checking.wrong_kernels import FACTORS, rounded
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
from rop.ops.kernels import Array

OTHER = {"ggnvp": "hvp", "hvp": "ggnvp"}


def product_kinds(objective: Objective, name: str, cases: int) -> Iterator[str]:
    """Ways to get a product wrong.

    Parameters
    ----------
    objective : Objective
    name : str
        "gradient", "jvp", "vjp", "ggnvp" or "hvp".
    cases : int
        N.

    Yields
    ------
    str
    """
    yield from (*FACTORS, "off by one", "one entry", "float32", "stale cache")
    if cases > 1:
        yield from ("x1/N", "xN")
    if name == "jvp":
        yield from ("one case",) if cases > 1 else ()
        return
    if len(objective.slices) > 1:
        yield "dropped block"
    if any(len(shape) == 2 and min(shape) > 1 for shape in objective.shapes.values()):
        yield "transposed block"
    if name in OTHER:
        yield "other product"
    if objective.l2 and name != "vjp":
        yield "without l2"


def with_wrong_product(objective: Objective, name: str, kind: str, cases: int) -> Objective:
    """The objective with one product changed after it is made."""
    wrong = _Wrong(objective.z, objective.loss, objective.l2, objective.parameters)
    wrong.product, wrong.kind, wrong.factor = (
        name,
        kind,
        FACTORS
        | {
            "x1/N": 1.0 / cases,
            "xN": float(cases),
        },
    )
    return wrong


class _Wrong(Objective):
    """An objective whose linearizations have one wrong product."""

    product: str
    kind: str
    factor: Mapping[str, float]
    first: Callable[..., Array] | None = None

    def linearize(self, *arguments: Any, **options: Any) -> Linearization:
        """The right linearization with its product exchanged."""
        at = super().linearize(*arguments, **options)
        right: Callable[..., Array] = getattr(at, self.product)
        # A product of another batch, engine or dtype has a cache of its own.
        if self.kind == "stale cache":
            memory = self.__dict__.setdefault("memory", {})
            stale = memory.setdefault((at.cases, at.engine, at.dtype), right)
            setattr(at, self.product, stale)
            return at
        other = getattr(at, OTHER.get(self.product, self.product))

        def wrong(*vectors: Any) -> Array:
            return self._changed(right, other, at, vectors)

        setattr(at, self.product, wrong)
        return at

    def _changed(
        self,
        right: Callable[..., Array],
        other: Callable[..., Array],
        at: Linearization,
        vectors: tuple[Any, ...],
    ) -> Array:
        if self.kind == "other product":
            return other(*vectors)
        result = right(*vectors)
        if self.kind in self.factor:
            return np.asarray(self.factor[self.kind] * result, result.dtype)
        if self.kind == "float32":
            return np.asarray(rounded(result), result.dtype)
        if self.kind == "without l2":
            along = at.theta if self.product == "gradient" else np.asarray(vectors[0])
            return np.asarray(result - self.penalty * along, result.dtype)
        if self.kind == "off by one":
            return np.roll(result, 1, axis=0 if self.product != "jvp" or result.ndim == 1 else 1)
        result = result.copy()
        if self.kind == "one case":
            result[0] = 0.0
        elif self.kind == "one entry":
            entry = np.unravel_index(result.size // 2, result.shape)
            result[entry] *= 1.5
        elif self.kind == "dropped block":
            result[next(iter(self.slices.values()))] = 0.0
        else:
            self._transpose(result)
        return result

    def _transpose(self, result: Array) -> None:
        """Write the first matrix among the blocks as if its rows were its columns."""
        name = next(n for n, shape in self.shapes.items() if len(shape) == 2 and min(shape) > 1)
        where, shape = self.slices[name], self.shapes[name]
        block = result[where].reshape(*shape, -1)
        result[where] = block.swapaxes(0, 1).reshape(result[where].shape)
