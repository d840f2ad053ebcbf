"""The CUDA engine: the steps of a program as kernels and products of cuBLAS, replayed as graphs.

θ, the batch, activations and temporaries stay on the GPU. Nothing here is imported before the
engine is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

from rop.engines.cuda import driver
from rop.engines.cuda.launches import launches_of
from rop.engines.cuda.memory import DeviceShard, extent
from rop.engines.planning import Plan
from rop.programs.steps import Program


class Bound:
    """A program bound to memory on the GPU; ``bound(input, output)`` runs it.

    Attributes
    ----------
    input, output : arrays on the GPU
        Where it reads its vectors, and where it leaves its result.
    starts : list of callable, or None
        Its launches, to be part of a larger graph; None if some steps run in Python.
    """

    def __init__(
        self, program: Program, layout: Plan, shard: DeviceShard, directions: int, tf32: bool
    ) -> None:
        for end in ("input", "output"):
            shard.room(end, extent(program, end, shard.cases, directions))
        self.input, self.output = shard.buffers["input"], shard.buffers["output"]
        made = list(launches_of(program, layout, shard, directions, tf32))
        self._parts: list[Callable[[], Any]] = []
        for on_device, run in groupby(made, lambda launch: launch[0]):
            starts = [start for _, start in run]
            self._parts += [driver.Graph(starts)] if on_device else starts
        on_gpu = all(on_device for on_device, _ in made)
        self.starts = [start for _, start in made] if on_gpu else None

    def start(self) -> None:
        """Give the program to the stream, to work on what `input` holds."""
        for part in self._parts:
            part()

    def __call__(self, input: Any, output: Any) -> None:
        """Run the program on flat arrays, of NumPy or on the GPU, and wait for it."""
        with driver.lock:
            driver.upload(self.input, input)
            self.start()
            driver.fetch(output, self.output)


def bind(
    program: Program, layout: Plan, shard: DeviceShard, directions: int = 1, tf32: bool = False
) -> Bound:
    """Bind a program to buffers on the GPU."""
    with driver.lock:
        return Bound(program, layout, shard, directions, tf32)
