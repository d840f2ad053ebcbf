"""Python functions of ops and losses as source that needs NumPy alone."""

from __future__ import annotations

import ast
import builtins
import inspect
import math
import textwrap
from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from rop.errors import RopError, RopTypeError

_SCIPY = {
    name: f"{name} = np.vectorize(math.{name}, otypes=[float])" for name in ("erf", "erfc", "gamma")
}


class Functions:
    """Functions that a source calls, each written once with all that it calls itself.

    Attributes
    ----------
    definitions : dict of str to str
        The source of each, by name, in the order in which they are needed.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, str] = {}
        self._names: dict[Any, str] = {}
        self._classes: dict[type, _Methods] = {}

    @property
    def imports(self) -> list[str]:
        """The statements that import what the definitions need besides NumPy."""
        return ["import math"] if self.definitions.keys() & _SCIPY.keys() else []

    def called(self, function: Callable[..., Any], arguments: Sequence[str]) -> str:
        """Return the expression that calls a function: its own formula, where it is only that.

        Parameters
        ----------
        function : callable
            A plain function, a method or a partial of one.
        arguments : sequence of str
            The expressions of its arguments.

        Returns
        -------
        str

        Raises
        ------
        RopTypeError
            If the function's source is not known, or needs more than NumPy.
        """
        if isinstance(function, partial):
            first = [literal(argument) for argument in function.args]
            return self.called(function.func, [*first, *arguments])
        if isinstance(function, MethodType):
            tree = _tree(function.__func__)
            own = tree.args.args[0].arg
            if any(isinstance(node, ast.Name) and node.id == own for node in _inside(tree)):
                method = self._method(function)
                return f"{method}({', '.join(arguments)})"
            function = function.__func__
            assert isinstance(function, FunctionType)
            arguments = ["None", *arguments]
        if isinstance(function, np.ufunc):
            return f"np.{function.__name__}({', '.join(arguments)})"
        tree = _tree(function)
        formula, names = _formula(tree), [argument.arg for argument in tree.args.args]
        # Default values and any number of arguments are left to Python.
        if formula is not None and len(names) == len(arguments) and tree.args.vararg is None:
            given = {
                name: ast.parse(text, mode="eval").body
                for name, text in zip(names, arguments, strict=True)
            }
            return ast.unparse(_Resolved(self, function, given).visit(formula))
        arguments = arguments[1:] if _is_method(tree) else arguments
        return f"{self.name(function)}({', '.join(arguments)})"

    def name(self, function: Any) -> str:
        """The name under which a function is defined in the source, which is written if need be."""
        if function not in self._names:
            name = self._new(function.__name__.strip("_<>"))
            self._names[function] = name
            tree = _tree(function)
            if isinstance(tree, ast.Lambda):
                raise _unknown(function, "it is a lambda of more than one expression")
            tree.name = name
            if _is_method(tree):
                tree.args.args = tree.args.args[1:]
            self.definitions[name] = self._written(function, tree)
        return self._names[function]

    def _written(self, function: Any, tree: ast.FunctionDef, own: str = "") -> str:
        """A definition without annotations and without names of other modules."""
        keep = [d for d in tree.decorator_list if isinstance(d, ast.Name) and d.id in _KINDS]
        tree.decorator_list = list[ast.expr](keep if own else [])
        tree.returns = None
        for argument in [*tree.args.args, *tree.args.kwonlyargs, tree.args.vararg]:
            if argument is not None:
                argument.annotation = None
        known = {argument.arg for argument in (*tree.args.args, *tree.args.kwonlyargs)}
        known |= {tree.args.vararg.arg} if tree.args.vararg else set()
        known |= {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        body: list[ast.stmt] = []
        resolved = _Resolved(self, function, {}, known)
        for statement in tree.body:
            if isinstance(statement, ast.ImportFrom):
                resolved.known |= self._imported(function, statement)
                continue
            body.append(resolved.visit(statement))
        tree.body = body
        return ast.unparse(ast.fix_missing_locations(tree))

    def _imported(self, function: Any, statement: ast.ImportFrom) -> set[str]:
        """Names that NumPy lacks and Python's math has, for arrays."""
        names = [alias.name for alias in statement.names]
        if statement.module != "scipy.special" or not set(names) <= set(_SCIPY):
            raise _unknown(function, f"it imports {names} from {statement.module}")
        for name in names:
            self.definitions.setdefault(name, _SCIPY[name])
        return set(names)

    def _method(self, function: MethodType) -> str:
        """A method of an object, which becomes an object of the source."""
        holder, cls = function.__self__, type(function.__self__)
        if cls not in self._classes:
            name = self._new(cls.__name__)
            self._classes[cls] = _Methods(name)
            self.definitions[name] = ""
        methods = self._classes[cls]
        self._collect(methods, holder, function.__name__)
        body = "\n\n".join(
            ["def __init__(self, **given):\n    self.__dict__.update(given)"]
            + list(methods.sources.values())
        )
        self.definitions[methods.name] = f"class {methods.name}:\n" + textwrap.indent(body, "    ")
        given = ", ".join(
            f"{name}={literal(holder.__dict__[name])}"
            for name in methods.attributes
            if name in holder.__dict__
        )
        # Behind its class and what that needs, even if the class has grown since.
        made = self._names.setdefault(holder, self._new(methods.name.lower()))
        self.definitions.pop(made, None)
        self.definitions[made] = f"{made} = {methods.name}({given})"
        return f"{made}.{function.__name__}"

    def _collect(self, methods: _Methods, holder: Any, name: str) -> None:
        """Add a method and all that it uses of its object."""
        if name in methods.sources or name in methods.attributes:
            return
        found = inspect.getattr_static(type(holder), name, None)
        if name in getattr(holder, "__dict__", {}) or not isinstance(found, _FUNCTIONS):
            methods.attributes[name] = None
            if name not in holder.__dict__:
                methods.sources[name] = f"{name} = {literal(found)}"
            return
        function = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
        tree = _tree(function)
        used = [
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and tree.args.args
            and node.value.id == tree.args.args[0].arg
        ]
        methods.sources[name] = ""
        methods.sources[name] = self._written(function, tree, methods.name)
        for attribute in [] if isinstance(found, staticmethod) else used:
            self._collect(methods, holder, attribute)

    def _new(self, name: str) -> str:
        return unique(name, {*self.definitions, *self._names.values(), *_SCIPY, *dir(builtins)})


class _Methods:
    """What a class of the source has so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sources: dict[str, str] = {}
        self.attributes: dict[str, None] = {}


class _Resolved(ast.NodeTransformer):
    """Replaces what a function takes from elsewhere by literals and by names of the source."""

    def __init__(
        self,
        functions: Functions,
        function: Any,
        given: dict[str, ast.expr],
        known: set[str] | None = None,
    ) -> None:
        self.functions, self.function, self.given = functions, function, given
        self.known = set() if known is None else known
        self.elsewhere: dict[str, Any] = {
            **function.__globals__,
            **inspect.getclosurevars(function).nonlocals,
        }

    def visit_Name(self, node: ast.Name) -> ast.expr:
        name = node.id
        if name in self.given:
            return self.given[name]
        if name in self.known or not isinstance(node.ctx, ast.Load):
            return node
        if name not in self.elsewhere:
            if hasattr(builtins, name):
                return node
            raise _unknown(self.function, f"it uses {name!r}")
        return ast.parse(self._said(name, self.elsewhere[name]), mode="eval").body

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is None:
            return ast.Pass()
        return ast.Assign([node.target], self.visit(node.value))

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            return self.visit(node.body if test.value else node.orelse)  # type: ignore[no-any-return]
        return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))

    def _said(self, name: str, value: Any) -> str:
        if value is np:
            return "np"
        if isinstance(value, ModuleType):
            raise _unknown(self.function, f"it uses the module {value.__name__}")
        if isinstance(value, type) and issubclass(value, RopError):
            return "TypeError" if issubclass(value, TypeError) else "ValueError"
        if getattr(value, "__module__", "") == "math" or value is math.pi:
            return f"np.{name}"
        if isinstance(value, np.ufunc) or getattr(value, "__module__", "") == "numpy":
            return f"np.{value.__name__}"
        if isinstance(value, FunctionType):
            return self.functions.name(value)
        return literal(value)


def literal(value: Any) -> str:
    """A value as Python writes it.

    Parameters
    ----------
    value : object
        A number, a string, an array, or a tuple, list or slice of these.

    Returns
    -------
    str

    Raises
    ------
    RopTypeError
        If it is anything else.
    """
    if isinstance(value, np.ndarray):
        return f"np.array({value.tolist()})"
    if isinstance(value, np.generic):
        return repr(value.item())
    if value is Ellipsis:
        return "..."
    if isinstance(value, slice):
        return f"slice({', '.join(map(literal, (value.start, value.stop, value.step)))})"
    if isinstance(value, tuple):
        return tupled(map(literal, value))
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if value is None or isinstance(value, int | float | str):
        return repr(value)
    raise RopTypeError(
        f"numpy: an op keeps a {type(value).__name__}, which cannot be written as source; keep "
        "numbers, strings, tuples and arrays"
    )


def tupled(elements: Iterable[str]) -> str:
    """The expression of a tuple, from those of its elements."""
    texts = list(elements)
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


def unique(name: str, taken: Container[str]) -> str:
    """The name, with a number behind it where it is taken."""
    new, number = name, 2
    while new in taken:
        new, number = f"{name}_{number}", number + 1
    return new


def _tree(function: Any) -> Any:
    """The syntax tree of a function or lambda."""
    function = inspect.unwrap(function)
    try:
        lines, _ = inspect.findsource(function)
        file = ast.parse("".join(lines))
    except (OSError, TypeError) as error:
        raise _unknown(function, "its source is not known; define it in a file") from error
    except SyntaxError:
        raise _unknown(function, "its source cannot be read") from None
    found = [node for node in ast.walk(file) if _is_of(node, function.__code__)]
    if not found:
        raise _unknown(function, "its source cannot be read")
    return found[-1]  # the innermost one


def _is_of(node: ast.AST, code: CodeType) -> bool:
    """Whether a part of a file is the function that has been compiled to a code."""
    if isinstance(node, ast.FunctionDef):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        return (node.name, first) == (code.co_name, code.co_firstlineno)
    if not isinstance(node, ast.Lambda) or code.co_name != "<lambda>":
        return False
    # Several lambdas may begin in one line: the columns of what they compute tell them apart.
    body = node.body
    start, end = (body.lineno, body.col_offset), (body.end_lineno or 0, body.end_col_offset or 0)
    places = [(line, column) for line, _, column, _ in code.co_positions() if line and column]
    return any(start <= place < end for place in places)


def _formula(tree: Any) -> ast.expr | None:
    """The one expression that a function is, or None."""
    if isinstance(tree, ast.Lambda):
        return tree.body
    body = [statement for statement in tree.body if not _is_text(statement)]
    if len(body) == 2 and isinstance(body[0], ast.AnnAssign) and isinstance(body[1], ast.Return):
        name, value = body[0].target, body[1].value
        if isinstance(name, ast.Name) and isinstance(value, ast.Name) and name.id == value.id:
            return body[0].value
    if len(body) == 1 and isinstance(body[0], ast.Return):
        return body[0].value
    return None


def _inside(tree: Any) -> list[ast.AST]:
    body = [tree.body] if isinstance(tree, ast.Lambda) else tree.body
    return [node for statement in body for node in ast.walk(statement)]


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_method(tree: Any) -> bool:
    return bool(tree.args.args) and tree.args.args[0].arg == "self"


def _unknown(function: Any, why: str) -> RopTypeError:
    name = getattr(function, "__qualname__", repr(function))
    return RopTypeError(f"numpy: {name} cannot be written as NumPy source: {why}")


_FUNCTIONS = (FunctionType, staticmethod, classmethod, property)
_KINDS = ("staticmethod", "classmethod", "property")
