"""Steps of a program as Python statements."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Iterable, Sequence

from rop.ops.kernels import Call, Loops, Map
from rop.ops.rules import Value
from rop.programs.steps import Program, Step
from rop.show.source.functions import Functions, tupled, unique
from rop.show.source.loops import term, view_of

_WIDTH = 100
_LETTERS = {"'": "p", "ᵀ": "T", "Δ": "D", "·": "_", "₁": "1", "₂": "2"}

Lines = Callable[[Program], Iterable[tuple[Sequence[Step], str]]]
"""The lines of a program's listing: the steps that each stands for, and a comment."""


class Statements:
    """The statements of programs, with one name for each value.

    Parameters
    ----------
    lines : callable
        The lines of a program's listing.
    taken : iterable of str
        Names that mean something else.

    Attributes
    ----------
    functions : Functions
        The functions that the statements call.
    names : dict of Value to str
        The names of the values so far.
    taken : set of str
        Names that no other value may have.
    walks : bool
        Whether a statement calls `walk`.
    """

    def __init__(self, lines: Lines, taken: Iterable[str]) -> None:
        self.lines = lines
        self.functions = Functions()
        self.names: dict[Value, str] = {}
        self.taken = set(taken)
        self.walks = False
        self._allocated: set[Value] = set()

    def keep_apart(self, steps: Sequence[Step]) -> None:
        """Give the functions that these steps call their names, which no value has then."""
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
            self.names[value] = unique(wanted, self.taken)
            self.taken.add(self.names[value])
        return self.names[value]

    def shape(self, value: Value) -> str:
        """The expression of a value's shape."""
        return tupled([*(["N"] if value.per_case else []), *map(str, value.shape)])

    def of(self, program: Program, steps: Sequence[Step]) -> list[str]:
        """The statements of a program.

        Parameters
        ----------
        program : Program
            The program.
        steps : sequence of Step
            All steps that may write to its targets.

        Returns
        -------
        list of str
            Lines of source.
        """
        partly = {step.target for step in steps if self._is_part(step)}
        lines = []
        for group, said in self.lines(program):
            code = self._code(group, partly)
            for number, statement in enumerate(code):
                # One comment for each line of a listing, where it begins.
                if number:
                    lines.append(statement)
                elif len(statement) + len(said) + 8 <= _WIDTH:
                    lines.append(f"{statement}  # {said}")
                else:
                    lines += [f"# {part}" for part in _wrapped(said)]
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
        name, shape = self.name(target), self.shape(target)
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
                text = f"np.broadcast_to({text}, {tupled(wide)})"
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
        first = [] if target in self._allocated else [f"{name} = np.empty({self.shape(target)})"]
        self._allocated.add(target)
        return [*first, f"{place} = {text}"]


def _bare(text: str) -> str:
    """An expression without the parentheses around all of it."""
    return ast.unparse(ast.parse(text, mode="eval").body)


def _wrapped(said: str) -> list[str]:
    """A comment in lines, none of which ends between "line" and its number."""
    whole = said.replace(", line ", ",\N{NO-BREAK SPACE}line\N{NO-BREAK SPACE}")
    lines = textwrap.wrap(whole, _WIDTH - 8)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
