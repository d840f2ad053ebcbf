"""The folder of a run: its log, line by line, and the state from which it can go on."""

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rop.errors import RopValueError
from rop.hf.comparison import first_difference
from rop.hf.files import JsonLines, read_lines, write_atomically
from rop.hf.optimizer import Ended, State
from rop.hf.recipes import Recipe
from rop.hf.record import Iteration
from rop.hf.storage import decode, encode
from rop.hf.vectors import Vector

LOG, STATE = "log.jsonl", "state.npz"
_FORMAT = 1


@dataclass(frozen=True)
class Header:
    """What a run is made of besides objective and data: the first line of its log.

    Attributes
    ----------
    recipe : Recipe
        The settings.
    engine, dtype : str
        Engine and dtype of the arithmetic.
    theta_sha256 : str
        Checksum of θ_0 in this dtype.
    format : int
        Version of the log's format.
    """

    recipe: Recipe
    engine: str
    dtype: str
    theta_sha256: str
    format: int = _FORMAT


@dataclass(frozen=True)
class Log:
    """A run as its log tells it.

    Attributes
    ----------
    header : Header
        Recipe, engine and dtype.
    records : list of Iteration
        The iterations.
    """

    header: Header
    records: list[Iteration]


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
        If the file is not a log, or one of another format.
    """
    file = Path(path) / LOG if Path(path).is_dir() else Path(path)
    try:
        header, *records = (decode(line) for line in read_lines(file))
    except ValueError as error:
        raise RopValueError(f"{file} is not the log of a run of rop.hf: {error}") from None
    if not isinstance(header, Header) or header.format != _FORMAT:
        raise RopValueError(f"{file} is not a log of format {_FORMAT} of rop.hf")
    return Log(header, records)


def checksum(theta: Vector) -> str:
    """Return the SHA-256 of a vector's bytes.

    Parameters
    ----------
    theta : ndarray, shape (n,)
        The vector.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    return hashlib.sha256(np.ascontiguousarray(theta).tobytes()).hexdigest()


class Journal:
    """Keeps a run in a folder such that it can be killed at any moment and go on.

    An iteration counts once the state after it is saved. A record whose state a crash left
    unsaved is cut off when the run is resumed: the iteration is done again, and comes out the
    same bit by bit.

    Parameters
    ----------
    folder : Path
        The folder; made if it does not exist.
    header : Header
        What the run is made of.
    resume : bool
        Whether to go on with the run that the folder holds, if it holds one.

    Attributes
    ----------
    records : list of Iteration
        The records of the run so far.
    state : State or None
        The state to go on from; None at the beginning.
    ended : str or None
        Why the optimizer came to its end, if it did.

    Raises
    ------
    RopValueError
        If the folder holds a run and it is not to be resumed, or a run of other settings.
    """

    def __init__(self, folder: Path, header: Header, resume: bool) -> None:
        encoded = encode(header)
        folder.mkdir(parents=True, exist_ok=True)
        self._state_file, log = folder / STATE, folder / LOG
        if log.exists() and not resume:
            raise RopValueError(f"{folder} holds a run already; resume it, or give another folder")
        self.records: list[Iteration] = []
        self.state: State | None = None
        self.ended: Ended | None = None
        if self._state_file.exists():
            self.state, self.ended = _load(self._state_file)
            found = read_log(log)
            _refuse_another(folder, encode(found.header), encoded)
            self.records = found.records[: self.state.iteration]
        self._log = JsonLines(log, lines=1 + len(self.records) if self.records else 0)
        if not self.records:
            self._log.append(encoded)

    def commit(self, record: Iteration, state: State, ended: Ended | None) -> None:
        """Write the record of an iteration and the state after it.

        Parameters
        ----------
        record : Iteration
            What happened.
        state : State
            The state after it.
        ended : str or None
            Why there will be no further iteration.
        """
        self._log.append(encode(record))
        write_atomically(self._state_file, lambda file: _save(file, state, ended))
        self.records.append(record)

    def close(self) -> None:
        """Close the log."""
        self._log.close()


def _refuse_another(folder: Path, found: Any, wanted: Any) -> None:
    difference = first_difference(found, wanted)
    if difference is not None:
        place, first, second = difference
        raise RopValueError(
            f"{folder} holds a run with other settings: its {place} is {first!r}, now "
            f"{second!r}; resume with the same, or give another folder"
        )


def _save(file: BinaryIO, state: State, ended: Ended | None) -> None:
    values = {f.name: getattr(state, f.name) for f in fields(state)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    others = {name: encode(value) for name, value in values.items() if name not in arrays}
    rest = json.dumps({"state": others, "ended": ended}, allow_nan=False)
    np.savez(file, allow_pickle=False, rest=np.array(rest), **arrays)


def _load(path: Path) -> tuple[State, Ended | None]:
    with np.load(path, allow_pickle=False) as file:
        arrays: dict[str, Any] = {name: file[name] for name in file.files if name != "rest"}
        rest = json.loads(str(file["rest"]))
    return State(**arrays, **decode(rest["state"])), rest["ended"]
