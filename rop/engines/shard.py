"""Where values lie at run time: one shard of cases, its buffers, and arrays over them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop.engines.lowering import offset_of
from rop.engines.planning import Plan
from rop.ops.kernels import Array
from rop.ops.rules import Value
from rop.programs.steps import Program


@dataclass
class Shard:
    """A part of the batch, all that is cached for it, and room for temporaries.

    Attributes
    ----------
    cases : int
        Number of cases.
    rows : slice
        Which cases of the batch.
    dtype : dtype
        float32 or float64.
    buffers : dict of str to ndarray
        Flat arrays: "theta", "data x", "constants", "cases", "input", "output", "work", and one for
        the values that each program keeps.
    kept : dict of Value to (str, int)
        Buffer and first element of the values that programs have kept.
    """

    cases: int
    rows: slice
    dtype: np.dtype[Any]
    buffers: dict[str, Array] = field(default_factory=dict)
    kept: dict[Value, tuple[str, int]] = field(default_factory=dict)

    def prepare(self, program: Program, layout: Plan) -> None:
        """Allocate what a program keeps, and make sure that there is room for its temporaries."""
        if program.keep:
            # Programs that are bound already read what is kept where it is.
            held = self.buffers.get(program.name)
            if held is None or len(held) < layout.kept:
                self.buffers[program.name] = np.empty(layout.kept, self.dtype)
            for value in program.keep:
                self.kept[value] = (program.name, layout.offsets[value])
        work = self.buffers.get("work")
        if work is None or len(work) < layout.work:
            self.buffers["work"] = np.empty(layout.work, self.dtype)

    def locate(self, value: Value, layout: Plan, directions: int) -> tuple[str, int]:
        """Buffer and first element of a value."""
        if value.place is not None:
            return value.place.buffer, offset_of(value, directions)
        if value in self.kept:
            return self.kept[value]
        return "work", layout.offsets[value]

    def array(self, value: Value) -> NDArray[Any]:
        """The array of a value that is given or kept, (cases, *shape) or (1, *shape)."""
        place = value.place
        name, offset = self.kept[value] if place is None else (place.buffer, place.offset)
        cases = self.cases if value.per_case else 1
        flat = self.buffers[name][offset : offset + cases * value.size]
        return flat.reshape(cases, *value.shape)
