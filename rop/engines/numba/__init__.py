"""The Numba engine: the steps of a program in one compiled function."""
