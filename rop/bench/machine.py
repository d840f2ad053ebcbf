"""The machine and the versions that a benchmark ran on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy
import scipy

from rop.bench.processes import available_cores

_PACKAGES = ("rop", "numpy", "scipy", "numba", "jax", "jaxlib", "torch")
_OF_CUDA = ("numba-cuda", "nvmath-python", "nvidia-cublas")


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def gpu() -> dict[str, Any]:
    """Describe the GPU as the CUDA engine finds it.

    Returns
    -------
    dict
        "name", "free memory" in MiB and "cublas" (its version, or why there is none); or "missing",
        what the engine lacks and what to install.
    """
    from rop.engines.cuda import cublas, driver

    lacking = driver.missing()
    if lacking is not None:
        return {"missing": lacking}
    return {
        "name": driver.name(),
        "free memory": round(driver.free_memory() / 2**20),
        "cublas": cublas.missing() or cublas.version(),
    }


def _blas() -> dict[str, str]:
    """BLAS of NumPy, which serves engine="numpy", and of SciPy, which serves engine="numba"."""
    found = {}
    for package in (numpy, scipy):
        blas = package.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
        found[package.__name__] = f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
    return found


def describe() -> dict[str, Any]:
    """Describe the machine.

    Returns
    -------
    dict
        "processor", "cores", "blas" (of NumPy and of SciPy), "gpu", "system", "python", "versions"
        (None where not installed), and "load", the system's load average over the last minute.
    """
    return {
        "processor": _processor(),
        "cores": available_cores(),
        "blas": _blas(),
        "gpu": gpu(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in (*_PACKAGES, *_OF_CUDA)},
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
