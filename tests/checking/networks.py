"""A network in plain NumPy whose every derivative rule is a method that tests can replace."""

from collections.abc import Callable

import numpy as np


def _logistic(z):
    return np.where(
        z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z)))
    )


def _softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# s, s' and s''
ACTIVATIONS: dict[str, tuple[Callable, Callable, Callable]] = {
    "tanh": (
        np.tanh,
        lambda z: 1 - np.tanh(z) ** 2,
        lambda z: -2 * np.tanh(z) * (1 - np.tanh(z) ** 2),
    ),
    "sigmoid": (
        _logistic,
        lambda z: _logistic(z) * _logistic(-z),
        lambda z: _logistic(z) * _logistic(-z) * (1 - 2 * _logistic(z)),
    ),
    "softplus": (
        lambda z: np.logaddexp(0, z),
        _logistic,
        lambda z: _logistic(z) * _logistic(-z),
    ),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0, lambda z: 0 * z),
    "sin": (np.sin, np.cos, lambda z: -np.sin(z)),
}


class Network:
    """Layers s(W a + b) and a matching loss; f = loss_scale * mean over cases + l2/2 |theta|^2."""

    def __init__(
        self,
        sizes=(5, 7, 6, 4),
        activation="tanh",
        loss="softmax",
        cases=9,
        *,
        weights=1.0,
        loss_scale=1.0,
        l2=0.0,
        seed=0,
        dtype=np.float64,
    ):
        rng = np.random.default_rng(seed)
        self.sizes, self.loss_name, self.cases, self.l2 = sizes, loss, cases, l2
        self.loss_scale = loss_scale
        self.activation = activation
        self.dtype = dtype
        self.s, self.s1, self.s2 = ACTIVATIONS[activation]
        self.shapes = {}
        for i, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), 1):
            self.shapes[f"W{i}"] = (fan_out, fan_in)
            self.shapes[f"b{i}"] = (fan_out,)
        ends = np.cumsum([0] + [int(np.prod(shape)) for shape in self.shapes.values()])
        self.blocks = {
            name: slice(int(start), int(stop))
            for name, start, stop in zip(self.shapes, ends[:-1], ends[1:], strict=True)
        }
        self.n = int(ends[-1])
        self.x = rng.standard_normal((cases, sizes[0])).astype(dtype)
        if loss == "softmax":
            self.t = np.eye(sizes[-1])[rng.integers(sizes[-1], size=cases)]
        elif loss == "sigmoid":
            self.t = rng.integers(2, size=(cases, sizes[-1])) * 1.0
        else:
            self.t = rng.standard_normal((cases, sizes[-1]))
        self.t = self.t.astype(dtype)
        self.theta = np.concatenate(
            [
                weights
                * rng.standard_normal(int(np.prod(shape)))
                / np.sqrt(shape[-1] if len(shape) == 2 else 1)
                for shape in self.shapes.values()
            ]
        )

    def unpack(self, theta):
        theta = theta.astype(self.dtype)
        arrays = [theta[self.blocks[name]].reshape(shape) for name, shape in self.shapes.items()]
        return list(zip(arrays[::2], arrays[1::2], strict=True))

    def pack(self, layers):
        return np.concatenate([part.ravel() for layer in layers for part in layer])

    # the rules, each replaceable
    def r_linear(self, W, b, VW, Vb, a, Ra):
        return a @ VW.T + Ra @ W.T + Vb

    def r_activation(self, z, Rz):
        return self.s1(z) * Rz

    def reverse_activation(self, z, da):
        return self.s1(z) * da

    def curvature_activation(self, z, Rz, da):
        return self.s2(z) * Rz * da

    def reverse_weights(self, dz, a):
        return dz.T @ a

    def reverse_bias(self, dz):
        return dz.sum(axis=0)

    def reverse_input(self, dz, W):
        return dz @ W

    def curvature_weights(self, dz, Ra):
        return dz.T @ Ra

    def curvature_input(self, dz, VW):
        return dz @ VW

    def residual(self, z):
        p = {"softmax": _softmax, "sigmoid": _logistic, "squared": lambda z: z}[self.loss_name](z)
        return p - self.t

    def loss_curvature(self, z, w):
        if self.loss_name == "squared":
            return w
        if self.loss_name == "sigmoid":
            return _logistic(z) * _logistic(-z) * w
        p = _softmax(z)
        return p * (w - (p * w).sum(axis=-1, keepdims=True))

    # the sweeps
    def forward(self, theta):
        a, cache = self.x, []
        layers = self.unpack(theta)
        for i, (W, b) in enumerate(layers):
            z = a @ W.T + b
            cache.append((a, z))
            a = z if i == len(layers) - 1 else self.s(z)
        return a, cache

    def r_forward(self, theta, v):
        _, cache = self.forward(theta)
        layers, directions = self.unpack(theta), self.unpack(v)
        Ra, r_cache = np.zeros_like(self.x), []
        for i, ((W, b), (VW, Vb), (a, z)) in enumerate(zip(layers, directions, cache, strict=True)):
            Rz = self.r_linear(W, b, VW, Vb, a, Ra)
            r_cache.append((Ra, Rz))
            Ra = Rz if i == len(layers) - 1 else self.r_activation(z, Rz)
        return Ra, r_cache

    def outputs(self, theta):
        return self.forward(theta)[0]

    def jvp(self, theta, v):
        return self.r_forward(theta, v)[0]

    def vjp(self, theta, u):
        _, cache = self.forward(theta)
        layers, dz, parts = self.unpack(theta), u.astype(self.dtype), []
        for i in range(len(layers) - 1, -1, -1):
            a = cache[i][0]
            parts.append((self.reverse_weights(dz, a), self.reverse_bias(dz)))
            if i:
                dz = self.reverse_activation(cache[i - 1][1], self.reverse_input(dz, layers[i][0]))
        return self.pack(parts[::-1])

    def loss(self, z):
        if self.loss_name == "softmax":
            top = z.max(axis=-1, keepdims=True)
            per_case = (
                np.log(np.exp(z - top).sum(axis=-1)) + top[..., 0] - (self.t * z).sum(axis=-1)
            )
        elif self.loss_name == "sigmoid":
            per_case = (np.logaddexp(0, z) - self.t * z).sum(axis=-1)
        else:
            per_case = 0.5 * ((z - self.t) ** 2).sum(axis=-1)
        return self.loss_scale * per_case.mean()

    def loss_gradient(self, z):
        return self.loss_scale * self.residual(z) / self.cases

    def loss_hvp(self, z, w):
        return self.loss_scale * self.loss_curvature(z, w) / self.cases

    def value(self, theta):
        return self.loss(self.outputs(theta)) + self.l2 / 2 * (theta @ theta)

    def gradient(self, theta):
        return self.vjp(theta, self.loss_gradient(self.outputs(theta))) + self.l2 * theta

    def ggnvp(self, theta, v):
        w = self.loss_hvp(self.outputs(theta), self.jvp(theta, v))
        return self.vjp(theta, w) + self.l2 * v

    def hvp(self, theta, v):
        z, cache = self.forward(theta)
        Rz, r_cache = self.r_forward(theta, v)
        layers, directions = self.unpack(theta), self.unpack(v)
        dz, Rdz, parts = self.loss_gradient(z), self.loss_hvp(z, Rz), []
        for i in range(len(layers) - 1, -1, -1):
            a, Ra = cache[i][0], r_cache[i][0]
            parts.append(
                (
                    self.reverse_weights(Rdz, a) + self.curvature_weights(dz, Ra),
                    self.reverse_bias(Rdz),
                )
            )
            if i:
                da = self.reverse_input(dz, layers[i][0])
                Rda = self.reverse_input(Rdz, layers[i][0]) + self.curvature_input(
                    dz, directions[i][0]
                )
                z_below, Rz_below = cache[i - 1][1], r_cache[i - 1][1]
                Rdz = self.reverse_activation(z_below, Rda) + self.curvature_activation(
                    z_below, Rz_below, da
                )
                dz = self.reverse_activation(z_below, da)
        return self.pack(parts[::-1]) + self.l2 * v

    NAMES = (
        "value",
        "outputs",
        "gradient",
        "jvp",
        "vjp",
        "loss",
        "loss_gradient",
        "loss_hvp",
        "ggnvp",
        "hvp",
    )

    def functions(self, *names):
        return {name: getattr(self, name) for name in names or self.NAMES}
