"""One number at a time: what is not named does not change, and a recipe says what it changed."""

from dataclasses import fields

import numpy as np
import pytest

import rop
from rop.hf import (
    Backtracking,
    Batches,
    ConjugateGradient,
    EmpiricalFisher,
    Forcing,
    HessianFree,
    LastIterate,
    LevenbergMarquardt,
    ObjectiveRise,
    Ramp,
    Recipe,
    RelativeProgress,
    Structural,
    Tikhonov,
    TrustRegion,
    minimize,
    recipes,
)

NAMES = [*recipes.MAKERS]


@pytest.mark.parametrize(
    "recipe, difference",
    [
        (Recipe(damping=Tikhonov(lam=2.0)), "damping.lam: 0.0 -> 2.0"),
        (Recipe(cg=ConjugateGradient(max_steps=80)), "cg.max_steps: 250 -> 80"),
        (Recipe(batches=Batches(curvature=0.5)), "batches.curvature: 0.0625 -> 0.5"),
        (
            Recipe(damping=Tikhonov(rule=LevenbergMarquardt(raise_by=2.0))),
            "damping.rule.raise_by: 1.5 -> 2.0",
        ),
        (
            Recipe(preconditioner=EmpiricalFisher(exponent=0.5)),
            "preconditioner.exponent: 0.75 -> 0.5",
        ),
        (
            Recipe(cg=ConjugateGradient(progress=RelativeProgress())),
            "cg.progress: None -> RelativeProgress()",
        ),
    ],
)
def test_a_policy_with_one_number_changes_that_number(recipe, difference):
    assert Recipe().diff(recipe) == difference
    assert Recipe().diff(Recipe()) == ""


def test_the_classes_defaults_are_the_default_recipes():
    recipe = Recipe()
    for policy in (
        recipe.batches,
        recipe.damping,
        recipe.preconditioner,
        recipe.pairs,
        recipe.cg,
        recipe.length,
        recipe.selection,
        recipe.line_search,
    ):
        assert policy == type(policy)()
    assert recipe.cg.forcing == Forcing() and recipe.damping.rule == LevenbergMarquardt()


@pytest.mark.parametrize(
    "changes, difference",
    [
        ({"lam": 0.1}, "damping.lam: 0.0 -> 0.1"),
        ({"max_steps": 80}, "cg.max_steps: 250 -> 80"),
        ({"curvature": 0.25}, "batches.curvature: 0.0625 -> 0.25"),
        ({"curvature": "hessian"}, "curvature: 'ggn' -> 'hessian'"),
        ({"selection": 0.5}, "batches.selection: 0.125 -> 0.5"),
        ({"selection": LastIterate()}, "selection: Backtracking() -> LastIterate()"),
        ({"decay": Ramp(0, 1, 0, 9)}, "decay: 0.0 -> Ramp(first=0, last=1, begin=0, end=9)"),
        ({"cg.forcing.most": 0.5}, "cg.forcing.most: 0.2 -> 0.5"),
        ({"ratio": 2.0}, "selection.schedule.ratio: 1.3 -> 2.0"),
        ({"rise": ObjectiveRise()}, "cg.rise: None -> ObjectiveRise()"),
        ({"l2": 0.0, "restart": 3}, "restart: None -> 3\nl2: None -> 0.0"),
        ({"lam": 1e-12, "lowest": 1e-15},
         "damping.lam: 0.0 -> 1e-12\ndamping.rule.lowest: 0.0 -> 1e-15"),
        ({"damping": Structural(), "mu": 0.5, "lam": 3.0},
         "damping: Tikhonov() -> Structural(mu=0.5, damping=Tikhonov(lam=3.0))"),
    ],
)  # fmt: skip
def test_replace_finds_the_number_wherever_it_lives(changes, difference):
    before = Recipe()
    assert before.diff(before.replace(**changes)) == difference
    assert before == Recipe()


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"lamda": 0.1}, r"no field 'lamda', did you mean 'lam'\?; there are batches, .*restart"),
        ({"first": 3}, "may be length.first or selection.schedule.first; say which"),
        ({"curvature": 3.5}, r"fits none .* batches.curvature must be a number of cases .*hessian"),
        ({"lam": -1.0}, "Tikhonov: lam=-1.0 must lie within"),
        ({"max_steps": 0}, "ConjugateGradient: max_steps must be an int >= 1"),
    ],
)
def test_replace_says_what_there_is(changes, words):
    with pytest.raises(rop.RopError, match=words):
        Recipe().replace(**changes)


def test_replace_without_changes_is_the_same_recipe():
    assert recipes.martens2010().replace() == recipes.martens2010()


@pytest.mark.parametrize("name", NAMES)
def test_a_printed_recipe_makes_the_same_recipe_again(name):
    recipe = recipes.named(name)
    names = {**vars(rop.hf), "inf": np.inf}
    assert eval(repr(recipe), names) == recipe
    assert repr(Recipe()) == "Recipe()"
    assert len(repr(recipe)) < 1_500


def test_a_printed_recipe_shows_every_number_and_marks_those_that_are_not_default():
    lines = str(recipes.martens2010(lam=1.0, max_steps=80)).splitlines()
    assert lines[0] == "Recipe"
    assert "        lam: 1.0  # default 0.0" in lines
    assert "        max_steps: 80  # default 250" in lines
    assert "    decay: 0.95  # default 0.0" in lines
    assert "        forcing: None  # default Forcing" in lines
    assert "#" not in str(Recipe())
    solver = str(recipes.newton())
    assert "    damping: Undamped  # default Tikhonov" in solver
    assert "            radius: 1.0\n" in solver


def test_a_difference_takes_a_name_and_is_shown_as_lines():
    shown = Recipe().diff("martens2010")
    assert shown == Recipe().diff(recipes.martens2010())
    assert repr(shown) == str(shown) and "\n" in repr(shown)
    with pytest.raises(rop.RopError, match="did you mean 'martens2010'"):
        Recipe().diff("martens201")


def test_who_looks_for_a_trust_region_is_told_where_it_goes():
    region = TrustRegion()
    words = r"write cg=ConjugateGradient\(region=TrustRegion\(\)\), damping=Undamped\(\)"
    for settings in (
        {"damping": region},
        {"cg": region},
        {"cg": ConjugateGradient(region=region)},
    ):
        with pytest.raises(rop.RopError, match=words):
            Recipe(**settings)


def test_a_policy_prints_what_is_not_default():
    assert str(Tikhonov(2.0, LevenbergMarquardt(good=0.8))) == (
        "Tikhonov(lam=2.0, rule=LevenbergMarquardt(good=0.8))"
    )
    assert str(Backtracking()) == "Backtracking()"


def test_the_differences_of_two_recipes_are_those_of_their_fields():
    first, second = recipes.martens2010(), recipes.validated2012()
    lines = first.diff(second).splitlines()
    changed = {line.partition(":")[0].partition(".")[0] for line in lines}
    assert changed == {
        field.name
        for field in fields(first)
        if getattr(first, field.name) != getattr(second, field.name)
    }
    assert "start: 'last' -> 'best'" in lines


@pytest.mark.parametrize("name", NAMES)
def test_recipes_by_name(problem, name):
    made = getattr(recipes, name, Recipe)()
    assert recipes.named(name) == made
    result = minimize(*problem, name, iterations=1, engine="numpy")
    assert result.recipe == made == HessianFree(*problem, name).recipe


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Recipe(lam=3), "no argument is called 'lam'; .*Recipe\\(\\).replace\\(lam=...\\)"),
        (
            lambda: Recipe(dampin=3),
            "Recipe: no argument is called 'dampin'; did you mean 'damping'",
        ),
        (lambda: ConjugateGradient(maxsteps=3), "ConjugateGradient: .* did you mean 'max_steps'"),
    ],
)
def test_a_field_that_a_policy_does_not_have(make, words):
    with pytest.raises(rop.RopTypeError, match=words):
        make()


def test_an_unknown_name_is_refused_with_the_known_ones(problem):
    with pytest.raises(rop.RopError, match="'martens2010'.*got 'martens'; did you mean 'martens20"):
        minimize(*problem, "martens")
    with pytest.raises(rop.RopError, match="recipe must be a Recipe"):
        HessianFree(*problem, 5)


def test_named_recipes_do_not_depend_on_the_defaults():
    # Numbers of the papers: whatever the default recipe does, these stay.
    recipe = recipes.martens2010()
    assert recipe.damping.rule.lower_by == 2 / 3 and recipe.cg.rise is None
    everything = Batches(1.0, 0.25, 1.0, seed=None, fewest=1)
    assert recipe.batches == everything
