"""Linearization: all products with J, L'', G and H at one θ and batch, from cached activations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.arrays import finite, real
from rop.engines.memory import Shard, refuse_if_too_large
from rop.engines.parallel import run_all
from rop.errors import RopValueError
from rop.ops.kernels import Array
from rop.program import Program, Value

if TYPE_CHECKING:
    from rop.objective import Objective
    from rop.operators import CurvatureOperator

# So much room for temporaries decides how many directions run at once.
_DIRECTIONS_BYTES = 2**27

Space = Literal["theta", "outputs"]


class Linearization:
    """F, its Jacobian J and the curvature of f at one θ and one batch of N cases.

    Made by `Objective.linearize`. Vectors of θ's space have the shape (n,), vectors of the outputs'
    space (N, *output shape); each product also takes K directions at once along a new last axis.

    Attributes
    ----------
    objective : Objective
        The objective.
    theta : ndarray, (n,)
        The parameters, read-only.
    batch : dict of str to ndarray
        The batch.
    cases : int
        N.
    engine : str
        Name of the engine.
    dtype : dtype
        float32 or float64.
    """

    def __init__(
        self,
        objective: Objective,
        theta: Array,
        batch: Mapping[str, NDArray[Any]],
        cases: int,
        engine: str,
    ) -> None:
        self.objective, self.theta, self.batch = objective, theta, dict(batch)
        self.cases, self.engine, self.dtype = cases, engine, theta.dtype
        self.n: int = objective.n
        theta.flags.writeable = False
        self._engine = engine_named(engine)
        self._algorithms = objective.algorithms
        self._shards = make_shards(objective, theta, batch, cases, self._engine)
        rows = cases if objective.z.per_case else 1
        self._output_shape = (rows, *objective.output_shape)
        self._runs: dict[tuple[str, int], list[Callable[[Array, Array], Any]]] = {}
        self._parts: dict[int, Array] = {}
        self._done: set[str] = set()
        self._lock = threading.RLock()
        self._refuse_what_does_not_fit()
        self._stage(self._algorithms.forward)

    def __repr__(self) -> str:
        return (
            f"<Linearization of {self.objective!r} at {self.cases} cases, {self.dtype}, engine "
            f"{self.engine}>"
        )

    @property
    def outputs(self) -> NDArray[Any]:
        """F(θ): (N, *output shape)."""
        return self._kept(self._algorithms.a[self.objective.z])

    @property
    def value(self) -> float:
        """f(θ), penalty included."""
        self._stage(self._algorithms.loss_value)
        loss = self._algorithms.values["loss"]
        return _mean(self.objective, self.theta, [s.array(loss) for s in self._shards], self.cases)

    def gradient(self) -> NDArray[Any]:
        """∇f: (n,), by algorithm 1."""
        self._stage(self._algorithms.loss_gradient)
        return self._to_theta("gradient", np.empty(0, self.dtype), 1, "theta", self.theta)

    def jvp(self, v: ArrayLike) -> NDArray[Any]:
        """J v, by R-forward mode (sec. 5); no 1/N.

        Parameters
        ----------
        v : array_like, (n,) or (n, K)
            Directions.

        Returns
        -------
        ndarray, (N, *output shape) or (N, *output shape, K)

        Raises
        ------
        RopTypeError, RopValueError
            If v does not fit, or is not finite.
        """
        return self._product("jvp", v, "v", "theta", "outputs")

    def vjp(self, u: ArrayLike) -> NDArray[Any]:
        """Jᵀ u, by reverse mode, summed over the cases.

        Parameters
        ----------
        u : array_like, (N, *output shape) or (N, *output shape, K)
            Vectors of the outputs' space.

        Returns
        -------
        ndarray, (n,) or (n, K)

        Raises
        ------
        RopTypeError, RopValueError
            If u does not fit, or is not finite.
        """
        return self._product("vjp", u, "u", "outputs", "theta")

    def loss_gradient(self) -> NDArray[Any]:
        """∇L: (N, *output shape), with the 1/N of the mean (table 2, erratum M29)."""
        self._stage(self._algorithms.loss_gradient)
        return self._kept(self._algorithms.values["loss gradient"])

    def loss_hvp(self, w: ArrayLike) -> NDArray[Any]:
        """L'' w, with the 1/N of the mean (table 2).

        Parameters
        ----------
        w : array_like, (N, *output shape) or (N, *output shape, K)
            Vectors of the outputs' space.

        Returns
        -------
        ndarray, of w's shape

        Raises
        ------
        RopTypeError, RopValueError
            If w does not fit, or is not finite.
        """
        self._stage(self._algorithms.loss_gradient)
        return self._product("loss_hvp", w, "w", "outputs", "outputs")

    def ggnvp(self, v: ArrayLike) -> NDArray[Any]:
        """G v = Jᵀ L'' J v + l2 v, by algorithm 5 (errata M27, M28).

        Parameters
        ----------
        v : array_like, (n,) or (n, K)
            Directions.

        Returns
        -------
        ndarray, of v's shape

        Raises
        ------
        RopTypeError, RopValueError
            If v does not fit, or is not finite.
        """
        self._stage(self._algorithms.loss_gradient)
        return self._product("ggnvp", v, "v", "theta", "theta", penalty=True)

    def hvp(self, v: ArrayLike) -> NDArray[Any]:
        """H v, the exact Hessian product, by algorithm 4 (errata M21, M22).

        Parameters
        ----------
        v : array_like, (n,) or (n, K)
            Directions.

        Returns
        -------
        ndarray, of v's shape

        Raises
        ------
        RopTypeError, RopValueError
            If v does not fit, or is not finite.
        """
        self._stage(self._algorithms.loss_gradient)
        self._stage(self._algorithms.adjoints)
        return self._product("hvp", v, "v", "theta", "theta", penalty=True)

    @property
    def G(self) -> CurvatureOperator:
        """The Gauss-Newton matrix as a SciPy LinearOperator, (n, n), with ``matrix()``."""
        from rop.operators import gauss_newton

        return gauss_newton(self)

    @property
    def H(self) -> CurvatureOperator:
        """The Hessian as a SciPy LinearOperator, (n, n), with ``matrix()``."""
        from rop.operators import hessian

        return hessian(self)

    @property
    def J(self) -> CurvatureOperator:
        """The Jacobian as a SciPy LinearOperator, (N·m, n), with ``matrix()``."""
        from rop.operators import jacobian

        return jacobian(self)

    def per_case_gradients(self) -> NDArray[Any]:
        """∇f_i of every case's own loss, without 1/N and penalty.

        Returns
        -------
        ndarray, (N, n)
            Their mean, plus l2 θ, is the gradient.
        """
        return self.rows(self.cases * self.loss_gradient()[..., None])[:, 0]

    def diagonal(self, method: str = "exact", seed: int | np.random.Generator = 0) -> NDArray[Any]:
        """Diagonal of G, or an estimate of it, l2 included (sec. 11.2-11.4).

        Parameters
        ----------
        method : {"exact", "chapelle-erhan", "empirical-fisher"}
            One reverse sweep for each output; one reverse sweep with random signs, whose mean is
            exact (alg. 7); or the mean over cases of the squared per-case gradients (alg. 6,
            erratum M59), which estimates another matrix.
        seed : int or Generator
            Of the random signs.

        Returns
        -------
        ndarray, (n,)

        Raises
        ------
        RopValueError
            If there is no such method, or the loss has no PSD L'' to take the root of.
        """
        from rop import diagonals

        return diagonals.diagonal(self, method, seed)

    @property
    def memory(self) -> dict[str, int]:
        """Bytes: "theta", "batch", "cached" (kept for the products), "work" (temporaries)."""
        cached = {"forward", "loss value", "loss gradient", "adjoints", "convex"}
        sizes = {
            "theta": self.theta.nbytes,
            "batch": sum(array.nbytes for array in self.batch.values()),
            "cached": 0,
            "work": sum(part.nbytes for part in self._parts.values()),
        }
        for shard in self._shards:
            for name, buffer in shard.buffers.items():
                if name in cached:
                    sizes["cached"] += buffer.nbytes
                elif name == "work":
                    sizes["work"] += buffer.nbytes
        return sizes

    def rows(self, u: ArrayLike) -> NDArray[Any]:
        """J_iᵀ u_i for every case i apart, not summed over the cases.

        Parameters
        ----------
        u : array_like, (N, *output shape, K)
            Vectors of the outputs' space.

        Returns
        -------
        ndarray, (N, K, n)
        """
        array, many = self._checked(u, "u", "outputs")
        K = many or 1
        result = np.empty((self._output_shape[0], K, self.n), self.dtype)
        flat = self._directions_first(array, many)
        self._run("rows", K, flat, result.reshape(-1), "outputs", "rows")
        return result

    def squares(self, u: ArrayLike) -> NDArray[Any]:
        """Sum over cases i and directions of the squared elements of J_iᵀ u_i (alg. 6 and 7).

        Parameters
        ----------
        u : array_like, (N, *output shape, K)
            Vectors of the outputs' space.

        Returns
        -------
        ndarray, (n,)
        """
        array, many = self._checked(u, "u", "outputs")
        total = np.zeros(self.n, self.dtype)
        for start, stop in self._chunks("squares", many or 1):
            part = array[..., start:stop] if many else array
            flat = self._directions_first(part, stop - start if many else None)
            total += self._to_theta("squares", flat, stop - start, "outputs", None)
        return total

    def _product(
        self,
        name: str,
        vectors: ArrayLike,
        what: str,
        source: Space,
        result: Space,
        penalty: bool = False,
    ) -> NDArray[Any]:
        array, many = self._checked(vectors, what, source)
        if many is None:
            flat = array.reshape(-1)
            if result == "theta":
                return self._to_theta(name, flat, 1, source, flat if penalty else None)
            output = np.empty(self._output_shape, self.dtype)
            self._run(name, 1, flat, output.reshape(-1), source, result)
            return output
        shape = (self.n,) if result == "theta" else self._output_shape
        output = np.empty((*shape, many), self.dtype)
        for start, stop in self._chunks(name, many):
            self._block(name, array[..., start:stop], output[..., start:stop], source, result)
        if penalty and self.objective.l2:
            output += self.dtype.type(self.objective.l2) * array
        return output

    def _block(self, name: str, block: Array, output: Array, source: Space, result: Space) -> None:
        """K directions in one sweep. Blocks of θ go parameter by parameter, as (K, size)."""
        K = block.shape[-1]
        if source == "theta":
            flat = np.concatenate([block[s].T.ravel() for s in self.objective.slices.values()])
        else:
            flat = self._directions_first(block, K)
        if result == "outputs":
            out = np.empty((len(output), K, *output.shape[1:-1]), self.dtype)
            self._run(name, K, flat, out.reshape(-1), source, result)
            output[...] = np.moveaxis(out, 1, -1)
            return
        total = self._to_theta(name, flat, K, source, None)
        for where in self.objective.slices.values():
            part = total[where.start * K : where.stop * K]
            output[where] = part.reshape(K, -1).T

    def _to_theta(
        self, name: str, flat: Array, K: int, source: Space, penalised: Array | None
    ) -> NDArray[Any]:
        """Run a product whose result is of θ's space: the shards' parts are summed up."""
        size = self.n if name == "squares" else self.n * K
        l2 = self.objective.l2
        with self._lock:
            output = np.empty(size, self.dtype)
            parts = self._parts_of(size)
            self._run(name, K, flat, output, source, "theta", parts)
            if len(parts):
                self._collect(output, parts, penalised)
            elif l2 and penalised is not None:
                output += self.dtype.type(l2) * penalised
        return output

    def _parts_of(self, size: int) -> Array:
        parts = self._parts.get(size)
        if parts is None:
            parts = self._parts[size] = np.empty((len(self._shards) - 1, size), self.dtype)
        return parts

    def _collect(self, output: Array, parts: Array, penalised: Array | None) -> None:
        from rop.engines.tape import collect

        l2 = self.dtype.type(self.objective.l2 if penalised is not None else 0.0)
        v = output if penalised is None else penalised
        edges = np.linspace(0, len(output), len(parts) + 2).astype(int).tolist()
        run_all(
            [
                partial(collect, output[a:b], parts[:, a:b], l2, v[a:b])
                for a, b in zip(edges, edges[1:], strict=False)
            ]
        )

    def _run(
        self,
        name: str,
        K: int,
        flat: Array,
        output: Array,
        source: Space,
        result: str,
        parts: Array | None = None,
    ) -> None:
        """Run a product on all shards, each on its own part of what has a case axis."""
        with self._lock:
            runs = self._runs.get((name, K)) or self._bind(name, K)
            if len(runs) == 1:
                runs[0](flat, output)
                return
            per_case_in = len(flat) // self.cases if source == "outputs" else 0
            per_case_out = len(output) // self.cases
            tasks = []
            for i, (shard, run) in enumerate(zip(self._shards, runs, strict=True)):
                given, made = flat, output
                if per_case_in:
                    given = flat[shard.rows.start * per_case_in : shard.rows.stop * per_case_in]
                if result != "theta":
                    made = output[shard.rows.start * per_case_out : shard.rows.stop * per_case_out]
                elif i and parts is not None:
                    made = parts[i - 1]
                tasks.append(partial(run, given, made))
            run_all(tasks)

    def _bind(self, name: str, K: int) -> list[Callable[[Array, Array], Any]]:
        if name == "ggnvp" or name == "loss_hvp":
            self._convexify()
        program = self._algorithms.product(name)
        runs = []
        for shard in self._shards:
            layout = self.objective.layouts(program, shard.cases, K)
            shard.prepare(program, layout)
            runs.append(self._engine.bind(program, layout, shard, K))
        self._runs[name, K] = runs
        return runs

    def _stage(self, program: Program) -> None:
        """Run a program that belongs to θ and the batch, unless that is done."""
        if program.name in self._done:
            return
        with self._lock:
            tasks = []
            for shard in self._shards:
                layout = self.objective.layouts(program, shard.cases)
                shard.prepare(program, layout)
                run = self._engine.bind(program, layout, shard)
                nothing = np.empty(0, self.dtype)
                tasks.append(partial(run, nothing, nothing))
            with np.errstate(all="ignore"):
                run_all(tasks)
            self._done.add(program.name)

    def _convexify(self) -> None:
        """Make L'' positive semidefinite, case by case, where the loss asks for it (sec. 6.3)."""
        if not self._algorithms.convex() or "convex" in self._done:
            return
        self._done.add("convex")
        L2 = self.loss_hessians("raw_loss_hvp")
        values, vectors = np.linalg.eigh(L2)
        if getattr(self.objective.loss, "convexify", None) == "shift":
            shift = np.maximum(0.0, -values[:, :1])
            L2 = L2 + shift[..., None] * np.eye(L2.shape[-1])
        else:
            L2 = (vectors * np.maximum(values, 0.0)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
        for shard in self._shards:
            rows = shard.rows if self.objective.z.per_case else slice(0, 1)
            shard.buffers["convex"] = np.ascontiguousarray(L2[rows], self.dtype).reshape(-1)

    def loss_hessians(self, name: str = "loss_hvp") -> NDArray[Any]:
        """L'' of each case as a matrix, with 1/N.

        Parameters
        ----------
        name : str
            The product to take it from.

        Returns
        -------
        ndarray, (N, m, m)
        """
        rows, *shape = self._output_shape
        m = int(np.prod(shape))
        unit = np.broadcast_to(np.eye(m, dtype=self.dtype), (rows, m, m)).reshape(rows, *shape, m)
        self._stage(self._algorithms.loss_gradient)
        return self._product(name, unit, "w", "outputs", "outputs").reshape(rows, m, m)

    def _checked(self, vectors: ArrayLike, what: str, space: Space) -> tuple[Array, int | None]:
        """Return vectors of the engine's dtype, and K if there is an axis of directions."""
        array = real(what, vectors, self.dtype)
        shape = (self.n,) if space == "theta" else self._output_shape
        many: int | None = None
        if array.shape != shape:
            if array.shape[:-1] != shape or array.shape[-1] == 0:
                raise RopValueError(
                    f"{what}: expected shape {shape} or {(*shape, 'K')}, got {array.shape}"
                )
            many = array.shape[-1]
        finite(what, array, self.objective.position if space == "theta" else None)
        return array, many

    def _directions_first(self, array: Array, many: int | None) -> Array:
        """(N, *shape, K) as flat (N, K, *shape)."""
        if many is None:
            return array.reshape(-1)
        return np.ascontiguousarray(np.moveaxis(array, -1, 1)).reshape(-1)

    def _chunks(self, name: str, many: int) -> list[tuple[int, int]]:
        """Ranges of directions that run at once, so that temporaries stay within bounds."""
        program = self._algorithms.product(name)
        one = sum(self.objective.layouts(program, s.cases).work for s in self._shards)
        one += self.n * len(self._shards)
        at_once = max(1, min(many, _DIRECTIONS_BYTES // (one * self.dtype.itemsize)))
        return [(start, min(start + at_once, many)) for start in range(0, many, at_once)]

    def loss_weight(self) -> NDArray[Any]:
        """Weights of the loss: (N or 1, *weight shape); ones where the loss has none."""
        weight = getattr(self.objective.loss, "weight", None)
        if weight is None:
            return np.ones(1, self.dtype)
        return self._kept(self._algorithms.a[weight])

    def _kept(self, value: Value) -> NDArray[Any]:
        arrays = [shard.array(value) for shard in self._shards]
        return np.concatenate(arrays) if value.per_case else arrays[0].copy()

    def _refuse_what_does_not_fit(self) -> None:
        kept = work = 0
        program, product = self._algorithms.forward, self._algorithms.product("ggnvp")
        for shard in self._shards:
            kept += self.objective.layouts(program, shard.cases).kept
            work += self.objective.layouts(product, shard.cases).work + self.n
        size = self.dtype.itemsize
        refuse_if_too_large(
            {"cached activations": kept * size, "temporaries": work * size},
            f"linearize with {self.cases} cases",
            "use fewer cases at a time, or float32",
        )


def evaluate(
    objective: Objective,
    theta: Array,
    batch: Mapping[str, NDArray[Any]],
    cases: int,
    engine: str,
) -> float:
    """f(θ) by a forward sweep that keeps nothing; see `Objective.value`."""
    module = engine_named(engine)
    algorithms = objective.algorithms
    program = algorithms.value_program
    shards = make_shards(objective, theta, batch, cases, module)
    nothing = np.empty(0, theta.dtype)
    tasks = []
    for shard in shards:
        layout = objective.layouts(program, shard.cases)
        shard.prepare(program, layout)
        tasks.append(partial(module.bind(program, layout, shard), nothing, nothing))
    with np.errstate(all="ignore"):
        run_all(tasks)
    losses = [shard.array(algorithms.values["loss"]) for shard in shards]
    return _mean(objective, theta, losses, cases)


def engine_named(name: str) -> ModuleType:
    """Import an engine.

    Parameters
    ----------
    name : str
        "numba" or "numpy".

    Returns
    -------
    module
        With the functions `shards` and `bind`.

    Raises
    ------
    RopValueError
        If there is no such engine.
    """
    if name == "numba":
        from rop.engines import numba

        return numba
    if name == "numpy":
        from rop.engines import numpy

        return numpy
    raise RopValueError(f"engine: expected 'numba' or 'numpy', got {name!r}")


def make_shards(
    objective: Objective,
    theta: Array,
    batch: Mapping[str, NDArray[Any]],
    cases: int,
    engine: ModuleType,
) -> list[Shard]:
    """Split a batch into the shards that the engine wants, with buffers for what they are given."""
    algorithms = objective.algorithms
    count = engine.shards(cases, cases * algorithms.flops) if objective.z.per_case else 1
    edges = np.linspace(0, cases, count + 1).astype(int).tolist()
    shards = []
    constants = algorithms.constants.astype(theta.dtype)
    for start, stop in zip(edges, edges[1:], strict=False):
        shard = Shard(stop - start, slice(start, stop), theta.dtype)
        shard.buffers["theta"] = theta
        shard.buffers["constants"] = constants
        shard.buffers["cases"] = np.full(1, 1.0 / cases, theta.dtype)
        for name, array in batch.items():
            shard.buffers[f"data {name}"] = array[start:stop].reshape(-1)
        shards.append(shard)
    return shards


def _mean(objective: Objective, theta: Array, losses: list[Array], cases: int) -> float:
    total = sum(float(loss.sum(dtype=np.float64)) for loss in losses)
    penalty = 0.5 * objective.l2 * float(np.dot(theta, theta)) if objective.l2 else 0.0
    return total / cases + penalty
