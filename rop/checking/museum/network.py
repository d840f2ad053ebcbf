"""A network in plain NumPy: algorithms 1, 4 and 5 with the lines that exhibits get wrong."""

from typing import Any

import numpy as np

from rop.checking import Report, check_products
from rop.checking.lines import Array

Layers = list[tuple[Array, Array]]


def softmax(z: Array) -> Array:
    """p = exp(z) / Σ exp(z) over the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    p: Array = e / e.sum(axis=-1, keepdims=True)
    return p


def slope(x: Array) -> Array:
    """tanh'."""
    return 1 - np.tanh(x) ** 2


def bend(x: Array) -> Array:
    """tanh''."""
    return -2 * np.tanh(x) * slope(x)


class Network:
    """x_{i+1} = W_i y_i + b_i, y_{i+1} = tanh(x_{i+1}), outputs z = x_ℓ, softmax cross-entropy."""

    sizes = (5, 6, 4, 3)
    cases = 8

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.shapes: dict[str, tuple[int, ...]] = {}
        for i, (fan_in, fan_out) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True), 1):
            self.shapes |= {f"W{i}": (fan_out, fan_in), f"b{i}": (fan_out,)}
        ends = np.cumsum([0] + [int(np.prod(shape)) for shape in self.shapes.values()]).tolist()
        self.blocks = {
            name: slice(start, end)
            for name, start, end in zip(self.shapes, ends[:-1], ends[1:], strict=True)
        }
        self.theta = 0.7 * rng.standard_normal(ends[-1])
        self.x = rng.standard_normal((self.cases, self.sizes[0]))
        self.t = self.targets(rng)

    def targets(self, rng: np.random.Generator) -> Array:
        """One-hot targets."""
        one_hot: Array = np.eye(self.sizes[-1])[rng.integers(self.sizes[-1], size=self.cases)]
        return one_hot

    def unpack(self, theta: Array) -> Layers:
        """(W_i, b_i) for each layer."""
        parts = [theta[self.blocks[name]].reshape(shape) for name, shape in self.shapes.items()]
        return list(zip(parts[::2], parts[1::2], strict=True))

    def pack(self, layers: Layers) -> Array:
        """One vector again."""
        return np.concatenate([part.ravel() for layer in layers for part in layer])

    # L
    def loss(self, z: Array) -> float:
        """Mean over cases of -Σ t log p."""
        top = z.max(axis=1, keepdims=True)
        log_p = z - top - np.log(np.exp(z - top).sum(axis=1, keepdims=True))
        return -float((self.t * log_p).sum()) / len(z)

    def loss_gradient(self, z: Array) -> Array:
        """(p - t)/N."""
        gradient: Array = (softmax(z) - self.t) / len(z)
        return gradient

    def loss_hvp(self, z: Array, w: Array) -> Array:
        """(diag(p) - p pᵀ) w / N."""
        p = softmax(z)
        product: Array = p * (w - (p * w).sum(axis=1, keepdims=True)) / len(z)
        return product

    # F and the gradient: algorithm 1
    def forward(self, theta: Array) -> tuple[list[Array], list[Array]]:
        """x_1 ... x_ℓ, of which the first is None's place, and y_1 ... y_ℓ."""
        x, y = [self.x], [self.x]
        for W, b in self.unpack(theta):
            x.append(y[-1] @ W.T + b)
            y.append(np.tanh(x[-1]))
        return x, y

    def outputs(self, theta: Array) -> Array:
        """F(θ)."""
        return self.forward(theta)[0][-1]

    def value(self, theta: Array) -> float:
        """f(θ)."""
        return self.loss(self.outputs(theta))

    def vjp(self, theta: Array, u: Array) -> Array:
        """Jᵀu: the reverse sweep from dz = u."""
        x, y = self.forward(theta)
        layers, parts, dx = self.unpack(theta), [], u
        for i in reversed(range(len(layers))):
            parts.append((self.dW(dx, y[i]), dx.sum(axis=0)))
            dx = self.dx(dx @ layers[i][0], x[i])
        return self.pack(parts[::-1])

    def dW(self, dx: Array, y: Array) -> Array:
        """dW_i = dx_{i+1} y_iᵀ."""
        return dx.T @ y

    def dx(self, dy: Array, x: Array) -> Array:
        """dx_i = dy_i s'(x_i)."""
        return dy * slope(x)

    def gradient(self, theta: Array) -> Array:
        """∇f = Jᵀ∇L."""
        return self.vjp(theta, self.loss_gradient(self.outputs(theta)))

    # R{F}
    def r_forward(self, theta: Array, v: Array) -> tuple[list[Array], list[Array]]:
        """Rx_1 ... Rx_ℓ and Ry_1 ... Ry_ℓ."""
        x, y = self.forward(theta)
        Rx, Ry = [np.zeros_like(self.x)], [np.zeros_like(self.x)]
        for i, ((W, _), (RW, Rb)) in enumerate(
            zip(self.unpack(theta), self.unpack(v), strict=True)
        ):
            Rx.append(y[i] @ RW.T + Ry[i] @ W.T + Rb)
            Ry.append(slope(x[i + 1]) * Rx[-1])
        return Rx, Ry

    def jvp(self, theta: Array, v: Array) -> Array:
        """Jv."""
        return self.r_forward(theta, v)[0][-1]

    def hvp(self, theta: Array, v: Array) -> Array:
        """Hv: algorithm 4."""
        (x, y), (Rx, Ry) = self.forward(theta), self.r_forward(theta, v)
        layers, directions, parts = self.unpack(theta), self.unpack(v), []
        dx, Rdx = self.loss_gradient(x[-1]), self.loss_hvp(x[-1], Rx[-1])
        for i in reversed(range(len(layers))):
            W, RW = layers[i][0], directions[i][0]
            dy, Rdy = dx @ W, Rdx @ W + dx @ RW
            parts.append((Rdx.T @ y[i] + dx.T @ Ry[i], self.Rdb(Rdx, Rdy)))
            dx, Rdx = dy * slope(x[i]), self.Rdx(dy, Rdy, x[i], Rx[i])
        return self.pack(parts[::-1])

    def Rdb(self, Rdx: Array, Rdy: Array) -> Array:
        """Rdb_i = Rdx_{i+1}, summed over cases."""
        total: Array = Rdx.sum(axis=0)
        return total

    def Rdx(self, dy: Array, Rdy: Array, x: Array, Rx: Array) -> Array:
        """Rdx_i = Rdy_i s'(x_i) + dy_i s''(x_i) Rx_i."""
        return Rdy * slope(x) + dy * bend(x) * Rx

    def ggnvp(self, theta: Array, v: Array) -> Array:
        """Gv: algorithm 5."""
        (x, y), (Rx, _) = self.forward(theta), self.r_forward(theta, v)
        layers, directions, parts = self.unpack(theta), self.unpack(v), []
        dx, Rdx = self.loss_gradient(x[-1]), self.loss_hvp(x[-1], Rx[-1])
        for i in reversed(range(len(layers))):
            (W, _), (RW, Rb) = layers[i], directions[i]
            parts.append((Rdx.T @ y[i], self.output_b(Rb, Rdx.sum(axis=0))))
            Rdx = self.Rdy(W, RW, dx, Rdx) * slope(x[i])
            dx = dx @ W * slope(x[i])
        return self.pack(parts[::-1])

    def Rdy(self, W: Array, RW: Array, dx: Array, Rdx: Array) -> Array:
        """Rdy_i = W_iᵀ Rdx_{i+1}."""
        return Rdx @ W

    def output_b(self, Rb: Array, Rdb: Array) -> Array:
        """What algorithm 5 returns for b_i."""
        return Rdb


PRODUCTS = (
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


def check_network(kind: type[Network]) -> Report:
    """Check every product of such a network."""
    net = kind()
    functions: dict[str, Any] = {name: getattr(net, name) for name in PRODUCTS}
    return check_products(net.theta, **functions, blocks=net.blocks, shapes=net.shapes)
