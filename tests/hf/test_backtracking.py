"""Which iterates of CG are kept and which becomes the update (sec. 8.7)."""

from math import inf, nan

import numpy as np
import pytest

import rop
from rop.hf.selection import Backtracking, Best, Every, LastIterate, Powers
from rop.hf.solution import Iterate

STEPS = (5, 7, 9, 11, 15)
ITERATES = [Iterate(steps, np.full(1, float(steps)), -float(steps)) for steps in STEPS]


def choose(values, selection=None):
    """Return the chosen steps and the trials, with f given for STEPS in order."""
    f = dict(zip(STEPS, values, strict=True))
    selection = Backtracking() if selection is None else selection
    choice = selection.choose(ITERATES, lambda iterate: f[iterate.steps])
    return choice.iterate.steps, choice.f


def test_the_schedule_is_that_of_the_2010_code():
    assert sorted(Powers(5, 1.3).steps(250)) == [
        5, 7, 9, 11, 15, 19, 25, 32, 41, 54, 69, 90, 117, 152, 197,
    ]  # fmt: skip


def test_powers_are_rounded_up_and_end_at_the_limit():
    assert sorted(Powers(1, 2.0).steps(16)) == [1, 2, 4, 8, 16]
    assert sorted(Powers(1, 1.1).steps(4)) == [1, 2, 3, 4]
    assert sorted(Powers(5, 1.3).steps(4)) == []
    assert list(Every(10).steps(35)) == [10, 20, 30]


def test_the_last_iterate_stays_where_f_falls_all_along():
    assert choose([5, 4, 3, 2, 1]) == (15, ((15, 1), (11, 2)))


def test_goes_back_while_f_falls_and_no_further():
    # 5 steps are better still, but beyond the rise at 7 that ends the walk.
    assert choose([0, 4, 1, 2, 3]) == (9, ((15, 3), (11, 2), (9, 1), (7, 4)))


def test_goes_back_to_the_first():
    assert choose([1, 2, 3, 4, 5])[0] == 5


def test_a_tie_goes_to_the_shorter_run():
    assert choose([9, 9, 2, 2, 2])[0] == 9


@pytest.mark.parametrize("bad", [nan, inf])
def test_losses_that_are_no_numbers_are_walked_past(bad):
    steps, trials = choose([3, 1, 2, bad, bad])
    assert steps == 7
    assert len(trials) == 5
    assert choose([1, 2, bad, 2, 3])[0] == 11
    assert choose([bad] * 5)[0] == 5


def test_the_last_iterate_policy_asks_for_nothing():
    assert choose([1, 2, 3, 4, 5], LastIterate()) == (15, ())
    assert not LastIterate().wanted(250)
    assert Backtracking(Every(7)).wanted(20) == range(7, 21, 7)


@pytest.mark.parametrize("settings", [(0, 1.3), (5, 1.0)])
def test_powers_that_do_not_grow_are_refused(settings):
    with pytest.raises(rop.RopError, match=r"Powers: (first|ratio) must be .* >=? 1"):
        Powers(*settings)


def test_an_interval_of_no_steps_is_refused():
    with pytest.raises(rop.RopError, match="Every: interval must be an int >= 1"):
        Every(0)


@pytest.mark.parametrize(
    "values, chosen",
    [
        ((5, 1, 2, 0.5, 3), 11),  # backtracking would stop at 11 too
        ((5, 0.1, 2, 0.5, 3), 7),  # but not look beyond 9 here
        ((1, 1, 1, 1, 1), 15),
        ((nan, inf, 2, nan, nan), 9),
        ((nan, nan, nan, nan, nan), 15),
    ],
)
def test_the_best_of_all_iterates(values, chosen):
    steps, tried = choose(values, Best())
    assert steps == chosen
    assert [s for s, _ in tried] == list(reversed(STEPS))
    assert list(Best(Every(20)).wanted(50)) == [20, 40]


def test_best_goes_by_f_or_by_the_model():
    assert (Best().by, Best(by="model").by) == ("f", "model")
    with pytest.raises(rop.RopError, match="by must be 'f' or 'model'"):
        Best(by="M")


def test_f_is_asked_where_it_can_tell_and_after_a_warm_start_above_zero():
    def iterate(steps, q):
        return Iterate(steps, np.zeros(2), q)

    def asked(q):
        values = {1: 0.5, 2: 2.0}
        found = Backtracking().choose(
            [iterate(1, q / 2), iterate(2, q)], lambda it: values[it.steps], lambda: 1.0
        )
        return found.iterate.steps, len(found.f)

    assert asked(-1e-17) == (2, 0)  # below the rounding error of f = 1
    assert asked(-1e-3) == asked(1e-17) == (1, 2)
