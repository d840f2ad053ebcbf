"""Functions of PyTorch to survey."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from rop.checking.survey.entries import (
    Draw,
    Entry,
    apart,
    normal,
    regular,
    spd,
    uniform,
)

ENTRIES: list[Entry] = []


def add(theme: str, name: str, function: Callable[..., Any], *draws: Draw) -> None:
    """Append a function."""
    ENTRIES.append(Entry(name, theme, function, draws, "torch"))


def like(values: Any, x: Any) -> Any:
    """A constant in the dtype of a tensor."""
    return torch.tensor(values, dtype=x.dtype)


def fixed(*shape: int, low: float = -1.0, high: float = 1.0) -> Callable[[Any], Any]:
    """A constant array, the same at every call, in the dtype of a tensor."""
    drawn = uniform(low, high, *shape)(np.random.default_rng(7))
    return lambda x: torch.tensor(drawn, dtype=x.dtype)


x = normal(3, 4, scale=1.3)

for name in (
    "celu elu gelu hardsigmoid hardswish leaky_relu logsigmoid mish relu selu sigmoid silu "
    "softplus softsign tanh tanhshrink relu6 softshrink hardshrink hardtanh"
).split():
    add("activations", name, getattr(F, name), apart(3, 4))
add("activations", "celu(alpha=0.7)", lambda x: F.celu(x, alpha=0.7), apart(3, 4))
add("activations", "elu(alpha=0.7)", lambda x: F.elu(x, alpha=0.7), apart(3, 4))
add("activations", "gelu(approximate='tanh')", lambda x: F.gelu(x, approximate="tanh"), x)
add("activations", "softplus(beta=2)", lambda x: F.softplus(x, beta=2.0), x)
add("activations", "threshold", lambda x: F.threshold(x, 0.1, -0.5), apart(3, 4))
add("activations", "prelu", F.prelu, apart(2, 3, 2), uniform(0.1, 0.5, 3))
add("activations", "rrelu(training=False)", lambda x: F.rrelu(x, training=False), apart(3, 4))
add("activations", "glu", F.glu, x)
add("activations", "softmax", lambda x: F.softmax(x, dim=1), x)
add("activations", "log_softmax", lambda x: F.log_softmax(x, dim=1), x)
add("activations", "softmin", lambda x: F.softmin(x, dim=1), x)
add("activations", "logit", torch.logit, uniform(0.1, 0.9, 3, 4))

labels = torch.tensor([0, 3, 2])
t34 = fixed(3, 4)
add("losses", "mse_loss", lambda x: F.mse_loss(x, t34(x)), x)
add("losses", "l1_loss", lambda x: F.l1_loss(x, t34(x)), x)
add("losses", "smooth_l1_loss", lambda x: F.smooth_l1_loss(x, t34(x)), x)
add("losses", "huber_loss", lambda x: F.huber_loss(x, t34(x), delta=0.7), x)
add("losses", "cross_entropy", lambda x: F.cross_entropy(x, labels), x)
add(
    "losses",
    "cross_entropy(label_smoothing=0.1)",
    lambda x: F.cross_entropy(x, labels, label_smoothing=0.1),
    x,
)
p34 = fixed(3, 4, low=0.1, high=0.9)
add("losses", "cross_entropy(soft targets)", lambda x: F.cross_entropy(x, p34(x)), x)
add("losses", "nll_loss", lambda x: F.nll_loss(F.log_softmax(x, 1), labels), x)
add(
    "losses",
    "binary_cross_entropy",
    lambda x: F.binary_cross_entropy(x, p34(x)),
    uniform(0.1, 0.9, 3, 4),
)
add(
    "losses",
    "binary_cross_entropy_with_logits",
    lambda x: F.binary_cross_entropy_with_logits(x, p34(x)),
    x,
)
add("losses", "kl_div", lambda x: F.kl_div(F.log_softmax(x, 1), p34(x), reduction="sum"), x)
add("losses", "poisson_nll_loss", lambda x: F.poisson_nll_loss(x, p34(x)), x)
add("losses", "poisson_nll_loss(full)", lambda x: F.poisson_nll_loss(x, 5 * p34(x), full=True), x)
add(
    "losses",
    "gaussian_nll_loss",
    lambda x, s: F.gaussian_nll_loss(x, t34(x), s),
    x,
    uniform(0.5, 2.0, 3, 4),
)
signs = torch.tensor([[1.0, -1.0, 1.0, -1.0]] * 3)
add("losses", "soft_margin_loss", lambda x: F.soft_margin_loss(x, signs.to(x.dtype)), x)
add("losses", "multi_margin_loss", lambda x: F.multi_margin_loss(x, labels), x)
add(
    "losses",
    "multilabel_margin_loss",
    lambda x: F.multilabel_margin_loss(x, torch.tensor([[3, 0, -1, 1]] * 3)),
    apart(3, 4),
)
add(
    "losses",
    "multilabel_soft_margin_loss",
    lambda x: F.multilabel_soft_margin_loss(x, p34(x).round()),
    x,
)
add(
    "losses",
    "hinge_embedding_loss",
    lambda x: F.hinge_embedding_loss(x, signs.to(x.dtype)),
    apart(3, 4),
)
ones = torch.tensor([1.0, -1.0, 1.0])
add(
    "losses",
    "margin_ranking_loss",
    lambda a, b: F.margin_ranking_loss(a, b, ones.to(a.dtype), margin=0.3),
    normal(3),
    normal(3),
)
add(
    "losses",
    "cosine_embedding_loss",
    lambda a, b: F.cosine_embedding_loss(a, b, ones.to(a.dtype)),
    x,
    x,
)
add("losses", "triplet_margin_loss", lambda a, b, c: F.triplet_margin_loss(a, b, c), x, x, x)


def ctc(x: Any) -> Any:
    """Connectionist temporal classification of two sequences of six steps."""
    return F.ctc_loss(
        F.log_softmax(x, 2),
        torch.tensor([[1, 2], [2, 3]]),
        torch.tensor([6, 6]),
        torch.tensor([2, 2]),
    )


add("losses", "ctc_loss", ctc, normal(6, 2, 4))

add("normalisations", "layer_norm", lambda x: F.layer_norm(x, (4,)), x)
add(
    "normalisations",
    "layer_norm(weight, bias)",
    lambda x, w, b: F.layer_norm(x, (4,), w, b),
    x,
    normal(4),
    normal(4),
)
add("normalisations", "rms_norm", lambda x, w: F.rms_norm(x, (4,), w), x, normal(4))
add("normalisations", "group_norm", lambda x: F.group_norm(x, 2), normal(2, 4, 3))
add(
    "normalisations",
    "group_norm(weight, bias)",
    lambda x, w, b: F.group_norm(x, 2, w, b),
    normal(2, 4, 3),
    normal(4),
    normal(4),
)
add(
    "normalisations",
    "batch_norm(training)",
    lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
    normal(5, 3),
    normal(3),
    normal(3),
)
add(
    "normalisations",
    "batch_norm(evaluation)",
    lambda x, w, b: F.batch_norm(x, like([0.1, -0.2, 0.3], x), like([1.0, 0.7, 2.0], x), w, b),
    normal(5, 3),
    normal(3),
    normal(3),
)
add("normalisations", "instance_norm", lambda x: F.instance_norm(x), normal(2, 3, 4))
add(
    "normalisations",
    "local_response_norm",
    lambda x: F.local_response_norm(x, 2, alpha=0.5),
    normal(2, 4, 3),
)
add("normalisations", "normalize", lambda x: F.normalize(x, dim=1), x)
add("normalisations", "normalize(p=3)", lambda x: F.normalize(x, p=3.0, dim=1), apart(3, 4))
add(
    "normalisations",
    "nn.utils.parametrizations.weight_norm",
    lambda v, g: torch._weight_norm(v, g, 0),
    x,
    uniform(0.5, 2.0, 3, 1),
)

qkv = normal(1, 2, 3, 4)
add("attention", "scaled_dot_product_attention", F.scaled_dot_product_attention, qkv, qkv, qkv)
add(
    "attention",
    "scaled_dot_product_attention(causal)",
    lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    qkv,
    qkv,
    qkv,
)
mask = fixed(3, 3)
add(
    "attention",
    "scaled_dot_product_attention(mask)",
    lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask(q)),
    qkv,
    qkv,
    qkv,
)
w124, w44 = fixed(12, 4), fixed(4, 4)
add(
    "attention",
    "multi_head_attention_forward",
    lambda q: F.multi_head_attention_forward(
        q, q, q, 4, 2, w124(q), None, None, None, False, 0.0, w44(q), None, need_weights=False
    )[0],
    normal(3, 1, 4),
)

matrix, square = normal(3, 4), regular(4)


def _cholesky_solve(b: Any, L: Any) -> Any:
    return torch.cholesky_solve(b, L.tril())


linalg = torch.linalg
add("linear algebra", "matmul", torch.matmul, normal(3, 4), normal(4, 2))
add("linear algebra", "bmm", torch.bmm, normal(2, 2, 3), normal(2, 3, 2))
add("linear algebra", "addmm", torch.addmm, normal(2, 2), normal(2, 3), normal(3, 2))
add(
    "linear algebra",
    "einsum",
    lambda a, b, c: torch.einsum("ij,jk,ik->i", a, b, c),
    normal(3, 4),
    normal(4, 2),
    normal(3, 2),
)
add("linear algebra", "bilinear", F.bilinear, normal(3, 2), normal(3, 2), normal(2, 2, 2))
add("linear algebra", "kron", torch.kron, normal(2, 2), normal(2, 3))
add("linear algebra", "linalg.det", linalg.det, square)
add("linear algebra", "det", torch.det, square)
add("linear algebra", "logdet", torch.logdet, spd(4))
add("linear algebra", "linalg.slogdet", lambda A: linalg.slogdet(A)[1], square)
add("linear algebra", "linalg.inv", linalg.inv, square)
add("linear algebra", "linalg.pinv", linalg.pinv, regular(4, 3))
add("linear algebra", "linalg.solve", linalg.solve, square, normal(4, 2))
add(
    "linear algebra",
    "linalg.solve_triangular",
    lambda A, b: linalg.solve_triangular(A.triu(), b, upper=True),
    square,
    normal(4, 2),
)
add(
    "linear algebra",
    "linalg.lstsq",
    lambda A, b: linalg.lstsq(A, b)[0],
    regular(4, 3),
    normal(4, 2),
)
add("linear algebra", "linalg.cholesky", lambda A: linalg.cholesky(A + A.mT), spd(4))
add("linear algebra", "cholesky_inverse", lambda L: torch.cholesky_inverse(L.tril()), spd(3))
add("linear algebra", "cholesky_solve", _cholesky_solve, normal(3, 2), spd(3))
add("linear algebra", "linalg.qr", linalg.qr, regular(4, 3))
add("linear algebra", "linalg.lu", lambda A: linalg.lu(A)[1:], square)
add("linear algebra", "linalg.eigvalsh", lambda A: linalg.eigvalsh(A + A.mT), square)
add("linear algebra", "linalg.eigh (projector)", lambda A: _projector(A + A.mT), square)
add("linear algebra", "linalg.svdvals", linalg.svdvals, regular(4, 3))
add("linear algebra", "linalg.svd (projector)", lambda A: _left_projector(A), regular(4, 3))
add("linear algebra", "linalg.eigvals (real part)", lambda A: linalg.eigvals(A).real.sum(), square)
add("linear algebra", "linalg.matrix_exp", linalg.matrix_exp, normal(3, 3))
add("linear algebra", "linalg.matrix_power(3)", lambda A: linalg.matrix_power(A, 3), normal(3, 3))
add("linear algebra", "linalg.matrix_power(-2)", lambda A: linalg.matrix_power(A, -2), square)
add(
    "linear algebra",
    "linalg.multi_dot",
    lambda *A: linalg.multi_dot(A),
    normal(2, 3),
    normal(3, 2),
    normal(2, 2),
)
add("linear algebra", "linalg.vector_norm", linalg.vector_norm, matrix)
add("linear algebra", "linalg.vector_norm(ord=3)", lambda x: linalg.vector_norm(x, 3), apart(3, 4))
add(
    "linear algebra",
    "linalg.matrix_norm('nuc')",
    lambda A: linalg.matrix_norm(A, "nuc"),
    regular(4, 3),
)
add("linear algebra", "linalg.matrix_norm(2)", lambda A: linalg.matrix_norm(A, 2), regular(4, 3))
add(
    "linear algebra",
    "linalg.householder_product",
    linalg.householder_product,
    normal(4, 2),
    uniform(0.2, 0.9, 2),
)
add("linear algebra", "linalg.cross", linalg.cross, normal(2, 3), normal(2, 3))
add("linear algebra", "cdist", torch.cdist, normal(3, 2), normal(2, 2))
add("linear algebra", "pdist", F.pdist, normal(4, 3))
add("linear algebra", "cosine_similarity", F.cosine_similarity, x, x)
add("linear algebra", "pairwise_distance", F.pairwise_distance, x, x)
add("linear algebra", "corrcoef", torch.corrcoef, normal(3, 5))
add("linear algebra", "cov", torch.cov, normal(3, 5))


def _projector(A: Any) -> Any:
    """Onto the eigenvectors of the two largest eigenvalues, which has no sign to choose."""
    V = linalg.eigh(A)[1][:, -2:]
    return V @ V.mT


def _left_projector(A: Any) -> Any:
    U = linalg.svd(A, full_matrices=False)[0][:, :2]
    return U @ U.mT


for name in (
    "erf erfc erfinv lgamma digamma expm1 log1p sinc i0 exp2 sin cos tan atan sinh cosh asinh "
    "exp square reciprocal"
).split():
    low, high = (0.2, 0.8) if name in ("erfinv",) else (0.3, 2.5)
    if name in ("sin", "cos", "erf", "erfc", "sinc", "i0", "atan", "expm1", "tan"):
        low, high = -1.2, 1.3
    function = getattr(torch, name, None) or getattr(torch.special, name)
    add("special functions", name, function, uniform(low, high, 3, 4))
special = torch.special
for name in "i0e i1 i1e log_ndtr ndtr erfcx entr".split():
    add("special functions", f"special.{name}", getattr(special, name), uniform(0.2, 2.0, 3, 4))
add("special functions", "special.ndtri", special.ndtri, uniform(0.1, 0.9, 3, 4))
for name in "asin acos atanh".split():
    add("special functions", name, getattr(torch, name), uniform(-0.8, 0.8, 3, 4))
for name in "acosh log log2 log10 sqrt rsqrt".split():
    add("special functions", name, getattr(torch, name), uniform(1.2, 3.0, 3, 4))
add("special functions", "polygamma(1)", lambda x: torch.polygamma(1, x), uniform(0.5, 3.0, 3, 4))
add("special functions", "mvlgamma(2)", lambda x: torch.mvlgamma(x, 2), uniform(1.5, 3.0, 3, 4))
add("special functions", "special.xlogy", special.xlogy, apart(3, 4), uniform(0.5, 2.0, 3, 4))
add("special functions", "special.xlog1py", special.xlog1py, apart(3, 4), uniform(0.5, 2.0, 3, 4))
add("special functions", "pow", torch.pow, uniform(0.5, 2.0, 3, 4), x)
add("special functions", "pow(negative base, 3)", lambda x: torch.pow(x, 3), apart(3, 4))
add("special functions", "atan2", torch.atan2, apart(3, 4), apart(3, 4))
add("special functions", "hypot", torch.hypot, apart(3, 4), apart(3, 4))
add("special functions", "logaddexp", torch.logaddexp, x, x)
add("special functions", "logaddexp2", torch.logaddexp2, x, x)
add("special functions", "lerp", torch.lerp, x, x, x)
add("special functions", "addcdiv", torch.addcdiv, x, x, uniform(0.5, 2.0, 3, 4))

add("reductions", "logsumexp", lambda x: torch.logsumexp(x, 1), x)
add("reductions", "logcumsumexp", lambda x: torch.logcumsumexp(x, 1), x)
add("reductions", "cumsum", lambda x: torch.cumsum(x, 1), x)
add("reductions", "cumprod", lambda x: torch.cumprod(x, 1), apart(3, 4))
add("reductions", "prod", lambda x: torch.prod(x, 1), apart(3, 4))
add("reductions", "cummax", lambda x: torch.cummax(x, 1)[0], apart(3, 4))
add("reductions", "var", lambda x: torch.var(x, 1), x)
add("reductions", "std", lambda x: torch.std(x, 1), x)
add("reductions", "norm(p=1.5)", lambda x: torch.norm(x, p=1.5, dim=1), apart(3, 4))
add("reductions", "median", lambda x: torch.median(x, 1)[0], apart(3, 4))
add("reductions", "quantile", lambda x: torch.quantile(x, 0.3, 1), apart(3, 4))
add("reductions", "sort", lambda x: torch.sort(x, 1)[0], apart(3, 4))
add("reductions", "topk", lambda x: torch.topk(x, 2, 1)[0], apart(3, 4))
add("reductions", "renorm", lambda x: torch.renorm(x, 2, 0, 1.0), x)
add("reductions", "trapezoid", torch.trapezoid, x, x)

image, signal = apart(1, 2, 4, 4), apart(1, 2, 8)
add("pooling", "avg_pool2d", lambda x: F.avg_pool2d(x, 2), image)
add("pooling", "max_pool2d", lambda x: F.max_pool2d(x, 2), image)
add("pooling", "max_pool1d", lambda x: F.max_pool1d(x, 3, 2), signal)
add("pooling", "lp_pool1d", lambda x: F.lp_pool1d(x, 3.0, 2), uniform(0.2, 1.0, 1, 2, 8))
add("pooling", "lp_pool2d", lambda x: F.lp_pool2d(x, 2.0, 2), image)
add("pooling", "adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, 3), image)
add("pooling", "adaptive_max_pool2d", lambda x: F.adaptive_max_pool2d(x, 3), image)
add(
    "pooling",
    "interpolate(bilinear)",
    lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear"),
    image,
)
add("pooling", "interpolate(bicubic)", lambda x: F.interpolate(x, size=6, mode="bicubic"), image)
add("pooling", "pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), normal(1, 4, 2, 2))

grid = uniform(-0.9, 0.9, 1, 2, 3, 2)
add("convolution", "conv1d", F.conv1d, normal(2, 2, 5), normal(3, 2, 2))
add("convolution", "conv2d", F.conv2d, normal(1, 2, 4, 4), normal(2, 2, 2, 2), normal(2))
add(
    "convolution",
    "conv2d(stride, padding, groups)",
    lambda x, w: F.conv2d(x, w, stride=2, padding=1, groups=2),
    normal(1, 2, 4, 4),
    normal(2, 1, 3, 3),
)
add(
    "convolution",
    "conv2d(dilation=2)",
    lambda x, w: F.conv2d(x, w, dilation=2),
    normal(1, 1, 5, 5),
    normal(2, 1, 2, 2),
)
add("convolution", "conv3d", F.conv3d, normal(1, 1, 3, 3, 3), normal(1, 1, 2, 2, 2))
add("convolution", "conv_transpose2d", F.conv_transpose2d, normal(1, 2, 3, 3), normal(2, 2, 2, 2))
add("convolution", "unfold", lambda x: F.unfold(x, 2), normal(1, 2, 3, 3))
add("convolution", "fold", lambda x: F.fold(x, (3, 3), 2), normal(1, 4, 4))
add("convolution", "pad(reflect)", lambda x: F.pad(x, (1, 1), mode="reflect"), normal(1, 2, 4))
add(
    "convolution", "grid_sample", lambda x, g: F.grid_sample(x, g, align_corners=False), image, grid
)
add(
    "convolution",
    "affine_grid",
    lambda a: F.affine_grid(a, [1, 1, 3, 3], align_corners=False),
    normal(1, 2, 3),
)
add("convolution", "fft.rfft", lambda x: torch.view_as_real(torch.fft.rfft(x)), normal(2, 6))
add(
    "convolution", "fft.irfft", lambda x: torch.fft.irfft(torch.view_as_complex(x)), normal(2, 4, 2)
)

w86, w82, b8 = normal(8, 3, scale=0.5), normal(8, 2, scale=0.5), normal(8, scale=0.5)
h, c, xt = normal(2, 2), normal(2, 2), normal(2, 3)
add(
    "recurrent cells",
    "lstm_cell",
    lambda x, h, c, W, U, b: torch.lstm_cell(x, (h, c), W, U, b, b),
    xt,
    h,
    c,
    w86,
    w82,
    b8,
)
add(
    "recurrent cells",
    "gru_cell",
    torch.gru_cell,
    xt,
    h,
    normal(6, 3),
    normal(6, 2),
    normal(6),
    normal(6),
)
add(
    "recurrent cells",
    "rnn_tanh_cell",
    torch.rnn_tanh_cell,
    xt,
    h,
    normal(2, 3),
    normal(2, 2),
    normal(2),
    normal(2),
)


def lstm(x: Any, W: Any, U: Any, b: Any, c: Any) -> Any:
    """The whole layer over a sequence."""
    state = torch.zeros(1, 2, 2, dtype=x.dtype)
    return torch.lstm(x, (state, state), [W, U, b, c], True, 1, 0.0, False, False, False)[0]


def gru(x: Any, W: Any, U: Any, b: Any, c: Any) -> Any:
    """The whole layer over a sequence."""
    state = torch.zeros(1, 2, 2, dtype=x.dtype)
    return torch.gru(x, state, [W, U, b, c], True, 1, 0.0, False, False, False)[0]


add("recurrent cells", "lstm", lstm, normal(3, 2, 3), w86, w82, b8, b8)
add(
    "recurrent cells", "gru", gru, normal(3, 2, 3), normal(6, 3), normal(6, 2), normal(6), normal(6)
)

index = torch.tensor([[0, 2], [1, 0], [3, 3]])
add("indexing", "embedding", lambda w: F.embedding(index, w), normal(4, 3))
add("indexing", "embedding_bag", lambda w: F.embedding_bag(index, w, mode="mean"), normal(4, 3))
add("indexing", "gather", lambda x: torch.gather(x, 1, index), x)
add("indexing", "scatter_add", lambda x: torch.zeros_like(x).scatter_add(1, index, x[:, :2]), x)
add("indexing", "index_select", lambda x: x.index_select(1, torch.tensor([0, 2, 2])), x)
add("indexing", "where", lambda a, b: torch.where(a > b, a * b, b), x, x)
add("indexing", "clamp", lambda x: torch.clamp(x, -0.5, 0.8), apart(3, 4))
add("indexing", "maximum", torch.maximum, x, x)
