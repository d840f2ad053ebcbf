"""The source of one function, such as ggnvp(theta, batch, v), from an objective's programs."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Mapping, Sequence

from rop.errors import RopValueError
from rop.objective.definition import Definition, programs_of
from rop.objective.recording import VECTORS
from rop.ops.kernels import Call, Loops, Map
from rop.ops.rules import Value
from rop.programs.steps import Program, Step
from rop.show.source.functions import Functions, literal
from rop.show.source.loops import WALK, term, view_of

# Elements of constants that a source may spell out.
_MOST = 10**5
_WIDTH = 100
_TAKEN = ("np", "math", "theta", "batch", "v", "u", "w", "N", "walk", "unit", "L2")
_LETTERS = {"'": "p", "ᵀ": "T", "Δ": "D", "·": "_", "₁": "1", "₂": "2"}

Comments = Callable[[Sequence[Step]], str]
"""What is said of the steps that assign to one value."""


def numpy_source(
    objective: Definition,
    product: str,
    title: str,
    comments: Comments,
    groups: Callable[[Program], Sequence[Sequence[Step]]],
) -> str:
    """Write the source of a product as a function of NumPy arrays.

    Parameters
    ----------
    objective : Definition
        The objective.
    product : str
        The product; also the name of the function.
    title : str
        What it computes.
    comments : callable
        Words for steps.
    groups : callable
        The steps of a program, those together that one line assigns.

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
    return _Writer(objective, product, comments, groups).module(title)


class _Writer:
    """One function that is being written."""

    def __init__(
        self,
        objective: Definition,
        product: str,
        comments: Comments,
        groups: Callable[[Program], Sequence[Sequence[Step]]],
    ) -> None:
        self.objective, self.product = objective, product
        self.comments, self.groups = comments, groups
        self.algorithms = programs_of(objective)
        self.functions = Functions()
        self.names: dict[Value, str] = {}
        self.taken = {*_TAKEN, product}
        self.walks = False
        self._allocated: set[Value] = set()
        vector = VECTORS[product]
        self.vector = "" if vector is None else vector[0]

    def module(self, title: str) -> str:
        """The whole source."""
        program = self.algorithms.product(self.product)
        stages = self.algorithms.stages(self.product)
        steps = [step for part in (*stages, program) for step in part.steps]
        self._free(steps)
        leaves = self._leaves(steps)
        once = [line for stage in stages for line in self._lines(stage, steps)]
        given = self._given(steps) if self.vector else []
        each = self._lines(program, steps)
        convex = self._convex(steps)
        body = [f'"""{title}."""', *leaves, "", "# once for theta and the batch", *once]
        body += ["", "# for each product", *convex, *given, *each, self._return(program)]
        arguments = ", ".join(["theta", "batch", *([self.vector] if self.vector else [])])
        parts = [
            f'"""{title}: written by rop, for NumPy alone."""',
            "\n".join([*self.functions.imports, "import numpy as np"]),
            *([WALK.strip()] if self.walks else []),
            *self.functions.definitions.values(),
            f"def {self.product}({arguments}):\n" + textwrap.indent("\n".join(body), "    "),
        ]
        return "\n\n\n".join(parts[:1] + ["\n".join(parts[1:2])] + parts[2:]) + "\n"

    # Names

    def _free(self, steps: Sequence[Step]) -> None:
        """Keep the names of helpers and of values apart."""
        for step in steps:
            if isinstance(step.kernel, Map | Call):
                self.functions.called(step.kernel.function, ["_"] * len(step.operands))
        self.taken |= self.functions.definitions.keys()

    def name(self, value: Value) -> str:
        """A value's name in the source."""
        if value not in self.names:
            wanted = value.name
            for prime, word in (("s''·da", "d2s_da_"), ("s''", "d2s_"), ("s'", "ds_")):
                wanted = wanted.replace(prime, word)
            wanted = "".join(_LETTERS.get(c, c) for c in wanted)
            wanted = "".join(c if c.isalnum() or c == "_" else "" for c in wanted)
            if value.name == "1/N":
                wanted = "share"
            elif not wanted.isidentifier():
                wanted = f"c{wanted}" if value.place is not None else f"_{wanted}"
            new, number = wanted, 2
            while new in self.taken:
                new, number = f"{wanted}_{number}", number + 1
            self.taken.add(new)
            self.names[value] = new
        return self.names[value]

    # What is given

    def _leaves(self, steps: Sequence[Step]) -> list[str]:
        read = dict.fromkeys(value for step in steps for value in step.operands)
        lines = ["theta = np.asarray(theta, dtype=float)"]
        values = dict.fromkeys([*self.algorithms.a.values(), *read])
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
        numbers = self.algorithms.constants
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
        of_theta = VECTORS[self.product] == ("v", "theta")
        for value in read:
            if value.place is not None and value.place.buffer == "input":
                if of_theta:
                    lines.append(f"{self.name(value)} = {_block('v', value)}")
                else:
                    self.names[value] = self.vector
                    if not value.per_case:
                        lines.append(f"{self.vector} = {self.vector}[0]")
        return lines

    def _convex(self, steps: Sequence[Step]) -> list[str]:
        """L'' of each case as a matrix, made positive semidefinite (sec. 6.3)."""
        convex = next((v for step in steps for v in step.operands if _is_convex(v)), None)
        if convex is None:
            return []
        outer, taken = dict(self.names), set(self.taken)
        program = self.algorithms.product("raw_loss_hvp")
        inner = program.steps
        w = next((v for s in inner for v in s.operands if v.place and v.place.buffer == "input"), 0)
        if isinstance(w, Value):
            self.names[w] = "w"
        body = [*self._lines(program, inner), f"return {self.name(_result(program)[0])}"]
        self.names, self.taken = outer, taken
        m, shape = convex.shape[0], self.objective.output_shape
        lead = "N, " if convex.per_case else ""
        wide = f"({lead}{', '.join(map(str, shape))}{',' if not lead and len(shape) == 1 else ''})"
        name = self.name(convex)
        flat = f"reshape({lead}{m})"
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

    # Steps

    def _lines(self, program: Program, steps: Sequence[Step]) -> list[str]:
        partly = {step.target for step in steps if self._is_part(step)}
        lines = []
        for group in self.groups(program):
            code = self._code(group, partly)
            said = self.comments(group)
            for number, statement in enumerate(code):
                # One comment for each line of a listing, where it begins.
                if number:
                    lines.append(statement)
                elif len(statement) + len(said) + 8 <= _WIDTH:
                    lines.append(f"{statement}  # {said}")
                else:
                    lines += [f"# {part}" for part in textwrap.wrap(said, _WIDTH - 8)]
                    lines.append(statement)
        return lines

    def _is_part(self, step: Step) -> bool:
        """Whether a step writes a part of its target only."""
        kernel = step.kernel
        if not isinstance(kernel, Loops):
            return False
        view = view_of("", step.target, kernel, kernel.walks[0])
        return view.how in ("part", "walk") or kernel.disjoint or not kernel.whole

    def _code(self, group: Sequence[Step], partly: set[Value]) -> list[str]:
        target = group[0].target
        name, code, terms = self.name(target), list[str](), list[tuple[str, str, bool]]()
        begun = group[0].accumulate
        for step in group:
            if step.kernel is None:
                terms.append(("+", "", False))
            elif self._is_part(step):
                if terms:
                    code.append(self._assigned(target, terms, begun, partly))
                    terms, begun = [], True
                code += self._part(step, name)
            else:
                terms.append(self._term(step))
        if terms:
            code.append(self._assigned(target, terms, begun, partly))
        return code

    def _assigned(
        self,
        target: Value,
        terms: Sequence[tuple[str, str, bool]],
        begun: bool,
        partly: set[Value],
    ) -> str:
        """The statement that assigns a sum of terms, each with its sign and whether it is full."""
        name, shape = self.name(target), self._shape(target)
        self._allocated.add(target)
        kept = [each for each in terms if each[1]]
        if not kept:
            return f"{name} = np.zeros({shape})"
        text = " ".join(f"{sign} {word}" for sign, word, _ in kept).removeprefix("+ ")
        text = "-" + text.removeprefix("- ") if text.startswith("- ") else text
        if len(kept) == 1 and text.startswith("(") and not begun:
            text = _bare(text)
        if begun:
            return f"{name} = {name} {'-' if kept[0][0] == '-' else '+'} {text.removeprefix('-')}"
        if not any(full for _, _, full in kept):
            text = f"np.broadcast_to({text}, {shape})"
        return f"{name} = np.array({text}, order='C')" if target in partly else f"{name} = {text}"

    def _term(self, step: Step) -> tuple[str, str, bool]:
        """Sign, expression, and whether it has the target's full shape."""
        kernel, target = step.kernel, step.target
        if not isinstance(kernel, Loops):
            return "+", *self._called(step)
        to = view_of("", target, kernel, kernel.walks[0])
        views = [
            view_of(self.name(value), value, kernel, walk)
            for value, walk in zip(step.operands, kernel.walks[1:], strict=True)
        ]
        text, sign, letters = term(views, to.letters, kernel.coefficient)
        self.walks |= any(view.how == "walk" for view in views)
        full = letters == to.letters
        if to.how == "reshaped":
            if not full:
                wide = [*(["N"] if target.per_case else []), *map(str, to.lengths)]
                text = (
                    f"np.broadcast_to({text}, ({', '.join(wide)}{',' if len(wide) == 1 else ''}))"
                )
            text = f"({text})" if " " in text and full else text
            ends = [*(["-1"] if target.per_case else []), *map(str, target.shape)]
            return sign, f"{text}.reshape({', '.join(ends)})", True
        return sign, text, full

    def _called(self, step: Step) -> tuple[str, bool]:
        kernel, target = step.kernel, step.target
        assert isinstance(kernel, Map | Call)
        names = [self.name(value) for value in step.operands]
        by_case = any(value.per_case for value in step.operands)
        if isinstance(kernel, Map):
            text = self.functions.called(kernel.function, names)
            full = by_case or not target.per_case
            # A number for all elements, such as the slope of a line.
            if not any(name in text for name in names):
                full = False
            simple = text.replace("_", "").replace(".", "").isalnum()
            return (text if simple or " " not in text else f"({text})"), full
        arguments = [
            name if value.per_case else f"{name}[None]"
            for name, value in zip(names, step.operands, strict=True)
        ]
        text = self.functions.called(kernel.function, arguments)
        text = f"({text})" if " " in text.split("(")[0] else text
        if target.per_case:
            return text, by_case
        return f"({text}).sum(axis=0)" if not text.endswith(")") else f"{text}.sum(axis=0)", True

    def _part(self, step: Step, name: str) -> list[str]:
        kernel, target = step.kernel, step.target
        assert isinstance(kernel, Loops)
        to = view_of(name, target, kernel, kernel.walks[0])
        views = [
            view_of(self.name(value), value, kernel, walk)
            for value, walk in zip(step.operands, kernel.walks[1:], strict=True)
        ]
        self.walks |= any(view.how == "walk" for view in (*views, to))
        text, sign, _ = term(views, to.letters, kernel.coefficient)
        place = f"{to.text}[...]" if to.how in ("all", "reshaped", "walk") else to.text
        if step.accumulate:
            return [f"{place} {sign}= {text}"]
        text = f"-({text})" if sign == "-" else text
        first = [] if target in self._allocated else [f"{name} = np.empty({self._shape(target)})"]
        self._allocated.add(target)
        return [*first, f"{place} = {text}"]

    def _shape(self, value: Value) -> str:
        axes = [*(["N"] if value.per_case else []), *map(str, value.shape)]
        return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"

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


def _bare(text: str) -> str:
    """An expression without the parentheses around all of it."""
    return ast.unparse(ast.parse(text, mode="eval").body)


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
