"""Objectives whose cases are on the workers of a Dask cluster (extra ``distributed``)."""

try:
    import dask.array  # noqa: F401 - all three are needed: say so before anything else
    import dask.dataframe  # noqa: F401
    import distributed  # noqa: F401
except ImportError as error:  # dask.dataframe raises it where pandas is missing
    raise ModuleNotFoundError(
        f"rop.distributed needs Dask ({error}); install it with pip install 'rop[distributed]'",
        name=error.name or "dask",
    ) from error

from rop.distributed.errors import ClusterError, PartError
from rop.distributed.evaluation import Evaluator as _Evaluator  # noqa: F401 - it registers itself
from rop.distributed.objective import Objective

__all__ = ["ClusterError", "Objective", "PartError"]


def __dir__() -> list[str]:
    # What completion offers: the public names alone.
    return __all__
