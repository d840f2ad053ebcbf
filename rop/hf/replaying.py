"""Replay: a run done again from its log, decision by decision."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy.typing as npt

from rop.errors import RopError, RopValueError
from rop.hf.comparison import compare
from rop.hf.log import Header, read_log
from rop.hf.optimizer import HessianFree
from rop.hf.record import Iteration
from rop.hf.streams import Data
from rop.objective.objective import Objective
from rop.support.arguments import checked


class ReplayError(RopError, AssertionError):
    """A run that was done again decided something else than its log says.

    >>> issubclass(rop.hf.ReplayError, AssertionError)
    True
    """


@checked
def replay(
    log: str | Path,
    objective: Objective,
    theta: npt.ArrayLike,
    data: Data,
    validation: Mapping[str, npt.ArrayLike] | None = None,
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
    validation : mapping of str to ndarray, optional
        The validation data of the run, if it had any.

    Yields
    ------
    Iteration
        The iterations, each after it has been compared.

    Raises
    ------
    ReplayError
        At the first iteration that comes out another, with the field and both values.
    RopValueError
        If the log is one of another objective, θ_0 or data, or of a repaired run whose beginning
        is lost; or if the file is not a log.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, folder="run", iterations=5)
    >>> len(list(rop.hf.replay("run", f, [-1.2, 1.0], {})))
    5
    """
    told = read_log(log)
    header = told.header
    if header.first:
        raise RopValueError(f"replay: the log begins with iteration {header.first}, not with 0")
    run = HessianFree(
        objective,
        theta,
        data,
        header.recipe,
        engine=header.engine,
        dtype=header.dtype,
        validation=validation,
        validate_every=header.validate_every,
    )
    here = Header.of(objective, run, header.engine)
    header.refuse_another(here, Path(log))
    for expected in told.records:
        record = next(run, None)
        difference = compare([expected], [] if record is None else [record])
        if record is None or difference is not None:
            assert difference is not None
            raise ReplayError(
                f"iteration {expected.number}, {difference.field}: the log has "
                f"{difference.first!r}, the replay {difference.second!r}; the environment of the "
                f"log: {header.other_environment(here) or 'the same'}"
            )
        yield record
