"""The progress rule in its two forms, its guard and its window (eq. 2, erratum M13)."""

import numpy as np
import pytest

import rop
from rop.hf.cg import pcg
from rop.hf.conjugate_gradient import ConjugateGradient
from rop.hf.solution import Progress
from rop.hf.stopping import ObjectiveRise, RelativeProgress
from rop.hf.subproblem import Subproblem


def first_stop(rule, q):
    """Return the first j at which the rule fires on the sequence q, or None."""
    for j in range(1, len(q)):
        reason = rule(Progress(np.zeros(1), list(q[: j + 1]), 1.0))
        if reason is not None:
            assert reason == "progress"
            return j
    return None


def expected_stop(q, tolerance, per_step):
    """Return the first j that fulfils the definition, written out."""
    for j in range(1, len(q)):
        k = max(10, int(np.ceil(j / 10)))
        if j > k and q[j] < 0 and (q[j] - q[j - k]) / q[j] < tolerance * (k if per_step else 1):
            return j
    return None


SEQUENCES = {
    "fast": -1 + 0.5 ** np.arange(400.0),
    "slow": -1 + 1 / (1 + np.arange(400.0)),
    "from above": 5 * 0.8 ** np.arange(400.0) - 2,
    "long": -np.log1p(np.arange(4000.0)),
}


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("tolerance, per_step", [(5e-4, True), (1e-4, False)])
def test_stops_where_the_definition_says(name, tolerance, per_step):
    q = SEQUENCES[name]
    j = first_stop(RelativeProgress(tolerance, per_step), q)
    assert j == expected_stop(q, tolerance, per_step)


def test_the_two_forms_differ_fifty_times_at_the_smallest_window():
    q = SEQUENCES["slow"]
    per_step = first_stop(RelativeProgress(5e-4, per_step=True), q)
    assert 10 < per_step < 100
    assert first_stop(RelativeProgress(1e-4, per_step=False), q) is None
    assert first_stop(RelativeProgress(5e-3, per_step=False), q) == per_step


def test_nothing_is_judged_before_a_full_window():
    assert first_stop(RelativeProgress(), [0.0] + [-1.0] * 11) == 11
    assert first_stop(RelativeProgress(), [-1.0] * 12) == 11


def test_a_warm_start_above_zero_is_no_stagnation():
    # q falls by a constant amount: with q > 0 the unguarded ratio is negative and would stop.
    q = 300.0 - np.arange(400.0)
    unguarded = (q[11] - q[1]) / q[11]
    assert unguarded < 5e-4
    assert first_stop(RelativeProgress(), q[:300]) is None


def test_the_constant_of_the_model_must_not_enter():
    # M = f + q with f = 50 is what equation 1 would give: it stops at the first test.
    q = SEQUENCES["slow"]
    M = 50 + q
    assert (M[11] - M[1]) / M[11] < 1e-4 < (q[11] - q[1]) / q[11]


def test_the_window_is_a_tenth_of_the_steps_rounded_up():
    rule = RelativeProgress(1.0, per_step=False)
    # Constant but for one drop, which a window of ceil(151/10) = 16 still sees and 15 would not.
    q = np.full(152, -1.0)
    q[151 - 15 :] = -4.0
    seen = Progress(np.zeros(1), list(q), 1.0)
    tight = RelativeProgress(0.5, per_step=False)
    assert tight(seen) is None
    q[151 - 16] = -4.0
    assert tight(Progress(np.zeros(1), list(q), 1.0)) == "progress"
    assert rule(seen) == "progress"


def test_in_cg_the_reason_is_recorded_at_the_right_step():
    rng = np.random.default_rng(0)
    A = np.diag(np.geomspace(1, 1e5, 300))
    solution = pcg(A.dot, rng.standard_normal(300), stops=[RelativeProgress()])
    assert solution.reason == "progress"
    assert solution.steps == expected_stop(solution.q, 5e-4, True)


def watched(values, every=1, q=-1.0, f=10.0, **settings):
    """Run the rule over f at steps every, 2 every, ...; returns the step where it stops."""
    rule = ObjectiveRise(every=every, **settings).rule(f, lambda iterate: values[iterate.steps])
    for j in range(1, max(values) + 1):
        if rule(Progress(np.zeros(1), [0.0] + [q] * j, 1.0)) is not None:
            return j
    return None


def test_a_significant_rise_of_f_stops():
    falling_then_rising = {j: abs(j - 6) + 1.0 for j in range(1, 30)}
    # f_8 = 3 against f_4 = 3, and f_9 = 4 against f_5 = 2.
    assert watched(falling_then_rising, window=4) == 9
    assert watched(falling_then_rising, window=4, tolerance=0.5) == 12  # 7 > 3 + 0.5 · 7
    assert watched(falling_then_rising, window=4, f=1e9) is None  # nothing beside that reduction
    assert watched(falling_then_rising, window=4, f=0.0) == 9
    assert watched({j: 1.0 for j in range(1, 30)}, window=4) is None
    assert watched({j: 10.0 - j for j in range(1, 30)}, window=4) is None


def test_a_rise_is_no_reason_while_q_is_not_below_0():
    rising = {j: float(j) for j in range(1, 30)}
    assert watched(rising, window=4, q=0.5) is None
    assert watched(rising, window=4, q=-0.5) == 5


def test_a_loss_that_is_not_a_number_is_a_rise():
    assert watched({j: np.nan if j > 6 else 5.0 - j for j in range(1, 30)}, window=4) == 7
    assert watched({j: np.nan for j in range(1, 30)}, window=4) == 5


def test_f_is_looked_at_only_now_and_then():
    looked = []
    rule = ObjectiveRise(every=5, window=10).rule(0.0, lambda it: looked.append(it.steps) or 1.0)
    for j in range(1, 23):
        rule(Progress(np.zeros(1), [0.0] + [-1.0] * j, 1.0))
    assert looked == [5, 10, 15, 20]


def test_cg_with_the_rule_ends_soon_after_the_least_f():
    A = np.diag(np.geomspace(1, 1e4, 60))
    b = np.ones(60)
    # f falls along CG up to a norm of 0.5 and rises beyond it.
    watch = lambda iterate: (np.linalg.norm(iterate.x) - 0.5) ** 2  # noqa: E731
    solver = ConjugateGradient(progress=None, rise=ObjectiveRise(every=2, window=4))
    solution = solver.solve(Subproblem(A, b, f=0.25, watch=watch, store=range(200)))
    assert solution.reason == "f rose"
    f = [watch(iterate) for iterate in solution.iterates]
    assert np.argmin(f) >= solution.steps - 6
    assert f[-1] > f[-5]
    unwatched = solver.solve(Subproblem(A, b))
    assert unwatched.reason == "residual"


@pytest.mark.parametrize("settings", [{"every": 0}, {"window": 7}, {"tolerance": -1.0}])
def test_a_rise_rule_that_means_nothing_is_refused(settings):
    with pytest.raises(rop.RopError, match="ObjectiveRise: "):
        ObjectiveRise(**settings)
