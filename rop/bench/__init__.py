"""`rop bench`: rop against the bare GEMMs, JAX and PyTorch, as ratios measured in one run."""
