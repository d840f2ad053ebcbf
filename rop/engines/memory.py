"""Memory that waits to be used again: results, plans, and executions that nobody needs."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np

from rop.engines.planning import Plan, plan
from rop.graph import Shape
from rop.ops.kernels import Array
from rop.programs.steps import Program


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
