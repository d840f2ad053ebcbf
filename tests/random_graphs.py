"""Random graphs with every op, as a Hypothesis strategy; examples print as code that makes them.

Structure is drawn by Hypothesis, and shrinks; numbers come from a seed. Values and derivatives are
of order one by construction: logarithms, roots and reciprocals are taken of numbers above 0.5, and
what has grown is scaled down before it is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import rop
from rop.graph import Node, ancestors

LARGEST_NODE = 96
LARGEST_OUTPUT = 16
LARGEST_BOUND = 6.0


class CumulativeSum(rop.ops.Linear):
    """a_i = z_0 + ... + z_i along the last axis."""

    def A(self, z):
        return np.cumsum(z, axis=-1)

    def AT(self, da):
        return np.cumsum(da[..., ::-1], axis=-1)[..., ::-1]

    @staticmethod
    def one_case(numpy, z):
        return numpy.cumsum(z, axis=-1)


class Convolution(rop.ops.Bilinear):
    """a_i = Σ_j x_j y_(i-j), circular, along the last axis of two arrays of one shape."""

    def B(self, x, y):
        return (y[..., self._shifts()] * x[..., None, :]).sum(-1)

    def B1(self, da, y):
        return (y[..., self._shifts()] * da[..., :, None]).sum(-2)

    def B2(self, x, da):
        return (x[..., self._shifts()] * da[..., :, None]).sum(-2)

    def _shifts(self):
        i = np.arange(self.shape[-1])
        return (i[:, None] - i) % len(i)

    @staticmethod
    def one_case(numpy, x, y):
        terms = [x[..., j : j + 1] * numpy.roll(y, j, axis=-1) for j in range(x.shape[-1])]
        return sum(terms)


class Arctan(rop.ops.Elementwise):
    """a = arctan z:  s' = 1/(1 + z²),  s'' = -2 z s'²."""

    @staticmethod
    def s(z):
        return np.arctan(z)

    @staticmethod
    def ds(z):
        return 1.0 / (1.0 + z * z)

    @staticmethod
    def d2s(z, ds):
        return -2.0 * z * ds * ds

    @staticmethod
    def one_case(numpy, z):
        return numpy.arctan(z)


class Swirl(rop.ops.General):
    """a = x sin(r),  r = Σ x y over the last axis, of two arrays of one shape."""

    def s(self, x, y):
        return x * np.sin(self._r(x, y))

    def Rs(self, z, Rz):
        (x, y), (Rx, Ry) = z, Rz
        r, Rr = self._r(x, y), self._r(Rx, y) + self._r(x, Ry)
        return Rx * np.sin(r) + x * np.cos(r) * Rr

    def sT(self, z, da):
        x, y = z
        r = self._r(x, y)
        dr = self._r(da, x) * np.cos(r)
        return da * np.sin(r) + dr * y, dr * x

    def RsT(self, z, Rz, da):
        (x, y), (Rx, Ry) = z, Rz
        r, Rr = self._r(x, y), self._r(Rx, y) + self._r(x, Ry)
        dr = self._r(da, x) * np.cos(r)
        Rdr = self._r(da, Rx) * np.cos(r) - self._r(da, x) * np.sin(r) * Rr
        return da * np.cos(r) * Rr + Rdr * y + dr * Ry, Rdr * x + dr * Rx

    @staticmethod
    def _r(x, y):
        return np.sum(x * y, axis=-1, keepdims=True)

    @staticmethod
    def one_case(numpy, x, y):
        return x * numpy.sin(numpy.sum(x * y, axis=-1, keepdims=True))


class Model:
    """An objective, a θ and a batch, and the lines of code that make them."""

    def __init__(self, objective, theta, batch, cases, seed, lines) -> None:
        self.objective: rop.Objective = objective
        self.theta: np.ndarray = theta
        self.batch: dict[str, np.ndarray] = batch
        self.cases: int = cases
        self.seed: int = seed
        self.lines: list[str] = lines

    def __repr__(self) -> str:
        code = "\n".join(self.lines)
        return f"\n{code}\n# N = {self.cases}, seed = {self.seed}, n = {self.objective.n}\n"

    def vectors(self, number: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Random v of θ's space and u of the outputs' space, both of unit norm."""
        rng = np.random.default_rng([self.seed, number])
        rows = self.cases if self.objective.z.per_case else 1
        v = rng.standard_normal(self.objective.n)
        u = rng.standard_normal((rows, *self.objective.output_shape))
        return v / np.linalg.norm(v), u / np.linalg.norm(u)


@dataclass(frozen=True, eq=False)
class Entry:
    """A node under its name in the code, and a bound of its values."""

    name: str
    node: Node
    bound: float


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
        Put in the ops of this file, of all four families.
    largest : int
        Number of ops at most, besides those of the head and of the loss.
    losses : tuple of str
        Which losses to choose from.
    """
    return _models(smooth, own_ops, largest, losses)


@st.composite
def _models(draw, smooth, own_ops, largest, losses):
    growing = Growing(draw)
    growing.leaves()
    kinds = [*SMOOTH, *(() if smooth else KINKED), *(OWN if own_ops else ()), *OFTEN]
    for _ in range(draw(st.integers(0, largest))):
        kind = draw(st.sampled_from(kinds))
        GROW[kind](growing, growing.pick())
    z = growing.head()
    loss = growing.loss(z, draw(st.sampled_from(losses)))
    return growing.model(z, loss)


class Growing:
    """A graph that is being made: the code so far, and the nodes to choose from."""

    def __init__(self, draw) -> None:
        self.draw = draw
        self.space = {"rop": rop, "np": np}
        self.space |= {op.__name__: op for op in (CumulativeSum, Convolution, Arctan, Swirl)}
        self.lines: list[str] = []
        self.pool: list[Entry] = []
        self.targets: dict[str, str] = {}

    # Names

    def add(self, name: str, expression: str, bound: float, keep: bool = True) -> Entry:
        self.lines.append(f"{name} = {expression}")
        self.space[name] = eval(expression, self.space)
        entry = Entry(name, self.space[name], bound)
        if keep:
            self.pool.append(entry)
        return entry

    def apply(self, expression: str, bound: float) -> Entry:
        """Add a node; scaled down if its values may be large."""
        entry = self.add(f"a{len(self.lines)}", expression, bound)
        if bound > LARGEST_BOUND:
            scale = 2.0 ** math.ceil(math.log2(bound))
            return self.apply(f"{entry.name} / {scale}", bound / scale)
        return entry

    def param(self, shape: tuple[int, ...]) -> Entry:
        name = f"p{len(self.lines)}"
        return self.add(name, f"rop.param({name!r}, {shape})", 1.0)

    def data(self, shape: tuple[int, ...]) -> Entry:
        name = f"x{len(self.lines)}"
        return self.add(name, f"rop.data({name!r}, {shape})", 1.0)

    # Choices

    def extent(self) -> int:
        return self.draw(st.sampled_from([2, 3, 1, 4, 7, 16]))

    def pick(self) -> Entry:
        """A late node most of the time, so that not much is made in vain; or any."""
        late = self.draw(st.sampled_from([1, 2, 4, len(self.pool)]))
        back = self.draw(st.integers(0, min(late, len(self.pool)) - 1))
        return self.pool[-1 - back]

    def fitting(self, shape: tuple[int, ...]) -> Entry:
        """A node of a shape: one that exists, used once more, or a new parameter."""
        fits = [entry for entry in self.pool if entry.node.shape == shape]
        chosen = self.draw(st.sampled_from([None, *fits[::-1]]))
        return chosen or self.param(shape)

    def leaves(self) -> None:
        shape = tuple(self.extent() for _ in range(self.draw(st.sampled_from([1, 2, 0]))))
        how = self.draw(st.sampled_from(["layer", "product", "apart", "no data"]))
        p = self.param(shape)
        if how != "no data":
            x = self.data(shape)
            if how == "product":
                self.apply(f"{p.name} * {x.name}", 1.0)
            elif how == "layer":
                _layer(self, x)

    def operand(self, shape: tuple[int, ...]) -> Entry:
        """Something that broadcasts with a shape."""
        how = self.draw(st.sampled_from(["same", "ones", "fewer", "scalar", "data", "constant"]))
        if how == "scalar":
            return self.fitting(())
        if how == "fewer":
            shape = shape[self.draw(st.integers(0, len(shape))) :]
        elif how == "ones" and shape:
            ones = self.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
            shape = tuple(1 if one else e for one, e in zip(ones, shape, strict=True))
        elif how == "data":
            return self.data(shape)
        elif how == "constant":
            values = f"np.linspace(-1.0, 1.0, {math.prod(shape)}).reshape({shape})"
            return self.add(f"c{len(self.lines)}", f"rop.constant({values})", 1.0)
        return self.fitting(shape)

    def axes(self, rank: int) -> int | tuple[int, ...] | None:
        how = self.draw(st.sampled_from(["all", "one", "some"]))
        if how == "all" or rank == 0:
            return None
        if how == "one":
            return self.draw(st.integers(-rank, rank - 1))
        return tuple(self.draw(st.sets(st.integers(0, rank - 1))))

    # The two ends

    def head(self) -> Entry:
        """The outputs: some node as it is, if it will do, or a linear layer on it."""
        entry, how = self.pick(), self.draw(st.sampled_from(["as it is", "linear", "join"]))
        if how == "join":
            other = self.pick()
            parts = f"[rop.reshape({entry.name}, -1), rop.reshape({other.name}, -1)]"
            entry = self.apply(f"rop.concatenate({parts})", max(entry.bound, other.bound))
        active = any(node.kind == "param" for node in ancestors(entry.node))
        if how == "linear" or not active or entry.node.size > LARGEST_OUTPUT:
            k, m = entry.node.size, self.draw(st.sampled_from([2, 3, 1, 5]))
            W, b = self.param((m, k)), self.param((m,))
            flat = f"rop.reshape({entry.name}, -1)"
            entry = self.apply(f"{W.name} @ {flat} + {b.name}", k * entry.bound + 1.0)
        return entry

    def loss(self, z: Entry, kind: str) -> str:
        shape = z.node.shape
        if kind == "graph":
            formula = self.draw(st.sampled_from(FORMULAS))
            convexify = self.draw(st.sampled_from([None, "shift", "eigen"]))
            if "{t}" in formula:
                self.target(shape, "real")
            return f"rop.LossGraph({formula.format(z=z.name, t='t')}, convexify={convexify!r})"
        if kind == "softmax" and not shape:
            kind = "sigmoid"
        self.target(shape, {"squared": "real", "sigmoid": "share", "softmax": "class"}[kind])
        name = {"squared": "SquaredError", "sigmoid": "SigmoidCrossEntropy"}
        own = shape[:-1] if kind == "softmax" else shape
        weight = self.weight(own)
        return f"rop.{name.get(kind, 'SoftmaxCrossEntropy')}(t{weight})"

    def target(self, shape: tuple[int, ...], kind: str) -> None:
        if self.draw(st.sampled_from([True, True, False])):
            self.targets["t"] = kind
            self.add("t", f"rop.data('t', {shape})", 1.0, keep=False)
        else:
            values = _targets(np.random.default_rng(0), (1, *shape), kind)[0]
            self.space["targets"] = values
            self.lines.append(f"targets = np.array({values.tolist()})")
            self.add("t", "rop.constant(targets)", 1.0, keep=False)

    def weight(self, shape: tuple[int, ...]) -> str:
        how = self.draw(st.sampled_from(["none", "per case", "per output", "number"]))
        if how == "none":
            return ""
        if how == "number":
            return ", weight=0.5"
        if how == "per case":
            shape = ()
        elif shape and self.draw(st.booleans()):
            shape = (1, *shape[1:])
        self.targets["weight"] = "weight"
        self.add("weight", f"rop.data('weight', {shape})", 2.0, keep=False)
        return ", weight=weight"

    def model(self, z: Entry, loss: str) -> Model:
        draw = self.draw
        self.space["loss"] = eval(loss, self.space)
        nodes = ancestors(z.node, *self.space["loss"].given)
        found = [node for node in nodes if node.kind == "param"]
        l2, order = draw(st.sampled_from([0.0, 0.25])), draw(st.permutations(found))
        params = f"[{', '.join(str(node.name) for node in order)}]"
        expression = f"rop.Objective({z.name}, loss, l2={l2}, params={params})"
        self.lines += [f"loss = {loss}", f"objective = {expression}"]
        objective = eval(expression, self.space)
        cases = draw(st.sampled_from([2, 1, 3, 13, 33])) if objective.data_shapes else 1
        seed = draw(st.integers(0, 999))
        rng = np.random.default_rng(seed)
        theta = rng.uniform(-1.0, 1.0, objective.n)
        batch = {
            name: _targets(rng, (cases, *shape), self.targets.get(name, "real"))
            for name, shape in objective.data_shapes.items()
        }
        return Model(objective, theta, batch, cases, seed, self.lines)


def _targets(rng, shape, kind):
    if kind == "share":
        return rng.uniform(0.0, 1.0, shape)
    if kind == "weight":
        return rng.choice([0.0, 0.5, 1.0, 2.0], shape)
    if kind == "class":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    return rng.uniform(-1.0, 1.0, shape)


FORMULAS = [
    "rop.sum(rop.softplus({z}) - {t} * {z})",
    "0.5 * rop.square({z} - {t})",
    "rop.sum(rop.sin({z}) * {t}) + 0.25 * rop.square(rop.sum({z}))",
    "rop.sum(rop.log(rop.square({z}) + 1.0))",
    "rop.exp(rop.mean(rop.tanh({z}))) * rop.sum({t} * {z})",
    "rop.sum({z} * {t})",
    "{z}",
]


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
    """An op of this file on two nodes of one shape, which has a last axis."""

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
