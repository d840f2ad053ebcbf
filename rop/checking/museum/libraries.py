"""Mistakes that a survey of PyTorch found, rebuilt in NumPy; docs/survey.md has the originals."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rop.checking import Report, check_products
from rop.checking.lines import Array
from rop.checking.museum.exhibit import Exhibit

W = np.random.default_rng(0).standard_normal((3, 4))
X = np.random.default_rng(1).standard_normal((3, 4))


def layer_norm(x: Array) -> tuple[Array, Array]:
    """Rows less their mean, over their standard deviation; and 1 over the latter."""
    centred = x - x.mean(axis=1, keepdims=True)
    r: Array = 1 / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    return centred * r, r


def layer_norm_vjp(x: Array, u: Array) -> Array:
    """dx = r (u - mean(u) - y mean(u y))."""
    y, r = layer_norm(x)
    adjoint: Array = r * (
        u - u.mean(axis=1, keepdims=True) - y * (u * y).mean(axis=1, keepdims=True)
    )
    return adjoint


def layer_norm_hvp(x: Array, v: Array) -> Array:
    """∇ of s(x) = Σ W Ry, where Ry = r (c - y mean(y c)), c = v - mean(v): through y and r."""
    y, r = layer_norm(x)
    c = v - v.mean(axis=1, keepdims=True)
    Wy, yc = (W * y).sum(axis=1, keepdims=True), (y * c).mean(axis=1, keepdims=True)
    dy = -r * (W * yc + Wy * c / 4)
    dr = (W * (c - y * yc)).sum(axis=1, keepdims=True)
    product: Array = layer_norm_vjp(x, dy) - dr * r**2 * y / 4
    return product


def layer_norm_hvp_of_constants(x: Array, v: Array) -> Array:
    """The same with mean and r, which the forward sweep had saved, as constants."""
    y, r = layer_norm(x)
    c = v - v.mean(axis=1, keepdims=True)
    Wy, yc = (W * y).sum(axis=1, keepdims=True), (y * c).mean(axis=1, keepdims=True)
    dy = -r * (W * yc + Wy * c / 4)
    product: Array = r * dy
    return product


def check_layer_norm(hvp: Callable[[Array, Array], Array]) -> Report:
    """Check Hv of Σ W y, y the normalized rows."""
    return check_products(
        X,
        value=lambda x: (W * layer_norm(x)[0]).sum(),
        gradient=lambda x: layer_norm_vjp(x, W),
        hvp=hvp,
    )


def det_hvp(A: Array, V: Array) -> Array:
    """∇ of s(A) = det(A) tr(A⁻¹V): through the determinant, and through the inverse."""
    inverse = np.linalg.inv(A)
    trace, determinant = np.trace(inverse @ V), np.linalg.det(A)
    product: Array = determinant * (trace * inverse - inverse @ V @ inverse).T
    return product


def det_hvp_of_constant_factors(A: Array, V: Array) -> Array:
    """The same with the LU factors, by which A⁻¹V is solved for, as constants."""
    inverse = np.linalg.inv(A)
    product: Array = np.linalg.det(A) * np.trace(inverse @ V) * inverse.T
    return product


def check_det(hvp: Callable[[Array, Array], Array]) -> Report:
    """Check Hv of a determinant."""
    A = X[:, :3] + 2 * np.eye(3)
    return check_products(
        A,
        value=np.linalg.det,
        gradient=lambda A: np.linalg.det(A) * np.linalg.inv(A).T,
        hvp=hvp,
    )


def weight_norm_gradient(v: Array) -> Array:
    """∇ of Σ W v/|v|, for each row: (W - v (v·W)/|v|²)/|v|."""
    length = np.linalg.norm(v, axis=1, keepdims=True)
    vW = (v * W).sum(axis=1, keepdims=True)
    gradient: Array = (W - v * vW / length**2) / length
    return gradient


def weight_norm_hvp(v: Array, Rv: Array) -> Array:
    """∇ of s(v) = Rv·∇f = (Rv·W)/|v| - (v·Rv)(v·W)/|v|³: through v, and through its length."""
    length = np.linalg.norm(v, axis=1, keepdims=True)
    vW, RvW, vRv = ((a * b).sum(axis=1, keepdims=True) for a, b in ((v, W), (Rv, W), (v, Rv)))
    through_length = (3 * vRv * vW / length**2 - RvW) * v
    product: Array = (through_length - Rv * vW - W * vRv) / length**3
    return product


def weight_norm_hvp_of_constant_length(v: Array, Rv: Array) -> Array:
    """The same with the length that the forward sweep had saved as a constant."""
    length = np.linalg.norm(v, axis=1, keepdims=True)
    vW, vRv = ((a * b).sum(axis=1, keepdims=True) for a, b in ((v, W), (v, Rv)))
    product: Array = -(Rv * vW + W * vRv) / length**3
    return product


def check_weight_norm(hvp: Callable[[Array, Array], Array]) -> Report:
    """Check Hv of Σ W v/|v|."""
    return check_products(
        X,
        value=lambda v: (W * v / np.linalg.norm(v, axis=1, keepdims=True)).sum(),
        gradient=weight_norm_gradient,
        hvp=hvp,
    )


def cholesky_inverse_jvp(L: Array, V: Array) -> Array:
    """R{K}, K = (L Lᵀ)⁻¹: P + Pᵀ with P = -K V Lᵀ K."""
    K = np.linalg.inv(L @ L.T)
    P = -K @ V @ L.T @ K
    return P + P.T


def cholesky_inverse_jvp_in_another_order(L: Array, V: Array) -> Array:
    """The same with P = -K V K Lᵀ."""
    K = np.linalg.inv(L @ L.T)
    P = -K @ V @ K @ L.T
    return P + P.T


def check_cholesky_inverse(jvp: Callable[[Array, Array], Array]) -> Report:
    """Check the derivative of the inverse of L Lᵀ."""
    L = X[:, :3] + 2 * np.eye(3)
    return check_products(L, outputs=lambda L: np.linalg.inv(L @ L.T), jvp=jvp)


def hard_sigmoid_gradient(x: Array) -> Array:
    """1/6 where 0 < x/6 + 1/2 < 1."""
    gradient: Array = np.where(np.abs(x) < 3, 1 / 6, 0.0)
    return gradient


def hard_sigmoid_gradient_with_a_float32_constant(x: Array) -> Array:
    """The same with 1/6 as a constant of float32."""
    gradient: Array = np.where(np.abs(x) < 3, np.float64(np.float32(1 / 6)), 0.0)
    return gradient


def check_hard_sigmoid(gradient: Callable[[Array], Array]) -> Report:
    """Check ∇ of the sum of clip(x/6 + 1/2, 0, 1)."""

    def value(x: Array) -> Any:
        return np.clip(x / 6 + 0.5, 0, 1).sum()

    return check_products(np.array([-4.1, -1.3, 0.4, 2.2, 3.9]), value=value, gradient=gradient)


EXHIBITS = (
    Exhibit(
        "layer norm with constant statistics",
        "PyTorch 2.13, torch.func.grad of torch.func.jvp; batch_norm and instance_norm too",
        "The forward rule takes mean and standard deviation from what the forward sweep saved. A "
        "reverse sweep over that rule sees constants there, and drops every term in which the "
        "statistics move. No error, no warning: Hv is off by its own size.",
        "hvp",
        "not symmetric",
        layer_norm_hvp_of_constants,
        layer_norm_hvp,
        check_layer_norm,
    ),
    Exhibit(
        "a determinant with constant factors",
        "PyTorch 2.13, torch.func.grad of torch.func.jvp of torch.linalg.det; logdet, slogdet and "
        "solve too",
        "The forward rule det(A) tr(A⁻¹V) solves with the LU factors that the value left behind. A "
        "reverse sweep over it differentiates det(A) and takes A⁻¹ for a constant. Hv stays "
        "symmetric, so that no property of a Hessian gives the mistake away.",
        "hvp",
        "differs by",
        det_hvp_of_constant_factors,
        det_hvp,
        check_det,
    ),
    Exhibit(
        "two factors in the wrong order",
        "PyTorch 2.13, forward mode of torch.cholesky_inverse",
        "-K V K Lᵀ for -K V Lᵀ K. Both are symmetrized afterwards, and they agree where L and K "
        "commute, as for a diagonal L: an example of the simplest kind sees nothing.",
        "jvp",
        "differs by",
        cholesky_inverse_jvp_in_another_order,
        cholesky_inverse_jvp,
        check_cholesky_inverse,
    ),
    Exhibit(
        "weight norm with a constant length",
        "PyTorch 2.13, double backward of torch.nn.utils.parametrizations.weight_norm",
        "The reverse rule uses the length |v| that the forward sweep saved, and a second reverse "
        "sweep takes it for a constant. The gradient is right; Hv, a gradient penalty and "
        "everything else that is differentiated twice is not.",
        "hvp",
        "not symmetric",
        weight_norm_hvp_of_constant_length,
        weight_norm_hvp,
        check_weight_norm,
    ),
    Exhibit(
        "one sixth in float32",
        "PyTorch 2.13, gradient of hardsigmoid; celu has its 1/alpha in float32",
        "A constant of the rule was rounded to float32 once, at the top of a kernel that serves "
        "every dtype. In float64 the gradient has eight digits, and no test with a tolerance of "
        "1e-5 will ever say so.",
        "gradient",
        "differs by 3.0e-08",
        hard_sigmoid_gradient_with_a_float32_constant,
        hard_sigmoid_gradient,
        check_hard_sigmoid,
    ),
)
