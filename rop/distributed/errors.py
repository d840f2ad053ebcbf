"""What goes wrong on a cluster."""

from __future__ import annotations

from rop.errors import RopError


class ClusterError(RopError, RuntimeError):
    """The scheduler does not answer, no worker is left, or one fails again and again.

    >>> import rop.distributed
    >>> issubclass(rop.distributed.ClusterError, rop.RopError)
    True
    """


class PartError(RopError, RuntimeError):
    """The data of a part cannot be loaded, or do not fit the objective.

    >>> import rop.distributed
    >>> issubclass(rop.distributed.PartError, rop.RopError)
    True
    """


class NotHere(Exception):
    """A worker has not got a part of the data, and cannot load it by itself."""
