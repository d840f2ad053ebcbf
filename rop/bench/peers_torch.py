"""PyTorch as a peer: double backward through graphs recorded once for each θ and batch."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from rop.bench.contestants import Contestant
from rop.bench.workloads import (
    CG_LAMBDA,
    CG_STEPS,
    Convolutional,
    FeedForward,
    Model,
    Problem,
    Workload,
)

Blocks = Any  # tuple of Tensor: one tensor for each parameter, in the order of θ

_ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "linear": lambda x: x}


def outputs(model: Model, theta: dict[str, Tensor], x: Tensor) -> Tensor:
    """F(θ) for a batch, (N, *output shape)."""
    if isinstance(model, FeedForward):
        y = x
        for i, activation in enumerate(model.activations, start=1):
            y = _ACTIVATIONS[activation](
                torch.nn.functional.linear(y, theta[f"W{i}"], theta[f"b{i}"])
            )
        return y
    if isinstance(model, Convolutional):
        y, convolutions, layers = x, len(model.channels), len(model.layers)
        for i in range(1, convolutions + 1):
            y = torch.nn.functional.conv2d(y, theta[f"W{i}"], theta[f"b{i}"])
            y = torch.nn.functional.max_pool2d(torch.relu(y), 2)
        y = y.flatten(start_dim=1)
        for i in range(convolutions + 1, layers + 1):
            y = torch.nn.functional.linear(y, theta[f"W{i}"], theta[f"b{i}"])
            y = torch.relu(y) if i < layers else y
        return y
    inputs = torch.nn.functional.linear(x, theta["W_xh"], theta["b_h"]).unbind(dim=1)
    h = torch.tanh(inputs[0])
    states = [h]
    for input_t in inputs[1:]:
        h = torch.tanh(torch.addmm(input_t, h, theta["W_hh"].T))
        states.append(h)
    return torch.nn.functional.linear(torch.stack(states, dim=1), theta["W_hz"], theta["b_z"])


def loss(model: Model, cases: int, z: Tensor, t: Tensor) -> Tensor:
    """Mean of the loss over the cases (table 2)."""
    if model.loss == "squared error":
        return ((z - t) ** 2).sum() / (2 * cases)
    if model.loss == "sigmoid cross-entropy":
        return (torch.nn.functional.softplus(z) - t * z).sum() / cases
    return (torch.logsumexp(z, dim=-1) - (t * z).sum(dim=-1)).sum() / cases


def dot(left: Blocks, right: Blocks) -> Tensor:
    """Inner product of two vectors of the parameter space."""
    products = [torch.dot(a.reshape(-1), b.reshape(-1)) for a, b in zip(left, right, strict=True)]
    return torch.stack(products).sum()


class DoubleBackward:
    """Products from graphs of z, Jᵀy, ∇L and ∇f, each recorded when first asked for and kept."""

    def __init__(self, workload: Workload, problem: Problem) -> None:
        self.model, self.cases = workload.model, workload.cases
        self.theta = {k: torch.tensor(a, requires_grad=True) for k, a in problem.theta.items()}
        self.blocks = tuple(self.theta.values())
        self.x, self.t, self.u = (torch.tensor(a) for a in (problem.x, problem.t, problem.u))
        self.v = tuple(torch.tensor(block) for block in problem.v.values())
        # Jᵀy is linear in y, so its derivative with respect to y along v is J v.
        self.y = torch.zeros_like(self.t, requires_grad=True)
        self.z_leaf = self.z.detach().requires_grad_()

    @cached_property
    def z(self) -> Tensor:
        """F(θ)."""
        return outputs(self.model, self.theta, self.x)

    @cached_property
    def vjp_of_y(self) -> Blocks:
        """Jᵀy."""
        return torch.autograd.grad(self.z, self.blocks, self.y, create_graph=True)

    @cached_property
    def loss_gradient(self) -> Tensor:
        """∇L at the outputs."""
        value = loss(self.model, self.cases, self.z_leaf, self.t)
        return torch.autograd.grad(value, self.z_leaf, create_graph=True)[0]

    @cached_property
    def f_gradient(self) -> Blocks:
        """∇f."""
        value = loss(self.model, self.cases, self.z, self.t)
        return torch.autograd.grad(value, self.blocks, create_graph=True)

    def gradient(self) -> Blocks:
        """∇f, the forward sweep included."""
        f = loss(self.model, self.cases, outputs(self.model, self.theta, self.x), self.t)
        return torch.autograd.grad(f, self.blocks)

    def jvp(self, v: Blocks) -> Tensor:
        """J v."""
        return torch.autograd.grad(self.vjp_of_y, self.y, v, retain_graph=True)[0]

    def vjp(self, u: Tensor) -> Blocks:
        """Jᵀu."""
        return torch.autograd.grad(self.z, self.blocks, u, retain_graph=True)

    def ggnvp(self, v: Blocks) -> Blocks:
        """Jᵀ L'' J v."""
        Rz = self.jvp(v)
        return self.vjp(
            torch.autograd.grad(self.loss_gradient, self.z_leaf, Rz, retain_graph=True)[0]
        )

    def hvp(self, v: Blocks) -> Blocks:
        """H v."""
        return torch.autograd.grad(self.f_gradient, self.blocks, v, retain_graph=True)

    @cached_property
    def minus_gradient(self) -> Blocks:
        """-∇f, the right-hand side of CG."""
        return tuple(-g for g in self.gradient())

    def conjugate_gradient(self) -> Blocks:
        """`CG_STEPS` steps on (G + λI) δ = -∇f from 0 (alg. 2 without preconditioner)."""
        r = self.minus_gradient
        x = tuple(torch.zeros_like(block) for block in r)
        p = tuple(block.clone() for block in r)
        rr = dot(r, r)
        for _ in range(CG_STEPS):
            Ap = torch._foreach_add(self.ggnvp(p), p, alpha=CG_LAMBDA)
            alpha = rr / dot(p, Ap)
            x = torch._foreach_add(x, torch._foreach_mul(p, alpha))
            r = torch._foreach_sub(r, torch._foreach_mul(Ap, alpha))
            rr_next = dot(r, r)
            p = torch._foreach_add(r, torch._foreach_mul(p, rr_next / rr))
            rr = rr_next
        return tuple(x)


def matrix(workload: Workload, problem: Problem) -> Contestant:
    """Prepare the whole of G from per-case Jacobians and one GEMM, with `torch.func`."""
    model, cases = workload.model, workload.cases
    theta = {k: torch.tensor(block) for k, block in problem.theta.items()}
    x, t = torch.tensor(problem.x), torch.tensor(problem.t)

    def one_output(theta: dict[str, Tensor], x: Tensor) -> Tensor:
        return outputs(model, theta, x[None])[0]

    def one_loss(z: Tensor, t: Tensor) -> Tensor:
        return loss(model, cases, z[None], t[None])

    jacobians = torch.func.vmap(torch.func.jacrev(one_output), in_dims=(None, 0))
    loss_hessians = torch.func.vmap(torch.func.hessian(one_loss))
    m = model.output_shape[0]

    def G() -> Tensor:
        blocks = jacobians(theta, x)
        J = torch.cat([blocks[name].reshape(cases, m, -1) for name in theta], dim=-1)
        LJ = loss_hessians(outputs(model, theta, x), t) @ J
        n = J.shape[-1]
        return J.reshape(-1, n).T @ LJ.reshape(-1, n)

    return Contestant(
        "torch.func jacrev + GEMM", "peer", {"G": G}, lambda _, result: result.numpy()
    )


def contestants(workload: Workload, problem: Problem) -> list[Contestant]:
    """Prepare PyTorch's implementations of a workload's products.

    Parameters
    ----------
    workload, problem : Workload, Problem
        What to compute, and at which numbers.

    Returns
    -------
    list of Contestant
        "torch double backward", or for a whole matrix "torch.func jacrev + GEMM".
    """
    if "G" in workload.products:
        return [matrix(workload, problem)]
    at = DoubleBackward(workload, problem)
    calls = {
        "Gv": lambda: at.ggnvp(at.v),
        "Hv": lambda: at.hvp(at.v),
        "Jv": lambda: at.jvp(at.v),
        "Jᵀu": lambda: at.vjp(at.u),
        "gradient": at.gradient,
        "CG": at.conjugate_gradient,
    }

    def to_numpy(product: str, result: Any) -> Any:
        if isinstance(result, Tensor):
            return result.detach().numpy()
        return {k: b.detach().numpy() for k, b in zip(at.theta, result, strict=True)}

    return [
        Contestant(
            "torch double backward",
            "peer",
            {product: calls[product] for product in workload.products},
            to_numpy,
        )
    ]
