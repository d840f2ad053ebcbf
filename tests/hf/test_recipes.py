"""The recipes' constants, as the papers and the authors' code have them (sec. 13)."""

import dataclasses
import pickle
from math import inf

import pytest

import rop
from rop.hf import recipes
from rop.hf.damping import Structural, Tikhonov, Undamped
from rop.hf.levenberg_marquardt import LevenbergMarquardt
from rop.hf.preconditioners import EmpiricalFisher, NoPreconditioner
from rop.hf.recipe import Recipe, Settings
from rop.hf.schedules import Ramp
from rop.hf.selection import Backtracking, Best, Every, LastIterate, Powers
from rop.hf.stopping import ObjectiveRise


def test_martens2010():
    recipe = recipes.martens2010()
    assert (recipe.damping.lam, recipe.damping.rule.poor, recipe.damping.rule.good) == (
        45,
        0.25,
        0.75,
    )
    assert (recipe.damping.rule.raise_by, recipe.damping.rule.lower_by) == (3 / 2, 2 / 3)
    assert recipe.damping.rule.lowest < 1.9e-18  # the last λ of the authors' own run
    assert recipe.preconditioner == EmpiricalFisher(
        exponent=0.75, kappa=0.0, relative_kappa=0.0, cases="gradient"
    )
    assert recipe.decay == 0.95
    assert recipe.cg.max_steps == 250
    assert (recipe.cg.progress.tolerance, recipe.cg.progress.per_step) == (5e-4, True)
    assert recipe.selection == Backtracking(Powers(5, 1.3), enough=inf)
    assert (recipe.pairs, recipe.length, recipe.cg.forcing) == (None, None, None)
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


def test_validated2012():
    recipe = recipes.validated2012()
    assert recipe.selection == Best(Every(10), by="model")
    assert (recipe.cg.rise.window, recipe.cg.max_steps) == (10, 250)
    assert recipe.start == "best"  # erratum M66: of lowest f
    draw = recipe.batches.draw(5, 20_000)
    assert (draw.gradient.size, draw.curvature.size, draw.selection.size) == (20_000, 5_000, 5_000)
    assert draw.selection.start == draw.curvature.start + 5_000
    assert recipe.damping.rule.model == "damped"


def test_momentum2012_and_its_end():
    recipe = recipes.momentum2012(batch=0.1, max_steps=40, iterations=100)
    early, late = recipe.batches.draw(0, 1000), recipe.batches.draw(100, 1000)
    assert early.gradient == early.curvature
    assert (early.gradient.size, late.gradient.size) == (100, 400)
    assert recipe.settings(0) == Settings(0.95, 1.0, None, 40)
    assert recipe.settings(79).learning_rate == 1.0
    assert recipe.settings(80).decay == 0.99
    assert recipe.settings(100) == Settings(0.99, 0.1, None, 20)
    assert recipe.selection == LastIterate()
    assert 25 <= recipes.momentum2012().cg.max_steps.first <= 50
    with pytest.raises(rop.RopError, match="momentum2012: iterations must be an int >= 5"):
        recipes.momentum2012(iterations=4)


def test_the_default_counts_its_costs():
    recipe = Recipe()
    for cases, *expected in ((20_000, 1_250, 2_500), (3_000, 256, 375), (200, 200, 200), (1, 1, 1)):
        draw = recipe.batches.draw(5, cases)
        assert draw.gradient.size == cases
        assert [draw.curvature.size, draw.selection.size] == expected
    assert recipe.reduction == "gradient"
    assert recipes.martens2010().reduction == recipes.validated2012().reduction == "curvature"
    assert recipe.preconditioner == EmpiricalFisher(exponent=0.75, cases="curvature")
    assert (recipe.damping.lam, recipe.decay) == (0.0, 0.0)
    assert (recipe.cg.progress, recipe.cg.rise) == (None, None)
    assert recipe == Recipe()


def test_damped():
    recipe = recipes.damped()
    rule = recipe.damping.rule
    assert (recipe.damping.lam, rule.lower_by, rule.raise_by) == (1.0, 1 / 3, 3 / 2)
    assert recipe.cg.rise == ObjectiveRise(every=5, window=10)
    assert recipes.martens2010().cg.rise is None
    assert (recipe.pairs, recipe.length, recipe.cg.forcing) == (None, None, None)


def test_basic():
    recipe = recipes.basic()
    assert recipe.curvature == "hessian"
    assert recipe.damping == Undamped()
    assert (recipe.cg.progress, recipe.cg.residual, recipe.decay) == (None, 1e-6, 0.0)
    assert recipe.selection == LastIterate()
    assert recipe.preconditioner == NoPreconditioner()
    rule = LevenbergMarquardt(lower_by=2 / 3)
    assert recipes.basic(lam=2.0).damping == Tikhonov(2.0, rule)
    draw = recipe.batches.draw(3, 100)
    assert draw.gradient == draw.curvature


def test_thresholds_have_the_numbers_of_the_rules():
    numbers = recipes.validated2012(lam=3.0).thresholds()
    assert numbers["damping.lam"] == 3.0
    assert (numbers["damping.rule.poor"], numbers["damping.rule.good"]) == (0.25, 0.75)
    assert numbers["cg.progress.tolerance"] == 1e-4
    assert numbers["cg.rise.tolerance"] == 0.01
    assert numbers["line_search.c"] == 1e-2


def test_recipes_are_values():
    assert recipes.martens2010() == recipes.martens2010()
    assert pickle.loads(pickle.dumps(recipes.martens2010())) == recipes.martens2010()
    assert dataclasses.replace(recipes.basic(), decay=0.5).decay == 0.5
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipes.basic().decay = 0.1


@pytest.mark.parametrize(
    "settings",
    [{"curvature": "fisher"}, {"decay": 1.1}, {"decay": Ramp(0.5, -0.1, 0, 9)}, {"start": "worst"},
     {"learning_rate": 0.0}, {"learning_rate": Ramp(1.0, 2.0, 0, 9)}, {"restart": 0}, {"l2": -1.0},
     {"reduction": "selection"},
     {"curvature": "hessian", "damping": Structural(0.1)}],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(rop.RopError, match="Recipe: "):
        Recipe(**settings)
