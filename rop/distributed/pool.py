"""The workers of a cluster: who has which part, tasks on all of them, and what if one is lost."""

from __future__ import annotations

import asyncio
import threading
import uuid
import weakref
from collections.abc import Callable, Sequence
from concurrent import futures
from contextlib import suppress
from functools import partial, reduce
from time import monotonic, sleep
from typing import Any, TypeVar

import numpy as np
from distributed import CancelledError, Client, Future, KilledWorker
from distributed.comm import CommClosedError

from rop.distributed.errors import ClusterError, NotHere, PartError
from rop.distributed.placing import placed
from rop.distributed.site import Part, Point, Site, compute, take
from rop.distributed.sources import Source
from rop.distributed.sums import TreeSum, in_order, merged
from rop.distributed.workers import LostWorker, Workers, awaited
from rop.objective.objective import Objective

T = TypeVar("T")

# Seconds between two looks at the workers while a task runs, and for a lost worker to come back
# before its parts go to others.
_LOOK, _COMES_BACK = 0.5, 5.0
# Seconds that workers have for importing rop.
_IMPORTED = 60.0
# Vectors up to this size go with the tasks through the scheduler, and are added up here: fewer
# messages, which is all that counts for them.
_SMALL = 2**17
# So many workers in a row may be lost in one product: then it is what kills them.
_MOST_LOST = 10


class Shared:
    """A vector that is sent to the workers once, and again when a worker has died with it.

    A small one goes with each task instead.

    Parameters
    ----------
    vector : ndarray, or list of ndarray
        The vector, or a block of it for each part; never changed in place.
    """

    def __init__(self, vector: Any) -> None:
        self.vector = vector
        self._sent: tuple[int, Future] | None = None
        arrays = vector if isinstance(vector, list) else [vector]
        self.small = sum(array.nbytes for array in arrays) <= _SMALL

    def argument(self, pool: Pool) -> Any:
        """Return what tasks get: a future, which Dask carries from worker to worker."""
        if self.small:
            return self.vector
        if self._sent is None or self._sent[0] != pool.losses or self._sent[1].cancelled():
            self._sent = pool.losses, pool.send(self.vector)
        return self._sent[1]


class Pool:
    """The workers of a Dask cluster with an objective on each of them.

    Parameters
    ----------
    client : Client
        Dask's client.
    objective : Objective
        f without its penalty.
    sources : sequence of Source
        The parts.
    threads : int or None
        Threads of each product; by default those of the worker that has fewest.
    timeout : float
        Seconds after which a silent worker is replaced, and a silent scheduler is an error.
    longest : float
        Seconds after which a task that has not ended is an error.

    Attributes
    ----------
    losses : int
        How often a worker was lost.
    """

    def __init__(
        self,
        client: Client,
        objective: Objective,
        sources: Sequence[Source],
        threads: int | None,
        timeout: float,
        longest: float,
    ) -> None:
        self.client, self.sources = client, sources
        self.timeout = timeout
        self.losses = 0
        self._lock = threading.RLock()
        self._points, self._forgotten = 0, list[int]()
        self._owner: dict[int, str] = {}
        self._loaded: dict[int, str] = {}
        self._workers = Workers(client, timeout, longest)
        workers = self._workers.present(wanted=1)
        self.threads = threads or min(worker["nthreads"] for worker in workers.values())
        self.token = f"rop-{uuid.uuid4().hex}"
        loaders, names = [source.load for source in sources], [source.name for source in sources]
        site = Site(objective, loaders, names, self.threads)
        self._workers.ask(
            lambda: client.register_plugin(site, self.token),
            "take the objective",
            max(timeout, _IMPORTED),
        )
        weakref.finalize(self, _close, client, self.token)
        self._cases: dict[int, int] = {}
        self._insist(self._load_all)
        counts = [self._cases[number] for number in range(len(sources))]
        ends = np.cumsum(counts).tolist()
        self.parts = [
            Part(number, end - cases, cases)
            for number, (end, cases) in enumerate(zip(ends, counts, strict=True))
        ]
        self.cases: int = ends[-1]

    def new_point(self) -> int:
        """Return a number for a linearization."""
        self._points += 1
        return self._points

    def forget(self, number: int) -> None:
        """Have the workers free a linearization, with the next task that they get."""
        self._forgotten.append(number)

    def total(self, label: str, method: str, point: Point, theta: Shared, *arguments: Any) -> Any:
        """Sum what a method of `Site` finds for each part, in the order of the tree.

        Parameters
        ----------
        label : str
            What the dashboard shows: the tasks are called "rop-" and this.
        method : str
            The method.
        point : Point
            Where.
        theta : Shared
            θ.
        *arguments : object
            Of the method; a `Shared` goes to every worker once.

        Returns
        -------
        object
            The sum.

        Raises
        ------
        ClusterError
            If the cluster does not answer, or loses one worker after the other.
        """

        def attempt() -> Any:
            sums = self._start(label, method, len(self.parts), point, theta, arguments)
            every = list(sums)
            while len(sums) > 1 and not theta.small:
                pairs = [sums[i : i + 2] for i in range(0, len(sums), 2)]
                sums = [
                    self.client.submit(merged, *pair, key=_key("sum"), pure=False)
                    if len(pair) > 1
                    else pair[0]
                    for pair in pairs
                ]
                every += sums
            found: TreeSum = reduce(merged, self._results(sums, every))
            return found.total

        return self._insist(attempt)

    def each(
        self, label: str, method: str, point: Point, theta: Shared, *arguments: Any
    ) -> list[Any]:
        """Return what a method of `Site` finds for each part, in their order; see `total`."""

        def attempt() -> list[Any]:
            tasks = self._start(label, method, None, point, theta, arguments)
            return in_order(self._results(tasks, tasks))

        return self._insist(attempt)

    def send(self, array: Any, workers: list[str] | None = None) -> Future:
        """Send an array to one worker, from which others get it.

        Raises
        ------
        LostWorker
            If no worker takes it.
        """
        # In a list, as Dask would make futures of the elements of a list.
        scatter = partial(self.client.scatter, [array], workers=workers, hash=False)
        try:
            (future,) = self.client.sync(awaited, scatter, callback_timeout=self.timeout)
        except Exception as error:
            raise self._workers.lost(error, set(self._owner.values())) from error
        assert isinstance(future, Future)
        return future

    def _start(
        self,
        label: str,
        method: str,
        of: int | None,
        point: Point,
        theta: Shared,
        arguments: Sequence[Any],
    ) -> list[Future]:
        """Submit a task for each worker, on all of its parts."""
        self._load_all()
        sent = [a.argument(self) if isinstance(a, Shared) else a for a in arguments]
        at = theta.argument(self)
        forgotten = tuple(self._forgotten)
        tasks = []
        for address in dict.fromkeys(self._owner.values()):
            mine = [part for part in self.parts if self._owner[part.number] == address]
            tasks.append(
                self.client.submit(
                    compute,
                    self.token,
                    method,
                    mine,
                    of,
                    forgotten,
                    point,
                    at,
                    *sent,
                    key=_key(label),
                    workers=[address],
                    pure=False,
                )
            )
        return tasks

    def _load_all(self) -> None:
        """Give each part a worker, and load or send what is not where it belongs."""
        if not self._owner:
            self._owner = placed(len(self.sources), list(self._workers.present(wanted=1)), {})
        missing = {n: a for n, a in self._owner.items() if self._loaded.get(n) != a}
        if not missing:
            return
        tasks = []
        for number, address in missing.items():
            source = self.sources[number]
            if source.blocks is None:
                names, blocks = None, []
            else:
                names, blocks = list(source.blocks), self._blocks(source, address)
            tasks.append(
                self.client.submit(
                    take,
                    self.token,
                    number,
                    names,
                    *blocks,
                    key=_key("load"),
                    workers=[address],
                    pure=False,
                )
            )
        for number, cases in zip(missing, self._results(tasks, tasks), strict=True):
            if cases != self._cases.setdefault(number, cases):
                raise PartError(
                    f"{self.sources[number].name}: it had {self._cases[number]} cases, and has "
                    f"{cases} when it is loaded again; it must have the same each time"
                )
        self._loaded.update(missing)

    def _blocks(self, source: Source, address: str) -> list[Any]:
        """Have Dask compute a part's blocks, or send its arrays, to a worker."""
        assert source.blocks is not None
        found: list[Any] = []
        for block in source.blocks.values():
            if hasattr(block, "__dask_graph__"):
                found.append(self.client.compute(block, workers=[address]))
            elif block.nbytes <= _SMALL:
                found.append(np.ascontiguousarray(block))
            else:
                found.append(self.send(np.ascontiguousarray(block), [address]))
        return found

    def settle(self) -> None:
        """Share the parts out anew if workers have come or gone."""
        workers = list(self._workers.present(wanted=1))
        with self._lock:
            if set(self._owner.values()) - set(workers):
                self._replace()
            elif set(workers) - set(self._owner.values()):
                self._owner = placed(len(self.sources), workers, self._owner)

    def _results(self, wanted: list[Future], every: list[Future]) -> list[Any]:
        """Wait for tasks and fetch their results; look now and then whether the workers live.

        Raises
        ------
        LostWorker
            If a worker is lost.
        """
        begin = monotonic()
        gathered = asyncio.run_coroutine_threadsafe(
            awaited(partial(self.client.gather, wanted)), self.client.loop.asyncio_loop
        )
        try:
            while not gathered.done():
                futures.wait([gathered], timeout=_LOOK)
                if not gathered.done():
                    self._workers.look(set(self._owner.values()), monotonic() - begin, every)
            return list(gathered.result())
        except (CancelledError, CommClosedError, KilledWorker, OSError) as error:
            raise self._workers.lost(error, set(self._owner.values())) from error
        except BaseException:
            gathered.cancel()
            with suppress(Exception):
                cancel = partial(self.client.cancel, every, force=True)
                self.client.sync(awaited, cancel, callback_timeout=self.timeout)
            raise

    def _insist(self, attempt: Callable[[], T]) -> T:
        """Do something, and again when a worker is lost: everything can be made anew elsewhere."""
        lost: list[str] = []
        with self._lock:
            while True:
                sent = len(self._forgotten)
                try:
                    found = attempt()
                    del self._forgotten[:sent]
                    return found
                except NotHere as missing:
                    self._loaded.pop(missing.args[0], None)
                except LostWorker as loss:
                    lost.append(str(loss))
                    if len(lost) >= _MOST_LOST:
                        raise self._hopeless(lost) from loss
                    try:
                        self._replace()
                    except ClusterError as error:
                        raise self._hopeless([*lost, str(error)]) from error
                except Exception as error:
                    if self.client.status in ("closing", "closed"):
                        raise self._workers.unreachable() from error
                    raise

    def _replace(self) -> None:
        """Go on with the workers there are, after a moment for the lost one to come back."""
        self.losses += 1
        before = set(self._owner.values())
        begin = monotonic()
        workers = self._workers.present(wanted=1)
        while len(workers) < len(before) and monotonic() - begin < _COMES_BACK:
            sleep(0.1)
            workers = self._workers.present(wanted=1)
        for number, address in list(self._loaded.items()):
            if address not in workers:
                del self._loaded[number]
        self._owner = placed(len(self.sources), list(workers), self._owner)

    def _hopeless(self, lost: Sequence[str]) -> ClusterError:
        """Say which workers were lost, and what their nannies say of it."""
        said: list[str] = []
        with suppress(Exception):
            self._workers.present(wanted=1)  # a nanny is found through its worker
            logs = self._workers.ask(
                lambda: self.client.get_worker_logs(nanny=True), "show its logs"
            )
            lines = [str(line[-1]) for entries in logs.values() for line in entries]
            said = [line for line in lines if "memory" in line.lower()][:2]
        reason = f"; a worker is out of memory: {' '.join(said)}" if said else ""
        return ClusterError(
            f"the cluster has lost workers again and again in the same product: "
            f"{'; '.join(dict.fromkeys(lost))}{reason}; use more workers, more and smaller parts, "
            "or look into the workers' logs"
        )


def _close(client: Client, token: str) -> None:
    """Have the workers free what they hold; does not wait, as it may run in any thread."""
    with suppress(Exception):
        client.loop.add_callback(_unregister, client, token)


async def _unregister(client: Client, token: str) -> None:
    with suppress(Exception):
        await client.unregister_worker_plugin(token)


def _key(label: str) -> str:
    """Name a task; the dashboard shows what comes before the last dash."""
    return f"rop-{label}-{uuid.uuid4().hex}"
