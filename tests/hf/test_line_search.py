"""The Armijo line search, and what it does with bad directions and bad losses (sec. 8.8)."""

from math import inf, nan

import pytest

import rop
from rop.hf.line_search import Armijo


def counted(f):
    calls = []

    def inner(alpha):
        calls.append(alpha)
        return f(alpha)

    return inner, calls


def test_a_full_step_that_lowers_f_enough_is_taken():
    f, calls = counted(lambda alpha: 1 - alpha)
    step = Armijo().search(f, 1.0, -1.0)
    assert (step.alpha, step.f, step.outcome, step.trials) == (1.0, 0.0, "accepted", ((1.0, 0.0),))
    assert calls == [1.0]


def test_the_known_loss_of_the_full_step_is_not_computed_again():
    f, calls = counted(lambda alpha: 1 - alpha)
    assert Armijo().search(f, 1.0, -1.0, 0.25).f == 0.25
    assert calls == []


def test_alpha_is_the_first_power_with_sufficient_decrease():
    # f(α) = 1 - α + 3α²: sufficient from α <= (1 - c)/3 on.
    search = Armijo(c=0.1, shrink=0.5)
    step = search.search(lambda alpha: 1 - alpha + 3 * alpha**2, 1.0, -1.0)
    assert step.alpha == 0.25
    assert [alpha for alpha, _ in step.trials] == [1.0, 0.5, 0.25]
    assert step.f <= 1 - 0.1 * 0.25


def test_simple_decrease_is_not_enough():
    # f falls by 1 % of what the slope promises, which c = 0.02 refuses and c = 0.005 takes.
    def f(alpha):
        return 1 - 0.01 * alpha

    assert Armijo(c=0.005).search(f, 1.0, -1.0).alpha == 1.0
    assert Armijo(c=0.02).search(f, 1.0, -1.0).outcome == "rejected"


def test_after_all_trials_the_update_is_rejected():
    f, calls = counted(lambda alpha: 2.0)
    step = Armijo(shrink=0.8, trials=60).search(f, 1.0, -1.0)
    assert (step.alpha, step.f, step.outcome) == (0.0, 1.0, "rejected")
    assert len(calls) == len(step.trials) == 60
    assert calls[-1] == pytest.approx(0.8**59)


@pytest.mark.parametrize("bad", [nan, inf])
def test_a_loss_that_is_no_number_is_passed_by(bad):
    step = Armijo().search(lambda alpha: bad if alpha > 0.5 else 0.0, 1.0, -1e-3)
    assert step.outcome == "accepted"
    assert 0.4 <= step.alpha <= 0.5


@pytest.mark.parametrize("slope", [0.0, 1.0, nan])
@pytest.mark.parametrize("f_full, alpha", [(0.5, 1.0), (1.0, 0.0), (2.0, 0.0), (nan, 0.0)])
def test_without_descent_only_the_full_step_is_tried(slope, f_full, alpha):
    f, calls = counted(lambda alpha: f_full)
    step = Armijo().search(f, 1.0, slope)
    assert (step.alpha, step.outcome) == (alpha, "not a descent direction")
    assert step.f == (0.5 if alpha else 1.0)
    assert calls == [1.0]


@pytest.mark.parametrize("settings", [{"c": 1.0}, {"c": -0.1}, {"shrink": 1.0}, {"trials": 0}])
def test_a_search_that_cannot_end_is_refused(settings):
    with pytest.raises(rop.RopError, match="Armijo: [a-z]+ must be (a finite number|an int) >=? "):
        Armijo(**settings)


def test_the_search_starts_from_the_learning_rate():
    f, calls = counted(lambda alpha: (alpha - 0.1) ** 2)
    step = Armijo(shrink=0.8).search(f, 0.01, -0.2, first=0.3)
    assert calls == [0.3, pytest.approx(0.24), pytest.approx(0.192)]
    assert (step.alpha, step.outcome) == (pytest.approx(0.192), "accepted")
    assert step.f <= 0.01 + step.c * step.alpha * step.slope
    assert [alpha for alpha, _ in step.trials] == calls
    uphill = Armijo().search(lambda alpha: -alpha, 0.0, 1.0, first=0.3)
    assert (uphill.alpha, uphill.outcome) == (0.3, "not a descent direction")


def test_c_of_0_is_plain_decrease():
    assert Armijo(c=0.0).search(lambda alpha: 1 - 1e-9, 1.0, -1.0).alpha == 1.0
    assert Armijo().search(lambda alpha: 1 - 1e-9, 1.0, -1.0).alpha < 1.0
