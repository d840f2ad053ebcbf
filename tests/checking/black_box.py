"""Networks written in PyTorch and in JAX, with products by their own autodiff, to be got wrong."""

from dataclasses import dataclass

import numpy as np

from rop.checking import from_jax, from_torch

SIZES = (5, 6, 4, 3)
ACTIVATIONS = ("tanh", "relu", "softplus")
LOSSES = ("softmax", "squared", "sigmoid")


@dataclass(frozen=True)
class Case:
    """Data of one network."""

    activation: str
    loss: str
    cases: int = 9
    weights: float = 1.0
    loss_scale: float = 1.0
    seed: int = 0
    dtype: str = "float64"

    @property
    def shapes(self):
        pairs = enumerate(zip(SIZES[:-1], SIZES[1:], strict=True), 1)
        return {
            name: shape
            for i, (m, n) in pairs
            for name, shape in ((f"W{i}", (n, m)), (f"b{i}", (n,)))
        }

    @property
    def blocks(self):
        ends = np.cumsum([0] + [int(np.prod(shape)) for shape in self.shapes.values()]).tolist()
        return {
            name: slice(a, b) for name, a, b in zip(self.shapes, ends[:-1], ends[1:], strict=True)
        }

    def arrays(self):
        rng = np.random.default_rng(self.seed)
        x = rng.standard_normal((self.cases, SIZES[0]))
        t = np.eye(SIZES[-1])[rng.integers(SIZES[-1], size=self.cases)]
        n = sum(int(np.prod(shape)) for shape in self.shapes.values())
        theta = self.weights * rng.standard_normal(n) / 2
        return tuple(array.astype(self.dtype) for array in (x, t, theta))

    def unpack(self, theta):
        parts = [
            theta[where].reshape(shape)
            for where, shape in zip(self.blocks.values(), self.shapes.values(), strict=True)
        ]
        return list(zip(parts[::2], parts[1::2], strict=True))

    def network(self, activation, x):
        """F as a function of one vector, in whichever framework θ and x belong to."""

        def F(theta):
            layers, a = self.unpack(theta), x
            for i, (W, b) in enumerate(layers):
                a = a @ W.T + b
                if i < len(layers) - 1:
                    a = activation(a)
            return a

        return F


def keep(derivative):
    return derivative


def torch_functions(case, r_rule=keep, reverse_rule=keep, curvature_rule=keep):
    """Products by torch.func, with activations whose rules may be replaced."""
    import torch

    x, t, _ = (torch.tensor(array) for array in case.arrays())
    s = {"tanh": torch.tanh, "relu": torch.relu, "softplus": torch.nn.functional.softplus}
    s1 = {
        "tanh": lambda z: 1 - torch.tanh(z) ** 2,
        "relu": lambda z: (z > 0).to(z.dtype),
        "softplus": torch.sigmoid,
    }
    s2 = {
        "tanh": lambda z: -2 * torch.tanh(z) * (1 - torch.tanh(z) ** 2),
        "relu": lambda z: 0 * z,
        "softplus": lambda z: torch.sigmoid(z) * torch.sigmoid(-z),
    }
    name = case.activation

    class Slope(torch.autograd.Function):
        @staticmethod
        def forward(z):
            return s1[name](z)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, da):
            return curvature_rule(s2[name](*ctx.saved_tensors)) * da

        @staticmethod
        def jvp(ctx, Rz):
            return curvature_rule(s2[name](*ctx.saved_tensors)) * Rz

    class Activation(torch.autograd.Function):
        @staticmethod
        def forward(z):
            return s[name](z)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, da):
            return reverse_rule(Slope.apply(*ctx.saved_tensors)) * da

        @staticmethod
        def jvp(ctx, Rz):
            return r_rule(s1[name](*ctx.saved_tensors)) * Rz

    def L(z):
        if case.loss == "softmax":
            each = -(t * torch.log_softmax(z, dim=1)).sum(dim=1)
        elif case.loss == "squared":
            each = ((z - t) ** 2).sum(dim=1) / 2
        else:
            each = (torch.nn.functional.softplus(z) - t * z).sum(dim=1)
        return case.loss_scale * each.mean()

    F, func = case.network(Activation.apply, x), torch.func

    def jvp(theta, v):
        return func.jvp(F, (theta,), (v,))[1]

    def vjp(theta, u):
        return func.vjp(F, theta)[1](u)[0]

    def loss_hvp(z, w):
        return func.jvp(func.grad(L), (z,), (w,))[1]

    def f(theta):
        return L(F(theta))

    functions = {
        "value": f,
        "outputs": F,
        "gradient": func.grad(f),
        "jvp": jvp,
        "vjp": vjp,
        "loss": L,
        "loss_gradient": func.grad(L),
        "loss_hvp": loss_hvp,
        "ggnvp": lambda theta, v: vjp(theta, loss_hvp(F(theta), jvp(theta, v))),
        "hvp": lambda theta, v: func.jvp(func.grad(f), (theta,), (v,))[1],
    }
    if case.dtype == "float64":
        return {name: from_torch(function) for name, function in functions.items()}

    def in_float32(function):
        def call(*arrays):
            return function(*(torch.tensor(a, dtype=torch.float32) for a in arrays)).numpy()

        return call

    return {name: in_float32(function) for name, function in functions.items()}


def jax_functions(case, r_rule=keep, reverse_rule=keep, curvature_rule=keep):
    """Products by JAX's transforms, jitted, with activations whose rules may be replaced."""
    import jax

    jnp = jax.numpy
    x, t, _ = case.arrays()
    s = {"tanh": jnp.tanh, "relu": jax.nn.relu, "softplus": jax.nn.softplus}
    s1 = {
        "tanh": lambda z: 1 - jnp.tanh(z) ** 2,
        "relu": lambda z: (z > 0).astype(z.dtype),
        "softplus": jax.nn.sigmoid,
    }
    s2 = {
        "tanh": lambda z: -2 * jnp.tanh(z) * (1 - jnp.tanh(z) ** 2),
        "relu": lambda z: 0 * z,
        "softplus": lambda z: jax.nn.sigmoid(z) * jax.nn.sigmoid(-z),
    }
    name = case.activation

    @jax.custom_jvp
    def slope(z):
        return s1[name](z)

    @slope.defjvp
    def _(primals, tangents):
        return slope(*primals), curvature_rule(s2[name](*primals)) * tangents[0]

    @jax.custom_jvp
    def forward_activation(z):
        return s[name](z)

    @forward_activation.defjvp
    def _(primals, tangents):
        return s[name](*primals), r_rule(s1[name](*primals)) * tangents[0]

    @jax.custom_vjp
    def reverse_activation(z):
        return s[name](z)

    reverse_activation.defvjp(
        lambda z: (s[name](z), z), lambda z, da: (reverse_rule(slope(z)) * da,)
    )

    # Forward over reverse differentiates the adjoint as JAX sees it, from a rule for both.
    @jax.custom_jvp
    def activation(z):
        return s[name](z)

    @activation.defjvp
    def _(primals, tangents):
        return activation(*primals), reverse_rule(slope(*primals)) * tangents[0]

    def L(z):
        if case.loss == "softmax":
            each = -(t * jax.nn.log_softmax(z)).sum(axis=1)
        elif case.loss == "squared":
            each = ((z - t) ** 2).sum(axis=1) / 2
        else:
            each = (jax.nn.softplus(z) - t * z).sum(axis=1)
        return case.loss_scale * each.mean()

    F = case.network(activation, x)
    forward, reverse = case.network(forward_activation, x), case.network(reverse_activation, x)

    def jvp(theta, v):
        return jax.jvp(forward, (theta,), (v,))[1]

    def vjp(theta, u):
        return jax.vjp(reverse, theta)[1](u)[0]

    def loss_hvp(z, w):
        return jax.jvp(jax.grad(L), (z,), (w,))[1]

    def f(theta):
        return L(F(theta))

    functions = {
        "value": f,
        "outputs": F,
        "gradient": jax.grad(lambda theta: L(reverse(theta))),
        "jvp": jvp,
        "vjp": vjp,
        "loss": L,
        "loss_gradient": jax.grad(L),
        "loss_hvp": loss_hvp,
        "ggnvp": lambda theta, v: vjp(theta, loss_hvp(F(theta), jvp(theta, v))),
        "hvp": lambda theta, v: jax.jvp(jax.grad(f), (theta,), (v,))[1],
    }
    adapt = from_jax if case.dtype == "float64" else keep
    return {name: adapt(jax.jit(function)) for name, function in functions.items()}


FRAMEWORKS = {"torch": torch_functions, "jax": jax_functions}
