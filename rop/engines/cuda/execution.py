"""Running an objective's programs on the GPU: a batch that is larger than the card goes in pieces.

A piece is a computational minibatch (sec. 7.1): its data are sent to the GPU, what the products
need is computed again, and what belongs to θ's space is summed over the pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop.engines.arrays import is_finite
from rop.engines.cuda import Bound, bind, driver, vectors
from rop.engines.cuda.cg import ConjugateGradient
from rop.engines.cuda.memory import DeviceShard
from rop.engines.execution import Refuse
from rop.engines.shard import Shard
from rop.engines.sharded import ShardedExecution
from rop.errors import RopMemoryError
from rop.ops.kernels import Array
from rop.ops.rules import Value
from rop.programs.catalogue import ALL_PRODUCTS
from rop.programs.steps import Program

# cuBLAS's workspace, and what the driver takes for kernels and graphs.
_RESERVE = 2**28


class DeviceExecution(ShardedExecution):
    """Memory on the GPU for θ and a batch, or for one piece of it at a time; see `Execution`."""

    spare_bytes = 3 * 2**30  # to bind programs again means to capture graphs again
    shards: list[DeviceShard]  # type: ignore[assignment]

    def load(
        self,
        theta: Array,
        batch: Mapping[str, NDArray[Any]],
        refuse: Refuse,
        program: Program | None = None,
    ) -> None:
        """Send a θ (n,) to the GPU, and a batch if all of it fits; run a first program."""
        refuse(batch)
        with driver.lock:
            self._theta = theta.copy()
            self._done.clear()
            # Pieces are sent again and again, and the caller's arrays may change meanwhile.
            own = len(self._pieces) > 1
            self._given: dict[str, Array] = {
                f"data {name}": array.copy() if own else array for name, array in batch.items()
            }
            self._staged: list[Program] = []
            self._present: int | None = None
            self.shards[0].write("theta", theta)
            self._kept: dict[Value, list[NDArray[Any]]] = {}
            self._enter(0)
            if program is not None:
                self.stage(program)
            # Page-locked arrays are copied behind the caller's back, and may change thereafter.
            driver.synchronize()

    @property
    def theta(self) -> Array:
        """θ, on the host."""
        return self._theta

    def stage(self, program: Program) -> None:
        """Run a program that belongs to θ and the batch, unless that is done."""
        with driver.lock:
            if program.name not in self._done:
                self._done.add(program.name)
                self._staged.append(program)
                self._made(program, 1).start()

    def values(self, value: Value) -> NDArray[Any]:
        """What a program has kept, or what was given: (N, *shape) or (1, *shape)."""
        if value in self._kept:
            return np.concatenate(self._kept[value][: None if value.per_case else 1])
        with driver.lock:
            arrays = []
            for piece in range(len(self._pieces) if value.per_case else 1):
                self._enter(piece)
                arrays.append(self._shard.array(value))
            return np.concatenate(arrays)

    def give(self, buffer: str, array: Array) -> None:
        """Hand over an array that programs read from a named place."""
        with driver.lock:
            self._given[buffer] = array
            self._send(buffer, array)

    def product(
        self,
        name: str,
        K: int,
        given: Any,
        output: Any,
        plus: tuple[float, Any] | None = None,
    ) -> bool:
        """Run a product; vectors are flat arrays of NumPy or on the GPU. See `Execution`."""
        if isinstance(given, np.ndarray) and not is_finite(given):
            return False
        program, (_, domain, codomain) = self._programs.product(name), ALL_PRODUCTS[name]
        with driver.lock:
            self._kept |= {value: [] for value in program.keep}
            for piece in range(len(self._pieces)):
                self._enter(piece)
                run = self._made(program, K)
                driver.upload(run.input, self._cut(given) if domain == "outputs" else given)
                run.start()
                if codomain == "outputs":
                    driver.fetch(self._cut(output), run.output)
                elif len(self._pieces) > 1:
                    self._add(run.output, len(output), first=piece == 0)
                for value in program.keep:
                    self._kept[value].append(self._shard.array(value))
            if codomain == "theta":
                total = self._total if len(self._pieces) > 1 else run.output
                if plus is not None:
                    self._plus(total, *plus, len(output))
                driver.fetch(output, total)
            elif plus is not None:
                raise AssertionError("only θ's space has a penalty")
        return True

    def bound(self, name: str) -> Bound | None:
        """A product that needs no other piece of the batch, to be run on the GPU; else None."""
        if len(self._pieces) > 1:
            return None
        return self._made(self._programs.product(name), 1)

    def conjugate_gradient(self, name: str) -> ConjugateGradient | None:
        """CG with a product; None where the batch goes in pieces, or CG's vectors find no room."""
        with driver.lock:
            bound = self.bound(name)
            if bound is None:
                return None
            if name not in self._solvers:
                n = self._programs.size
                if ConjugateGradient.room(n, self._dtype) > driver.free_memory():
                    return None
                self._solvers[name] = ConjugateGradient(bound, n, self._dtype)
            return self._solvers[name]

    @cached_property
    def _solvers(self) -> dict[str, ConjugateGradient]:
        return {}

    @property
    def memory(self) -> dict[str, int]:
        """Bytes on the GPU by kind; CG's vectors are "work" space."""
        sizes = super().memory
        room = ConjugateGradient.room(self._programs.size, self._dtype)
        return sizes | {"work": sizes["work"] + len(self._solvers) * room}

    @property
    def tf32(self) -> bool:
        """Whether matrix products may round float32 to TF32."""
        return self.engine == "cuda-tf32"

    @property
    def _shard(self) -> DeviceShard:
        """The buffers, as the present piece sees them."""
        assert self._present is not None
        rows = self._pieces[self._present]
        return next(s for s in self.shards if s.cases == rows.stop - rows.start)

    def _enter(self, piece: int) -> None:
        """Send a piece of the batch to the GPU, and compute again what has been staged."""
        if self._present == piece:
            return
        self._present = piece
        for buffer, array in self._given.items():
            self._send(buffer, array)
        for program in self._staged:
            self._made(program, 1).start()

    def _send(self, buffer: str, array: Array) -> None:
        assert self._present is not None
        cut = len(array) == self.cases
        self._shard.write(buffer, array[self._pieces[self._present]] if cut else array)

    def _made(self, program: Program, K: int) -> Bound:
        shard = self._shard
        key = (f"{program.name} {shard.cases}", K)
        found = self._runs.get(key)
        if found is None:
            # All pieces share buffers, which the largest one needs the most room in.
            for one in self.shards:
                one.prepare(program, self._layouts(program, one.cases, K))
            layout = self._layouts(program, shard.cases, K)
            found = self._runs[key] = [bind(program, layout, shard, K, self.tf32)]
            self._bytes = None
        run = found[0]
        assert isinstance(run, Bound)
        return run

    def _add(self, part: Any, size: int, first: bool) -> None:
        if first:
            self.shards[0].room("total", size)
            self._total = self.shards[0].buffers["total"]
            driver.upload(self._total, part[:size])
        else:
            vectors.axpy(1.0, part, self._total, size)

    def _plus(self, total: Any, factor: float, vector: Any, size: int) -> None:
        self.shards[0].room("plus", size)
        added = self.shards[0].buffers["plus"]
        driver.upload(added, vector)
        vectors.axpy(factor, added, total, size)

    def _split(self) -> list[Shard]:
        """Cut the batch into as few pieces as fit into the GPU's free memory."""
        cases, free = self.cases, driver.free_memory()
        pieces = 1
        while (needed := self._needed(-(-cases // pieces))) > free:
            if pieces == cases or not self._per_case:
                raise RopMemoryError(
                    f"engine {self.engine!r}: {needed / 2**20:,.0f} MiB are needed for one "
                    f"piece of the batch, but {free / 2**20:,.0f} MiB of the GPU's memory are "
                    "free; use engine='numba', or float32"
                )
            pieces = min(2 * pieces, cases)
        # The larger pieces come first, and their buffers have room for the smaller ones.
        small, more = divmod(cases, pieces)
        edges = [i * small + min(i, more) for i in range(pieces + 1)]
        self._pieces = [slice(a, b) for a, b in zip(edges, edges[1:], strict=False)]
        sizes = sorted({rows.stop - rows.start for rows in self._pieces}, reverse=True)
        buffers: dict[str, Any] = {}
        shards = [DeviceShard(size, slice(0, size), self._dtype, buffers) for size in sizes]
        largest = shards[0]
        largest.room("theta", self._programs.size)
        for name, array in self._fixed().items():
            largest.write(name, array)
        for name, shape in self._programs.data_shapes.items():
            largest.room(f"data {name}", largest.cases * prod(shape))
        largest.room("work", max(self._work(largest.cases)))
        return list(shards)

    def _needed(self, cases: int) -> int:
        """Bytes for a piece of so many cases."""
        kept = [self._layouts(program, cases).kept for program in self._stages()]
        data = cases * sum(map(prod, self._programs.data_shapes.values()))
        ends = 6 * max(self._programs.size, cases * self._programs.z.size)
        elements = data + sum(kept) + max(self._work(cases)) + ends
        return elements * self._dtype.itemsize + _RESERVE

    def _work(self, cases: int) -> list[int]:
        names = ["algorithm 1 with f"] if self._purpose == "gradient" else []
        if self._purpose == "products":
            names = ["gradient", "ggnvp", *([] if self._programs.segments else ["hvp"])]
        programs = [*self._stages(), *map(self._programs.product, names)]
        return [self._layouts(program, cases).work for program in programs]

    def _stages(self) -> list[Program]:
        a = self._programs
        if self._purpose == "outputs":
            return [a.outputs_program]
        if self._purpose == "value":
            return [a.value_program]
        if self._purpose == "gradient":
            return []
        return [a.forward, a.loss_value, a.loss_gradient, a.loss_curvature, a.adjoints]

    def refuse_what_does_not_fit(self) -> None:
        """Nothing: what does not fit has been cut into pieces."""

    def _cut(self, flat: Any, shard: Any = None) -> Any:
        assert self._present is not None
        rows, per_case = self._pieces[self._present], len(flat) // self.cases
        if not self._per_case:
            return flat
        return flat[rows.start * per_case : rows.stop * per_case]
