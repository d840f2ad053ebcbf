"""The conjugate gradient method on the GPU: the host looks at it only every few steps.

Vectors and scalars stay on the GPU, and a step, product included, is one graph. The steps come one
by one all the same: the GPU runs ahead, and keeps the iterates until the host has seen them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop.engines.cuda import Bound, driver, vectors
from rop.engines.cuda.kernels import THREADS
from rop.engines.cuda.vectors import BLOCKS
from rop.ops.kernels import Array

AHEAD = 3 if driver.SIMULATED else 10
"""Steps between two looks of the host: what the last look finds to be too many is lost work."""

_VECTORS = 6  # besides the iterates


@dataclass(frozen=True)
class Step:
    """A step of CG, as the host sees it afterwards.

    Attributes
    ----------
    q : float
        q(x) = ½xᵀAx - bᵀx after the step.
    squared_residual : float
        ‖Ax - b‖², from CG's recursion.
    ry : float
        rᵀP⁻¹r after the step.
    pAp : float
        pᵀAp of the step's direction. Where it is not positive and finite, x has not moved, and
        this is the last step.
    fetch : callable
        Copies x from the GPU; possible until the next step is asked for.
    """

    q: float
    squared_residual: float
    ry: float
    pAp: float
    fetch: Callable[[], NDArray[Any]]

    @property
    def residual(self) -> float:
        """‖Ax - b‖."""
        return sqrt(self.squared_residual)


class ConjugateGradient:
    """CG on Ax = b for A = B + diag(d), where v ↦ Bv is a product on the GPU (alg. 2).

    Parameters
    ----------
    product : Bound
        v ↦ Bv: `DeviceExecution.bound` of "ggnvp", "structural" or "hvp".
    n : int
        Number of parameters.
    dtype : dtype
        Of all vectors.
    ahead : int
        Steps between two looks of the host. That many iterates are kept on the GPU.
    """

    def __init__(self, product: Bound, n: int, dtype: np.dtype[Any], ahead: int = AHEAD) -> None:
        self._product, self._n, self._dtype, self._ahead = product, n, dtype, ahead
        x, r, p, d, inverse, b = (driver.empty(n, dtype) for _ in range(_VECTORS))
        self._x, self._r, self._p, self._d, self._inverse, self._b = x, r, p, d, inverse, b
        self._iterates = driver.empty(n * ahead, dtype)
        self._parts = driver.empty(2 * BLOCKS, np.dtype(np.float64))
        self._scalars = driver.empty(vectors.SCALARS, np.dtype(np.float64))
        self._history = driver.cuda.device_array((ahead, vectors.COLUMNS), np.float64)
        given, Ap, parts, scalars = product.input, product.output, self._parts, self._scalars
        history, iterates = self._history, self._iterates
        # The product's own vectors serve others too, between two looks of the host.
        give = [lambda: _start(vectors.copy, p, given, n)]
        launches = [
            lambda: _start(vectors.damp, Ap, p, d, n, parts),
            lambda: _alone(vectors.length, parts, scalars, history),
            lambda: _start(vectors.descend, scalars, p, Ap, x, r, inverse, iterates, n, parts),
            lambda: _alone(vectors.record, parts, scalars, history),
            lambda: _start(vectors.turn, scalars, r, inverse, p, n),
        ]
        starts = product.starts
        self._step: list[Callable[[], Any]]
        if starts is None:
            self._step = [*give, product.start, driver.Graph(launches)]
        else:
            self._step = [driver.Graph([*give, *starts, *launches])]

    def steps(
        self,
        b: Array,
        x0: Array | None = None,
        diagonal: Array | float = 0.0,
        inverse: Array | None = None,
        ready: Callable[[], Any] | None = None,
    ) -> Iterator[Step]:
        """Run CG; the first "step" tells of the start, with pAp = 0.

        Parameters
        ----------
        b : array, (n,)
            The right-hand side.
        x0 : array, (n,), optional
            Where to start; 0 by default.
        diagonal : float or array, (n,)
            d, the damping and what else is added to B.
        inverse : array, (n,), optional
            The diagonal of P⁻¹; 1 by default.
        ready : callable, optional
            Sets what the product depends on and others may change between two looks, such as μ.

        Yields
        ------
        Step
            Without end, unless a direction has pᵀAp that is not positive and finite.
        """
        with driver.lock:
            if ready is not None:
                ready()
            start = self._begin(b, x0, diagonal, inverse)
        yield start
        while True:
            with driver.lock:
                if ready is not None:
                    ready()
                for _ in range(self._ahead):
                    for part in self._step:
                        part()
                history = np.empty((self._ahead, vectors.COLUMNS))
                self._history.copy_to_host(history, stream=driver.stream())
                driver.synchronize()
            for i, (q, rr, ry, pAp) in enumerate(history.tolist()):
                yield Step(q, rr, ry, pAp, partial(self._fetch, self._iterates, i))
                if not 0 < pAp < np.inf:
                    return

    @staticmethod
    def room(n: int, dtype: np.dtype[Any]) -> int:
        """Bytes on the GPU, for n parameters, that the vectors of one take."""
        return (_VECTORS + AHEAD) * n * dtype.itemsize

    def _begin(
        self, b: Array, x0: Array | None, diagonal: Array | float, inverse: Array | None
    ) -> Step:
        n, dtype = self._n, self._dtype
        driver.upload(self._b, b)
        for target, given in ((self._d, diagonal), (self._inverse, inverse)):
            given = 1.0 if given is None else given
            driver.upload(target, given if np.ndim(given) else np.full(n, given, dtype))
        driver.upload(self._x, np.zeros(n, dtype) if x0 is None else x0)
        if x0 is None:
            driver.upload(self._product.output, np.zeros(n, dtype))
        else:
            driver.upload(self._product.input, x0)
            self._product.start()
        x, r, p = self._x, self._r, self._p
        _start(vectors.first, self._product.output, x, self._d, self._b, r, self._inverse, p, n)
        rr, ry = vectors.dot(r, r, n), -vectors.dot(r, p, n)
        q = 0.0 if x0 is None else (vectors.dot(r, x, n) - vectors.dot(self._b, x, n)) / 2
        scalars = np.zeros(vectors.SCALARS)
        scalars[vectors.RY], scalars[vectors.Q] = ry, q
        driver.upload(self._scalars, scalars)
        return Step(q, rr, ry, 0.0, lambda: self._fetch(x, 0))

    def _fetch(self, iterates: Any, i: int) -> NDArray[Any]:
        x: NDArray[Any] = np.empty(self._n, self._dtype)
        with driver.lock:
            driver.download(x, iterates[i * self._n : (i + 1) * self._n])
        return x


def _start(kernel: Any, *given: Any) -> None:
    kernel[BLOCKS, THREADS, driver.stream()](*given)


def _alone(kernel: Any, *given: Any) -> None:
    """Launch one block, which adds up the parts that all blocks have left."""
    kernel[1, THREADS, driver.stream()](*given)
