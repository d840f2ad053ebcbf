"""`rop figure`: each study runs in no time, and draws and writes what it found."""

import csv
import json
from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure

from rop.cli import main
from rop.experiments import STUDIES
from rop.experiments.along_cg import changes, damped_run, part, shuffled
from rop.experiments.figure5 import ritz_values
from rop.experiments.problems import digits
from rop.experiments.reparameterized import exponential_digits, scaled_digits
from rop.experiments.runs import errors_after
from rop.experiments.sample_sizes import chosen, spread

QUICK = ("3", "5", "cg-theory", "finite-differences")


def found(name, seconds=0.0, **options):
    return STUDIES[name].run(seconds, 0, **options)


@pytest.mark.parametrize("name", QUICK)
def test_a_study_leaves_pictures_and_numbers(name, tmp_path, capsys):
    assert main(["figure", name, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert numbers["text"] in said
    pictures = list(tmp_path.glob("*.png"))
    assert pictures and all(file.read_bytes().startswith(b"\x89PNG") for file in pictures)
    for table in tmp_path.glob("*.csv"):
        assert str(table) in said
        with open(table, newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(numbers[table.stem]) > 0


def test_figure_3_is_the_circle_of_the_paper():
    rows = {round(np.log10(row["lam"]), 1): row for row in found("3").tables["steps"]}
    for lam, row in rows.items():
        # B has the eigenvalues 2 along u and 30 along v, diag(B) = 16 I.
        assert row["along the valley, D = diag(B)"] == pytest.approx(2 / (2 + 16 * 10**lam))
        assert row["along the valley, D = I"] == pytest.approx(2 / (2 + 10**lam))
        assert row["along the valley, D = B"] == pytest.approx(1 / (1 + 10**lam))


def test_figure_5_has_cgs_own_errors():
    for row in found("5").tables["polynomials"]:
        assert row["Σ ω p(λ)²"] == pytest.approx(row["q(x) - q(x*)"], rel=1e-10)


def test_ritz_values_of_all_steps_are_the_eigenvalues():
    eigenvalues = np.array([1.0, 2.0, 5.0])
    np.testing.assert_allclose(ritz_values(eigenvalues, np.ones(3), 3), eigenvalues)


def test_cg_converges_first_where_the_curvature_is_high():
    at20 = found("cg-theory").tables["steps"][19]
    assert at20["lowest third"] > 0.9 > 0.6 > at20["middle third"] > 0.1 > at20["highest third"]
    assert at20["float32 drift"] < 1e-4


def test_the_errors_of_finite_differences_are_a_u():
    findings = found("finite-differences")
    best = {row["scheme"]: row for row in findings.tables["best"]}
    assert best["central, float64"]["error"] < 1e-9 < 1e-7
    assert 1e-6 < best["central, float32"]["error"] < 1e-3
    assert 1e-7 < best["central, float64"]["best ε"] < 1e-4


LEARNING = {
    "4": {"updates": 2, "steps": 10},
    "preconditioning": {"updates": 1, "steps": 8},
    "curvature": {"updates": 2},
    "curves28": {"images": 60},
    "golden-trace": {"images": 40},
    "reparameterization": {"updates": 1},
    "overfitting": {"updates": 1, "cases": 20, "steps": 4},
    "feedback": {"updates": 2, "steps": 5},
    "sample-sizes": {"updates": 1},
    "catching-up": {"updates": 2},
    "preconditioning-rnn": {"updates": 1, "steps": 5, "length": 10, "sequences": 10},
}
HERE = ("warm-start", "initialisations", "damping", "recipes", "depth", "krylov", "comparison")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LEARNING, *HERE])
def test_the_studies_that_train_run_through(name, tmp_path):
    seconds = (
        8.0
        if name
        in ("4", "preconditioning", "overfitting", "feedback", "catching-up", "preconditioning-rnn")
        else 0.01
    )
    findings = found(name, seconds, **LEARNING.get(name, {}))
    assert findings.text and findings.pictures and findings.tables
    for picture in findings.pictures.values():
        assert isinstance(picture, Figure)
        picture.canvas.draw()
    json.dumps(dict(findings.tables))
    assert any(findings.tables.values())


def test_errors_after_work_are_those_of_the_last_update_within_it():
    rows = [{"gradients": g, "error": e} for g, e in ((0.0, 9.0), (2.5, 4.0), (6.0, 5.0))]
    assert errors_after(rows, 0, 2, 2.5, 5.9, 6, 6.1) == {
        "error after 0 gradients": 9.0,
        "error after 2 gradients": 9.0,
        "error after 2.5 gradients": 4.0,
        "error after 5.9 gradients": 4.0,
        "error after 6 gradients": 5.0,
        "error after 6.1 gradients": None,
    }


def test_along_cg_the_damped_model_is_q_on_its_own_cases_and_the_penalty():
    problem = digits(0, hidden="8")
    batch = part(shuffled(problem.train, 0), 0, 50)
    objective, theta, lam = problem.objective, problem.theta, 0.3
    solution = damped_run(objective, theta, batch, lam, 4)
    rows = changes(objective, theta, solution.iterates, {"own": batch})
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    for row, iterate in zip(rows, solution.iterates, strict=True):
        delta = iterate.x
        assert row["q, own"] == pytest.approx(iterate.q - lam * delta @ delta / 2, rel=1e-6)
        f = objective.value(theta + delta, batch) - objective.value(theta, batch)
        assert row["f, own"] == pytest.approx(f, rel=1e-9)


def test_gradients_vanish_where_the_damped_update_does_not():
    tables = found("vanishing-gradients", layers=5, cases=50).tables
    first = {row["net"]: row for row in tables["layers"] if row["layer"] == 1}
    assert first["sigmoid, glorot"]["gradient"] < 0.01
    assert first["sigmoid, glorot"]["update"] > 10 * first["sigmoid, glorot"]["gradient"]
    assert 0.2 < first["tanh, glorot"]["gradient"] < 5
    through = {(row["spectral radius"], row["steps"]): row["gradient"] for row in tables["times"]}
    assert through[0.7, 64] < 1e-8 < 1e-4 < through[0.95, 64] < 0.01 < 10 < through[1.5, 64]


def test_damping_by_g_only_rescales_the_iterates_of_cg():
    rows = found("damping-matrices", 8.0, updates=1, steps=8).tables["updates"]
    away = {(row["D"], row["λ"]): row["‖δ - δ₀/(1 + λ)‖ / ‖δ‖"] for row in rows}
    assert max(value for (D, _), value in away.items() if D == "D = G") < 1e-10
    assert away["D = I", 1.0] > 0.1 and away["D = diag(G)", 1.0] > 0.1


def test_the_variance_rule_knows_the_error_of_the_gradient_on_a_sample():
    problem = digits(0, hidden="8")
    objective, theta, N = problem.objective, problem.theta, 8
    data = part(problem.train, 0, N)
    gradient, variance = objective.linearize(theta, data).gradient(), spread(objective, theta, data)

    def error(size):
        """The root mean square over all samples, relative to ‖∇f‖."""
        misses = [
            objective.linearize(theta, {n: a[list(i)] for n, a in data.items()}).gradient()
            - gradient
            for i in combinations(range(N), size)
        ]
        return np.sqrt(np.mean(np.square(misses).sum(1)) / (gradient @ gradient))

    for size in (1, 3, 6):
        allowed = error(size)
        assert chosen(gradient, variance, N, allowed * (1 + 1e-9)) == size
        assert chosen(gradient, variance, N, allowed * (1 - 1e-9)) == size + 1
    assert chosen(gradient, 0 * variance, N, 0.1) == 1


def test_parameterizations_stand_for_the_same_net():
    plain, scaled = scaled_digits(1, 1.0), scaled_digits(1)
    exponential = exponential_digits(1)
    batch = {name: array[:50] for name, array in plain.train.items()}
    f = [p.objective.value(p.theta, batch, "numpy") for p in (plain, scaled, exponential)]
    np.testing.assert_allclose(f, f[0], rtol=1e-9)
    g = [p.objective.linearize(p.theta, batch, "numpy").gradient() for p in (plain, scaled)]
    W2 = plain.objective.slices["W2"]
    np.testing.assert_allclose(g[1][W2], 1e4 * g[0][W2], rtol=1e-9)
