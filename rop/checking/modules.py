"""PyTorch modules and JAX functions as arguments of `check_products`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rop.errors import RopTypeError, RopValueError
from rop.support.words import either

Function = Callable[..., Any]
MODES = ("forward-reverse", "reverse-reverse", "reverse-forward")
"""Ways to a Hessian product: the outer transform first."""


def torch_functions(
    module: Any,
    loss: Function,
    inputs: Any,
    targets: Any = None,
    *,
    mode: str = "reverse-reverse",
) -> dict[str, Any]:
    """A PyTorch module and its loss as the arguments of `rop.check_products`.

    ``rop.check_products(**torch_functions(module, loss, inputs, targets), ggnvp=mine)`` checks
    somebody's Gv, ``rop.check_products(**torch_functions(...) | {"hvp": mine})`` an Hv. `mine` gets
    θ and v as dicts of tensors, like ``dict(module.named_parameters())``, and returns such a dict.

    Parameters
    ----------
    module : torch.nn.Module
        Checked in its own dtype; ``module.double()`` makes the check sharper.
    loss : callable
        (outputs, targets) -> scalar tensor, such as ``torch.nn.functional.cross_entropy``; without
        targets (outputs) -> scalar.
    inputs : tensor, or tuple or dict of tensors
        A tuple holds several arguments of the module, a dict keyword arguments.
    targets : tensor, optional
    mode : {"reverse-reverse", "forward-reverse", "reverse-forward"}
        How PyTorch computes the products: by double backward alone, by ``jvp(grad(f))``, or by
        ``grad(jvp(f))``. Not every function of PyTorch has a forward rule: PyTorch 2.13 raises for
        ``jvp(grad)`` of `mse_loss`.

    Returns
    -------
    dict
        theta, value, outputs, gradient, jvp, vjp, loss, loss_gradient, loss_hvp and hvp.

    Raises
    ------
    RopValueError, RopTypeError
        If the module has no parameters, is no module, or the mode is unknown.

    Examples
    --------
    >>> import torch
    >>> from rop.checking import torch_functions
    >>> module, x, t = torch.nn.Linear(2, 1).double(), torch.eye(2).double(), torch.ones(2, 1)
    >>> functions = torch_functions(module, torch.nn.functional.mse_loss, x, t.double())
    >>> rop.check_products(**functions).products["gradient"].verdict
    'pass'
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise RopTypeError(
            f"module must be a torch.nn.Module, got {type(module).__name__}; give tensors and "
            "functions of your own to rop.check_products as they are"
        )
    theta = {name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad}
    if not theta:
        raise RopValueError("module has no parameter that requires a gradient")
    fixed = {name: p.detach() for name, p in module.named_parameters() if not p.requires_grad}
    buffers = dict(module.named_buffers())
    given = inputs if isinstance(inputs, tuple) else () if isinstance(inputs, dict) else (inputs,)
    keywords = inputs if isinstance(inputs, dict) else {}

    def outputs(theta: Any) -> Any:
        # Copies of the buffers: batch normalisation changes its own at each call.
        state = {name: buffer.clone() for name, buffer in buffers.items()}
        return torch.func.functional_call(module, theta | fixed | state, given, keywords)

    def of_outputs(z: Any) -> Any:
        return loss(z) if targets is None else loss(z, targets)

    transforms = Transforms(torch.func, mode)
    return {"theta": theta} | transforms.with_loss(outputs, of_outputs)


def jax_functions(
    f: Function,
    params: Any,
    loss: Function | None = None,
    *,
    mode: str = "forward-reverse",
    jit: bool = True,
) -> dict[str, Any]:
    """A JAX function as the arguments of `rop.check_products`.

    ``rop.check_products(**jax_functions(f, params, loss), ggnvp=mine)`` checks somebody's Gv;
    `mine` gets θ and v as pytrees like `params`, and returns one.

    Parameters
    ----------
    f : callable
        params -> scalar; with a loss, params -> outputs, an array or a pytree.
    params : pytree of JAX or NumPy arrays
        Checked in their own dtypes; NumPy's become JAX's.
    loss : callable, optional
        outputs -> scalar.
    mode : {"forward-reverse", "reverse-reverse", "reverse-forward"}
        How JAX computes Hv: ``jvp(grad(f))``, ``grad`` of the gradient, or ``grad(jvp(f))``.
    jit : bool
        Whether to compile the functions, `f` among them.

    Returns
    -------
    dict
        theta, value, gradient and hvp; with a loss also outputs, jvp, vjp, loss, loss_gradient and
        loss_hvp.

    Raises
    ------
    RopValueError
        If the mode is unknown.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from rop.checking import jax_functions
    >>> functions = jax_functions(lambda p: jnp.sum(jnp.sin(p["w"]) ** 2), {"w": np.ones(3)})
    >>> rop.check_products(**functions).products["hvp"].verdict
    'pass'
    """
    import jax
    import numpy as np

    wide = any(np.asarray(leaf).dtype == np.float64 for leaf in jax.tree.leaves(params))
    with jax.enable_x64(wide):
        theta = jax.tree.map(jax.numpy.asarray, params)
    transforms = Transforms(jax, mode)
    functions = transforms.of_value(f) if loss is None else transforms.with_loss(f, loss)
    if jit:
        functions = {name: jax.jit(function) for name, function in functions.items()}
    return {"theta": theta} | functions


class Transforms:
    """Derivative products by the transforms of a library.

    Parameters
    ----------
    library : module
        `jax` or `torch.func`.
    mode : str
        One of `MODES`.
    """

    def __init__(self, library: Any, mode: str) -> None:
        if mode not in MODES:
            raise RopValueError(f"mode must be {either(MODES)}, got {mode!r}")
        self.library, self.mode = library, mode

    def of_value(self, f: Function) -> dict[str, Function]:
        """A function of θ that returns a scalar, with its derivatives, by argument name."""
        return {"value": f, "gradient": self.library.grad(f), "hvp": partial(self.hvp, f)}

    def with_loss(self, outputs: Function, loss: Function) -> dict[str, Function]:
        """F and L with all derivatives, by argument name."""
        return self.of_value(lambda theta: loss(outputs(theta))) | {
            "outputs": outputs,
            "jvp": partial(self.jvp, outputs),
            "vjp": partial(self.vjp, outputs),
            "loss": loss,
            "loss_gradient": self.library.grad(loss),
            "loss_hvp": partial(self.hvp, loss),
        }

    def hvp(self, f: Function, at: Any, v: Any) -> Any:
        """Hv of a function that returns a scalar."""
        if self.mode == "reverse-forward":
            return self.library.grad(lambda at: self.jvp(f, at, v))(at)
        gradient = self.library.grad(f)
        # H is symmetric: vᵀH is Hv.
        reverse = self.mode == "reverse-reverse"
        return self.vjp(gradient, at, v) if reverse else self.jvp(gradient, at, v)

    def jvp(self, function: Function, at: Any, v: Any) -> Any:
        """Jv; without forward mode it is the transpose of u -> Jᵀu."""
        if self.mode != "reverse-reverse":
            return self.library.jvp(function, (at,), (v,))[1]
        u, pull = self.library.vjp(function, at)
        return self.library.vjp(lambda u: pull(u)[0], u)[1](v)[0]

    def vjp(self, function: Function, at: Any, u: Any) -> Any:
        """Jᵀu."""
        return self.library.vjp(function, at)[1](u)[0]
