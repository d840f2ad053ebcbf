"""Executions in shards, on threads: memory that is planned and used again, programs bound to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import isfinite, prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.engines.arrays import is_finite
from rop.engines.execution import Execution, Refuse
from rop.engines.memory import Layouts, Spares, results
from rop.engines.numba import binding
from rop.engines.numba.tape import collect
from rop.engines.numba.vectors import dot
from rop.engines.parallel import ranges, run_all
from rop.engines.shard import Shard
from rop.errors import RopValueError
from rop.graph import Shape
from rop.ops.kernels import Array
from rop.ops.rules import Value
from rop.programs.catalogue import ALL_PRODUCTS, Programs
from rop.programs.steps import Program

Run: TypeAlias = Callable[[Array, Array], Any]

# So many programs stay bound to one execution, for several numbers of directions.
_RUNS = 64

# Bytes of a batch that is compared with the one before: it is checked once while it stays the same.
_SMALL = 2**15


class ShardedExecution(Execution):
    """Memory for θ and a batch in shards, and programs bound to it; see `Execution`.

    It can be loaded again when nobody needs it any more: then nothing is allocated or bound.
    """

    spare_bytes = 3 * 2**28
    """So much memory may wait for the next linearizations."""

    released = 0

    def __init__(self, programs: Programs, *key: Any) -> None:
        super().__init__(programs, *key)
        # What is kept, and by which program, depends on the purpose.
        plans = f"plans {self._purpose}"
        self._layouts: Layouts = programs.prepared.setdefault(plans, Layouts())
        self._per_case = programs.z.per_case
        self.shards = self._split()
        self.refuse_what_does_not_fit()
        self._runs: dict[tuple[str, int], list[Run]] = {}
        self._parts = np.empty(0, self._dtype)
        self._bytes: int | None = None
        self._done: set[str] = set()
        self._pending: dict[str, list[Run]] = {}
        self._nothing = np.empty(0, self._dtype)
        self._loaded: tuple[Any, ...] = ()

    @classmethod
    def take(cls, programs: Programs, *key: Any) -> Execution:
        """Return an execution that has been released, or a new one."""
        found: Execution | None = cls._spares(programs).take(key)
        return cls(programs, *key) if found is None else found

    def release(self) -> None:
        """Keep the execution for the next batch of its size."""
        self._spares(self._programs).keep(self)

    @staticmethod
    def _spares(programs: Programs) -> Spares:
        found: Spares | None = programs.prepared.get("executions")
        return programs.prepared.setdefault("executions", Spares()) if found is None else found

    @property
    def nbytes(self) -> int:
        """Bytes of all that the execution holds."""
        if self._bytes is None:
            self._bytes = sum(self.memory.values())
        return self._bytes

    def load(
        self,
        theta: Array,
        batch: Mapping[str, NDArray[Any]],
        refuse: Refuse,
        program: Program | None = None,
    ) -> None:
        """Copy a θ (n,) and a batch into the shards, and run a first program on them.

        What was computed before is void. Each shard shows its part of the batch, which it has just
        read, to `refuse`, which raises RopValueError where something is wrong with it.
        """
        self._done.clear()
        self._pending.clear()
        self.theta[...] = theta
        if program is not None:
            self.stage(program)
        small = sum([array.nbytes for array in batch.values()]) <= _SMALL
        bits = tuple([array.tobytes() for array in batch.values()]) if small else ()
        if small and bits == self._loaded:
            if self._pending:
                self._together(self._run_stages)
            return
        self._loaded = ()

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
        self._loaded = bits

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
        for runs in self._pending.values():
            runs[i](self._nothing, self._nothing)

    def _together(self, work: Callable[[int], Any]) -> None:
        """Do a work that includes the pending stages on all shards i; what fails stays pending."""
        if len(self.shards) == 1:
            work(0)
        else:
            run_all([partial(work, i) for i in range(len(self.shards))])
        self._pending.clear()

    def values(self, value: Value) -> NDArray[Any]:
        """What a program has kept, or what was given: (N, *shape) or (1, *shape)."""
        with self.lock:
            if self._pending:
                self._together(self._run_stages)
        arrays = [shard.array(value) for shard in self.shards]
        several = value.per_case and len(arrays) > 1
        return np.concatenate(arrays) if several else arrays[0].copy()

    def give(self, buffer: str, array: Array) -> None:
        """Hand the shards their cases of an array that programs read from a named place."""
        for shard in self.shards:
            rows = array[shard.rows] if len(array) == self.cases else array
            place = shard.buffers.setdefault(buffer, np.empty(rows.size, self._dtype))
            place[...] = rows.reshape(-1)

    def product(
        self,
        name: str,
        K: int,
        given: Array,
        output: Array,
        plus: tuple[float, Array] | None = None,
    ) -> bool:
        """Run a product on all shards, each on its own part of what has a case axis."""
        with self.lock:
            runs = self._runs.get((name, K))
            if runs is None:
                runs = self._runs[name, K] = self._bound(self._programs.product(name), K)
            if len(runs) == 1:
                if self._pending:
                    self._together(self._run_stages)
                if not is_finite(given):
                    return False
                runs[0](given, output)
                if plus is not None:
                    output += output.dtype.type(plus[0]) * plus[1]
                return True
            _, domain, codomain = ALL_PRODUCTS[name]
            parts = self._parts_of(len(output)) if codomain == "theta" else None
            finite = [True] * len(runs)

            def work(i: int) -> None:
                self._run_stages(i)
                if domain == "outputs":
                    mine = to_check = self._cut(given, self.shards[i])
                else:
                    # All shards need all of it; each looks at its share.
                    mine, to_check = given, given[ranges(len(given), len(runs))[i]]
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

    def empty(self, shape: int | Shape) -> NDArray[Any]:
        """Return an array for a result in memory that waits to be used again."""
        return results.empty(shape, self._dtype)

    def temporaries(self, name: str) -> int:
        """Elements of the temporaries of a product with one direction."""
        program = self._programs.product(name)
        work = sum(self._layouts(program, shard.cases).work for shard in self.shards)
        return work + self._programs.size * len(self.shards)

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of "theta", "batch", what is "cached" for the products, and "work" space."""
        kinds = {
            "forward": "cached",
            "algorithm 1 with f": "cached",
            "loss value": "cached",
            "loss gradient": "cached",
            "loss curvature": "cached",
            "adjoints": "cached",
            "convex": "cached",
            "theta": "theta",
            "work": "work",
        }
        sizes = {"theta": 0, "batch": 0, "cached": 0, "work": self._parts.nbytes}
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
        program, product = self._programs.forward, self._programs.product("ggnvp")
        for shard in self.shards:
            kept += self._layouts(program, shard.cases).kept
            work += self._layouts(product, shard.cases).work + self._programs.size
        size = self._dtype.itemsize
        return {"cached": kept * size, "work": work * size}

    def _split(self) -> list[Shard]:
        """Split the batch as the engine wants it, with buffers for what the shards are given."""
        cases, programs = self.cases, self._programs
        count = binding.shards(cases, cases * programs.flops) if self._per_case else 1
        edges = np.linspace(0, cases, count + 1).astype(int).tolist()
        fixed = self._fixed() | {"theta": np.empty(programs.size, self._dtype)}
        shards = []
        for start, stop in zip(edges, edges[1:], strict=False):
            shard = Shard(stop - start, slice(start, stop), self._dtype)
            shard.buffers |= fixed
            for name, shape in programs.data_shapes.items():
                shard.buffers[f"data {name}"] = np.empty((stop - start) * prod(shape), self._dtype)
            shards.append(shard)
        return shards

    def _bound(self, program: Program, K: int) -> list[Run]:
        runs, before = [], [shard.buffers.get("work") for shard in self.shards]
        for shard in self.shards:
            layout = self._layouts(program, shard.cases, K)
            shard.prepare(program, layout)
            runs.append(binding.bind(program, layout, shard, K))
        moved = any(a is not s.buffers["work"] for a, s in zip(before, self.shards, strict=True))
        if moved or len(self._runs) >= _RUNS:
            # Each holds on to the work space that it was bound to: the old one goes with them.
            self._runs.clear()
        self._bytes = None
        return runs

    def _cut(self, flat: Array, shard: Shard) -> Array:
        per_case = len(flat) // self.cases
        return flat[shard.rows.start * per_case : shard.rows.stop * per_case]

    def _parts_of(self, size: int) -> Array:
        """Room for the other shards' parts of a result."""
        needed = (len(self.shards) - 1) * size
        if len(self._parts) < needed:
            self._parts, self._bytes = np.empty(needed, self._dtype), None
        return self._parts[:needed].reshape(-1, size)


def _collect(output: Array, parts: Array, plus: tuple[float, Array] | None) -> None:
    """Add the other shards' parts to the first's, in a fixed order, each thread its own range."""
    factor, vector = (0.0, output) if plus is None else plus
    run_all(
        [
            partial(collect, output[at], parts[:, at], output.dtype.type(factor), vector[at])
            for at in ranges(len(output), len(parts) + 1)
        ]
    )
