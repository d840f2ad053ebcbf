"""The log of a run: a header that says what the run belongs to, and a line for each iteration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rop.errors import RopValueError
from rop.hf.comparison import differences, first_difference
from rop.hf.files import read_lines
from rop.hf.identity import Environment, Model, Values, checksum
from rop.hf.optimizer import HessianFree
from rop.hf.recipes import Recipe
from rop.hf.record import Iteration
from rop.hf.storage import decode, encode
from rop.objective.objective import Objective
from rop.support.arguments import checked

LOG = "log.jsonl"
FORMAT = 2


@dataclass(frozen=True)
class Header:
    """What a run belongs to: the first line of its log.

    Attributes
    ----------
    recipe : Recipe
        The settings.
    engine, dtype : str
        Engine and dtype of the arithmetic.
    theta_sha256 : str
        Checksum of θ_0 in this dtype.
    objective : Model
        The identity of f.
    data : dict of str to Values
        The identity of the training set, or of a stream's first batch.
    environment : Environment
        What else decides the last bits.
    validation : dict of str to Values, or None
        The identity of the validation data.
    validate_every : int
        The number of iterations between two evaluations on them.
    first : int
        The number of the first iteration in the log; 0 unless the log was repaired.
    format : int
        Version of the log's format.
    """

    recipe: Recipe
    engine: str
    dtype: str
    theta_sha256: str
    objective: Model
    data: dict[str, Values]
    environment: Environment
    validation: dict[str, Values] | None = None
    validate_every: int = 1
    first: int = 0
    format: int = FORMAT

    @classmethod
    def of(cls, objective: Objective, run: HessianFree, engine: str) -> Header:
        """Return the header of a run that has not begun."""
        held_out = run.validation
        return cls(
            recipe=run.recipe,
            engine=engine,
            dtype=run.theta.dtype.name,
            theta_sha256=checksum(run.theta),
            objective=Model.of(objective),
            data=run.evaluator.identity(),
            environment=run.evaluator.environment(),
            validation=None if held_out is None else held_out.evaluator.identity(),
            validate_every=1 if held_out is None else held_out.every,
        )

    def refuse_another(self, other: Header, where: Path) -> None:
        """Raise RopValueError if another run is one of something else, in whatever environment."""
        found, wanted = encode(self), encode(other)
        for each in (found, wanted):
            del each["environment"], each["first"]
        difference = first_difference(found, wanted)
        if difference is not None:
            place, before, now = difference
            what, _, check = place.rpartition(".")
            differs = f"its {place} is {before!r}, now {now!r}"
            if check in ("sha256", "crc32", "theta_sha256"):
                differs = f"its {what or 'theta at the beginning'} has other values"
            raise RopValueError(
                f"{where} holds the run of something else: {differs}; give the same, or another "
                "folder"
            )

    def other_environment(self, here: Header) -> str:
        """Say what differs from the environment of another header; "" if nothing does."""
        before, now = encode(self.environment), encode(here.environment)
        return "; ".join(f"{place} {a}, now {b}" for place, a, b in differences(before, now))


@dataclass(frozen=True)
class Log:
    """A run as its log tells it.

    Attributes
    ----------
    header : Header
        Recipe, engine, dtype, and what the run belongs to.
    records : list of Iteration
        The iterations.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, folder="run", iterations=5)
    >>> log = rop.hf.read_log("run")
    >>> log.header.engine, log.header.dtype, len(log.records)
    ('numba', 'float32', 5)
    """

    header: Header
    records: list[Iteration]


@checked
def read_log(path: str | Path) -> Log:
    """Read the log of a run, also of one that still runs or was killed.

    Parameters
    ----------
    path : str or Path
        The log, or the folder of the run.

    Returns
    -------
    Log
        The header and the complete records.

    Raises
    ------
    RopValueError
        If the file is no log, is damaged, or has another format.
    RopFileError
        If it cannot be read.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, folder="run", iterations=5)
    >>> log = rop.hf.read_log("run")
    >>> len(log.records), log.records[-1].f_after == run.fun
    (5, True)
    """
    file = Path(path) / LOG if Path(path).is_dir() else Path(path)
    log = read_records(file)
    if log is None:
        raise RopValueError(f"{file} is not the log of a run of rop.hf: it is empty")
    return log


def read_records(file: Path, until: int | None = None) -> Log | None:
    """Read a log up to an iteration.

    Parameters
    ----------
    file : Path
        The log.
    until : int, optional
        The first iteration that is not wanted; what follows is not even looked at.

    Returns
    -------
    Log or None
        None if there is not even a header; it may have fewer records.

    Raises
    ------
    RopValueError
        If the file is no log, or is damaged so far.
    RopFileError
        If it cannot be read.
    """
    lines = read_lines(file)
    try:
        first = next(lines, None)
        if first is None:
            return None
        header = decode(first)
        if not isinstance(header, Header) or header.format != FORMAT:
            raise RopValueError(f"its format is not {FORMAT}, that of this version")
    except RopValueError as error:
        said = str(error).removeprefix(f"{file}, ")
        raise RopValueError(f"{file} is not the log of a run of rop.hf: {said}") from None
    records: list[Iteration] = []
    number = header.first
    while number != until and (line := next(lines, None)) is not None:
        try:
            record = decode(line)
            if not isinstance(record, Iteration) or record.number != number:
                raise RopValueError(f"iteration {number} is missing")
        except RopValueError as error:
            raise RopValueError(f"{file}, line {len(records) + 2}: {error}") from None
        records.append(record)
        number += 1
    return Log(header, records)
