"""HF as scikit-learn estimators: scikit-learn's own checks, and what people do with estimators."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_iris, make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import rop
from rop.sklearn import HFClassifier, HFRegressor

DOCS = Path(__file__).parents[1] / "docs" / "sklearn.md"
REASON = (
    "holds up to rounding, which the default recipe amplifies: it takes one of several iterates of "
    "CG that are nearly as good"
)
NAMED = {f"check_sample_weight_equivalence_on_{kind}_data": REASON for kind in ("dense", "sparse")}
# CG to the end, and its last iterate: nothing is decided by a narrow margin.
EXACT = rop.hf.Recipe(
    cg=rop.hf.ConjugateGradient(progress=None, residual=1e-10, rise=None),
    decay=0.0,
    preconditioner=rop.hf.NoPreconditioner(),
    selection=rop.hf.LastIterate(),
)


# Some of the checks train on data that no number of iterations fits.
@pytest.mark.ci
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [HFClassifier(), HFRegressor()], expected_failed_checks=lambda estimator: NAMED
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", NAMED)
@pytest.mark.parametrize("estimator", [HFClassifier, HFRegressor])
def test_the_named_checks_where_rounding_decides_nothing(estimator, check):
    getattr(estimator_checks, check)(estimator.__name__, estimator(recipe=EXACT, l2=0.1))


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True, as_frame=True)


@pytest.mark.ci
def test_labels_of_any_kind(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])
    p = HFClassifier(random_state=0).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    for labels in (names[y], names[y].astype(object), pd.Series(names[y]), y - 7, y > 0):
        model = HFClassifier(random_state=0).fit(X, labels)
        assert set(model.classes_) == set(np.asarray(labels))
        assert model.score(X, labels) > 0.95
        if len(model.classes_) == 3:
            np.testing.assert_array_equal(model.predict_proba(X), p)


def test_several_labels_at_once(iris):
    X, y = iris
    labels = np.stack([y > 0, y > 1], axis=1).astype(int)
    model = HFClassifier(random_state=0).fit(X, labels)
    assert model.score(X, labels) > 0.95
    sparse = HFClassifier(random_state=0).fit(X, csr_array(labels))
    np.testing.assert_array_equal(model.predict_proba(X), sparse.predict_proba(X))


def test_frames_arrays_and_sparse_matrices_are_the_same(iris):
    X, y = iris
    p = HFClassifier(random_state=0).fit(X, y).predict_proba(X)
    for other in (X.to_numpy(), csr_array(X.to_numpy())):
        model = HFClassifier(random_state=0).fit(other, y)
        np.testing.assert_array_equal(model.predict_proba(other), p)


def test_it_minimises_the_objective_that_it_shows(iris):
    X, y = iris
    X = X.to_numpy()
    model = HFClassifier((8, 5), "sigmoid", l2=1e-3, random_state=0).fit(X, y)
    objective = model.objective()
    assert objective.shapes["W2"] == (5, 8)
    at = objective.linearize(model.theta_, {"x": X, "t": y})
    assert at.value == pytest.approx(model.result_.fun, rel=1e-12)
    e = np.exp(at.outputs)
    p = e / e.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), p, rtol=1e-12)


def test_biases_are_not_penalised():
    X, y = np.zeros((4, 1)), np.array([1.0, 2.0, 3.0, 4.0])
    model = HFRegressor((), l2=10.0, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), 2.5, rtol=1e-6)
    np.testing.assert_allclose(model.objective().unpack(model.theta_)["W1"], 0.0, atol=1e-6)


def test_weights_count_cases():
    """f is that of repeated cases, so the minima are the same."""
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=(40, 3)), rng.normal(size=(40, 2)), rng.integers(0, 4, 40)
    settings = dict(hidden_layer_sizes=(), l2=1e-2, recipe=EXACT, tol=1e-12, random_state=0)
    weighted = HFRegressor(**settings).fit(X, y, weight)
    repeated = HFRegressor(**settings).fit(X.repeat(weight, axis=0), y.repeat(weight, axis=0))
    assert weighted.result_.fun == pytest.approx(repeated.result_.fun, rel=1e-12)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)
    with pytest.raises(ValueError, match=r"(?i)weight"):
        weighted.fit(X, y, np.zeros(40))
    with pytest.raises(ValueError, match="Negative values"):
        weighted.fit(X, y, -weight)


def test_training_stops_by_cases_that_are_held_out():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 10))
    y = X[:, 0] + rng.normal(size=120)
    settings = dict(l2=1e-6, tol=0.0, random_state=0)
    with pytest.warns(ConvergenceWarning, match="max_iter=40"):
        memorised = HFRegressor(max_iter=40, **settings).fit(X, y)
    stopped = HFRegressor(validation_fraction=0.25, **settings).fit(X, y)
    assert stopped.n_iter_ < 40
    assert stopped.result_.best_iteration == stopped.n_iter_ - 10
    fresh = rng.normal(size=(1000, 10))
    error = {
        model: np.mean((model.predict(fresh) - fresh[:, 0]) ** 2) for model in (memorised, stopped)
    }
    assert error[stopped] < 0.5 * error[memorised]


def test_float32_stays_float32(iris):
    X, y = iris
    model = HFClassifier(random_state=0).fit(X.to_numpy(np.float32), y)
    assert model.theta_.dtype == np.float32


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            {"validation_fraction": 1.0},
            "HFClassifier: validation_fraction must be a finite number >= 0 and < 1, got 1.0",
        ),
        ({"max_iter": 0}, "HFClassifier: max_iter must be an int >= 1, got 0"),
        ({"n_iter_no_change": 1.5}, "HFClassifier: n_iter_no_change must be an int >= 1"),
        ({"activation": "step"}, "activation must be 'tanh'"),
        ({"l2": -1.0}, "l2['W1'] must be a finite number >= 0"),
        ({"hidden_layer_sizes": (5, 0)}, "sizes must be two or more positive integers"),
        ({"init": "zeros"}, "initialisation must be 'sparse'"),
        ({"engine": "abacus"}, "engine: expected 'numba', 'numpy' or 'cuda'"),
    ],
)
def test_settings_that_do_not_fit(iris, setting, message):
    with pytest.raises(rop.RopError, match=re.escape(message)):
        HFClassifier(**setting).fit(*iris)


def test_pipelines_and_cross_validation(iris):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), HFClassifier(random_state=0))
    assert cross_val_score(pipeline, X, y).mean() > 0.9


@pytest.mark.ci
def test_a_search_in_processes(iris):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), HFClassifier(random_state=0))
    grid = {
        "hfclassifier__l2": [1e-3, 1e-2],
        "hfclassifier__recipe": [None, "martens2010", rop.hf.recipes.martens2010(lam=1.0)],
    }
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X, y)
    assert search.best_score_ > 0.9


def test_estimators_travel(iris, tmp_path):
    X, y = iris
    model = HFClassifier(10, rop.tanh, l2=1e-2, random_state=0).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
        assert len(copy.result_.records) == model.n_iter_


def test_a_regression_that_is_not_linear():
    X, y = make_friedman1(1000, noise=1.0, random_state=0)
    linear, net = (
        cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=3).mean()
        for model in (Ridge(), HFRegressor(l2=1e-2, random_state=0))
    )
    assert linear < 0.8
    assert net > 0.9


def test_rop_loads_scikit_learn_only_when_asked():
    script = (
        "import sys, rop; assert 'sklearn' not in sys.modules; "
        "assert rop.sklearn.HFRegressor; assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'scikit'"):
        rop.scikit  # noqa: B018


@pytest.mark.parametrize("use", ["rop.sklearn", "import rop.sklearn"])
def test_without_scikit_learn_the_error_says_what_to_install(use):
    script = f"import sys; sys.modules['sklearn'] = None; import rop; {use}"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 1
    assert "pip install 'rop[sklearn]'" in run.stderr.splitlines()[-1]


@pytest.mark.ci
def test_the_page_of_the_docs():
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    found = {}
    for block in blocks:
        exec(compile(block, DOCS.name, "exec"), found)
    assert found["model"].score(found["X_test"] / 16, found["y_test"]) > 0.96
    assert found["search"].best_score_ > 0.96
