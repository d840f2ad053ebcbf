"""The errors of rop: each is a `RopError` and the built-in error that a user would expect."""


class RopError(Exception):
    """Base of every error that rop raises on purpose."""


class RopValueError(RopError, ValueError):
    """An argument has the right type but a value, shape or name that does not fit."""


class RopTypeError(RopError, TypeError):
    """An argument has a type or dtype that does not fit."""


class RopMemoryError(RopError, MemoryError):
    """A memory plan is larger than the memory of the machine."""
