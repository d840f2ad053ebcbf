"""What the client asks of Dask's workers: who is there, who is silent, who is lost."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

from distributed import Client, Future
from distributed.comm import CommClosedError

from rop.distributed.errors import ClusterError


class LostWorker(Exception):
    """What a worker held is gone; the message says which worker, and why."""


@dataclass
class _Watch:
    """When each worker was last heard of, on the client's clock."""

    seen: dict[str, tuple[float, float]] = field(default_factory=dict)

    def silence(self, address: str, last_seen: float) -> float:
        """Return for how many seconds a worker has been silent."""
        before, when = self.seen.get(address, (-1.0, 0.0))
        if last_seen != before:
            when = monotonic()
            self.seen[address] = last_seen, when
        return monotonic() - when


class Workers:
    """The workers of a cluster, as the client sees them.

    Parameters
    ----------
    client : Client
        Dask's client.
    timeout : float
        Seconds after which a silent worker is lost, and a silent scheduler is an error.
    longest : float
        Seconds after which a task that has not ended is an error.
    """

    def __init__(self, client: Client, timeout: float, longest: float) -> None:
        self.client, self.timeout, self.longest = client, timeout, longest
        self._watch = _Watch()

    def lost(self, error: Exception, owners: Collection[str]) -> Exception:
        """Say what an error of Dask means: a worker is lost, or the scheduler."""
        if self.client.status != "running":
            return self.unreachable()
        self.look(owners, 0.0, ())  # ends a worker that is silent
        return LostWorker(f"{type(error).__name__}: {error}")

    def look(self, owners: Collection[str], seconds: float, tasks: Sequence[Future]) -> None:
        """Raise an error if a worker is gone or silent, paused for want of memory, or too slow."""
        workers = self.present()
        for address in owners:
            worker = workers.get(address)
            if worker is None:
                raise LostWorker(f"worker {address} is gone")
            if self._watch.silence(address, worker["last_seen"]) > self.timeout:
                self._end(address)
                raise LostWorker(f"worker {address} was silent for {self.timeout:g} s")
            if worker["status"] == "paused" and seconds > self.timeout:
                raise ClusterError(
                    f"worker {address} has paused: it uses {_memory(worker)}; use more workers, "
                    "more and smaller parts, or a higher memory limit"
                )
        if seconds > self.longest:
            running = ", ".join(sorted({str(task.key).rpartition("-")[0] for task in tasks}))
            raise ClusterError(
                f"{running}: a task has run for more than {self.longest:g} s; give a larger "
                "longest= if that is to be expected"
            )

    def present(self, wanted: int = 0) -> dict[str, dict[str, Any]]:
        """Return what the scheduler says of its workers; wait until there are some.

        Raises
        ------
        ClusterError
            If the scheduler does not answer, or there are too few workers for too long.
        """
        begin = monotonic()
        scheduler = self.client.scheduler
        while True:
            told = self.ask(lambda: scheduler.identity(n_workers=-1), "say what workers it has")
            workers: dict[str, dict[str, Any]] = {
                address: worker
                for address, worker in told["workers"].items()
                if worker["status"] in ("running", "paused")
            }
            if len(workers) >= wanted:
                return workers
            if monotonic() - begin > self.timeout:
                raise ClusterError(
                    f"scheduler {scheduler.address}: it has had {len(workers)} workers for "
                    f"{self.timeout:g} s, and {wanted} are needed; start workers, or look into "
                    "the logs of those that ended"
                )
            sleep(0.05)

    def ask(self, question: Callable[[], Any], what: str, seconds: float | None = None) -> Any:
        """Ask the scheduler, and wait no longer than the timeout, or so many seconds."""
        if self.client.status in ("closing", "closed"):
            raise self.unreachable()
        try:
            timeout = seconds or self.timeout
            return self.client.sync(awaited, question, callback_timeout=timeout)
        except (TimeoutError, OSError, CommClosedError) as error:
            raise self.unreachable(f"; it was asked to {what}") from error

    def unreachable(self, more: str = "") -> ClusterError:
        """Say that the scheduler does not answer."""
        scheduler = self.client.scheduler
        address = scheduler.address if scheduler is not None else "(closed client)"
        return ClusterError(
            f"scheduler {address} does not answer (client: {self.client.status}){more}; see "
            "whether it runs and can be reached"
        )

    def _end(self, address: str) -> None:
        """End a worker that hangs: its nanny kills it and starts another, or it is left out."""
        with suppress(Exception):
            self.client.restart_workers([address], timeout=self.timeout, raise_for_error=False)
            return
        with suppress(Exception):
            self.client.run_on_scheduler(_remove, address=address)


async def awaited(question: Callable[[], Any]) -> Any:
    """Ask in Dask's event loop."""
    return await question()


def _remove(address: str, dask_scheduler: Any = None) -> None:
    """On the scheduler: leave a worker out for good."""
    asyncio.ensure_future(
        dask_scheduler.remove_worker(address=address, stimulus_id=f"rop-{uuid.uuid4().hex}")
    )


def _memory(worker: dict[str, Any]) -> str:
    used, limit = worker["metrics"].get("memory", 0), worker["memory_limit"]
    return f"{used / 2**20:.0f} of {limit / 2**20:.0f} MiB" if limit else f"{used / 2**20:.0f} MiB"
