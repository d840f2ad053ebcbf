"""Running a survey in parallel processes, each of which may hang or crash."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rop.checking.survey.checks import MODES
from rop.checking.survey.results import Outcome, Result, Survey
from rop.checking.survey.worker import serve
from rop.errors import RopError, RopValueError

DTYPES = ("float64", "float32")
# Time for a process to start and to import a library.
STARTUP = 120.0
# Between two times that the file is written.
SAVING = 2.0


@dataclass
class Job:
    """A function in one dtype, with the modes that are left.

    Attributes
    ----------
    source, library, theme, name, dtype : str
    modes : list of str
    """

    source: str
    library: str
    theme: str
    name: str
    dtype: str
    modes: list[str]

    def outcome(self, verdict: Result, seconds: float, says: str) -> Outcome:
        """The outcome of its first mode, of which the process did not live to tell."""
        return Outcome(
            self.library, self.theme, self.name, self.modes[0], self.dtype, verdict,
            seconds=seconds, says=says,
        )  # fmt: skip


class Worker:
    """A process, and what it is at."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.job: Job | None = None
        self.since = time.monotonic()
        self.deadline = float("inf")

    def ask(self, *request: Any) -> Any:
        """Send a request and wait for its answer."""
        self.connection.send(request)
        try:
            answer = self.connection.recv()
        except EOFError:
            raise RopError(f"the process for {request[1]} died at its start") from None
        if isinstance(answer, RopError):
            raise answer
        return answer

    def begin(self, job: Job) -> None:
        """Start a job."""
        self.job = job
        self.wait_for(STARTUP)
        self.connection.send(("check", job.source, job.name, job.dtype, job.modes))

    def wait_for(self, seconds: float) -> None:
        """Set the time by which it must be heard of again."""
        self.since = time.monotonic()
        self.deadline = self.since + seconds

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def survey(
    sources: Sequence[str],
    path: Path | None = None,
    *,
    dtypes: Sequence[str] = DTYPES,
    modes: Sequence[str] = tuple(MODES),
    only: str = "",
    processes: int = 2,
    limit: float = 60.0,
    progress: Callable[[Survey, int], None] | None = None,
) -> Survey:
    """Check every function of some catalogues in every mode.

    Parameters
    ----------
    sources : sequence of str
        "torch", "jax", or files that define ENTRIES.
    path : Path, optional
        Where outcomes are kept; a survey that was interrupted is continued from there.
    dtypes, modes : sequences of str
    only : str
        Part of the names of the functions to check.
    processes : int
    limit : float
        Seconds for one mode of a function.
    progress : callable, optional
        Called with the survey so far and the number of outcomes expected.

    Returns
    -------
    Survey

    Raises
    ------
    RopValueError
        If a source cannot be read, or the file was made with other versions.
    """
    workers, found, saved = [Worker()], None, time.monotonic()
    try:
        found, jobs = _plan(workers[0], sources, path, dtypes, modes, only)
        expected = len(found.outcomes) + sum(len(job.modes) for job in jobs)
        workers += [Worker() for _ in range(min(processes, len(jobs)) - 1)]
        while jobs or any(worker.job for worker in workers):
            for worker in workers:
                if worker.job is None and jobs:
                    worker.begin(jobs.popleft())
            _listen(workers, jobs, found, limit)
            if path is not None and time.monotonic() > saved + SAVING:
                found.save(path)
                saved = time.monotonic()
            if progress is not None:
                progress(found, expected)
    finally:
        if found is not None and path is not None:
            found.save(path)
        for worker in workers:
            worker.end()
    return found


def _plan(
    worker: Worker,
    sources: Sequence[str],
    path: Path | None,
    dtypes: Sequence[str],
    modes: Sequence[str],
    only: str,
) -> tuple[Survey, deque[Job]]:
    """What is known, and what is left to do."""
    versions: dict[str, str] = {}
    jobs: deque[Job] = deque()
    for source in sources:
        of_source, listed = worker.ask("entries", source)
        versions |= of_source
        jobs.extend(
            Job(source, library, theme, name, dtype, list(modes))
            for library, theme, name in listed
            for dtype in dtypes
            if only in name
        )
    found = Survey(versions)
    if path is not None and path.exists():
        found = Survey.load(path)
        if found.versions != versions:
            changed = [
                f"{name} {found.versions.get(name, 'none')}, now {versions.get(name, 'none')}"
                for name in sorted(found.versions.keys() | versions.keys())
                if found.versions.get(name) != versions.get(name)
            ]
            raise RopValueError(
                f"{path} was made with {'; '.join(changed)}: name another file, and compare with "
                "--against"
            )
    for job in jobs:
        job.modes = [
            mode
            for mode in job.modes
            if (job.library, job.name, mode, job.dtype) not in found.outcomes
        ]
    return found, deque(job for job in jobs if job.modes)


def _listen(workers: list[Worker], jobs: deque[Job], found: Survey, limit: float) -> None:
    """Wait for news of a process, or for the end of its time."""
    busy = [worker for worker in workers if worker.job is not None]
    patience = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
    multiprocessing.connection.wait([worker.connection for worker in busy], patience)
    for worker in busy:
        job = worker.job
        assert job is not None
        try:
            while worker.connection.poll():
                answer = worker.connection.recv()
                if isinstance(answer, RopError):
                    raise answer
                if isinstance(answer, Outcome):
                    found.add(answer)
                    job.modes.remove(answer.mode)
                if answer is None:
                    worker.job = None
                worker.wait_for(limit)
            late = worker.job is not None and time.monotonic() > worker.deadline
        except EOFError:
            worker.process.join()
            _replace(workers, worker, jobs, found, "crash", f"exit code {worker.process.exitcode}")
            continue
        if late:
            _replace(workers, worker, jobs, found, "time", f"longer than {limit:g} s")


def _replace(
    workers: list[Worker],
    worker: Worker,
    jobs: deque[Job],
    found: Survey,
    verdict: Result,
    says: str,
) -> None:
    """Note what a process did not finish, and let a fresh one do the rest."""
    job = worker.job
    assert job is not None
    worker.end()
    if job.modes:
        found.add(job.outcome(verdict, time.monotonic() - worker.since, says))
        del job.modes[0]
    if job.modes:
        jobs.appendleft(job)
    workers[workers.index(worker)] = Worker()
