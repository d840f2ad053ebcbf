"""The source of one function, such as ggnvp(theta, batch, v), from an objective's programs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from rop.errors import RopValueError
from rop.objective.definition import Definition, programs_of
from rop.ops.rules import Value
from rop.programs.catalogue import PRODUCTS
from rop.programs.steps import Program, Step
from rop.show.source.functions import literal, tupled
from rop.show.source.loops import WALK
from rop.show.source.statements import Lines, Statements

# Elements of constants that a source may spell out.
_MOST = 10**5
_TAKEN = ("np", "math", "theta", "batch", "v", "u", "w", "N", "walk", "unit", "L2")


def numpy_source(objective: Definition, product: str, title: str, lines: Lines) -> str:
    """Write the source of a product as a function of NumPy arrays.

    Parameters
    ----------
    objective : Definition
        The objective.
    product : str
        The product; also the name of the function.
    title : str
        What it computes.
    lines : callable
        The lines of a program's listing: the steps that each stands for, and a comment.

    Returns
    -------
    str
        A module that imports NumPy alone.

    Raises
    ------
    RopTypeError
        If an op's Python function cannot be written without what its file holds besides.
    RopValueError
        If the graph's constants have more than 100,000 elements.
    """
    return _Writer(objective, product, lines).module(title)


class _Writer:
    """One function that is being written."""

    def __init__(self, objective: Definition, product: str, lines: Lines) -> None:
        self.objective, self.product = objective, product
        self.programs = programs_of(objective)
        self.statements = Statements(lines, {*_TAKEN, product})
        self.name = self.statements.name
        self.vector, self.domain, _ = PRODUCTS[product]

    def module(self, title: str) -> str:
        """The whole source."""
        program = self.programs.product(self.product)
        stages = self.programs.stages(self.product)
        steps = [step for part in (*stages, program) for step in part.steps]
        self.statements.keep_apart(steps)
        leaves = self._leaves(steps)
        once = [line for stage in stages for line in self.statements.of(stage, steps)]
        given = self._given(steps) if self.vector else []
        each = self.statements.of(program, steps)
        convex = self._convex(steps)
        body = [f'"""{title}."""', *leaves, "", "# once for theta and the batch", *once]
        body += ["", "# for each product", *convex, *given, *each, self._return(program)]
        arguments = ", ".join(["theta", "batch", *([self.vector] if self.vector else [])])
        parts = [
            f'"""{title}: written by rop, for NumPy alone."""',
            "\n".join([*self.statements.functions.imports, "import numpy as np"]),
            *([WALK.strip()] if self.statements.walks else []),
            *self.statements.functions.definitions.values(),
            f"def {self.product}({arguments}):\n" + textwrap.indent("\n".join(body), "    "),
        ]
        return "\n\n\n".join(parts) + "\n"

    def _leaves(self, steps: Sequence[Step]) -> list[str]:
        read = dict.fromkeys(value for step in steps for value in step.operands)
        lines = ["theta = np.asarray(theta, dtype=float)"]
        values = dict.fromkeys([*self.programs.a.values(), *read])
        shares: list[str] = []
        for value in values:
            place = value.place
            if place is None or (value not in read and place.buffer != "theta"):
                continue
            if place.buffer == "theta":
                lines.append(f"{self.name(value)} = {_block('theta', value)}")
            elif place.buffer == "constants":
                lines.append(f"{self.name(value)} = {self._constant(value)}")
            elif place.buffer.startswith("data "):
                lines += self._data(value, place.buffer.removeprefix("data "))
            elif place.buffer == "cases":
                shares.append(f"{self.name(value)} = np.divide(1.0, N)")
        first = next(iter(self.objective.data_shapes), None)
        return [*lines, "N = 1" if first is None else f"N = len(batch[{first!r}])", *shares]

    def _data(self, value: Value, key: str) -> list[str]:
        lines = [f"{self.name(value)} = np.asarray(batch[{key!r}], dtype=float)"]
        if self.objective.loss.classes == key:
            name, classes = self.name(value), value.shape[-1]
            test = f"{name}.ndim == {len(value.shape)}"
            labels = f"np.eye({classes})[{name}.astype(int)] if {test} else {name}"
            lines.append(f"{name} = {labels}  # labels")
        return lines

    def _constant(self, value: Value) -> str:
        assert value.place is not None
        numbers = self.programs.constants
        if numbers.size > _MOST:
            raise RopValueError(
                f"numpy: the graph's constants have {numbers.size:,} elements, too many to spell "
                "out; make them data"
            )
        start = value.place.offset
        return literal(numbers[start : start + value.size].reshape(value.shape))

    def _given(self, steps: Sequence[Step]) -> list[str]:
        """The vector, or its parts for the parameters."""
        lines = [f"{self.vector} = np.asarray({self.vector}, dtype=float)"]
        read = dict.fromkeys(value for step in steps for value in step.operands)
        for value in read:
            if value.place is not None and value.place.buffer == "input":
                if self.domain == "theta":
                    lines.append(f"{self.name(value)} = {_block('v', value)}")
                else:
                    self.statements.names[value] = self.vector
                    if not value.per_case:
                        lines.append(f"{self.vector} = {self.vector}[0]")
        return lines

    def _convex(self, steps: Sequence[Step]) -> list[str]:
        """L'' of each case as a matrix, made positive semidefinite (sec. 6.3)."""
        convex = next((v for step in steps for v in step.operands if _is_convex(v)), None)
        if convex is None:
            return []
        outer, taken = dict(self.statements.names), set(self.statements.taken)
        program = self.programs.product("raw_loss_hvp")
        inner = program.steps
        for step in inner:
            for value in step.operands:
                if value.place is not None and value.place.buffer == "input":
                    self.statements.names[value] = "w"
        body = [*self.statements.of(program, inner), f"return {self.name(_result(program)[0])}"]
        self.statements.names, self.statements.taken = outer, taken
        m, shape = convex.shape[0], self.objective.output_shape
        lead = ["N"] if convex.per_case else []
        wide = tupled([*lead, *map(str, shape)])
        name = self.name(convex)
        flat = f"reshape({', '.join([*lead, str(m)])})"
        column = f"loss_hvp(np.broadcast_to(e, {wide})).{flat}"
        lines = [
            "def loss_hvp(w):",
            *textwrap.indent("\n".join(body), "    ").splitlines(),
            "",
            f"unit = np.eye({m}).reshape({', '.join(map(str, (m, *shape)))})",
            f"{name} = np.stack([{column} for e in unit], axis=-1)",
            f"values, vectors = np.linalg.eigh({name})",
        ]
        if self.objective.loss.convexify == "shift":
            shift = "np.maximum(0.0, -values[..., :1])[..., None]"
            return [*lines, f"{name} = {name} + {shift} * np.eye({m})"]
        kept = "vectors * np.maximum(values, 0.0)[..., None, :]"
        return [*lines, f"{name} = ({kept}) @ np.swapaxes(vectors, -1, -2)"]

    def _return(self, program: Program) -> str:
        results = _result(program)
        if self.product in ("jvp", "loss_hvp"):
            name = self.name(results[0])
            return f"return {name}" if results[0].per_case else f"return {name}[None]"
        blocks = ", ".join(f"{self.name(value)}.ravel()" for value in results)
        text = f"return np.concatenate([{blocks}])"
        if self.product == "vjp" or not self.objective.l2:
            return text
        return f"{text} + {self._penalty()} * {'theta' if self.product == 'gradient' else 'v'}"

    def _penalty(self) -> str:
        l2 = self.objective.l2
        if not isinstance(l2, Mapping):
            return repr(l2)
        sizes = [
            f"np.full({node.size}, {l2.get(str(node.name), 0.0)!r})"
            for node in self.objective.parameters
        ]
        return f"np.concatenate([{', '.join(sizes)}])"


def _block(vector: str, value: Value) -> str:
    """A parameter's block of a vector of θ's space."""
    assert value.place is not None
    start = value.place.offset
    if not value.shape:
        return f"{vector}[{start}]"
    shape = "" if len(value.shape) == 1 else f".reshape({', '.join(map(str, value.shape))})"
    return f"{vector}[{start}:{start + value.size}]{shape}"


def _result(program: Program) -> list[Value]:
    """The values that lie in the result, in their order."""
    found = {
        s.target for s in program.steps if s.target.place and s.target.place.buffer == "output"
    }
    return sorted(found, key=lambda value: value.place.offset if value.place else 0)


def _is_convex(value: Value) -> bool:
    return value.place is not None and value.place.buffer == "convex"
