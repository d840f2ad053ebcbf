"""Settings that change over the iterations."""

import pytest

import rop
from rop.hf.schedules import Ramp, extremes, value_at


def test_a_ramp_goes_from_first_to_last():
    ramp = Ramp(0.5, 0.9, 10, 14)
    assert [ramp.at(k) for k in (0, 10, 12, 14, 99)] == pytest.approx([0.5, 0.5, 0.7, 0.9, 0.9])
    geometric = Ramp(1.0, 0.01, 0, 4, geometric=True)
    assert [geometric.at(k) for k in range(5)] == pytest.approx([1, 10**-0.5, 0.1, 10**-1.5, 0.01])


def test_integers_stay_integers():
    values = [Ramp(10, 13, 0, 6).at(k) for k in range(7)]
    assert values == [10, 10, 11, 12, 12, 12, 13]
    assert all(isinstance(value, int) for value in values)
    assert isinstance(Ramp(1, 1000, 0, 6, geometric=True).at(3), int)


def test_equal_ends_make_a_switch():
    switch = Ramp(2e-5, 0.0, 70, 70)
    assert [switch.at(k) for k in (0, 69, 70, 71)] == [2e-5, 2e-5, 0.0, 0.0]


def test_numbers_are_settings_too():
    assert (value_at(0.3, 7), extremes(0.3)) == (0.3, (0.3,))
    assert extremes(Ramp(1, 5, 0, 9)) == (1, 5)


@pytest.mark.parametrize("arguments", [(1.0, 2.0, 5, 4), (1.0, 2.0, -1, 4), (0.0, 1.0, 0, 4, True)])
def test_a_ramp_that_means_nothing_is_refused(arguments):
    with pytest.raises(rop.RopError, match="Ramp: "):
        Ramp(*arguments)
