"""A shard of cases whose buffers are on the GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop.engines.cuda import driver
from rop.engines.planning import Plan
from rop.engines.shard import Shard
from rop.ops.kernels import Array
from rop.programs.steps import Program


@dataclass
class DeviceShard(Shard):
    """A part of the batch on the GPU; see `Shard`."""

    def prepare(self, program: Program, layout: Plan) -> None:
        """Make room for what a program keeps, for its ends, and for its temporaries."""
        if program.keep:
            self.room(program.name, layout.kept)
            for value in program.keep:
                self.kept[value] = (program.name, layout.offsets[value])
        self.room("work", layout.work)

    def room(self, buffer: str, elements: int) -> None:
        """Allocate a buffer, unless there is one that is large enough."""
        found = self.buffers.get(buffer)
        if found is None or len(found) < elements:
            self.buffers[buffer] = driver.empty(elements, self.dtype)

    def write(self, buffer: str, array: Any) -> None:
        """Copy an array, of NumPy or on the GPU, into a buffer."""
        self.room(buffer, array.size)
        driver.upload(self.buffers[buffer], array.reshape(-1))

    def array(self, value: Any) -> NDArray[Any]:
        """Copy a value that is given or kept from the GPU: (cases, *shape) or (1, *shape)."""
        place = value.place
        name, offset = self.kept[value] if place is None else (place.buffer, place.offset)
        flat: Array = np.empty(value.elements(self.cases, 1), self.dtype)
        driver.download(flat, self.buffers[name][offset:])
        return flat.reshape(-1, *value.shape)


def extent(program: Program, buffer: str, cases: int, directions: int) -> int:
    """Elements of a program's input or output.

    Parameters
    ----------
    program : Program
        The program.
    buffer : {"input", "output"}
        Which.
    cases, directions : int
        Numbers of cases and directions.

    Returns
    -------
    int
    """
    ends = [0]
    for step in program.steps:
        for value in (step.target, *step.operands):
            place = value.place
            if place is None or place.buffer != buffer:
                continue
            if place.row is not None:
                rows = (cases if value.per_case else 1) * (directions if value.per_direction else 1)
                ends.append(rows * place.row)
            else:
                many = directions if value.per_direction else 1
                ends.append(place.offset * many + value.elements(cases, directions))
    return max(ends)
