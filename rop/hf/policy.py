"""What all policies of a recipe share: checked fields, and a short way to print them."""

from dataclasses import MISSING, Field, fields
from typing import Any

from rop.arguments import check_fields


class Policy:
    """A frozen dataclass that settles one open choice of algorithm 3.

    Constraints on its fields are declared in their annotations; see `rop.arguments`.
    """

    def __post_init__(self) -> None:
        check_fields(self)

    def __str__(self) -> str:
        """Return the call that makes this policy, without arguments that are defaults."""
        here: Any = self
        given = [
            f"{field.name}={_text(getattr(here, field.name))}"
            for field in fields(here)
            if getattr(here, field.name) != _default(field)
        ]
        return f"{type(self).__name__}({', '.join(given)})"


def _text(value: Any) -> str:
    return str(value) if isinstance(value, Policy) else repr(value)


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
