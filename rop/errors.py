"""The errors of rop: each is a `RopError` and the built-in error that a user would expect."""

from collections.abc import Iterator
from contextlib import contextmanager


class RopError(Exception):
    """Base of every error that rop raises on purpose.

    >>> try:
    ...     rop.data("x", 3) + rop.data("y", 2)
    ... except rop.RopError as error:
    ...     print(type(error).__name__)
    RopValueError
    """


class RopValueError(RopError, ValueError):
    """An argument has the right type but a value, shape or name that does not fit.

    >>> rop.param("W", (3, 2)) @ rop.data("x", 3)
    Traceback (most recent call last):
        ...
    rop.errors.RopValueError: matrix @ vector: expected a vector of length 2, got shapes ...
    """


class RopTypeError(RopError, TypeError):
    """An argument has a type or dtype that does not fit.

    >>> rop.data("x", 2.5)
    Traceback (most recent call last):
        ...
    rop.errors.RopTypeError: shape of 'x' must be an int or a tuple, got 2.5
    """


class RopMemoryError(RopError, MemoryError):
    """A memory plan is larger than the memory of the machine.

    >>> issubclass(rop.RopMemoryError, MemoryError)
    True
    """


class RopFileError(RopError, OSError):
    """A file or folder cannot be read or written; the message says what to do."""


@contextmanager
def file_errors(task: str, remedy: str) -> Iterator[None]:
    """Turn what the operating system refuses into an error that says what to do.

    Parameters
    ----------
    task : str
        What was to be done, such as "cannot write runs/a/log.jsonl".
    remedy : str
        What the user can do.

    Raises
    ------
    RopFileError
        If the body raises OSError; errno is that of the cause.
    RopValueError
        If a path in the body has characters that no path can have.
    """
    try:
        yield
    except RopError:
        raise
    except OSError as error:
        wrapped = RopFileError(f"{task}: {error.strerror or error}; {remedy}")
        wrapped.errno = error.errno
        raise wrapped from error
    except ValueError as error:
        if "null" not in str(error):
            raise
        raise RopValueError(f"{task}: {error}; {remedy}") from error
