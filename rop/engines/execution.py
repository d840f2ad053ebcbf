"""Running an objective's programs at one θ and batch: shards, stages, and sums over the shards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from math import isfinite, prod
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.engines.arrays import is_finite
from rop.engines.memory import Shard, refuse_if_too_large
from rop.engines.threads import renew_after_fork, run_all, stretches
from rop.errors import RopValueError
from rop.ops.kernels import Array
from rop.ops.rules import Value
from rop.programs.steps import Program

if TYPE_CHECKING:
    from rop.objective.objective import Objective

Space = Literal["theta", "outputs"]
Purpose = Literal["value", "products"]
Checkpoints: TypeAlias = int | Literal["sqrt"]
Run: TypeAlias = Callable[[Array, Array], Any]
Refuse: TypeAlias = Callable[[Mapping[str, NDArray[Any]]], None]

# So much room for temporaries decides how many directions run at once.
_DIRECTIONS_BYTES = 2**27


class Execution:
    """Memory for θ and a batch in shards, and the programs that have been bound to it.

    `load` copies a θ and a batch into it. It can be loaded again when they are no longer needed:
    then nothing has to be allocated or bound.

    Parameters
    ----------
    objective : Objective
        The objective.
    cases : int
        N.
    engine : str
        Name of the engine.
    dtype : dtype
        float32 or float64.
    purpose : {"value", "products"}
        Whether activations are kept.
    checkpoints : int or "sqrt"
        Number of segments of the forward sweep of which only the ends are kept; 0 keeps all.
    """

    spare_bytes = 2**28
    """So much memory may wait for the next linearization."""

    def __init__(
        self,
        objective: Objective,
        cases: int,
        engine: str,
        dtype: np.dtype[Any],
        purpose: Purpose,
        checkpoints: Checkpoints = 0,
    ) -> None:
        self._engine = engine_named(engine)
        self._algorithms, self._layouts = objective.with_checkpoints(checkpoints)
        self.cases, self._dtype = cases, dtype
        self._per_case = objective.z.per_case
        self.key = (cases, engine, dtype, purpose, checkpoints)
        self.shards = self._split(objective)
        if purpose == "products":
            self._refuse_what_does_not_fit()
        self.lock = threading.RLock()
        renew_after_fork(self, "lock")
        self._runs: dict[tuple[str, int], list[Run]] = {}
        self._parts: dict[int, Array] = {}
        self._done: set[str] = set()
        self._pending: dict[str, list[Run]] = {}

    def load(
        self,
        theta: Array,
        batch: Mapping[str, NDArray[Any]],
        program: Program,
        refuse: Refuse,
    ) -> None:
        """Copy a θ (n,) and a batch into the shards, and run the first program on them.

        What was computed before is void. Each shard shows its part of the batch, which it has just
        read, to `refuse`, which raises RopValueError where something is wrong with it.
        """
        self._done.clear()
        self._pending.clear()
        self.theta[...] = theta
        self.stage(program)

        def load(i: int) -> None:
            shard = self.shards[i]
            mine = {name: array[shard.rows] for name, array in batch.items()}
            for name, array in mine.items():
                shard.buffers[f"data {name}"][...] = array.reshape(-1)
            refuse(mine)
            self._run_stages(i)

        try:
            self._together(load)
        except RopValueError:
            refuse(batch)  # its message tells positions in the whole batch
            raise

    @property
    def theta(self) -> Array:
        """θ as the programs see it."""
        return self.shards[0].buffers["theta"]

    def stage(self, program: Program) -> None:
        """Have a program that belongs to θ and the batch run before what follows, if it has not."""
        with self.lock:
            if program.name in self._done:
                return
            runs = self._runs.get((program.name, 1))
            if runs is None:
                runs = self._runs[program.name, 1] = self._bound(program, 1)
            self._pending[program.name] = runs
            self._done.add(program.name)

    def _run_stages(self, i: int) -> None:
        """Run on shard i what is pending."""
        nothing = np.empty(0, self._dtype)
        # On the present thread: overflow shows in the values, not as a warning.
        with np.errstate(all="ignore"):
            for runs in self._pending.values():
                runs[i](nothing, nothing)

    def _together(self, work: Callable[[int], Any]) -> None:
        """Do a work that includes the pending stages on all shards i; what fails stays pending."""
        run_all([partial(work, i) for i in range(len(self.shards))])
        self._pending.clear()

    def values(self, value: Value) -> NDArray[Any]:
        """What a stage has kept, or what was given: (N, *shape) or (1, *shape)."""
        with self.lock:
            if self._pending:
                self._together(self._run_stages)
        arrays = [shard.array(value) for shard in self.shards]
        return np.concatenate(arrays) if value.per_case else arrays[0].copy()

    def losses(self) -> NDArray[Any]:
        """The loss of each case: (N,), or (1,) where it does not depend on data."""
        return self.values(self._algorithms.values["loss"])

    def give(self, buffer: str, array: Array) -> None:
        """Hand the shards their cases of an array that programs read from a named place."""
        for shard in self.shards:
            rows = array[shard.rows] if self._per_case else array
            place = shard.buffers.setdefault(buffer, np.empty(rows.size, self._dtype))
            place[...] = rows.reshape(-1)

    def set_strength(self, mu: float) -> None:
        """Set μ of structural damping for the next products."""
        for shard in self.shards:
            shard.buffers["strength"][0] = mu / self.cases

    def product(
        self,
        name: str,
        K: int,
        given: Array,
        output: Array,
        source: Space,
        result: Space,
        plus: tuple[float, Array] | None = None,
    ) -> bool:
        """Run a product on all shards, each on its own part of what has a case axis.

        Parameters
        ----------
        name : str
            The product, as `Algorithms.product` knows it.
        K : int
            Number of directions.
        given, output : ndarray, 1-D
            The vectors, with the axis of directions behind that of cases; blocks of θ one
            parameter after the other.
        source, result : {"theta", "outputs"}
            The spaces of the two; what is of θ's space is summed over the shards.
        plus : (float, ndarray), optional
            A multiple of a vector that is added to the result.

        Returns
        -------
        bool
            Whether the given vectors are finite; if not, the output is void.
        """
        with self.lock:
            runs = self._runs.get((name, K))
            if runs is None:
                runs = self._runs[name, K] = self._bound(self._algorithms.product(name), K)
            if len(runs) == 1:
                if self._pending:
                    self._together(self._run_stages)
                if not is_finite(given):
                    return False
                runs[0](given, output)
                if plus is not None:
                    output += output.dtype.type(plus[0]) * plus[1]
                return True
            from rop.engines.numba.vectors import dot

            parts = self._parts_of(len(output)) if result == "theta" else None
            finite = [True] * len(runs)

            def work(i: int) -> None:
                self._run_stages(i)
                if source == "outputs":
                    mine = to_check = self._cut(given, self.shards[i])
                else:
                    # All shards need all of it; each looks at its share.
                    mine, to_check = given, given[stretches(len(given), len(runs))[i]]
                finite[i] = isfinite(dot(to_check, to_check)) or is_finite(to_check)
                if not finite[i]:
                    return
                if parts is None:
                    made = self._cut(output, self.shards[i])
                else:
                    made = parts[i - 1] if i else output
                runs[i](mine, made)

            self._together(work)
            if all(finite) and parts is not None:
                _collect(output, parts, plus)
            return all(finite)

    def chunks(self, name: str, many: int) -> list[tuple[int, int]]:
        """Ranges of directions that run at once, so that temporaries stay within bounds."""
        program = self._algorithms.product(name)
        one = sum(self._layouts(program, shard.cases).work for shard in self.shards)
        one += self._algorithms.size * len(self.shards)
        at_once = max(1, min(many, _DIRECTIONS_BYTES // (one * self._dtype.itemsize)))
        return [(start, min(start + at_once, many)) for start in range(0, many, at_once)]

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of "theta", "batch", what is "cached" for the products, and "work" space."""
        kinds = {
            "forward": "cached",
            "loss value": "cached",
            "loss gradient": "cached",
            "loss curvature": "cached",
            "adjoints": "cached",
            "convex": "cached",
            "theta": "theta",
            "work": "work",
        }
        parts = sum(part.nbytes for part in self._parts.values())
        sizes = {"theta": 0, "batch": 0, "cached": 0, "work": parts}
        seen: set[int] = set()
        for shard in self.shards:
            for name, buffer in shard.buffers.items():
                kind = "batch" if name.startswith("data ") else kinds.get(name)
                if kind is not None and id(buffer) not in seen:
                    seen.add(id(buffer))
                    sizes[kind] += buffer.nbytes
        return sizes

    def predicted(self) -> dict[str, int]:
        """Bytes that will be "cached" for the products, and "work" space, by the memory plans."""
        kept = work = 0
        program, product = self._algorithms.forward, self._algorithms.product("ggnvp")
        for shard in self.shards:
            kept += self._layouts(program, shard.cases).kept
            work += self._layouts(product, shard.cases).work + self._algorithms.size
        size = self._dtype.itemsize
        return {"cached": kept * size, "work": work * size}

    def _refuse_what_does_not_fit(self) -> None:
        """Raise RopMemoryError if the cached values and a product's temporaries do not fit."""
        predicted = self.predicted()
        refuse_if_too_large(
            {"cached activations": predicted["cached"], "temporaries": predicted["work"]},
            f"linearize with {self.cases} cases",
            "use fewer cases at a time, checkpoints='sqrt', or float32",
        )

    def _split(self, objective: Objective) -> list[Shard]:
        """Split the batch as the engine wants it, with buffers for what the shards are given."""
        cases, algorithms = self.cases, self._algorithms
        count = self._engine.shards(cases, cases * algorithms.flops) if self._per_case else 1
        edges = np.linspace(0, cases, count + 1).astype(int).tolist()
        fixed = self._fixed() | {"theta": np.empty(objective.n, self._dtype)}
        shards = []
        for start, stop in zip(edges, edges[1:], strict=False):
            shard = Shard(stop - start, slice(start, stop), self._dtype)
            shard.buffers |= fixed
            for name, shape in objective.data_shapes.items():
                shard.buffers[f"data {name}"] = np.empty((stop - start) * prod(shape), self._dtype)
            shards.append(shard)
        return shards

    def _fixed(self) -> dict[str, Array]:
        """What programs read besides θ and data; μ is 0 until it is set."""
        return {
            "constants": self._algorithms.constants.astype(self._dtype),
            "cases": np.full(1, 1.0 / self.cases, self._dtype),
            "strength": np.zeros(1, self._dtype),
        }

    def _bound(self, program: Program, K: int) -> list[Run]:
        runs = []
        for shard in self.shards:
            layout = self._layouts(program, shard.cases, K)
            shard.prepare(program, layout)
            runs.append(self._engine.bind(program, layout, shard, K))
        return runs

    def _cut(self, flat: Array, shard: Shard) -> Array:
        per_case = len(flat) // self.cases
        return flat[shard.rows.start * per_case : shard.rows.stop * per_case]

    def _parts_of(self, size: int) -> Array:
        if size not in self._parts:
            self._parts[size] = np.empty((len(self.shards) - 1, size), self._dtype)
        return self._parts[size]


class Lease:
    """An execution on loan from its objective: it goes back when nobody holds the lease any more.

    Parameters
    ----------
    execution : Execution
        What is lent.
    release : callable
        Takes it back.
    """

    def __init__(self, execution: Execution, release: Callable[[Execution], None]) -> None:
        self.execution = execution
        self._release = release

    def __del__(self) -> None:
        self._release(self.execution)


def _collect(output: Array, parts: Array, plus: tuple[float, Array] | None) -> None:
    """Add the other shards' parts to the first's, in a fixed order, each thread its own stretch."""
    from rop.engines.numba.tape import collect

    factor, vector = (0.0, output) if plus is None else plus
    run_all(
        [
            partial(collect, output[at], parts[:, at], output.dtype.type(factor), vector[at])
            for at in stretches(len(output), len(parts) + 1)
        ]
    )


def engine_named(name: str) -> ModuleType:
    """Import an engine.

    Parameters
    ----------
    name : str
        "numba", "numpy", "cuda" or "cuda-tf32".

    Returns
    -------
    module
        With the functions `shards` and `bind`.

    Raises
    ------
    RopValueError
        If there is no such engine.
    RopError
        If it cannot run on this machine.
    """
    if name in ("cuda", "cuda-tf32"):
        from rop.engines import cuda

        cuda.driver.require()
        return cuda
    if name == "numba":
        from rop.engines.numba import binding as numba

        return numba
    if name == "numpy":
        from rop.engines import numpy

        return numpy
    raise RopValueError(f"engine: expected 'numba', 'numpy' or 'cuda', got {name!r}")


def execution_of(engine: str) -> type[Execution]:
    """Class of the executions of an engine: those of the CUDA engine keep all on the GPU."""
    if engine in ("cuda", "cuda-tf32"):
        from rop.engines.cuda.execution import DeviceExecution

        return DeviceExecution
    return Execution


def mean_loss(execution: Execution, objective: Objective, cases: int) -> float:
    """f(θ) from the losses of the cases, summed in float64, and the penalty."""
    losses, theta = execution.losses(), execution.theta
    total = float(losses.sum(dtype=np.float64))
    penalty = 0.5 * objective.l2 * float(np.dot(theta, theta)) if objective.l2 else 0.0
    return total / cases + penalty
