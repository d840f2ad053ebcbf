"""`explain` of a recipe, and iterations that explain themselves."""

import dataclasses

import numpy as np
import pytest

import rop

RECIPES = ("default", "basic", "martens2010", "momentum2012", "validated2012", "adaptive_hf")


@pytest.fixture(scope="module")
def run():
    x, z = rop.nets.mlp([4, 6, 3])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=1e-3)
    rng = np.random.default_rng(0)
    batch = {"x": rng.standard_normal((40, 4)), "t": np.eye(3)[rng.integers(0, 3, 40)]}
    theta = objective.init("glorot", seed=1)
    return lambda recipe, many=6: (
        rop.hf.minimize(
            objective, theta, batch, recipe=recipe, engine="numpy", iterations=many
        ).records
    )


@pytest.mark.parametrize("name", RECIPES)
def test_every_number_of_a_recipe_is_in_its_listing(name):
    recipe = rop.hf.recipes.named(name)
    listing = rop.explain(recipe)
    constants = [value for line in listing.lines for value in line.constants.values()]
    for value in recipe.thresholds().values():
        assert value in constants
    text, html, markdown = str(listing), listing._repr_html_(), listing.markdown()
    for line in listing.lines:
        assert line.does in text and line.choice in text and line.choice in markdown
    assert html.count("<tr>") == 1 + len(listing.lines) and len(repr(listing)) < 100


def test_a_recipe_is_explained_by_its_name():
    assert rop.explain("basic") == rop.explain(rop.hf.recipes.basic())
    with pytest.raises(rop.RopError, match="did you mean 'martens2010'"):
        rop.explain("martens")


def test_the_listing_follows_the_algorithm():
    listing = rop.explain(rop.hf.recipes.martens2010())
    assert [line.section for line in listing.lines][:4] == ["12", "6", "8.1", "11"]
    damping = listing.lines[2]
    assert damping.choice == "Tikhonov" and damping.constants["rule.lower_by"] == 2 / 3
    assert "rule.lower_by = 2/3" in str(listing)


def record(first, **changes):
    return dataclasses.replace(first, **changes)


def test_the_damping_is_explained_as_it_was_done(run):
    it = run("martens2010")[0]
    judged = {"rho": 0.85, "rho_judged": 0.85, "lam_before": 0.44, "lam_after": 0.44 * 2 / 3}
    # The recipe takes a quarter of the gradient's cases for the curvature, and ρ is of these.
    assert it.f_reduction[0] != it.f_before
    said = record(it, **judged).explain()
    assert "ρ = 0.85 > 3/4 on the curvature's cases, so λ 0.44 × 2/3 = 0.293." in said
    same = (it.f_before, it.f_after)
    it = record(it, f_reduction=same, f_curvature=same)
    said = record(it, **judged).explain()
    assert "ρ = 0.85 > 3/4, so λ 0.44 × 2/3 = 0.293." in said
    said = record(it, rho_judged=-np.inf, lam_before=2.0, lam_after=3.0).explain()
    assert "ρ = -∞ < 1/4, so λ 2 × 3/2 = 3." in said
    assert "so λ stays 2." in record(it, rho_judged=0.5, lam_before=2.0, lam_after=2.0).explain()
    said = record(it, rho_judged=0.9, lam_before=1e-20, lam_after=1e-20).explain()
    assert "within its bounds: 1e-20." in said
    damped = record(it, rho=0.9, rho_damped=1.8, rho_judged=1.8)
    assert "ρ of the damped model = 1.80" in damped.explain()
    assert "λ = 0 is not adapted" in run("basic", 1)[0].explain()


def test_the_run_of_cg_and_the_choice_are_explained_as_they_were_done(run):
    it = run("martens2010")[0]
    cg = dataclasses.replace(it.cg, steps=14, reason="progress", warm=True)
    tried = ((14, 0.5), (9, 0.4), (7, 0.45))
    said = record(it, cg=cg, chosen=9, f_stored=tried).explain()
    assert "CG began from ζ times an earlier iterate and stopped at 14" in said
    assert "progress over 10 steps below 10 × 5e-4." in said
    assert "Iterate 9 of 14 taken, f least of the 3 tried." in said
    longer = dataclasses.replace(cg, steps=140)
    assert "below 14 × 5e-4" in record(it, cg=longer).explain()
    assert "f not least" in record(it, cg=cg, chosen=14, f_stored=tried).explain()


@pytest.mark.parametrize("name", RECIPES)
def test_lines_agree_with_the_record(run, name):
    for it in run(name):
        said = it.explain()
        solved = "a step of L-BFGS" if it.cg.reason == "pairs" else f"stopped at {it.cg.steps}:"
        assert solved in said and f"Iterate {it.chosen} of" in said
        assert f"{it.f_after:.6g}" in said or it.step.alpha == 0
        for event in it.events:
            assert event in said


def test_a_trust_region_is_explained():
    x, z = rop.nets.mlp([3, 2])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 2)))
    rng = np.random.default_rng(0)
    batch = {"x": rng.normal(size=(20, 3)), "t": rng.normal(size=(20, 2))}
    recipe = rop.hf.Recipe(
        damping=rop.hf.Undamped(), cg=rop.hf.ConjugateGradient(region=rop.hf.TrustRegion())
    )
    run = rop.hf.minimize(objective, np.ones(objective.n), batch, recipe=recipe, iterations=2)
    assert "so the radius goes" in run.records[0].explain()


def test_what_is_neither_is_refused():
    with pytest.raises(rop.RopTypeError, match="expected an Objective or a Recipe"):
        rop.explain(3)
