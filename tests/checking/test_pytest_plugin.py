"""The pytest plugin, run by pytest on small test files of its own."""

import pytest

pytest_plugins = ["pytester"]

MODEL = """
import numpy as np
import pytest

FACTOR = {factor}
functions = {{
    "value": lambda t: np.sin(t).sum(),
    "gradient": lambda t: np.cos(t),
    "hvp": lambda t, v: -FACTOR * np.sin(t) * v,
}}
theta = np.linspace(0.1, 1.0, 5)
"""


@pytest.fixture
def run(pytester):
    def run_file(body, *options, factor=1):
        pytester.makepyfile(MODEL.format(factor=factor) + body)
        return pytester.runpytest(*options)

    return run_file


def test_it_comes_with_the_package(pytestconfig):
    """Where this fails, install rop again: entry points are read at installation."""
    assert pytestconfig.pluginmanager.has_plugin("rop")


def test_right_products_pass(run):
    body = "def test_it(rop_check): assert rop_check(theta, **functions).ok"
    run(body).assert_outcomes(passed=1)


def test_wrong_products_fail_with_report_and_seed(run):
    body = """
@pytest.mark.rop(seed=11)
def test_it(rop_check): rop_check(theta, **functions)
"""
    result = run(body, "--strict-markers", factor=2)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*Hv   FAIL*differs by 50 %*", "*pytest --rop-seed=11 *::test_it*"]
    )


BODY = "def test_it(rop_check): rop_check(theta, gradient=functions['gradient'])"


def test_inconclusive_is_an_expected_failure_unless_strict(run):
    run(BODY).assert_outcomes(xfailed=1)
    run(BODY, "--rop-strict").assert_outcomes(failed=1)


def test_the_marker_overrides_the_options(run):
    run(f"@pytest.mark.rop(strict=True)\n{BODY}").assert_outcomes(failed=1)


def test_objectives_go_to_check(run):
    body = """
import rop
x, t, W = rop.data("x", 3), rop.data("t", 2), rop.param("W", (2, 3))
def test_it(rop_check):
    objective = rop.Objective(rop.tanh(W @ x), rop.SquaredError(t))
    batch = {"x": np.eye(3), "t": np.ones((3, 2))}
    assert "ggnvp" in rop_check(objective, np.linspace(-1, 1, 6), batch).products
"""
    run(body).assert_outcomes(passed=1)


@pytest.mark.parametrize("mark", ["sede=3", "3", "seed=1, full=True"])
def test_a_misspelt_option_of_the_marker_fails(run, mark):
    result = run(f"@pytest.mark.rop({mark})\ndef test_it(rop_check): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*takes seed= and strict=, not *"])


def test_the_plugin_is_listed_in_the_help(run):
    result = run("def test_nothing(): pass", "--help")
    result.stdout.fnmatch_lines(["*--rop-seed*", "*--rop-strict*"])
