"""`rop figure ablation`: work beside L-BFGS, part by part of the default recipe."""

import numpy as np
import pytest

import rop
from rop.experiments import STUDIES, ablation
from rop.experiments.versus_problems import SMALL
from rop.experiments.versus_scipy import run


def test_ratios_are_those_of_the_works_to_what_lbfgs_reached(monkeypatch):
    name = "regression, 8-40-3"
    monkeypatch.setattr(ablation, "SMALL", {name: SMALL[name]})
    monkeypatch.setattr(ablation, "_TARGETS", ("Rosenbrock",))
    recipes = {key: ablation.RECIPES[key] for key in ("default", "no pairs")}
    monkeypatch.setattr(ablation, "RECIPES", recipes)
    findings = STUDIES["ablation"].run(600.0, 3)
    race = SMALL[name](3)
    paths = {"lbfgs": run(race, "L-BFGS-B", 400.0, 100.0)}
    paths |= {key: run(race, "HF", 900.0, 100.0, recipe) for key, recipe in recipes.items()}
    for row, found in zip(findings.tables["ratios"], findings.tables["recipes"], strict=True):
        assert row["recipe"] == found["recipe"] and row["cases"] == 800
        for most in (20, 100):
            f = min(at["f"] for at in paths["lbfgs"] if at["gradients"] <= most)
            works = [
                next(at["gradients"] for at in paths[key] if at["f"] <= f)
                for key in (row["recipe"], "lbfgs")
            ]
            assert row[f"at {most}"] == pytest.approx(works[0] / works[1])
            assert found[f"small, at {most}"] == pytest.approx(row[f"at {most}"])
    default, without = findings.tables["recipes"]
    assert default["small, at 100"] < without["small, at 100"]
    assert 20 < default["Rosenbrock"] < without["Rosenbrock"]
    assert findings.text.count("\n") == 2


@pytest.mark.parametrize(
    ("name", "cases", "parameters"),
    [
        ("noisy labels", 1000, 692),
        ("regression, 2-30-30-1", 1500, 1051),
        ("regression, 8-40-3", 800, 483),
    ],
)
def test_small_problems_differ_by_theta_alone(name, cases, parameters):
    race, again, other = (SMALL[name](seed) for seed in (1, 1, 2))
    assert race.cases == cases and race.theta.shape == (parameters,)
    np.testing.assert_array_equal(race.theta, again.theta)
    assert not np.array_equal(race.theta, other.theta)
    for key, array in race.batch.items():
        np.testing.assert_array_equal(array, other.batch[key])


def test_a_recipe_that_does_not_exist_is_refused():
    with pytest.raises(rop.RopValueError, match=r"only must be one of \['default'.*'none'"):
        STUDIES["ablation"].run(1.0, 0, only="none")
