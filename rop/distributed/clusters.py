"""A cluster for one command: the workers of this machine, or those of a scheduler elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Client, LocalCluster

from rop.distributed.errors import ClusterError
from rop.engines.parallel import threads

# Seconds within which a scheduler has to answer.
_ANSWERS = 10.0


@contextmanager
def connected(scheduler: str, workers: int | None = None) -> Iterator[Client]:
    """Connect to a cluster, and leave it clean whatever happens in the body.

    Parameters
    ----------
    scheduler : str
        The address of Dask's scheduler, such as "tcp://10.0.0.1:8786"; "local" starts processes on
        this machine, which end with the body.
    workers : int, optional
        Their number, for "local"; by default one for each core.

    Yields
    ------
    Client
        Dask's client.

    Raises
    ------
    ClusterError
        If the scheduler cannot be reached.
    """
    if scheduler == "local":
        with (
            # On a busy machine a killed worker takes longer than Dask's 15 s to come back.
            dask.config.set({"distributed.deploy.lost-worker-timeout": "5 minutes"}),
            LocalCluster(
                n_workers=workers or threads(),
                threads_per_worker=1,  # not the cores each can have: that would decide the bits
                dashboard_address="localhost:0",
                preload=[__name__],
            ) as cluster,
            Client(cluster, direct_to_workers=True) as client,
        ):
            yield client
        return
    try:
        client = Client(scheduler, timeout=_ANSWERS)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"scheduler {scheduler}: it does not answer within {_ANSWERS:g} s ({error}); see "
            "whether it runs and can be reached, and give its address as tcp://HOST:PORT"
        ) from error
    with client:
        yield client


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C to the process that started the workers; Dask calls this in each of them.

    Parameters
    ----------
    worker : Worker
        The worker.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
