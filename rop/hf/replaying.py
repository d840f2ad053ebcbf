"""Replay: a run done again from its log, decision by decision."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rop.errors import RopError, RopValueError
from rop.hf.comparison import compare
from rop.hf.evaluation import Data
from rop.hf.identity import checksum
from rop.hf.log import read_log
from rop.hf.optimizer import HessianFree
from rop.hf.record import Iteration
from rop.hf.streams import Stream
from rop.objective.objective import Objective


class ReplayError(RopError, AssertionError):
    """A run that was done again decided something else than its log says."""


def replay(
    log: str | Path, objective: Objective, theta: npt.ArrayLike, data: Data | Stream
) -> Iterator[Iteration]:
    """Do a run again and assert that each iteration is that of the log, times aside.

    Engine, dtype and recipe come from the log. The same machine, library versions and number of
    threads give the same bits.

    Parameters
    ----------
    log : str or Path
        The log, or the folder of the run.
    objective : Objective
        f.
    theta : ndarray, shape (n,)
        θ_0.
    data : mapping of str to ndarray, shape (N, ...), or Stream
        The training set.

    Yields
    ------
    Iteration
        The iterations, each after it has been compared.

    Raises
    ------
    ReplayError
        At the first iteration that comes out another, with the field and both values.
    RopValueError
        If θ is not the θ_0 of the log, or the file is not a log.

    Examples
    --------
    >>> for it in rop.hf.replay("runs/curves", objective, theta, data):  # doctest: +SKIP
    ...     print(it)
    """
    told = read_log(log)
    header = told.header
    first = np.array(theta, header.dtype)
    if checksum(first) != header.theta_sha256:
        raise RopValueError(f"replay: theta is not the θ_0 from which the run of {log} began")
    again = HessianFree(
        objective, first, data, header.recipe, engine=header.engine, dtype=header.dtype
    )
    for expected in told.records:
        record = next(again, None)
        difference = compare([expected], [] if record is None else [record])
        if record is None or difference is not None:
            assert difference is not None
            raise ReplayError(
                f"iteration {expected.number}, {difference.field}: the log has "
                f"{difference.first!r}, the replay {difference.second!r}; other data, library "
                "versions or numbers of threads can be the reason"
            )
        yield record
