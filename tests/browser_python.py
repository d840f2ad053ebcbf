"""Python as a browser has it (measured with Pyodide 314): no threads, no processes, no Numba.

    python tests/browser_python.py FILE...     # runs files under these limits

What is not imitated: 32-bit addresses, and the speed.
"""

import os
import runpy
import subprocess
import sys
import threading
import warnings

# Modules that Pyodide lacks, and libraries that rop does not require.
MISSING = ("_multiprocessing", "resource", "readline", "curses", "numba", "jax", "torch", "sklearn")


def refusing(error):
    """A function that raises an error, whatever it is given."""

    def refuse(*args, **kwargs):
        raise error

    return refuse


def restrict(*more):
    """Take away what a browser does not have, and further modules."""
    for name in (*MISSING, *more):
        sys.modules[name] = None  # importing it fails, as where it is not installed
    threading.Thread.start = refusing(RuntimeError("can't start new thread"))
    subprocess.Popen.__init__ = refusing(OSError(138, "emscripten does not support processes."))
    os.fork = refusing(OSError(52, "Function not implemented"))
    os.cpu_count = lambda: 1
    for name in ("sched_getaffinity", "link"):
        if hasattr(os, name):
            delattr(os, name)


if __name__ == "__main__":
    restrict()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "Numba is not installed")
    for file in sys.argv[1:]:
        runpy.run_path(file, run_name="__main__")
