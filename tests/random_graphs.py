"""Random graphs with every op, as a Hypothesis strategy; examples print as code that makes them.

Structure is drawn by Hypothesis, and shrinks; numbers come from a seed. Values and derivatives are
of order one by construction: logarithms, roots and reciprocals are taken of numbers above 0.5, and
what has grown is scaled down before it is used.
"""

from __future__ import annotations

import math

from growing import LARGEST_BOUND, Entry, Growing, Model
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

LARGEST_NODE = 96


def models(
    *,
    smooth: bool = False,
    own_ops: bool = True,
    largest: int = 12,
    losses: tuple[str, ...] = ("squared", "sigmoid", "softmax", "graph"),
) -> st.SearchStrategy[Model]:
    """Random models.

    Parameters
    ----------
    smooth : bool
        Leave out ops whose derivatives jump (relu, elu), as finite differences need it.
    own_ops : bool
        Put in the ops of own_ops.py, of all four families.
    largest : int
        Number of ops at most, besides those of the head and of the loss.
    losses : tuple of str
        Which losses to choose from.
    """
    return _models(smooth, own_ops, largest, losses)


@st.composite
def _models(draw, smooth, own_ops, largest, losses):
    growing = Growing(draw)
    _leaves(growing)
    kinds = [*SMOOTH, *(() if smooth else KINKED), *(OWN if own_ops else ()), *OFTEN]
    for _ in range(draw(st.integers(0, largest))):
        kind = draw(st.sampled_from(kinds))
        GROW[kind](growing, growing.pick())
    z = growing.head()
    loss = growing.loss(z, draw(st.sampled_from(losses)))
    return growing.model(z, loss)


def _leaves(growing: Growing) -> None:
    """The first nodes: a parameter, and data on its own or joined to it."""
    shape = tuple(growing.extent() for _ in range(growing.draw(st.sampled_from([1, 2, 0]))))
    how = growing.draw(st.sampled_from(["layer", "product", "apart", "no data"]))
    p = growing.param(shape)
    if how != "no data":
        x = growing.data(shape)
        if how == "product":
            growing.apply(f"{p.name} * {x.name}", 1.0)
        elif how == "layer":
            _layer(growing, x)


def _function(text: str, bound):
    """An elementwise function as a way to grow; its bound follows from its argument's."""

    def grow(growing: Growing, entry: Entry) -> None:
        growing.apply(text.format(entry.name), bound(entry.bound))

    return grow


def _add(growing: Growing, entry: Entry) -> None:
    other = growing.operand(entry.node.shape)
    sign = growing.draw(st.sampled_from(["+", "-"]))
    pair = growing.draw(st.permutations([entry.name, other.name]))
    growing.apply(f"{pair[0]} {sign} {pair[1]}", entry.bound + other.bound)


def _multiply(growing: Growing, entry: Entry) -> None:
    other = growing.operand(entry.node.shape)
    growing.apply(f"{entry.name} * {other.name}", entry.bound * other.bound)


def _divide(growing: Growing, entry: Entry) -> None:
    other = growing.operand(entry.node.shape)
    expression = f"{entry.name} / (rop.softplus({other.name}) + 0.5)"
    growing.apply(expression, 2.0 * entry.bound)


def _same(growing: Growing, entry: Entry) -> None:
    """x * x, b + b, x - x."""
    sign = growing.draw(st.sampled_from(["*", "+", "-"]))
    bound = max(entry.bound**2, 2 * entry.bound)
    growing.apply(f"{entry.name} {sign} {entry.name}", bound)


def _layer(growing: Growing, entry: Entry) -> None:
    """A product with a matrix or a vector, from the left or from the right."""
    shape = entry.node.shape
    if len(shape) not in (1, 2):
        return _flatten(growing, entry) if shape else _stack(growing, entry)
    left, rank = growing.draw(st.booleans()), growing.draw(st.sampled_from([2, 1]))
    k = shape[0] if left else shape[-1]
    m = growing.extent()
    if rank == 2 and m * math.prod(shape) // k > LARGEST_NODE:
        m = 1
    if left:
        other = growing.fitting((m, k) if rank == 2 else (k,))
        expression = f"{other.name} @ {entry.name}"
    else:
        other = growing.fitting((k, m) if rank == 2 else (k,))
        expression = f"{entry.name} @ {other.name}"
    if rank == 2 and len(shape) == 1 and growing.draw(st.booleans()):
        expression += f" + {growing.fitting((m,)).name}"
        return growing.apply(expression, k * entry.bound * other.bound + LARGEST_BOUND) and None
    growing.apply(expression, k * entry.bound * other.bound)


def _dot(growing: Growing, entry: Entry) -> None:
    if len(entry.node.shape) != 1:
        return _flatten(growing, entry)
    other = growing.fitting(entry.node.shape)
    bound = entry.node.size * entry.bound * other.bound
    growing.apply(f"rop.dot({entry.name}, {other.name})", bound)


def _flatten(growing: Growing, entry: Entry) -> None:
    growing.apply(f"rop.reshape({entry.name}, -1)", entry.bound)


def _reshape(growing: Growing, entry: Entry) -> None:
    size = entry.node.size
    first = growing.draw(st.sampled_from([d for d in (1, 2, 3, 4, 7, 16) if size % d == 0]))
    to = growing.draw(st.sampled_from([(first, size // first), (size // first, -1), (1, size, 1)]))
    growing.apply(f"rop.reshape({entry.name}, {to})", entry.bound)


def _transpose(growing: Growing, entry: Entry) -> None:
    axes = tuple(growing.draw(st.permutations(range(len(entry.node.shape)))))
    growing.apply(f"rop.transpose({entry.name}, {axes})", entry.bound)


def _index(growing: Growing, entry: Entry) -> None:
    keys: list[str] = []
    for extent in entry.node.shape[: growing.draw(st.integers(0, len(entry.node.shape)))]:
        i = growing.draw(st.integers(-extent, extent - 1))
        forward, backward = f"{i}:", f"{i}::-1"
        keys.append(growing.draw(st.sampled_from([forward, backward, str(i), ":", "::2"])))
    at = growing.draw(st.integers(0, len(keys)))
    extra = growing.draw(st.sampled_from(["", "None", "..."]))
    if extra == "...":
        keys.append(extra)
    elif extra or not keys:
        keys.insert(at, extra or "...")
    growing.apply(f"{entry.name}[{', '.join(keys)}]", entry.bound)


def _broadcast(growing: Growing, entry: Entry) -> None:
    shape, size = entry.node.shape, entry.node.size
    wide = tuple(growing.extent() if e == 1 else e for e in shape)
    new = growing.draw(st.sampled_from([(), (2,), (3, 1)]))
    if math.prod(wide) * math.prod(new) > LARGEST_NODE:
        wide, new = shape, (1,) if size > LARGEST_NODE // 2 else (2,)
    growing.apply(f"rop.broadcast_to({entry.name}, {(*new, *wide)})", entry.bound)


def _sum(growing: Growing, entry: Entry) -> None:
    axis, keep = growing.axes(len(entry.node.shape)), growing.draw(st.booleans())
    which = growing.draw(st.sampled_from(["sum", "mean"]))
    expression = f"rop.{which}({entry.name}, axis={axis}, keepdims={keep})"
    growing.apply(expression, entry.bound * (entry.node.size if which == "sum" else 1))


def _concatenate(growing: Growing, entry: Entry) -> None:
    shape = entry.node.shape
    if not shape:
        return _stack(growing, entry)
    axis = growing.draw(st.integers(-len(shape), len(shape) - 1))
    if 2 * entry.node.size > LARGEST_NODE:
        return growing.apply(f"rop.concatenate([{entry.name}], axis={axis})", entry.bound) and None
    wide = list(shape)
    wide[axis] = growing.draw(st.integers(1, shape[axis]))
    parts = growing.draw(st.permutations([entry, growing.fitting(tuple(wide))]))
    names = ", ".join(part.name for part in parts)
    growing.apply(f"rop.concatenate([{names}], axis={axis})", max(part.bound for part in parts))


def _stack(growing: Growing, entry: Entry) -> None:
    shape = entry.node.shape
    axis = growing.draw(st.integers(-len(shape) - 1, len(shape)))
    count = 1 if 2 * entry.node.size > LARGEST_NODE else growing.draw(st.integers(1, 3))
    if count * entry.node.size > LARGEST_NODE:
        count = 1
    parts = [entry, *(growing.fitting(shape) for _ in range(count - 1))]
    names = ", ".join(part.name for part in parts)
    growing.apply(f"rop.stack([{names}], axis={axis})", max(part.bound for part in parts))


def _new_data(growing: Growing, entry: Entry) -> None:
    growing.data(entry.node.shape)


def _pair(name: str):
    """An op of own_ops.py on two nodes of one shape, which has a last axis."""

    def grow(growing: Growing, entry: Entry) -> None:
        if not entry.node.shape:
            return _stack(growing, entry)
        other = growing.fitting(entry.node.shape)
        bound = entry.bound * other.bound * entry.node.shape[-1]
        growing.apply(f"{name}.of({entry.name}, {other.name})", bound)

    return grow


def _cumulative(growing: Growing, entry: Entry) -> None:
    if not entry.node.shape:
        return _stack(growing, entry)
    bound = entry.bound * entry.node.shape[-1]
    growing.apply(f"CumulativeSum.of({entry.name})", bound)


def _convolve(growing: Growing, entry: Entry) -> None:
    """A convolution of the node as an image or as a sequence, of one or two channels."""
    draw, size = growing.draw, entry.node.size
    channels = draw(st.sampled_from([c for c in (1, 2) if size % c == 0]))
    height = draw(st.sampled_from([d for d in (1, 2, 3, 4) if size // channels % d == 0]))
    image = (channels, height, size // channels // height)
    if one := draw(st.booleans()):
        image = (channels, size // channels)
    padding, dilation = draw(st.integers(0, 1)), draw(st.integers(1, 2))
    fits = [k for k in (2, 1, 3) if dilation * (k - 1) + 1 <= min(image[1:]) + 2 * padding]
    k, groups = draw(st.sampled_from(fits)), draw(st.integers(1, channels))
    W = growing.param((2, channels // groups, *[k] * (len(image) - 1)))
    options = f"padding={padding}, dilation={dilation}, groups={groups}"
    stride = draw(st.integers(1, 3)) if size <= LARGEST_NODE // 2 else 3
    bias = f", {growing.fitting((2,)).name}" if draw(st.booleans()) else ""
    growing.apply(
        f"rop.conv{1 if one else 2}d(rop.reshape({entry.name}, {image}), {W.name}{bias}, "
        f"stride={stride}, {options})",
        entry.bound * math.prod(W.node.shape[1:]) + LARGEST_BOUND,
    )


def _pool(name: str):
    """Pooling of the node as an image of one channel."""

    def grow(growing: Growing, entry: Entry) -> None:
        draw, size = growing.draw, entry.node.size
        height = draw(st.sampled_from([d for d in (1, 2, 3, 4) if size % d == 0]))
        width = size // height
        k = draw(st.sampled_from([k for k in (2, 1, 3) if k <= min(height, width)]))
        stride, padding = draw(st.integers(1, 3)), draw(st.integers(0, k // 2))
        image = f"rop.reshape({entry.name}, (1, {height}, {width}))"
        growing.apply(f"rop.{name}({image}, {k}, {stride}, {padding})", entry.bound)

    return grow


def _one(bound: float) -> float:
    return 1.0


# Ways to grow; the ones that come first are what examples shrink to.
SMOOTH = {
    "tanh": _function("rop.tanh({0})", _one),
    "layer": _layer,
    "add": _add,
    "multiply": _multiply,
    "same": _same,
    "index": _index,
    "concatenate": _concatenate,
    "stack": _stack,
    "sum": _sum,
    "broadcast": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "dot": _dot,
    "divide": _divide,
    "data": _new_data,
    "sigmoid": _function("rop.sigmoid({0})", _one),
    "softplus": _function("rop.softplus({0})", lambda b: b + 0.7),
    "sin": _function("rop.sin({0})", _one),
    "cos": _function("rop.cos({0})", _one),
    "exp": _function("rop.exp(rop.tanh({0}))", lambda b: 2.8),
    "square": _function("rop.square({0})", lambda b: b * b),
    "log": _function("rop.log(rop.square({0}) + 0.5)", lambda b: max(0.7, 2 * math.log(b + 1))),
    "sqrt": _function("rop.sqrt(rop.softplus({0}) + 0.5)", lambda b: math.sqrt(b + 1.2)),
    "reciprocal": _function("rop.reciprocal(rop.square({0}) + 0.5)", lambda b: 2.0),
    "quotient": _function("1.5 / (rop.sigmoid({0}) + 0.5)", lambda b: 3.0),
    "cube": _function("{0} ** 3", lambda b: b**3),
    "fourth": _function("{0} ** 4", lambda b: b**4),
    "root": _function("(rop.softplus({0}) + 0.5) ** 0.5", lambda b: math.sqrt(b + 1.2)),
    "inverse root": _function("(rop.softplus({0}) + 0.5) ** -0.5", lambda b: 1.5),
    "inverse square": _function("(rop.softplus({0}) + 1.0) ** -2", _one),
    "gelu": _function("rop.gelu({0})", lambda b: b),
    "silu": _function("rop.silu({0})", lambda b: b),
    "softsign": _function("rop.softsign({0})", _one),
    "erf": _function("rop.erf({0})", _one),
    "expm1": _function("rop.expm1(rop.tanh({0}))", lambda b: 1.8),
    "log1p": _function("rop.log1p(rop.square({0}))", lambda b: math.log(b * b + 1)),
    "tan": _function("rop.tan(rop.sin({0}))", lambda b: 1.6),
    "arcsin": _function("rop.arcsin(0.8 * rop.sin({0}))", _one),
    "arccos": _function("rop.arccos(0.8 * rop.sin({0}))", lambda b: 2.5),
    "hyperbolic": _function("rop.sinh(rop.tanh({0})) - rop.cosh(rop.sin({0}))", lambda b: 2.8),
    "power": _function("(rop.softplus({0}) + 0.5) ** 1.7", lambda b: (b + 1.2) ** 1.7),
    "power of nodes": _function("(rop.softplus({0}) + 0.5) ** rop.sin({0})", lambda b: b + 2.0),
    "softmax": _function("rop.softmax(rop.flatten({0}))", _one),
    "logsumexp": _function("rop.logsumexp({0})", lambda b: b + 4.6),
    "prod": _function("rop.prod(rop.sin({0}) + 0.1)", lambda b: 2.0),
    "std": _function("rop.std(rop.concatenate([rop.flatten({0}), [0.5, 2.5]]))", lambda b: b + 2),
    "cumsum": _function("0.1 * rop.cumsum({0})", lambda b: 9.6 * b),
    "roll": _function("rop.roll({0}, 2)", lambda b: b),
    "pad": _function("rop.pad(rop.flatten({0})[:9], (1, 2))", lambda b: b),
    "take": _function("rop.take({0}, [0, 0, -1])", lambda b: b),
    "convolve": _convolve,
    "avg_pool": _pool("avg_pool2d"),
    "negative": _function("-{0}", lambda b: b),
    "scale": _function("-1.5 * {0}", lambda b: 1.5 * b),
    "shift": _function("0.5 - {0}", lambda b: b + 0.5),
}
KINKED = {
    "relu": _function("rop.relu({0})", lambda b: b),
    "elu": _function("rop.elu({0})", lambda b: max(b, 1.0)),
    "abs": _function("rop.abs({0})", lambda b: b),
    "leaky_relu": _function("rop.leaky_relu({0}, 0.2)", lambda b: b),
    "clip": _function("rop.clip({0}, -0.4, 0.7)", _one),
    "max": _function("rop.max({0})", lambda b: b),
    "max_pool": _pool("max_pool2d"),
    "where": _function("rop.where({0} > 0.1, rop.square({0}), {0})", lambda b: max(b, b * b)),
}
OWN = {
    "arctan": _function("Arctan.of({0})", lambda b: 1.6),
    "cumulative sum": _cumulative,
    "convolution": _pair("Convolution"),
    "swirl": _pair("Swirl"),
}
GROW = SMOOTH | KINKED | OWN
OFTEN = ["layer"] * 5 + ["add", "multiply", "same", "index", "concatenate", "sum", "transpose"] * 2


# One in so many random graphs is tried; conftest sets it to 1 where the tests marked `ci` run.
ONE_IN = 10


def examples(number: int) -> settings:
    """Hypothesis's settings for so many examples, the same ones in every run."""
    return settings(
        max_examples=number // ONE_IN,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
