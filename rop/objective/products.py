"""Products with vectors as users give them: checked, and with K directions in one sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.engines.arrays import finite, on_gpu, real
from rop.engines.execution import Execution, Space
from rop.engines.memory import results
from rop.errors import RopValueError
from rop.ops.kernels import Array
from rop.programs.algorithms import Algorithms

if TYPE_CHECKING:
    from rop.objective.objective import Objective


class Products:
    """What a `Linearization` computes its products with.

    Parameters
    ----------
    objective : Objective
        The objective.
    execution : Execution
        Holds θ and the batch.
    algorithms : Algorithms
        The objective's programs, as the execution runs them.
    dtype : dtype
        float32 or float64.
    engine : str
        Name of the engine.

    Attributes
    ----------
    shapes : dict of str to tuple of int
        Shape of one vector of each space, "theta" and "outputs".
    """

    def __init__(
        self,
        objective: Objective,
        execution: Execution,
        algorithms: Algorithms,
        dtype: np.dtype[Any],
        engine: str,
    ) -> None:
        self._objective, self._execution, self._algorithms = objective, execution, algorithms
        self._dtype, self._on_gpu = dtype, engine in ("cuda", "cuda-tf32")
        rows = execution.cases if objective.z.per_case else 1
        self.shapes: dict[Space, tuple[int, ...]] = {
            "theta": (objective.n,),
            "outputs": (rows, *objective.output_shape),
        }
        self._ready: set[str] = set()

    def __call__(
        self,
        name: str,
        vectors: ArrayLike,
        what: str,
        source: Space,
        result: Space,
        lam: float = 0.0,
    ) -> NDArray[Any]:
        """Compute a product.

        Parameters
        ----------
        name : str
            The product, as `Algorithms.product` knows it.
        vectors : array_like, a vector of the space `source`, or K of them along a new last axis
            Directions.
        what : str
            What the vectors are called in errors.
        source, result : {"theta", "outputs"}
            The spaces of the two.
        lam : float
            The multiple of the vectors that is added.

        Returns
        -------
        ndarray
            Vectors of the space `result`.

        Raises
        ------
        RopTypeError, RopValueError
            If the vectors do not fit, or are not finite.
        """
        self.prepare(name)
        shape = self.shapes[result]
        if self._on_gpu and on_gpu(vectors):
            from rop.engines.cuda.arrays import empty, received

            given = received(what, vectors, self._dtype, self.shapes[source])
            found: NDArray[Any] = empty(shape, self._dtype)
            plus = (lam, given) if lam else None
            self._execution.product(name, 1, given, found.reshape(-1), source, result, plus)
            return found
        array, many = self.shaped(vectors, what, source)
        if many is None:
            output = results.empty(shape, self._dtype)
            flat = array if array.ndim == 1 else array.reshape(-1)
            made = output if output.ndim == 1 else output.reshape(-1)
            plus = (lam, flat) if lam else None
            if not self._execution.product(name, 1, flat, made, source, result, plus):
                self._refuse_if_not_finite(what, array, source)
            return output
        self._refuse_if_not_finite(what, array, source)
        output = np.empty((*shape, many), self._dtype)
        for start, stop in self._execution.chunks(name, many):
            self._block(name, array[..., start:stop], output[..., start:stop], source, result)
        if lam:
            output += self._dtype.type(lam) * array
        return output

    def _block(self, name: str, block: Array, output: Array, source: Space, result: Space) -> None:
        """K directions in one sweep. Blocks of θ go parameter by parameter, as (K, size)."""
        K = block.shape[-1]
        slices = self._objective.slices.values()
        if source == "theta":
            flat = np.concatenate([block[where].T.ravel() for where in slices])
        else:
            flat = directions_first(block, K)
        if result == "outputs":
            out = np.empty((len(output), K, *output.shape[1:-1]), self._dtype)
            self._execution.product(name, K, flat, out.reshape(-1), source, result)
            output[...] = np.moveaxis(out, 1, -1)
            return
        total = np.empty(self._objective.n * K, self._dtype)
        self._execution.product(name, K, flat, total, source, result)
        for where in slices:
            output[where] = total[where.start * K : where.stop * K].reshape(K, -1).T

    def prepare(self, name: str) -> None:
        """Compute what a product needs besides the forward sweep: the loss's part, and adjoints."""
        if name in self._ready:
            return
        with self._execution.lock:
            stage = self._execution.stage
            if name in ("loss_hvp", "raw_loss_hvp", "ggnvp", "structural", "hvp"):
                stage(self._algorithms.loss_gradient)
                stage(self._algorithms.loss_curvature)
            if name == "hvp":
                stage(self._algorithms.adjoints)
            convexified = {"loss_hvp", "ggnvp", "structural"}
            if name in convexified and self._algorithms.convex and not self._ready & convexified:
                self._convexify()
            self._ready.add(name)

    def _convexify(self) -> None:
        """Make L'' positive semidefinite, case by case, where the loss asks for it (sec. 6.3)."""
        L2 = self.loss_hessians("raw_loss_hvp")
        if not np.isfinite(L2).all():
            raise RopValueError(
                "LossGraph: L'' is not finite (NaN or inf) at these outputs, so it cannot be "
                "convexified; use a smaller theta, or rewrite the loss so that it does not overflow"
            )
        values, vectors = np.linalg.eigh(L2)
        if self._algorithms.convex == "shift":
            shift = np.maximum(0.0, -values[:, :1])
            L2 = L2 + shift[..., None] * np.eye(L2.shape[-1])
        else:
            L2 = (vectors * np.maximum(values, 0.0)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
        self._execution.give("convex", L2)

    def loss_hessians(self, name: str) -> NDArray[Any]:
        """L'' of each case as a matrix, with 1/N.

        Parameters
        ----------
        name : str
            The product to take it from.

        Returns
        -------
        ndarray, (N, m, m)
        """
        rows, *shape = self.shapes["outputs"]
        m = int(np.prod(shape))
        unit = np.broadcast_to(np.eye(m, dtype=self._dtype), (rows, m, m)).reshape(rows, *shape, m)
        return self(name, unit, "w", "outputs", "outputs").reshape(rows, m, m)

    def checked(self, vectors: ArrayLike, what: str, space: Space) -> tuple[Array, int | None]:
        """Return finite vectors of the engine's dtype, and K if there is an axis of directions."""
        array, many = self.shaped(vectors, what, space)
        self._refuse_if_not_finite(what, array, space)
        return array, many

    def _refuse_if_not_finite(self, what: str, array: Array, space: Space) -> None:
        finite(what, array, self._objective.position if space == "theta" else None)

    def shaped(self, vectors: ArrayLike, what: str, space: Space) -> tuple[Array, int | None]:
        """Return vectors of the engine's dtype, and K if there is an axis of directions."""
        array = real(what, vectors, self._dtype)
        shape = self.shapes[space]
        many: int | None = None
        if array.shape != shape:
            if array.shape[:-1] != shape or array.shape[-1] == 0:
                raise RopValueError(
                    f"{what}: expected shape {shape} or {(*shape, 'K')}, got {array.shape}"
                )
            many = array.shape[-1]
        return array, many


def directions_first(array: Array, many: int | None) -> Array:
    """(N, *shape, K) as flat (N, K, *shape)."""
    if many is None:
        return array.reshape(-1)
    return array.transpose(0, -1, *range(1, array.ndim - 1)).ravel()  # contiguous, unlike a reshape
