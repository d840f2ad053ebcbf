"""Functions of JAX to survey."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn
from jax.scipy import linalg as jsl
from jax.scipy import special as jss

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
    ENTRIES.append(Entry(name, theme, function, draws, "jax"))


def fixed(*shape: int, low: float = -1.0, high: float = 1.0) -> Callable[[Any], Any]:
    """A constant array, the same at every call, in the dtype of an array."""
    drawn = uniform(low, high, *shape)(np.random.default_rng(7))
    return lambda x: jnp.asarray(drawn, x.dtype)


x = normal(3, 4, scale=1.3)

for name in (
    "celu elu gelu hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid mish relu "
    "relu6 selu sigmoid silu soft_sign softplus sparse_plus sparse_sigmoid squareplus tanh"
).split():
    add("activations", f"nn.{name}", getattr(nn, name, None) or getattr(jnp, name), apart(3, 4))
add("activations", "nn.celu(alpha=0.7)", lambda x: nn.celu(x, 0.7), apart(3, 4))
add("activations", "nn.gelu(approximate=False)", lambda x: nn.gelu(x, approximate=False), x)
add("activations", "nn.glu", nn.glu, x)
add("activations", "nn.softmax", nn.softmax, x)
add("activations", "nn.log_softmax", nn.log_softmax, x)
add("activations", "nn.logsumexp", lambda x: nn.logsumexp(x, axis=1), x)
add("activations", "nn.logmeanexp", lambda x: nn.logmeanexp(x, axis=1), x)
add("activations", "nn.standardize", nn.standardize, x)
add("activations", "nn.log1mexp", nn.log1mexp, uniform(0.2, 2.0, 3, 4))

t34, p34 = fixed(3, 4), fixed(3, 4, low=0.1, high=0.9)
labels = np.array([0, 3, 2])


def cross_entropy(z: Any) -> Any:
    """Softmax cross-entropy with integer labels."""
    return -jnp.mean(nn.log_softmax(z)[jnp.arange(3), labels])


def sigmoid_cross_entropy(z: Any) -> Any:
    """Sigmoid cross-entropy."""
    return jnp.mean(nn.softplus(z) - p34(z) * z)


def huber(z: Any) -> Any:
    """Huber loss by `where`."""
    r = jnp.abs(z - t34(z))
    return jnp.where(r < 0.7, 0.5 * r**2, 0.7 * (r - 0.35)).mean()


add("losses", "softmax cross-entropy", cross_entropy, x)
add("losses", "sigmoid cross-entropy", sigmoid_cross_entropy, x)
add("losses", "squared error", lambda z: ((z - t34(z)) ** 2).mean(), x)
add("losses", "huber", huber, x)
add(
    "losses", "scipy.special.kl_div", lambda p: jss.kl_div(p, p34(p)).sum(), uniform(0.1, 0.9, 3, 4)
)
add(
    "losses",
    "scipy.special.rel_entr",
    lambda p: jss.rel_entr(p34(p), p).sum(),
    uniform(0.1, 0.9, 3, 4),
)
stats = jax.scipy.stats
add(
    "losses",
    "stats.norm.logpdf",
    lambda x, m, s: stats.norm.logpdf(x, m, s),
    x,
    x,
    uniform(0.5, 2.0, 3, 4),
)
add("losses", "stats.norm.logcdf", stats.norm.logcdf, x)
add("losses", "stats.t.logpdf", lambda x, d: stats.t.logpdf(x, d), x, uniform(2.0, 5.0, 3, 4))
add(
    "losses",
    "stats.gamma.logpdf",
    lambda x, a: stats.gamma.logpdf(x, a),
    uniform(0.5, 2.0, 3, 4),
    uniform(0.5, 3.0, 3, 4),
)
add(
    "losses",
    "stats.beta.logpdf",
    lambda x, a, b: stats.beta.logpdf(x, a, b),
    uniform(0.1, 0.9, 3, 4),
    uniform(0.5, 3.0, 3, 4),
    uniform(0.5, 3.0, 3, 4),
)
add(
    "losses",
    "stats.poisson.logpmf",
    lambda m: stats.poisson.logpmf(jnp.array([0, 2, 5, 1]), m),
    uniform(0.5, 3.0, 3, 4),
)
add(
    "losses",
    "stats.dirichlet.logpdf",
    lambda a: stats.dirichlet.logpdf(jnp.asarray([0.2, 0.3, 0.5], a.dtype), a),
    uniform(0.5, 3.0, 3),
)
add(
    "losses",
    "stats.multivariate_normal.logpdf",
    lambda x, S: stats.multivariate_normal.logpdf(x, jnp.zeros(3, x.dtype), S),
    normal(3),
    spd(3),
)
add("losses", "stats.logistic.logpdf", stats.logistic.logpdf, x)
add("losses", "stats.cauchy.logpdf", stats.cauchy.logpdf, x)


def layer_norm(x: Any, w: Any, b: Any) -> Any:
    """As every library of layers writes it."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return w * centred * lax.rsqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) + b


add("normalisations", "layer norm", layer_norm, x, normal(4), normal(4))
add(
    "normalisations",
    "rms norm",
    lambda x, w: w * x * lax.rsqrt((x**2).mean(-1, keepdims=True)),
    x,
    normal(4),
)
add(
    "normalisations",
    "batch norm",
    lambda x: (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-5),
    normal(5, 3),
)
add("normalisations", "unit norm", lambda x: x / jnp.linalg.norm(x, axis=1, keepdims=True), x)

qkv = normal(1, 3, 2, 4)
bias = fixed(1, 2, 3, 3)
add("attention", "nn.dot_product_attention", nn.dot_product_attention, qkv, qkv, qkv)
add(
    "attention",
    "nn.dot_product_attention(causal)",
    lambda q, k, v: nn.dot_product_attention(q, k, v, is_causal=True),
    qkv,
    qkv,
    qkv,
)
add(
    "attention",
    "nn.dot_product_attention(bias)",
    lambda q, k, v: nn.dot_product_attention(q, k, v, bias=bias(q)),
    qkv,
    qkv,
    qkv,
)
add(
    "attention",
    "softmax attention by einsum",
    lambda q, k, v: jnp.einsum(
        "bhqk,bkhd->bqhd", nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k)), v
    ),
    qkv,
    qkv,
    qkv,
)

square, matrix = regular(4), normal(3, 4)
linalg = jnp.linalg


def projector(A: Any) -> Any:
    """Onto the eigenvectors of the two largest eigenvalues, which has no sign to choose."""
    V = linalg.eigh(A + A.T)[1][:, -2:]
    return V @ V.T


def left_projector(A: Any) -> Any:
    """Onto the two leading left singular vectors."""
    U = linalg.svd(A, full_matrices=False)[0][:, :2]
    return U @ U.T


algebra = "linear algebra"
add(algebra, "matmul", jnp.matmul, normal(3, 4), normal(4, 2))
add(
    algebra,
    "einsum",
    lambda a, b, c: jnp.einsum("ij,jk,ik->i", a, b, c),
    normal(3, 4),
    normal(4, 2),
    normal(3, 2),
)
add(algebra, "kron", jnp.kron, normal(2, 2), normal(2, 3))
add(algebra, "cross", jnp.cross, normal(2, 3), normal(2, 3))
add(algebra, "linalg.det", linalg.det, square)
add(algebra, "linalg.det (3 x 3)", linalg.det, regular(3))
add(algebra, "linalg.slogdet", lambda A: linalg.slogdet(A)[1], square)
add(algebra, "linalg.inv", linalg.inv, square)
add(algebra, "linalg.pinv", linalg.pinv, regular(4, 3))
add(algebra, "linalg.solve", linalg.solve, square, normal(4, 2))
add(algebra, "linalg.lstsq", lambda A, b: linalg.lstsq(A, b)[0], regular(4, 3), normal(4, 2))
add(algebra, "linalg.cholesky", linalg.cholesky, spd(4))
add(algebra, "linalg.qr", lambda A: tuple(linalg.qr(A)), regular(4, 3))
add(algebra, "linalg.eigvalsh", lambda A: linalg.eigvalsh(A + A.T), square)
add(algebra, "linalg.eigh (projector)", projector, square)
add(algebra, "linalg.eigvals (real part)", lambda A: linalg.eigvals(A).real.sum(), square)
add(algebra, "linalg.svdvals", linalg.svdvals, regular(4, 3))
add(algebra, "linalg.svd (projector)", left_projector, regular(4, 3))
add(algebra, "linalg.matrix_power(3)", lambda A: linalg.matrix_power(A, 3), normal(3, 3))
add(
    algebra,
    "linalg.multi_dot",
    lambda *A: linalg.multi_dot(A),
    normal(2, 3),
    normal(3, 2),
    normal(2, 2),
)
add(algebra, "linalg.norm", linalg.norm, matrix)
add(algebra, "linalg.norm('nuc')", lambda A: linalg.norm(A, "nuc"), regular(4, 3))
add(algebra, "linalg.norm(ord=2)", lambda A: linalg.norm(A, 2), regular(4, 3))
add(algebra, "linalg.norm(ord=3)", lambda x: linalg.norm(x, 3), apart(5))
add(algebra, "scipy.linalg.expm", jsl.expm, normal(3, 3))
add(algebra, "scipy.linalg.lu", lambda A: jsl.lu(A)[1:], square)
add(
    algebra,
    "scipy.linalg.cho_solve",
    lambda S, b: jsl.cho_solve(jsl.cho_factor(S + S.T), b),
    spd(3),
    normal(3, 2),
)
add(
    algebra,
    "scipy.linalg.solve_triangular",
    lambda A, b: jsl.solve_triangular(jnp.triu(A), b),
    square,
    normal(4, 2),
)
add(algebra, "scipy.linalg.polar", lambda A: tuple(jsl.polar(A)), regular(3))
add(algebra, "scipy.linalg.sqrtm", lambda S: jsl.sqrtm(S).real, spd(3))
add(algebra, "scipy.linalg.toeplitz", jsl.toeplitz, normal(3), normal(3))
add(
    algebra,
    "lax.custom_linear_solve (cg)",
    lambda S, b: jax.scipy.sparse.linalg.cg(lambda x: (S + S.T) @ x, b, tol=1e-14)[0],
    spd(3),
    normal(3),
)
add(
    algebra,
    "lax.linalg.householder_product",
    lax.linalg.householder_product,
    normal(4, 2),
    uniform(0.2, 0.9, 2),
)
add(
    algebra,
    "lax.linalg.tridiagonal_solve",
    lax.linalg.tridiagonal_solve,
    uniform(0.0, 0.5, 4),
    uniform(2.0, 3.0, 4),
    uniform(0.0, 0.5, 4),
    normal(4, 2),
)
add(algebra, "cov", jnp.cov, normal(3, 5))
add(algebra, "corrcoef", jnp.corrcoef, normal(3, 5))

functions = "special functions"
for name in "erf erfc i0 i0e i1 i1e ndtr log_ndtr expi sinc exp2 expm1 cbrt".split():
    function = getattr(jss, name, None) or getattr(jnp, name)
    add(functions, name, function, uniform(0.2, 2.0, 3, 4))
for name in "gammaln digamma entr gamma factorial zeta spence log_softmax expit log1p".split():
    if name in ("zeta", "log_softmax"):
        continue
    function = getattr(jss, name, None) or getattr(jnp, name)
    add(functions, name, function, uniform(0.4, 2.6, 3, 4))
add(functions, "erfinv", jss.erfinv, uniform(-0.8, 0.8, 3, 4))
add(functions, "ndtri", jss.ndtri, uniform(0.1, 0.9, 3, 4))
add(functions, "logit", jss.logit, uniform(0.1, 0.9, 3, 4))
add(functions, "polygamma(1)", lambda x: jss.polygamma(1, x), uniform(0.5, 3.0, 3, 4))
add(functions, "zeta", lambda q: jss.zeta(3.5, q), uniform(0.5, 3.0, 3, 4))
add(functions, "gammainc (in x)", lambda x: jss.gammainc(1.7, x), uniform(0.5, 3.0, 3, 4))
add(
    functions,
    "gammainc (in a and x)",
    jss.gammainc,
    uniform(0.5, 3.0, 3, 4),
    uniform(0.5, 3.0, 3, 4),
)
add(functions, "gammaincc", jss.gammaincc, uniform(0.5, 3.0, 3, 4), uniform(0.5, 3.0, 3, 4))
add(functions, "betaln", jss.betaln, uniform(0.5, 3.0, 3, 4), uniform(0.5, 3.0, 3, 4))
add(functions, "betainc (in x)", lambda x: jss.betainc(1.2, 2.3, x), uniform(0.1, 0.9, 3, 4))
add(functions, "multigammaln(2)", lambda a: jss.multigammaln(a, 2), uniform(1.5, 3.0, 3, 4))
add(functions, "xlogy", jss.xlogy, apart(3, 4), uniform(0.5, 2.0, 3, 4))
add(functions, "xlog1py", jss.xlog1py, apart(3, 4), uniform(0.5, 2.0, 3, 4))
add(functions, "bessel_jn", lambda x: jss.bessel_jn(x, v=2), uniform(0.5, 3.0, 4))
add(functions, "hyp1f1", lambda x: jss.hyp1f1(1.2, 2.3, x), uniform(-0.8, 0.8, 4))
add(functions, "power", jnp.power, uniform(0.5, 2.0, 3, 4), x)
add(functions, "arctan2", jnp.arctan2, apart(3, 4), apart(3, 4))
add(functions, "hypot", jnp.hypot, apart(3, 4), apart(3, 4))
add(functions, "logaddexp", jnp.logaddexp, x, x)
add(functions, "logaddexp2", jnp.logaddexp2, x, x)
for name in "arcsin arccos arctanh".split():
    add(functions, name, getattr(jnp, name), uniform(-0.8, 0.8, 3, 4))
for name in "arccosh log log2 log10 sqrt".split():
    add(functions, name, getattr(jnp, name), uniform(1.2, 3.0, 3, 4))
for name in "sin cos tan arctan sinh cosh arcsinh exp".split():
    add(functions, name, getattr(jnp, name), uniform(-1.2, 1.3, 3, 4))

add("reductions", "cumsum", lambda x: jnp.cumsum(x, 1), x)
add("reductions", "cumprod", lambda x: jnp.cumprod(x, 1), apart(3, 4))
add("reductions", "lax.cumlogsumexp", lambda x: lax.cumlogsumexp(x, 1), x)
add("reductions", "prod", lambda x: jnp.prod(x, 1), apart(3, 4))
add("reductions", "var", lambda x: jnp.var(x, 1), x)
add("reductions", "std", lambda x: jnp.std(x, 1), x)
add("reductions", "median", lambda x: jnp.median(x, 1), apart(3, 4))
add("reductions", "quantile", lambda x: jnp.quantile(x, 0.3, 1), apart(3, 4))
add("reductions", "sort", lambda x: jnp.sort(x, 1), apart(3, 4))
add("reductions", "lax.top_k", lambda x: lax.top_k(x, 2)[0], apart(3, 4))
add(
    "reductions",
    "lax.associative_scan",
    lambda x: lax.associative_scan(jnp.multiply, x),
    apart(3, 4),
)
add("reductions", "trapezoid", jnp.trapezoid, x, x)

image = apart(1, 4, 4, 2)


def pool(x: Any) -> Any:
    """Largest entries of windows of two by two."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def average(x: Any) -> Any:
    """Means of windows of two by two."""
    return lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


add("pooling", "lax.reduce_window(max)", pool, image)
add("pooling", "lax.reduce_window(add)", average, image)
add("pooling", "image.resize(linear)", lambda x: jax.image.resize(x, (1, 6, 6, 2), "linear"), image)
add("pooling", "image.resize(cubic)", lambda x: jax.image.resize(x, (1, 6, 6, 2), "cubic"), image)

axes = ("NHWC", "HWIO", "NHWC")
conv = lax.conv_general_dilated
add(
    "convolution",
    "lax.conv_general_dilated",
    lambda x, w: conv(x, w, (1, 1), "SAME", dimension_numbers=axes),
    normal(1, 4, 4, 2),
    normal(2, 2, 2, 2),
)
add(
    "convolution",
    "lax.conv_general_dilated(strides, groups)",
    lambda x, w: conv(
        x, w, (2, 2), "VALID", rhs_dilation=(1, 1), dimension_numbers=axes, feature_group_count=2
    ),
    normal(1, 4, 4, 2),
    normal(2, 2, 1, 2),
)
add(
    "convolution",
    "lax.conv_transpose",
    lambda x, w: lax.conv_transpose(x, w, (2, 2), "SAME", dimension_numbers=axes),
    normal(1, 2, 2, 2),
    normal(2, 2, 2, 2),
)
add("convolution", "convolve", lambda a, b: jnp.convolve(a, b), normal(6), normal(3))
add("convolution", "fft.rfft", lambda x: _parts(jnp.fft.rfft(x)), normal(2, 6))
add("convolution", "fft.irfft", lambda a, b: jnp.fft.irfft(a + 1j * b), normal(2, 4), normal(2, 4))


def _parts(z: Any) -> Any:
    return jnp.stack([z.real, z.imag])


def lstm(x: Any, W: Any, U: Any, b: Any) -> Any:
    """An LSTM over a sequence, by `lax.scan`."""

    def cell(state: Any, x: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(W @ x + U @ h + b, 4)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        h = nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zero = jnp.zeros(2, x.dtype)
    return lax.scan(cell, (zero, zero), x)[1]


def rnn(x: Any, W: Any, U: Any) -> Any:
    """A tanh RNN over a sequence, by `lax.scan` and with rematerialisation."""

    def cell(h: Any, x: Any) -> Any:
        h = jnp.tanh(W @ x + U @ h)
        return h, h

    return lax.scan(jax.checkpoint(cell), jnp.zeros(2, x.dtype), x)[1]


add(
    "recurrent cells", "LSTM by lax.scan", lstm, normal(3, 3), normal(8, 3), normal(8, 2), normal(8)
)
add(
    "recurrent cells",
    "RNN by lax.scan and checkpoint",
    rnn,
    normal(3, 3),
    normal(2, 3),
    normal(2, 2),
)

index = np.array([[0, 2], [1, 0], [3, 3]])
add("indexing", "take_along_axis", lambda x: jnp.take_along_axis(x, index, 1), x)
add(
    "indexing",
    "at[].add",
    lambda x: jnp.zeros_like(x).at[jnp.arange(3)[:, None], index].add(x[:, :2]),
    x,
)
add("indexing", "segment_sum", lambda x: jax.ops.segment_sum(x, np.array([0, 1, 0]), 2), x)
add(
    "indexing",
    "interp",
    lambda f: jnp.interp(jnp.asarray([0.3, 1.7], f.dtype), jnp.arange(4.0, dtype=f.dtype), f),
    normal(4),
)
add(
    "indexing",
    "interp (in x)",
    lambda a, f: jnp.interp(a, jnp.arange(4.0, dtype=f.dtype), f),
    uniform(0.2, 0.8, 3),
    normal(4),
)
add("indexing", "where", lambda a, b: jnp.where(a > b, a * b, b), x, x)
add("indexing", "clip", lambda x: jnp.clip(x, -0.5, 0.8), apart(3, 4))
add("indexing", "maximum", jnp.maximum, x, x)
add(
    "indexing",
    "lax.while_loop (forward only)",
    lambda x: lax.fori_loop(0, x.shape[0], lambda i, y: jnp.sin(y) * x[i], x[0]),
    x,
)
add(
    "indexing",
    "scipy.ndimage.map_coordinates",
    lambda f: jax.scipy.ndimage.map_coordinates(
        f, [jnp.asarray([0.3, 1.6]), jnp.asarray([1.2, 0.7])], order=1
    ),
    normal(3, 3),
)
