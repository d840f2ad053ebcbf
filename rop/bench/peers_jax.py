"""JAX as a peer: linearized once for each θ and batch, transposed, and jitted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from rop.bench.contestants import Contestant
from rop.bench.workloads import (
    CG_LAMBDA,
    CG_STEPS,
    Convolutional,
    FeedForward,
    Model,
    Problem,
    Recurrent,
    Workload,
)

Tree = Any  # a pytree: of parameters, of vectors like them, or of residuals

_ACTIVATIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "linear": lambda x: x}


def outputs(model: Model, theta: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """F(θ) for a batch; an RNN has time as its first axis, so that the scan copies nothing."""
    if isinstance(model, FeedForward):
        y = x
        for i, activation in enumerate(model.activations, start=1):
            y = _ACTIVATIONS[activation](y @ theta[f"W{i}"].T + theta[f"b{i}"])
        return y
    if isinstance(model, Convolutional):
        return _convolutional(model, theta, x)

    def step(h: jax.Array, x_t: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = jnp.tanh(x_t @ theta["W_xh"].T + h @ theta["W_hh"].T + theta["b_h"])
        return h, h @ theta["W_hz"].T + theta["b_z"]

    h_0 = jnp.zeros((x.shape[1], model.hidden), x.dtype)
    return jax.lax.scan(step, h_0, x)[1]


def _convolutional(model: Convolutional, theta: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Windows by slices and pools by reshaping: XLA's own take twice as long on a CPU."""
    y, k = x, model.kernel
    for i in range(1, len(model.channels) + 1):
        W, n = theta[f"W{i}"], y.shape[-1] - k + 1
        parts = [y[:, :, p : p + n, q : q + n] for p in range(k) for q in range(k)]
        u = jnp.stack(parts, axis=2).transpose(0, 3, 4, 1, 2).reshape(len(y), n, n, -1)
        y = jax.nn.relu(u @ W.reshape(len(W), -1).T + theta[f"b{i}"])
        y = y.reshape(len(y), n // 2, 2, n // 2, 2, -1).max(axis=(2, 4)).transpose(0, 3, 1, 2)
    y, layers = y.reshape(len(y), -1), len(model.layers)
    for i in range(len(model.channels) + 1, layers + 1):
        y = y @ theta[f"W{i}"].T + theta[f"b{i}"]
        y = jax.nn.relu(y) if i < layers else y
    return y


def loss(model: Model, cases: int, z: jax.Array, t: jax.Array) -> jax.Array:
    """Mean of the loss over the cases (table 2)."""
    if model.loss == "squared error":
        return jnp.sum((z - t) ** 2) / (2 * cases)
    if model.loss == "sigmoid cross-entropy":
        return jnp.sum(jnp.logaddexp(0, z) - t * z) / cases
    return jnp.sum(jax.nn.logsumexp(z, axis=-1) - jnp.sum(t * z, axis=-1)) / cases


def conjugate_gradient(product: Callable[[Tree], Tree], b: Tree) -> Tree:
    """`CG_STEPS` steps of conjugate gradient from 0 (alg. 2 without preconditioner)."""

    def dot(left: Tree, right: Tree) -> jax.Array:
        return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, left, right)), start=jnp.zeros(()))

    def step(_: int, state: tuple[Tree, Tree, Tree, Tree]) -> tuple[Tree, Tree, Tree, Tree]:
        x, r, p, rr = state
        Ap = jax.tree.map(lambda Gp, p: Gp + CG_LAMBDA * p, product(p), p)
        alpha = rr / dot(p, Ap)
        x = jax.tree.map(lambda x, p: x + alpha * p, x, p)
        r = jax.tree.map(lambda r, Ap: r - alpha * Ap, r, Ap)
        rr_next = dot(r, r)
        p = jax.tree.map(lambda r, p: r + rr_next / rr * p, r, p)
        return x, r, p, rr_next

    start = (jax.tree.map(jnp.zeros_like, b), b, b, dot(b, b))
    return jax.lax.fori_loop(0, CG_STEPS, step, start)[0]


def _linearize(function: Callable[[Tree], Tree], point: Tree) -> Tree:
    return jax.jit(lambda point: jax.linearize(function, point)[1])(point)


class Linearized:
    """A workload linearized at its problem; θ is a block for each parameter or one flat vector."""

    def __init__(self, workload: Workload, problem: Problem, flat: bool) -> None:
        self.model, self.cases = workload.model, workload.cases
        # JAX orders a dict by name, an OrderedDict by insertion: in the order of θ.
        self.theta: Tree = OrderedDict((k, jnp.asarray(a)) for k, a in problem.theta.items())
        self.v: Tree = OrderedDict((k, jnp.asarray(a)) for k, a in problem.v.items())
        self.blocks: Callable[[Tree], Tree] = lambda theta: theta
        if flat:
            self.theta, self.blocks = ravel_pytree(self.theta)
            self.v, _ = ravel_pytree(self.v)
        arrays = (problem.x, problem.t, problem.u)
        self.x, self.t, self.u = (jnp.asarray(self.swap_time(a).copy()) for a in arrays)

    @cached_property
    def jvp(self) -> Tree:
        """Linearization of F."""
        return _linearize(partial(self.outputs, x=self.x), self.theta)

    @cached_property
    def loss_hvp(self) -> Tree:
        """Linearization of ∇L at the outputs."""
        return _linearize(jax.grad(partial(self.loss, t=self.t)), self.outputs(self.theta, self.x))

    @cached_property
    def hvp(self) -> Tree:
        """Linearization of ∇f."""
        return _linearize(jax.grad(partial(self.objective, x=self.x, t=self.t)), self.theta)

    def swap_time(self, array: Any) -> Any:
        """Put the cases first, or the time steps if they are; for an RNN."""
        return array.swapaxes(0, 1) if isinstance(self.model, Recurrent) else array

    def outputs(self, theta: Tree, x: jax.Array) -> jax.Array:
        """F(θ)."""
        return outputs(self.model, self.blocks(theta), x)

    def loss(self, z: jax.Array, t: jax.Array) -> jax.Array:
        """L(z)."""
        return loss(self.model, self.cases, z, t)

    def objective(self, theta: Tree, x: jax.Array, t: jax.Array) -> jax.Array:
        """f(θ)."""
        return self.loss(self.outputs(theta, x), t)

    # The linearizations are pytrees of residuals: passed as arguments they are cached
    # activations, whereas closed over they would be compiled in as constants.

    def vjp(self, jvp: Tree, u: jax.Array) -> Tree:
        """Jᵀu."""
        return jax.linear_transpose(jvp, self.theta)(u)[0]

    def ggnvp(self, jvp: Tree, loss_hvp: Tree, v: Tree) -> Tree:
        """Jᵀ L'' J v."""
        return self.vjp(jvp, loss_hvp(jvp(v)))

    def cg(self, jvp: Tree, loss_hvp: Tree, b: Tree) -> Tree:
        """Solve (G + λI) δ = b by conjugate gradient."""
        return conjugate_gradient(partial(self.ggnvp, jvp, loss_hvp), b)

    def minus_gradient(self) -> Tree:
        """-∇f."""
        g = jax.jit(jax.grad(self.objective))(self.theta, self.x, self.t)
        return jax.tree.map(jnp.negative, g)

    def matrix_from_rows(self, theta: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
        """G from the Jacobian of each case and one GEMM; θ is flat."""

        def one_case(x: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
            def z(theta: jax.Array) -> jax.Array:
                return self.outputs(theta, x[None])[0]

            J = jax.jacrev(z)(theta)
            return J, jax.hessian(lambda z: self.loss(z[None], t[None]))(z(theta)) @ J

        J, LJ = jax.vmap(one_case)(x, t)
        return J.reshape(-1, theta.size).T @ LJ.reshape(-1, theta.size)

    def matrix_from_products(self, jvp: Tree, loss_hvp: Tree) -> jax.Array:
        """G as all its products with unit vectors; θ is flat."""
        identity = jnp.eye(self.theta.size, dtype=self.theta.dtype)
        return jax.vmap(partial(self.ggnvp, jvp, loss_hvp))(identity)

    def to_numpy(self, product: str, result: Tree) -> Any:
        """Bring a result to NumPy, with the cases first."""
        result = jax.tree.map(np.asarray, result)
        return self.swap_time(result) if product == "Jv" else result


def contestants(workload: Workload, problem: Problem) -> list[Contestant]:
    """Prepare JAX's implementations of a workload's products.

    Parameters
    ----------
    workload, problem : Workload, Problem
        What to compute, and at which numbers.

    Returns
    -------
    list of Contestant
        "JAX linearize", for tiny products also with θ as one vector; or for a whole matrix
        "JAX jacrev + GEMM" and "JAX vmap".
    """
    # The precision is one switch for the whole process: a workload has a process of its own.
    jax.config.update("jax_enable_x64", workload.dtype == "float64")

    def contestant(
        name: str, at: Linearized, calls: dict[str, Callable[[], tuple[Any, ...]]]
    ) -> Contestant:
        def ready(function: Callable[..., Tree], *arguments: Tree) -> Callable[[], Tree]:
            jitted = jax.jit(function)
            return lambda: jax.block_until_ready(jitted(*arguments))

        ready_calls = {product: ready(*calls[product]()) for product in workload.products}
        return Contestant(name, "peer", ready_calls, at.to_numpy)

    def linearized(name: str, flat: bool) -> Contestant:
        at = Linearized(workload, problem, flat)
        # Only what the workload asks for is linearized.
        calls: dict[str, Callable[[], tuple[Any, ...]]] = {
            "Gv": lambda: (at.ggnvp, at.jvp, at.loss_hvp, at.v),
            "Hv": lambda: (lambda hvp, v: hvp(v), at.hvp, at.v),
            "Jv": lambda: (lambda jvp, v: jvp(v), at.jvp, at.v),
            "Jᵀu": lambda: (at.vjp, at.jvp, at.u),
            "gradient": lambda: (jax.grad(at.objective), at.theta, at.x, at.t),
            "CG": lambda: (at.cg, at.jvp, at.loss_hvp, at.minus_gradient()),
        }
        return contestant(name, at, calls)

    if "G" in workload.products:
        at = Linearized(workload, problem, flat=True)
        rows = {"G": lambda: (at.matrix_from_rows, at.theta, at.x, at.t)}
        products = {"G": lambda: (at.matrix_from_products, at.jvp, at.loss_hvp)}
        return [contestant("JAX jacrev + GEMM", at, rows), contestant("JAX vmap", at, products)]
    entered = [linearized("JAX linearize", flat=False)]
    if not workload.parallel:
        # What JAX spends on a tiny product grows with the number of arrays it is given.
        entered.append(linearized("JAX, flat θ", flat=True))
    return entered
