"""`rop bench`: rop against the bare GEMMs, JAX and PyTorch, as ratios measured in one run."""

from rop.bench.command import add_arguments, main, run

__all__ = ["add_arguments", "main", "run"]
