"""Plots of runs of HF and of curvature matrices; each returns a matplotlib figure."""

from rop.show.plot.matrices import cuts, spectrum
from rop.show.plot.runs import iteration, run

__all__ = ["cuts", "iteration", "run", "spectrum"]


def __dir__() -> list[str]:
    # What completion offers: the public names alone.
    return __all__
