"""Products with vectors as users give them: checked, and with K directions in one sweep."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.engines import engine_named
from rop.engines.arrays import finite, on_gpu
from rop.engines.execution import Execution
from rop.errors import RopValueError
from rop.objective.definition import Definition, programs_of
from rop.objective.inputs import real
from rop.ops.kernels import Array
from rop.programs.catalogue import ALL_PRODUCTS, Space
from rop.programs.checkpointing import Checkpoints


class Products:
    """What a `Linearization` computes with: an execution, and vectors that are checked.

    Parameters
    ----------
    objective : Definition
        The objective.
    theta : ndarray, (n,)
        θ.
    batch : mapping of str to ndarray
        The batch.
    cases : int
        N.
    engine : str
        Name of the engine.
    checkpoints : int or "sqrt"
        Number of segments of the forward sweep of which only the ends are kept; 0 keeps all.

    Attributes
    ----------
    objective : Definition
        The objective.
    programs : Programs
        Its programs.
    execution : Execution
        The engine's memory, in which θ and the batch lie.
    shapes : dict of str to tuple of int
        Shape of one vector of each space, "theta" and "outputs".
    """

    def __init__(
        self,
        objective: Definition,
        theta: Array,
        batch: Mapping[str, NDArray[Any]],
        cases: int,
        engine: str,
        checkpoints: Checkpoints,
    ) -> None:
        self.objective, self.cases, self.dtype = objective, cases, theta.dtype
        self.programs = programs_of(objective, checkpoints)
        arguments = (self.programs, cases, engine, theta.dtype, "products")
        self.execution = engine_named(engine)(*arguments)
        # Everything that is handed out is a copy: the memory may serve the next linearization.
        weakref.finalize(self, self.execution.release).atexit = False
        self._on_gpu = engine in ("cuda", "cuda-tf32")
        rows = cases if objective.z.per_case else 1
        self.shapes: dict[Space, tuple[int, ...]] = {
            "theta": (objective.n,),
            "outputs": (rows, *objective.output_shape),
        }
        self._ready: set[str] = set()
        self.execution.load(theta, batch, objective._refuse_batch, self.programs.forward)

    @property
    def outputs(self) -> NDArray[Any]:
        """F(θ): (N, *output shape)."""
        return self.execution.values(self.programs.a[self.objective.z])

    def loss_gradient(self) -> NDArray[Any]:
        """∇L: (N, *output shape), with the 1/N of the mean (table 2, erratum M29)."""
        self.execution.stage(self.programs.loss_gradient)
        return self.execution.values(self.programs.d[self.objective.z])

    def __call__(self, name: str, vectors: ArrayLike, lam: float | Array = 0.0) -> NDArray[Any]:
        """Compute a product.

        Parameters
        ----------
        name : str
            The product; see `ALL_PRODUCTS`.
        vectors : array_like, a vector of the product's domain, or K of them along a new last axis
            Directions.
        lam : float or ndarray, (n,)
            The multiple of the vectors that is added; an array has one number for each parameter.

        Returns
        -------
        ndarray
            Vectors of its codomain.

        Raises
        ------
        RopTypeError, RopValueError
            If the vectors do not fit, or are not finite.
        """
        self.prepare(name)
        if self._on_gpu and on_gpu(vectors):
            found: NDArray[Any] = self._of_vector_on_gpu(name, vectors, lam)
            return found
        what, domain, codomain = ALL_PRODUCTS[name]
        array, many = self.shaped(vectors, what, domain)
        if many is not None:
            return self._of_block(name, array, many, lam)
        output = self.execution.empty(self.shapes[codomain])
        flat = array if array.ndim == 1 else array.reshape(-1)
        made = output if output.ndim == 1 else output.reshape(-1)
        plus = None if isinstance(lam, np.ndarray) or not lam else (lam, flat)
        if not self.execution.product(name, 1, flat, made, plus):
            self._refuse_if_not_finite(what, array, domain)
        if isinstance(lam, np.ndarray):
            output += lam.astype(self.dtype) * array
        return output

    def _of_block(self, name: str, block: Array, many: int, lam: float | Array) -> NDArray[Any]:
        """K directions at once, as far as there is room for their temporaries."""
        what, domain, codomain = ALL_PRODUCTS[name]
        self._refuse_if_not_finite(what, block, domain)
        output = np.empty((*self.shapes[codomain], many), self.dtype)
        for start, stop in self.execution.chunks(name, many):
            self._in_one_sweep(name, block[..., start:stop], output[..., start:stop])
        if isinstance(lam, np.ndarray):
            output += lam.astype(self.dtype)[:, None] * block
        elif lam:
            output += self.dtype.type(lam) * block
        return output

    def _in_one_sweep(self, name: str, block: Array, output: Array) -> None:
        """Blocks of θ go to the engine parameter by parameter, as (K, size)."""
        K, (_, domain, codomain) = block.shape[-1], ALL_PRODUCTS[name]
        slices = self.objective.slices.values()
        if domain == "theta":
            flat = np.concatenate([block[where].T.ravel() for where in slices])
        else:
            flat = directions_first(block, K)
        if codomain == "outputs":
            out = np.empty((len(output), K, *output.shape[1:-1]), self.dtype)
            self.execution.product(name, K, flat, out.reshape(-1))
            output[...] = np.moveaxis(out, 1, -1)
            return
        total = np.empty(self.objective.n * K, self.dtype)
        self.execution.product(name, K, flat, total)
        for where in slices:
            output[where] = total[where.start * K : where.stop * K].reshape(K, -1).T

    def _of_vector_on_gpu(self, name: str, vector: Any, lam: float | Array) -> Any:
        """The product with a vector that lies on the GPU, and so does the result."""
        from rop.engines.cuda import driver
        from rop.engines.cuda.arrays import empty, received
        from rop.engines.cuda.vectors import axpy

        what, domain, codomain = ALL_PRODUCTS[name]
        given = received(what, vector, self.dtype, self.shapes[domain])
        found = empty(self.shapes[codomain], self.dtype)
        flat = found.reshape(-1)
        plus = None if isinstance(lam, np.ndarray) or not lam else (lam, given)
        self.execution.product(name, 1, given, flat, plus)
        if isinstance(lam, np.ndarray):
            factors = lam.astype(self.dtype)
            with driver.lock:
                for where in self.objective.slices.values():
                    size = where.stop - where.start
                    axpy(float(factors[where.start]), given[where], flat[where], size)
                driver.synchronize()
        return found

    def prepare(self, name: str) -> None:
        """Compute what a product needs besides the forward sweep: the loss's part, and adjoints."""
        if name in self._ready:
            return
        with self.execution.lock:
            for stage in self.programs.stages(name):
                self.execution.stage(stage)
            convex = {"loss_hvp", "ggnvp", "structural"}
            if self.objective.loss.convexify and name in convex and not self._ready & convex:
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
        if self.objective.loss.convexify == "shift":
            shift = np.maximum(0.0, -values[:, :1])
            L2 = L2 + shift[..., None] * np.eye(L2.shape[-1])
        else:
            L2 = (vectors * np.maximum(values, 0.0)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
        self.execution.give("convex", L2)

    def loss_hessians(self, name: str = "loss_hvp") -> NDArray[Any]:
        """L'' of each case, with 1/N, convex if the loss asks for it (sec. 6.3): (N, m, m)."""
        rows, *shape = self.shapes["outputs"]
        m = int(np.prod(shape))
        unit = np.broadcast_to(np.eye(m, dtype=self.dtype), (rows, m, m)).reshape(rows, *shape, m)
        return self(name, unit).reshape(rows, m, m)

    def checked(self, vectors: ArrayLike, what: str, space: Space) -> tuple[Array, int | None]:
        """Return finite vectors of the engine's dtype, and K if there is an axis of directions."""
        array, many = self.shaped(vectors, what, space)
        self._refuse_if_not_finite(what, array, space)
        return array, many

    def _refuse_if_not_finite(self, what: str, array: Array, space: Space) -> None:
        finite(what, array, self.objective._position if space == "theta" else None)

    def shaped(self, vectors: ArrayLike, what: str, space: Space) -> tuple[Array, int | None]:
        """Return vectors of the engine's dtype, and K if there is an axis of directions."""
        array = real(what, vectors, self.dtype)
        shape = self.shapes[space]
        many: int | None = None
        if array.shape != shape:
            if array.shape[:-1] != shape or array.shape[-1] == 0:
                block = f"({', '.join(map(str, shape))}, K)"
                raise RopValueError(f"{what}: expected shape {shape} or {block}, got {array.shape}")
            many = array.shape[-1]
        return array, many


def gradient(objective: Definition, execution: Execution, name: str = "gradient") -> NDArray[Any]:
    """∇f: (n,), by a product that gives it without the penalty (alg. 1)."""
    result = execution.empty(objective.n)
    penalty, theta = objective.penalty, execution.theta
    plus = (penalty, theta) if isinstance(penalty, float) and penalty else None
    execution.product(name, 1, result[:0], result, plus)
    if not isinstance(penalty, float):
        result += penalty.astype(result.dtype) * theta
    return result


def directions_first(array: Array, many: int | None) -> Array:
    """(N, *shape, K) as flat (N, K, *shape)."""
    if many is None:
        return array.reshape(-1)
    return array.transpose(0, -1, *range(1, array.ndim - 1)).ravel()  # contiguous, unlike a reshape
