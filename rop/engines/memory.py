"""Where values lie at run time: one shard of cases, its buffers, and arrays over them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from rop.engines.lowering import offset_of
from rop.engines.planning import Plan, plan
from rop.errors import RopMemoryError
from rop.graph import Shape
from rop.ops.kernels import Array
from rop.ops.rules import Value
from rop.programs.steps import Program

# Asking the system takes longer than many a product on so little.
_ALWAYS_FITS = 2**26


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


class Results:
    """Memory of large results that nobody holds any more, for the next ones.

    Fresh memory of the system costs a page fault every 4 KiB: a tenth of a small batch's product.
    """

    smallest = 2**20
    most = 8
    most_bytes = 3 * 2**26
    """So many arrays, and so many bytes, wait at most; the oldest go first."""

    def __init__(self) -> None:
        self._free: dict[int, list[Array]] = {}
        _kept[id(self)] = self

    def empty(self, shape: int | Shape, dtype: np.dtype[Any]) -> Array:
        """Return an array that is not initialized."""
        array = np.empty(shape, dtype)
        if array.nbytes < self.smallest:
            return array
        try:
            memory = self._free[array.nbytes].pop()
        except LookupError:
            memory = array.reshape(-1).view(np.uint8)
        return np.asarray(_Loan(memory, self)).view(dtype).reshape(shape)

    def take_back(self, memory: Array) -> None:
        """Keep memory for the next result of its size."""
        waiting = self._free.pop(memory.size, [])
        self._free[memory.size] = [*waiting, memory]
        self._drop(self.most, self.most_bytes)

    def _drop(self, most: int, most_bytes: int) -> int:
        """Drop the oldest until no more than so many wait; returns the bytes that are gone."""
        gone = 0
        while True:
            waiting = [array for free in list(self._free.values()) for array in free]
            if len(waiting) <= most and sum(array.nbytes for array in waiting) <= most_bytes:
                return gone
            with suppress(LookupError, StopIteration):  # another thread may have been faster
                size = next(iter([*self._free]))
                gone += self._free[size].pop(0).nbytes
            with suppress(LookupError):
                if not self._free[size]:
                    del self._free[size]

    def free(self) -> int:
        """Drop all; returns their bytes."""
        return self._drop(0, 0)


class _Loan:
    """Owns the memory of a result, and of all views of it, until the last of them is gone."""

    def __init__(self, memory: Array, results: Results) -> None:
        self.__array_interface__ = memory.__array_interface__
        self._memory = memory
        self._results = results

    def __del__(self) -> None:
        self._results.take_back(self._memory)


class Layouts:
    """Plans of an objective's programs, made once for each number of cases and directions."""

    most = 256
    most_bytes = 2**26
    """So many plans wait for one objective, and so many bytes of plans for all together."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, int, int], Plan] = {}
        _kept[id(self)] = self

    def __call__(self, program: Program, cases: int, directions: int = 1) -> Plan:
        """Return the plan of a program."""
        key = (program.name, cases, directions)
        found = self._plans.get(key)
        if found is None:
            self._make_room()
            found = self._plans[key] = plan(program, cases, directions)
        return found

    def _make_room(self) -> None:
        others = [one for one in _all_kept() if isinstance(one, Layouts) and one is not self]
        while len(self._plans) >= self.most:
            self._drop_one()
        total = sum(one.nbytes for one in (self, *others))
        for one in (*others, self):
            while total > self.most_bytes and one._plans:
                total -= one._drop_one()

    def _drop_one(self) -> int:
        with suppress(LookupError, StopIteration):  # another thread may have been faster
            return self._plans.pop(next(iter([*self._plans]))).nbytes
        return 0

    @property
    def nbytes(self) -> int:
        """Bytes of all plans."""
        return sum(one.nbytes for one in list(self._plans.values()))

    def free(self) -> int:
        """Drop all; returns their bytes."""
        gone = 0
        while self._plans:
            gone += self._drop_one()
        return gone


class Reusable(Protocol):
    """An execution that can serve again."""

    key: tuple[Any, ...]
    spare_bytes: int
    released: int

    @property
    def nbytes(self) -> int:
        """Bytes of all that it holds."""


class Spares:
    """Executions of one objective that nobody needs any more, for its next batches.

    Of all objectives together they hold no more than an execution's `spare_bytes`; those that were
    needed last stay.
    """

    most = 3

    def __init__(self) -> None:
        self._waiting: list[Reusable] = []
        _kept[id(self)] = self

    def take(self, key: tuple[Any, ...]) -> Any:
        """Return an execution that was made with such arguments, or None."""
        for spare in self._waiting[::-1]:
            if spare.key == key:
                with suppress(ValueError):  # another thread has taken it
                    self._waiting.remove(spare)
                    return spare
        return None

    def keep(self, execution: Reusable) -> None:
        """Keep an execution, unless it holds too much memory; others may have to go."""
        global _newest
        limit, size = execution.spare_bytes, execution.nbytes
        if size > limit:
            return
        execution.released = next(_clock)
        self._waiting.append(execution)
        del self._waiting[: -self.most]
        if _newest == (id(execution), size):
            return  # nothing has been kept since it was counted
        _newest = id(execution), size
        alike = [
            (one.released, one, spares)
            for spares in _all_kept()
            if isinstance(spares, Spares)
            for one in list(spares._waiting)
            if one.spare_bytes == limit
        ]
        total = sum(one.nbytes for _, one, _ in alike)
        for _, one, spares in sorted(alike, key=lambda entry: entry[0]):
            if total <= limit:
                break
            total -= one.nbytes
            with suppress(ValueError):
                spares._waiting.remove(one)

    def free(self) -> int:
        """Drop all; returns their bytes."""
        gone, self._waiting = self._waiting, []
        return sum(execution.nbytes for execution in gone)


_clock = count()
_newest = 0, 0  # the execution that was kept last, and its bytes
_kept: WeakValueDictionary[int, Results | Layouts | Spares] = WeakValueDictionary()
results = Results()


def _all_kept() -> list[Results | Layouts | Spares]:
    """Return what is in `_kept`, to which other threads may add: a WeakSet has no such copy."""
    return [one for reference in _kept.valuerefs() if (one := reference()) is not None]


def free_memory() -> int:
    """Free the memory that rop keeps to use it again.

    That is at most 1 GiB, of all objectives together: 768 MiB of activations and temporaries of
    linearizations that are gone, 192 MiB of results, 64 MiB of compiled plans. On a GPU it is at
    most 3 GiB. What belongs to an objective goes with it.

    Returns
    -------
    int
        Bytes that were freed.

    Examples
    --------
    >>> rop.free_memory() >= 0
    True
    """
    return sum(one.free() for one in _all_kept())


def available(root: Path = Path("/")) -> int | None:
    """Bytes of memory that can still be had, or None where the system does not tell.

    The least of what the machine has left, and what each control group that the process belongs to
    has left of its limit, as in containers and under job schedulers.

    Parameters
    ----------
    root : Path
        Where proc and sys are.

    Returns
    -------
    int or None
    """
    left = [*_control_groups(root)]
    with suppress(OSError, KeyError, ValueError):
        lines = (root / "proc/meminfo").read_text().splitlines()
        found = dict(line.split(":", 1) for line in lines)
        left.append(int(found["MemAvailable"].split()[0]) * 1024)
    if not left:
        with suppress(AttributeError, ValueError, OSError):
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(left, default=None)


# Folder below sys/fs/cgroup, limit, use, and what files take of it that can be dropped.
_V1 = ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = ("", "memory.max", "memory.current", "inactive_file")


def _control_groups(root: Path) -> Iterator[int]:
    """Bytes that each control group with a limit has left, of Linux's versions 1 and 2."""
    lines: list[str] = []
    with suppress(OSError):
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        folder, limit, use, dropped = _V1 if controllers else _V2
        top = root / "sys/fs/cgroup" / folder
        # A container may see the host's path, but only its own group, at the top.
        for group in (PurePosixPath(path), *PurePosixPath(path).parents):
            place = top / str(group).strip("/")
            with suppress(OSError, KeyError, ValueError):
                stat = dict(row.split() for row in (place / "memory.stat").read_text().splitlines())
                used = int((place / use).read_text()) - int(stat[dropped])
                yield max(0, int((place / limit).read_text()) - used)


def refuse_if_too_large(wanted: Mapping[str, int], what: str, advice: str) -> None:
    """Raise RopMemoryError, with the numbers, if a plan does not fit into memory.

    Parameters
    ----------
    wanted : dict of str to int
        Bytes that each part of the plan needs.
    what : str
        What the plan is for.
    advice : str
        What to do.
    """
    total = sum(wanted.values())
    if total < _ALWAYS_FITS:
        return
    free = available()
    if free is not None and total > free:
        parts = ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in wanted.items())
        raise RopMemoryError(
            f"{what} needs {total / 2**20:,.0f} MiB ({parts}), but {free / 2**20:,.0f} MiB are "
            f"available; {advice}"
        )
