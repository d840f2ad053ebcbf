"""The folder of a run, which can be killed at any moment and go on.

``log.jsonl`` has the header and a line for each iteration, ``state.npz`` what the next iteration
begins with, ``state.previous.npz`` the same of the iteration before, ``lock`` nothing that matters.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from os.path import lexists
from pathlib import Path
from shutil import copyfile
from typing import Literal, TypeAlias

from rop.datasets.npz import open_regular
from rop.datasets.writing import write_atomically
from rop.errors import RopValueError, file_errors
from rop.hf.files import (
    OPENING,
    JsonLines,
    complete_lines,
    decode_line,
    encode_line,
)
from rop.hf.lock import FolderLock
from rop.hf.log import LOG, Header, read_records
from rop.hf.optimizer import Ended, State
from rop.hf.record import Iteration
from rop.hf.saved import Saved
from rop.hf.storage import decode, encode
from rop.support.arguments import checked

STATE, PREVIOUS = "state.npz", "state.previous.npz"

Resume: TypeAlias = bool | Literal["anyway"]


class Journal:
    """Keeps a run in a folder.

    An iteration counts once the state after it is saved. A record whose state a crash left
    unsaved is removed when the run is resumed: the iteration is done again, with the same result
    bit by bit. Nobody else can use the folder until `close`.

    Parameters
    ----------
    folder : Path
        The folder; made if it does not exist.
    header : Header
        What the run belongs to.
    resume : bool or "anyway"
        Whether to go on with the run that the folder holds, if it holds one; "anyway" also in
        another environment.

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
        If the folder holds a run and it is not to be resumed, a run of something else, a damaged
        one, or files that are not rop's.
    FolderInUseError
        If another run uses the folder.
    RopFileError
        If the operating system refuses.
    """

    def __init__(self, folder: Path, header: Header, resume: Resume) -> None:
        self._folder, self._header = folder, header
        self.records: list[Iteration] = []
        self.state: State | None = None
        self.ended: Ended | None = None
        with file_errors(f"cannot make the folder {folder}", "give another folder"):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(folder)
        try:
            self._log = self._opened(resume)
        except BaseException:
            self._lock.close()
            raise

    def _opened(self, resume: Resume) -> JsonLines:
        log = self._folder / LOG
        states = [file for name in (STATE, PREVIOUS) if lexists(file := self._folder / name)]
        if resume is False and (states or lexists(log)):
            raise RopValueError(
                f"{self._folder} holds a run already; go on with it by resume=True, or give "
                "another folder"
            )
        if states:
            self._go_on(states[0], log, resume)
            return JsonLines(log, lines=1 + len(self.records))
        if lexists(log):
            self._refuse_to_lose(log)
        opened = JsonLines(log, lines=0)
        opened.append(encode(self._header))
        return opened

    def _go_on(self, file: Path, log: Path, resume: Resume) -> None:
        """Take over state and records, if they are good and belong to this run."""
        with _repair_told(self._folder):
            saved = Saved.read(file)
        saved.header.refuse_another(self._header, self._folder)
        self._compare_environment(saved.header, resume)
        done = saved.state.iteration
        with _repair_told(self._folder):
            found = read_records(log, until=done) if lexists(log) else None
            if found is None or found.header.first + len(found.records) != done:
                has = 0 if found is None else len(found.records)
                raise RopValueError(
                    f"{log} has {has} of the {done} iterations that {file.name} counts"
                )
        found.header.refuse_another(self._header, self._folder)
        self.records, self.state, self.ended = found.records, saved.state, saved.ended

    def _refuse_to_lose(self, log: Path) -> None:
        """Raise RopValueError if a log without a state is more than a crash can leave."""
        with open_regular(log, 2**40) as file:
            begun = file.read(len(OPENING))
        if not OPENING.startswith(begun):
            raise RopValueError(
                f"{log} is not the log of a run of rop.hf; move it, or give another folder"
            )
        try:
            found = read_records(log)
        except RopValueError as error:
            raise RopValueError(
                f"{error}, and there is no state to go on from; give another folder"
            ) from None
        if found is None:
            return
        found.header.refuse_another(self._header, self._folder)
        if len(found.records) > 1:
            raise RopValueError(
                f"{log} has {len(found.records)} iterations, but {STATE} and {PREVIOUS} are "
                "missing, and θ with them; bring one of them back, or begin in another folder"
            )

    def _compare_environment(self, header: Header, resume: Resume) -> None:
        """Raise RopValueError, or warn, if the bits of the run will not be the same."""
        other = header.other_environment(self._header)
        if other:
            told = f"{self._folder}: the run so far was made with {other}"
            if resume != "anyway":
                raise RopValueError(
                    f"{told}: θ would not be the same bit by bit, only to rounding; restore these, "
                    'or accept it by resume="anyway"'
                )
            warnings.warn(f"{told}: θ is the same only to rounding", stacklevel=5)

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
        saved = Saved(state, ended, self._header)
        write_atomically(self._folder / STATE, saved.write, self._folder / PREVIOUS)
        self.records.append(record)

    def close(self) -> None:
        """Close the log, and let others use the folder."""
        try:
            self._log.close()
        finally:
            self._lock.close()


@checked
def repair(folder: str | Path) -> str:
    """Make a damaged run folder one that can be resumed, from its last good state.

    Files that change or are damaged are copied first, to names that end with ".damaged". The log
    keeps the good records that lead to the state without a gap.

    Parameters
    ----------
    folder : str or Path
        The folder of the run.

    Returns
    -------
    str
        What was found and done.

    Raises
    ------
    RopValueError
        If there is no good state: θ is lost.
    RopFileError
        If the operating system refuses.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, folder="run", iterations=5)
    >>> with open("run/log.jsonl", "a") as log:
    ...     size = log.write("half a li")
    >>> print(rop.hf.repair("run"))
    the run goes on from iteration 5, the state of state.npz, with the records from iteration 0 on
    """
    folder = Path(folder)
    with file_errors(f"cannot repair {folder}", "check the path and its permissions"):
        if not folder.is_dir():
            raise RopValueError(f"repair: {folder} is no folder")
        lock = FolderLock(folder)
        try:
            return _repair(folder)
        finally:
            lock.close()


def _repair(folder: Path) -> str:
    files = {name: folder / name for name in (STATE, PREVIOUS, LOG)}
    good: dict[str, Saved] = {}
    said = []
    for name in (STATE, PREVIOUS):
        try:
            good[name] = Saved.read(files[name])
        except (RopValueError, OSError) as error:
            said.append(str(error))
    if not good:
        raise RopValueError(
            f"repair: {folder} has no good state, so θ is lost: {'; '.join(said)}. Begin again in "
            "another folder; the same arguments give the same run"
        )
    name, saved = max(good.items(), key=lambda item: item[1].state.iteration)
    lines = _good_records(files[LOG])
    first = saved.state.iteration
    while first - 1 in lines:
        first -= 1
    for each, file in files.items():
        if file.is_file() and each not in good:
            copyfile(file, file.with_name(f"{each}.damaged"))
    header = encode_line(encode(replace(saved.header, first=first)))
    kept = [lines[number] for number in range(first, saved.state.iteration)]
    write_atomically(files[LOG], lambda file: file.writelines([header, *kept]))
    write_atomically(files[STATE], saved.write)
    said.append(
        f"the run goes on from iteration {saved.state.iteration}, the state of {name}, with the "
        f"records from iteration {first} on"
    )
    return "; ".join(said)


def _good_records(log: Path) -> dict[int, bytes]:
    """Return the lines of a log that are as they were written, by the numbers of iterations."""
    found = {}
    for line in complete_lines(log) if log.is_file() else ():
        try:
            record = decode(decode_line(line))
        except RopValueError:
            continue
        if isinstance(record, Iteration):
            found[record.number] = line
    return found


@contextmanager
def _repair_told(folder: Path) -> Iterator[None]:
    """Say in an error about damage how to go on."""
    try:
        yield
    except RopValueError as error:
        raise RopValueError(
            f"{error}. rop.hf.repair({str(folder)!r}) makes copies of damaged files, and goes back "
            "to the last good state"
        ) from error
