"""The recipes' constants, as the papers and the authors' code have them (sec. 13)."""

import dataclasses
import pickle

import pytest

import rop
from rop.hf import recipes
from rop.hf.backtracking import Backtracking, LastIterate, Powers
from rop.hf.preconditioners import EmpiricalFisher, NoPreconditioner
from rop.hf.recipes import Recipe


def test_martens2010():
    recipe = recipes.martens2010()
    assert (recipe.damping.lam, recipe.damping.rule.poor, recipe.damping.rule.good) == (
        45,
        0.25,
        0.75,
    )
    assert (recipe.damping.rule.raise_by, recipe.damping.rule.lower_by) == (3 / 2, 2 / 3)
    assert recipe.damping.rule.lowest < 1.9e-18  # the last λ of the authors' own run
    assert recipe.preconditioner == EmpiricalFisher(exponent=0.75, kappa=0.0)
    assert recipe.decay == 0.95
    assert recipe.cg.max_steps == 250
    assert (recipe.cg.progress.tolerance, recipe.cg.progress.per_step) == (5e-4, True)
    assert recipe.selection == Backtracking(Powers(5, 1.3))
    assert (recipe.line_search.c, recipe.line_search.shrink, recipe.line_search.trials) == (
        0.01,
        0.8,
        60,
    )
    draw = recipe.batches.draw(5, 20_000)
    assert (draw.gradient.size, draw.curvature.size, draw.curvature.start) == (20_000, 5_000, 5_000)
    assert recipe.curvature == "ggn"


def test_martens2010_for_the_other_problems():
    mnist = recipes.martens2010(curvature=1 / 8, lam=10.0)
    assert mnist.batches.draw(0, 60_000).curvature.size == 7_500
    faces = recipes.martens2010(curvature=1 / 20, max_steps=100)
    assert (faces.batches.draw(0, 103_500).curvature.size, faces.cg.max_steps) == (5_175, 100)


def test_basic():
    recipe = recipes.basic()
    assert (recipe.cg.progress.tolerance, recipe.cg.progress.per_step) == (1e-4, False)
    assert recipe.selection == LastIterate()
    assert recipe.preconditioner == NoPreconditioner()
    draw = recipe.batches.draw(3, 100)
    assert draw.gradient == draw.curvature


def test_recipes_are_values():
    assert recipes.martens2010() == recipes.martens2010()
    assert pickle.loads(pickle.dumps(recipes.martens2010())) == recipes.martens2010()
    assert dataclasses.replace(recipes.basic(), decay=0.5).decay == 0.5
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipes.basic().decay = 0.1


@pytest.mark.parametrize("settings", [{"curvature": "fisher"}, {"decay": 1.1}, {"decay": -0.1}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(rop.RopError, match="Recipe: "):
        Recipe(**settings)
