"""Mistakes in code that people learn automatic differentiation from."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rop.checking import Report, check_products
from rop.checking.lines import Array
from rop.checking.museum.exhibit import Exhibit
from rop.checking.museum.network import Network, check_network


class Accumulated(Network):
    """A gradient that is added to what is there, and never reset."""

    def __init__(self) -> None:
        super().__init__()
        self.grad: Array = np.zeros_like(self.theta)

    def gradient(self, theta: Array) -> Array:
        """The sum of all gradients so far."""
        self.grad = self.grad + super().gradient(theta)
        return self.grad


class Detached(Network):
    """A reverse sweep that ends at tanh."""

    def vjp(self, theta: Array, u: Array) -> Array:
        """Jᵀu of the last layer only."""
        _, y = self.forward(theta)
        parts = [(np.zeros_like(W), np.zeros_like(b)) for W, b in self.unpack(theta)]
        parts[-1] = (self.dW(u, y[len(parts) - 1]), u.sum(axis=0))
        return self.pack(parts)


class AllZero(Network):
    """A forward rule that was never written."""

    def jvp(self, theta: Array, v: Array) -> Array:
        """Jv = 0."""
        return np.zeros_like(self.outputs(theta))


def gradient_of_square(x: Array) -> Array:
    """x·x by the product rule, both terms added to x's adjoint."""
    left, right = x, x
    dx = np.zeros_like(x)
    dx += right
    dx += left
    return dx


def gradient_of_square_overwritten(x: Array) -> Array:
    """x·x by the product rule, the second term in place of the first."""
    left, right = x, x
    dx = np.zeros_like(x)
    dx[:] = right
    dx[:] = left
    return dx


def check_square(gradient: Callable[[Array], Array]) -> Report:
    """Check ∇(x·x)."""
    return check_products(
        np.linspace(-1.0, 1.5, 6), value=lambda x: np.float64(x @ x), gradient=gradient
    )


def jvp_of_power(theta: Array, v: Array) -> Array:
    """R{aᵇ} = b aᵇ⁻¹ Ra + log(a) aᵇ Rb."""
    (a, b), (Ra, Rb) = np.split(theta, 2), np.split(v, 2)
    tangent: Array = b * a ** (b - 1) * Ra + np.log(a) * a**b * Rb
    return tangent


def jvp_of_power_without_exponent(theta: Array, v: Array) -> Array:
    """R{aᵇ} = b aᵇ⁻¹ Ra."""
    (a, b), (Ra, _) = np.split(theta, 2), np.split(v, 2)
    tangent: Array = b * a ** (b - 1) * Ra
    return tangent


def check_power(jvp: Callable[..., Any]) -> Report:
    """Check Jv of aᵇ."""
    return check_products(
        np.linspace(0.5, 2.0, 6),
        outputs=lambda theta: theta[:3] ** theta[3:],
        jvp=jvp,
        blocks={"a": slice(0, 3), "b": slice(3, 6)},
    )


EXHIBITS = (
    Exhibit(
        "gradients that pile up",
        "micrograd, issues 25, 53 and 102",
        "Adjoints are stored in the nodes and added to; the second gradient contains the first.",
        "gradient",
        "accumulates",
        Accumulated,
        Network,
        check_network,
    ),
    Exhibit(
        "x·x, half of it",
        "micrograd, issue 77",
        "A node that is used twice gets two contributions. Assigned instead of added, the second "
        "replaces the first.",
        "gradient",
        "a factor 2 is missing",
        gradient_of_square_overwritten,
        gradient_of_square,
        check_square,
    ),
    Exhibit(
        "tanh, detached",
        "cs249r_book, issue 1341, and TinyTorch, whose tanh had no backward rule",
        "The reverse sweep stops at the activation. The last layer learns, which looks like "
        "learning.",
        "vjp",
        "block W1: ratio 0",
        Detached,
        Network,
        check_network,
    ),
    Exhibit(
        "the exponent's tangent",
        "google/tangent, forward rule of **",
        "aᵇ depends on b too. The forward rule was written apart from the reverse rule, which has "
        "both terms.",
        "jvp",
        "block b: ratio 0",
        jvp_of_power_without_exponent,
        jvp_of_power,
        check_power,
    ),
    Exhibit(
        "a zero that passes",
        "minitorch, tolerances of 1e-2; jax.test_util, a tolerance multiplied by the array's size",
        "An all-zero Jv passes where errors are compared with an absolute number. Relative to the "
        "derivative's own norm, its error is 100 %.",
        "jvp",
        "0 times the true product: it is always zero",
        AllZero,
        Network,
        check_network,
    ),
)
