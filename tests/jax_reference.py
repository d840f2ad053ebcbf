"""An interpreter of rop's graphs in jax.numpy: derivatives that owe nothing to rop's rules.

Written for one case, as the graph is, and mapped over the cases by `jax.vmap`.
"""

from __future__ import annotations

import os

# Many small programs, each run once: compiling them fast matters, not running them fast.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import jax
import jax.numpy as jnp
import numpy as np

import rop
from rop.graph import Node, ancestors
from rop.ops import (
    activations,
    arithmetic,
    arranging,
    choices,
    convolution,
    einsums,
    elementwise,
    lookup,
    pooling,
    powers,
    products,
    shaping,
    solving,
    trigonometry,
    windows,
)

jax.config.update("jax_enable_x64", True)


def _summed(op, z):
    """What is summed over the op does not say: the loops in which the target stands still."""
    (loops,) = op.maps
    axes = tuple(i for i, stride in enumerate(loops.walks[0].strides) if stride == 0)
    return loops.coefficient * jnp.sum(z, axis=axes).reshape(op.shape)


def _concatenated(op, *z):
    if len(z) == 1:
        return z[0]
    (axis,) = [i for i, extent in enumerate(op.shape) if extent != z[0].shape[i]]
    return jnp.concatenate(z, axis=axis)


def _stacked(op, *z):
    if len(z) == 1:
        return z[0].reshape(op.shape)
    # Where the second operand begins in the result tells the axis.
    begin = op.adjoints[1].walks[1].offset
    axis = [int(np.prod(op.shape[i + 1 :])) for i in range(len(op.shape))].index(begin)
    return jnp.stack(z, axis=axis)


def _pooled(op, z, start, join):
    """Windows of one channel after the other, reduced by JAX."""
    window, stride = (1, *op.grid.size), (1, *op.grid.stride)
    return jax.lax.reduce_window(z, start, join, window, stride, "VALID")


def _windows(op, z):
    """What a kernel of size k sees of each channel, in JAX's own patches."""
    grid = op.grid
    found = jax.lax.conv_general_dilated_patches(
        z[None], grid.size, grid.stride, "VALID", rhs_dilation=grid.dilation
    )
    return found.reshape(op.shape)


def _convolved(op, W, u):
    count = op.groups
    left = W.reshape(count, len(W) // count, -1)
    right = u.reshape(count, left.shape[-1], -1)
    return jnp.einsum("goi,gip->gop", left, right).reshape(op.shape)


RULES = {
    arithmetic.Add: lambda op, x, y: x + y,
    arithmetic.Subtract: lambda op, x, y: x - y,
    arithmetic.Scale: lambda op, z: op.maps[0].coefficient * z,
    elementwise.tanh.op: lambda op, z: jnp.tanh(z),
    elementwise.sigmoid.op: lambda op, z: jax.nn.sigmoid(z),
    elementwise.relu.op: lambda op, z: jax.nn.relu(z),
    elementwise.softplus.op: lambda op, z: jax.nn.softplus(z),
    elementwise.elu.op: lambda op, z: jax.nn.elu(z),
    elementwise.exp.op: lambda op, z: jnp.exp(z),
    elementwise.log.op: lambda op, z: jnp.log(z),
    elementwise.sin.op: lambda op, z: jnp.sin(z),
    elementwise.cos.op: lambda op, z: jnp.cos(z),
    elementwise.square.op: lambda op, z: jnp.square(z),
    elementwise.sqrt.op: lambda op, z: jnp.sqrt(z),
    elementwise.reciprocal.op: lambda op, z: jnp.reciprocal(z),
    products.MatVec: lambda op, W, x: W @ x,
    products.VecMat: lambda op, x, W: x @ W,
    products.MatMat: lambda op, X, Y: X @ Y,
    products.Dot: lambda op, x, y: jnp.dot(x, y),
    products.Multiply: lambda op, x, y: x * y,
    shaping.GetItem: lambda op, z: z[op.key],
    shaping.Reshape: lambda op, z: jnp.reshape(z, op.shape),
    shaping.Transpose: lambda op, z: jnp.transpose(z, op.axes),
    shaping.Broadcast: lambda op, z: jnp.broadcast_to(z, op.shape),
    shaping.PerCase: lambda op, z: z,
    shaping.Sum: _summed,
    shaping.Concatenate: _concatenated,
    shaping.Stack: _stacked,
    activations.erf.op: lambda op, z: jax.scipy.special.erf(z),
    activations.gelu.op: lambda op, z: jax.nn.gelu(z, approximate=False),
    activations.softsign.op: lambda op, z: jax.nn.soft_sign(z),
    arranging.Pad: lambda op, z: jnp.pad(z, op.widths),
    choices.abs.op: lambda op, z: jnp.abs(z),
    choices.positive.op: lambda op, z: jnp.where(z > 0, 1.0, 0.0),
    choices.not_negative.op: lambda op, z: jnp.where(z >= 0, 1.0, 0.0),
    choices.Where: lambda op, c, x, y: jnp.where(c != 0, x, y),
    einsums.Einsum1: lambda op, z: jnp.einsum(op.subscripts, z),
    einsums.Einsum2: lambda op, x, y: jnp.einsum(op.subscripts, x, y),
    elementwise.expm1.op: lambda op, z: jnp.expm1(z),
    elementwise.log1p.op: lambda op, z: jnp.log1p(z),
    convolution.AddBiases: lambda op, z, b: z + b.reshape(-1, *(1,) * (z.ndim - 1)),
    convolution.Convolve: _convolved,
    pooling.AveragePool: lambda op, z: _pooled(op, z, 0.0, jax.lax.add) / np.prod(op.grid.size),
    pooling.MaxPool: lambda op, z: _pooled(op, z, -jnp.inf, jax.lax.max),
    windows.Windows: _windows,
    lookup.Take: lambda op, z: jnp.take(z, op.indices, op.axis - 1).reshape(op.shape),
    powers.log_of_base.op: lambda op, z: jnp.log(z),
    powers.Power: lambda op, z: z**op.p,
    solving.Solve: lambda op, M, b: jnp.linalg.solve(M, b),
    trigonometry.arccos.op: lambda op, z: jnp.arccos(z),
    trigonometry.arcsin.op: lambda op, z: jnp.arcsin(z),
    trigonometry.arctan.op: lambda op, z: jnp.arctan(z),
    trigonometry.cosh.op: lambda op, z: jnp.cosh(z),
    trigonometry.sinh.op: lambda op, z: jnp.sinh(z),
    trigonometry.tan.op: lambda op, z: jnp.tan(z),
}


def evaluate(node: Node, values: dict[Node, jax.Array]) -> jax.Array:
    """The value of a node for one case, from the values of leaves (and of any other nodes)."""
    values = dict(values)
    for each in ancestors(node):
        if each in values:
            continue
        if each.constant is not None:
            values[each] = jnp.asarray(each.constant)
        elif each.op is not None and all(parent in values for parent in each.parents):
            z = [values[parent] for parent in each.parents]
            rule = RULES.get(type(each.op))
            own = getattr(each.op, "one_case", None)
            values[each] = rule(each.op, *z) if rule else own(jnp, *z)
    return values[node]


def table_loss(loss, z, t, weight):
    """Table 2, with the weights; summed."""
    if isinstance(loss, rop.SquaredError):
        each = 0.5 * (z - t) ** 2
    elif isinstance(loss, rop.SigmoidCrossEntropy):
        each = jnp.logaddexp(0.0, z) - t * z
    else:
        each = -jnp.sum(t * jax.nn.log_softmax(z, axis=-1), axis=-1)
    return jnp.sum(each * weight)


class Reference:
    """f(θ) and its derivatives at one θ and batch, by JAX's automatic differentiation.

    Parameters
    ----------
    objective : rop.Objective
        The objective.
    theta : ndarray, (n,)
        The parameters.
    batch : dict of str to ndarray
        The batch.
    """

    def __init__(self, objective, theta, batch) -> None:
        self.objective, self.theta = objective, jnp.asarray(theta)
        # Without data there is one case, which has nothing to be mapped over but a dummy.
        cases = {name: jnp.asarray(array) for name, array in batch.items()}
        self.cases = cases or {"": jnp.zeros(1)}
        leaves = ancestors(objective.z, *objective.loss.given)
        self._data = {str(node.name): node for node in leaves if node.kind == "data"}
        self._compiled = jax.jit(self._products)

    def at(self, theta, batch) -> Reference:
        """The same elsewhere, without compiling again where the shapes are the same."""
        other = Reference(self.objective, theta, batch)
        other._compiled = self._compiled
        return other

    def products(self, v, u) -> dict[str, np.ndarray]:
        """All products with v (n,) and u of the outputs' shape, by the names of rop's methods."""
        found = self._compiled(self.theta, self.cases, jnp.asarray(v), jnp.asarray(u))
        return {name: np.asarray(array) for name, array in found.items()}

    def matrices(self) -> dict[str, np.ndarray]:
        """Whole matrices.

        Returns
        -------
        dict of str to ndarray
            "J" (N, m, n), "H" (n, n), "L2" (N, m, m) with 1/N and positive semidefinite if the loss
            asks for it, and "gradients" (N, n) of each case's own loss, without the penalty.
        """
        found = jax.jit(self._matrices)(self.theta, self.cases)
        return {name: np.asarray(array) for name, array in found.items()}

    # Functions of θ, or of the outputs, and of the cases

    def outputs(self, theta, cases):
        """F(θ): (N, *output shape), or (1, *output shape) if z does not depend on data."""
        if not self.objective.z.per_case:
            return self._network(theta, {})[None]
        return jax.vmap(lambda case: self._network(theta, case))(cases)

    def loss(self, z, cases):
        """f of the outputs, without the penalty."""
        if self.objective.z.per_case:
            return jnp.mean(jax.vmap(self._loss)(z, cases))
        return jnp.mean(jax.vmap(lambda case: self._loss(z[0], case))(cases))

    def value(self, theta, cases):
        """f(θ), penalty included."""
        penalty = 0.5 * self.objective.l2 * jnp.dot(theta, theta)
        return self.loss(self.outputs(theta, cases), cases) + penalty

    def _products(self, theta, cases, v, u):
        def network(theta):
            return self.outputs(theta, cases)

        def loss_gradient(z):
            return jax.grad(self.loss)(z, cases)

        def gradient(theta):
            return jax.grad(self.value)(theta, cases)

        z, Jv = jax.jvp(network, (theta,), (v,))
        vjp = jax.vjp(network, theta)[1]
        if getattr(self.objective.loss, "convexify", None) is None:

            def loss_hvp(w):
                return jax.jvp(loss_gradient, (z,), (w,))[1]
        else:
            L2 = self._convex(z, cases)

            def loss_hvp(w):
                return jnp.einsum("nij,nj->ni", L2, w.reshape(len(w), -1)).reshape(w.shape)

        g, Hv = jax.jvp(gradient, (theta,), (v,))
        return {
            "outputs": z,
            "value": self.value(theta, cases),
            "gradient": g,
            "jvp": Jv,
            "vjp": vjp(u)[0],
            "loss_gradient": loss_gradient(z),
            "loss_hvp": loss_hvp(u),
            "ggnvp": vjp(loss_hvp(Jv))[0] + self.objective.l2 * v,
            "hvp": Hv,
        }

    def _matrices(self, theta, cases):
        def gradient(case):
            return jax.grad(lambda theta: self._loss(self._network(theta, case), case))(theta)

        z = self.outputs(theta, cases)
        convex = getattr(self.objective.loss, "convexify", None) is not None
        J = jax.jacfwd(self.outputs)(theta, cases)
        return {
            "J": J.reshape(len(z), -1, len(theta)),
            "H": jax.hessian(self.value)(theta, cases),
            "L2": (self._convex if convex else self._loss_hessians)(z, cases),
            "gradients": jax.vmap(gradient)(cases),
        }

    def _loss_hessians(self, z, cases):
        rows, m = len(z), int(np.prod(z.shape[1:]))
        full = jax.hessian(self.loss)(z, cases).reshape(rows, m, rows, m)
        return jnp.einsum("ninj->nij", full)

    def _convex(self, z, cases):
        L2 = self._loss_hessians(z, cases)
        values, vectors = jnp.linalg.eigh(L2)
        if self.objective.loss.convexify == "shift":
            return L2 + jnp.maximum(0.0, -values[:, :1, None]) * jnp.eye(L2.shape[-1])
        return jnp.einsum("nik,nk,njk->nij", vectors, jnp.maximum(values, 0.0), vectors)

    # Functions for one case

    def _network(self, theta, case):
        values = self._given(case if self.objective.z.per_case else {})
        for node in self.objective.parameters:
            where = self.objective.slices[node.name]
            values[node] = theta[where].reshape(node.shape)
        return evaluate(self.objective.z, values)

    def _loss(self, z, case):
        loss, values = self.objective.loss, self._given(case)
        if isinstance(loss, rop.LossGraph):
            return jnp.sum(evaluate(loss.node, {**values, self.objective.z: z}))
        t = evaluate(loss.t, values)
        weight = 1.0 if loss.weight is None else evaluate(loss.weight, values)
        return table_loss(loss, z, t, weight)

    def _given(self, case):
        return {node: case[name] for name, node in self._data.items() if name in case}
