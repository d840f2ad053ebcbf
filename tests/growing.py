"""Graphs that grow node by node, as choices are drawn, and the models that they become."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from own_ops import OWN_OPS

import rop
from rop.graph import Node, ancestors

LARGEST_OUTPUT = 16
LARGEST_BOUND = 6.0


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


class Growing:
    """A graph that is being made: the code so far, and the nodes to choose from."""

    def __init__(self, draw) -> None:
        self.draw = draw
        self.space = {"rop": rop, "np": np}
        self.space |= {op.__name__: op for op in OWN_OPS}
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
