"""Functions written for PyTorch or JAX as functions of float64 NumPy arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rop.checking.lines import Array

Function = Callable[..., npt.NDArray[Any]]


def from_torch(function: Callable[..., Any], device: str = "cpu") -> Function:
    """Wrap a function of tensors for `rop.check_products`.

    Parameters
    ----------
    function : callable
        Takes float64 tensors and returns one; it may use autograd inside, or a module in double
        precision.
    device : str
        Where its arguments go.

    Returns
    -------
    callable
        The same of NumPy arrays; what it returns keeps the tensor's dtype.

    Examples
    --------
    >>> import torch
    >>> from rop.checking import from_torch
    >>> cosine = from_torch(torch.cos)
    >>> report = rop.check_products(np.ones(3), gradient=cosine, hvp=lambda x, v: -np.sin(x) * v)
    >>> report.products["hvp"].verdict
    'pass'
    """
    import torch

    def call(*arrays: Array) -> npt.NDArray[Any]:
        tensors = [torch.tensor(array, dtype=torch.float64, device=device) for array in arrays]
        result: npt.NDArray[Any] = torch.as_tensor(function(*tensors)).detach().cpu().numpy()
        return result

    return call


def from_jax(function: Callable[..., Any]) -> Function:
    """Wrap a function of JAX arrays for `rop.check_products`.

    Parameters
    ----------
    function : callable
        Takes JAX arrays and returns one; it may be jitted, and is run in 64-bit mode.

    Returns
    -------
    callable
        The same of NumPy arrays.

    Examples
    --------
    >>> import jax
    >>> from rop.checking import from_jax
    >>> cosine = from_jax(jax.numpy.cos)
    >>> report = rop.check_products(np.ones(3), gradient=cosine, hvp=lambda x, v: -np.sin(x) * v)
    >>> report.products["hvp"].verdict
    'pass'
    """
    import jax

    def call(*arrays: Array) -> npt.NDArray[Any]:
        with jax.enable_x64(True):
            return np.asarray(function(*[jax.numpy.asarray(array) for array in arrays]))

    return call
