"""`rop figure comparison`: the targets, the work to them, and the problems."""

import numpy as np
import pytest

import rop
from rop.experiments import STUDIES
from rop.experiments.versus_problems import RACES

METHODS = ("HF", "L-BFGS-B", "Newton-CG", "trust-ncg", "trust-krylov")


def compared(**options):
    return STUDIES["comparison"].run(40.0, 0, **options)


def test_rosenbrock_is_won_and_counted():
    rows = compared(only="Rosenbrock").tables["table"]
    assert tuple(row["method"] for row in rows) == METHODS
    for row in rows:
        assert row["f(θ_0)"] == pytest.approx(12.1)  # ½(2.2² + (10 · 0.44)²)
        assert row["best f"] < 1e-20
        works = [row[f"to {gap} of the gap"] for gap in ("0.1", "0.001", "1e-06")]
        works.append(row["to the target"])
        assert works == sorted(works) and 3 < works[0] and works[-1] < 1000
        assert row["f"] <= row["target"] == 1e-10


def test_targets_are_parts_of_the_gap_to_the_least_f_of_the_run():
    tables = compared(only="sensor positions").tables
    path = tables["curves"]
    f = {m: [row["f"] for row in path if row["method"] == m] for m in METHODS}
    best = min(map(min, f.values()))
    for row in tables["table"]:
        assert row["best f"] == best and row["f"] == f[row["method"]][-1]
        assert row["f(θ_0)"] == f[row["method"]][0]
        for gap in (0.1, 0.001, 1e-6):
            target = best + gap * (row["f(θ_0)"] - best)
            reached = [
                r["gradients"] for r in path if r["method"] == row["method"] and r["f"] <= target
            ]
            assert row[f"to {gap:g} of the gap"] == min(reached)


def test_a_method_is_given_up_after_so_much_work():
    findings = compared(only="Rosenbrock", most=20.0)
    for row in findings.tables["table"]:
        assert row["to the target"] is None
        assert row["f"] > row["target"] and 20 < row["done"] < 35
    assert findings.text.count("/ -") >= 5


def test_distances_do_not_change_where_all_sensors_move_together():
    race = RACES["sensor positions"](1)
    value, p = race.objective.value, race.theta.reshape(-1, 2)
    true = np.random.default_rng(11).uniform(size=p.shape)
    assert value(true.ravel()) < 0.01 * value(p.ravel())
    c = np.array([0.3, -0.2])
    # The first three positions are measured, the others only as distances.
    rise = 3 / 2 * c @ c + c @ (p[:3] - true[:3]).sum(axis=0)
    assert value((p + c).ravel()) - value(p.ravel()) == pytest.approx(rise, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "cases", "parameters"),
    [
        ("Rosenbrock", 1, 2),
        ("sensor positions", 1, 120),
        ("logistic regression", 3823, 650),
        ("digits classifier", 1800, 6040),
        ("lower halves of digits", 1800, 2632),
        ("digits, W2 = 10⁴ θ2", 3823, 1885),
        ("digits autoencoder", 3823, 26020),
        ("curves autoencoder, 14 x 14", 3000, 52552),
    ],
)
def test_the_problems_of_the_comparison_are_in_float64(name, cases, parameters):
    race, again, other = (RACES[name](seed) for seed in (1, 1, 2))
    assert race.cases == cases and race.theta.shape == (parameters,)
    assert all(array.dtype == np.float64 for array in (race.theta, *race.batch.values()))
    np.testing.assert_array_equal(race.theta, again.theta)
    assert (race.theta == other.theta).all() == (name == "Rosenbrock")
    assert np.isfinite(race.objective.value(race.theta, race.batch))


def test_a_problem_that_does_not_exist_is_refused():
    with pytest.raises(rop.RopValueError, match=r"only must be one of \['Rosenbrock'.*'roses'"):
        compared(only="roses")
