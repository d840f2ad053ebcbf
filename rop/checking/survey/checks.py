"""One function of a catalogue, checked in every mode."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from rop.checking.calls import kind_of
from rop.checking.findings import ProductReport
from rop.checking.libraries import as_numpy
from rop.checking.modules import Function, Transforms
from rop.checking.products import check_products
from rop.checking.survey.entries import Entry
from rop.checking.survey.results import Outcome, Result

# Mode -> the products that it is about; the first mode gives the gradient that the others rest on.
MODES: dict[str, tuple[str, ...]] = {
    "gradient": ("gradient",),
    "jvp, vjp": ("jvp", "vjp"),
    "grad(grad)": ("hvp",),
    "jvp(grad)": ("hvp",),
    "grad(jvp)": ("hvp",),
    "hessian": ("hvp",),
}
# What these two libraries say besides of derivatives that they do not have.
UNAVAILABLE = (
    "not supported",
    "unsupported",
    "no derivative",
    "does not work for",
    "is not currently",
    "batching rule",
    "non-differentiable",
    "not differentiable",
    "differentiation rule",
    "cannot be differentiated",
    "does not have a",
)


def check_entry(entry: Entry, dtype: str, modes: list[str]) -> Iterator[Outcome]:
    """Outcomes of a function in some modes, each as soon as it is known.

    Parameters
    ----------
    entry : Entry
    dtype : {"float64", "float32"}
    modes : list of str
        Of `MODES`.

    Yields
    ------
    Outcome
    """
    rng = np.random.default_rng(zlib.crc32(entry.name.encode()))
    library: Any = {"torch": _Torch, "jax": _Jax}[entry.library](dtype)
    arrays = [draw(rng) for draw in entry.draws]
    function = None
    for mode in modes:
        start = time.perf_counter()
        verdict: Result
        try:
            with library.mode():
                function = function or _Function(entry, library, arrays, rng)
                products = function.products(mode)
                for name in MODES[mode]:
                    function.try_out(name, products[name])
                report = check_products(function.theta, **products)
        except Exception as raised:
            words = " ".join(str(raised).split())
            missing = kind_of(raised) == "unavailable" or any(
                word in words.lower() for word in UNAVAILABLE
            )
            verdict = "unavailable" if missing else "error"
            found: dict[str, Any] = {"says": f"{type(raised).__name__}: {words[:300]}"}
        else:
            # A gradient that is wrong makes it unknown whether Hv is right.
            worst = _worst([report.products[name] for name in MODES[mode]])
            verdict = worst.verdict
            comparison = worst.worst
            error = None if comparison is None or np.isnan(comparison.error) else comparison.error
            found = {"product": worst.name, "error": error, "says": "\n".join(worst.lines())}
        seconds = time.perf_counter() - start
        yield Outcome(
            entry.library, entry.theme, entry.name, mode, dtype, verdict, seconds=seconds, **found
        )


def _worst(products: list[ProductReport]) -> ProductReport:
    rank = {"pass": 0, "inconclusive": 1, "fail": 2}
    return max(
        products,
        key=lambda p: (rank[p.verdict], p.worst.error if p.worst is not None else 0.0),
    )


class _Function:
    """A catalogue's function as F(θ) and f(θ) = Σ w F + ½ Σ w' F², with their derivatives.

    In f every second derivative of F appears, and products of first ones.
    """

    def __init__(
        self, entry: Entry, library: Any, arrays: list[Any], rng: np.random.Generator
    ) -> None:
        self.entry, self.library, self.rng = entry, library, rng
        self.theta = tuple(library.array(array) for array in arrays)
        size = int(np.prod(self.outputs(self.theta).shape))
        self.w = library.array(rng.standard_normal(size))
        self.w2 = library.array(rng.uniform(0.5, 1.5, size))
        self.made = library.derivatives(self.outputs, self.value)
        self.gradients: dict[bytes, Any] = {}

    def outputs(self, theta: Any) -> Any:
        """All results of the function as one vector."""
        return self.library.vector(self.entry.function(*theta))

    def value(self, theta: Any) -> Any:
        """The scalar f(θ)."""
        y = self.outputs(theta)
        return (self.w * y).sum() + (self.w2 * y * y).sum() / 2

    def products(self, mode: str) -> dict[str, Any]:
        """Arguments of a check."""
        names = {"gradient": ("value", "gradient"), "jvp, vjp": ("outputs", "jvp", "vjp")}
        if mode in names:
            return {name: self.made[name] for name in names[mode]}
        return {"gradient": self.kept_gradient, "hvp": self.made[mode]}

    def kept_gradient(self, theta: Any) -> Any:
        """The gradient, computed once for all modes: the same directions lead to the same θ."""
        key = b"".join(np.asarray(as_numpy(part)).tobytes() for part in theta)
        if key not in self.gradients:
            self.gradients[key] = self.made["gradient"](theta)
        return self.gradients[key]

    def try_out(self, name: str, product: Callable[..., Any]) -> None:
        """Call a product once, so that what it raises is seen."""
        v = tuple(self.library.array(self.rng.standard_normal(part.shape)) for part in self.theta)
        second = {"gradient": (), "vjp": (self.outputs(self.theta),)}.get(name, (v,))
        product(self.theta, *second)


class _Torch:
    """PyTorch: its older interface for what is reverse only, `torch.func` for the rest."""

    def __init__(self, dtype: str) -> None:
        import torch

        self.torch, self.dtype = torch, getattr(torch, dtype)
        torch.set_num_threads(1)

    def mode(self) -> AbstractContextManager[Any]:
        """Nothing that it needs."""
        return nullcontext()

    def array(self, values: Any) -> Any:
        """A tensor."""
        return self.torch.tensor(values, dtype=self.dtype)

    def vector(self, result: Any) -> Any:
        """One tensor of one axis."""
        parts = result if isinstance(result, tuple) else (result,)
        return self.torch.cat([part.reshape(-1) for part in parts])

    def derivatives(self, F: Function, f: Function) -> dict[str, Function]:
        """Every derivative, by argument name or mode."""
        func, grad = self.torch.func, self.torch.autograd.grad
        forward, backward = Transforms(func, "forward-reverse"), Transforms(func, "reverse-forward")

        def gradient(theta: Any, create_graph: bool = False) -> Any:
            leaves = [part if create_graph else part.detach().requires_grad_() for part in theta]
            return grad(f(leaves), leaves, create_graph=create_graph, materialize_grads=True)

        def grad_of_grad(theta: Any, v: Any) -> Any:
            leaves = [part.detach().requires_grad_() for part in theta]
            return grad(gradient(leaves, True), leaves, v, materialize_grads=True)

        return {
            "value": f,
            "outputs": F,
            "gradient": gradient,
            "jvp": partial(forward.jvp, F),
            "vjp": partial(forward.vjp, F),
            "grad(grad)": grad_of_grad,
            "jvp(grad)": partial(forward.hvp, f),
            "grad(jvp)": partial(backward.hvp, f),
            "hessian": lambda theta, v: _times(self.torch.tensordot, func.hessian(f)(theta), v),
        }


class _Jax:
    """JAX, compiled."""

    def __init__(self, dtype: str) -> None:
        import jax

        self.jax, self.dtype = jax, dtype

    def mode(self) -> AbstractContextManager[Any]:
        """With 64 bits for float64."""
        mode: AbstractContextManager[Any] = self.jax.enable_x64(self.dtype == "float64")
        return mode

    def array(self, values: Any) -> Any:
        """A JAX array."""
        return self.jax.numpy.asarray(values, dtype=self.dtype)

    def vector(self, result: Any) -> Any:
        """One array of one axis."""
        parts = self.jax.tree.leaves(result)
        return self.jax.numpy.concatenate([part.reshape(-1) for part in parts])

    def derivatives(self, F: Function, f: Function) -> dict[str, Function]:
        """Every derivative, by argument name or mode."""
        jax = self.jax

        def transposed(theta: Any, u: Any) -> Any:
            linear = jax.linearize(F, theta)[1]
            return jax.linear_transpose(linear, theta)(u)[0]

        def hessian_product(theta: Any, v: Any) -> Any:
            return _times(jax.numpy.tensordot, jax.hessian(f)(theta), v)

        made = {
            "value": f,
            "outputs": F,
            "gradient": jax.grad(f),
            "jvp": lambda theta, v: jax.linearize(F, theta)[1](v),
            "vjp": transposed,
            "grad(grad)": partial(Transforms(jax, "reverse-reverse").hvp, f),
            "jvp(grad)": partial(Transforms(jax, "forward-reverse").hvp, f),
            "grad(jvp)": partial(Transforms(jax, "reverse-forward").hvp, f),
            "hessian": hessian_product,
        }
        return {name: jax.jit(function) for name, function in made.items()}


def _times(tensordot: Function, H: Any, v: Any) -> Any:
    """Blocks of a Hessian times a tuple of arrays."""
    return tuple(
        sum(tensordot(block, part, part.ndim) for block, part in zip(row, v, strict=True))
        for row in H
    )
