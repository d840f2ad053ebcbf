"""The recipe with λ, with changes: for tests of what ``Recipe()`` does without."""

from dataclasses import replace

from rop.hf import recipes


def damped(**changes):
    return replace(recipes.damped(), **changes)
