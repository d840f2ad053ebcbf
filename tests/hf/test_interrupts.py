"""Ctrl-C where Python drops exceptions."""

import os
import signal
import threading

import numpy as np
import pytest

from rop.hf import minimize
from rop.hf.interrupts import remembered


@pytest.fixture(autouse=True)
def _ctrl_c():
    """Ctrl-C raises KeyboardInterrupt: what a shell runs in the background inherits that it not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # where the interpreter looks for signals
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_while_an_object_dies_ends_the_run_after_the_iteration(problem):
    def callback(it, theta):
        if it.number == 2:
            Dying()

    objective, theta, data = problem
    result = minimize(objective, theta, data, iterations=9, engine="numpy", callback=callback)
    assert (result.reason, result.nit) == ("interrupted", 3)
    expected = minimize(objective, theta, data, iterations=3, engine="numpy")
    np.testing.assert_array_equal(result.theta, expected.theta)


def test_the_usual_handler_is_called_and_comes_back():
    before = signal.getsignal(signal.SIGINT)
    with remembered() as pressed:
        assert not pressed()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert pressed()
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_nothing_is_touched(problem):
    reasons = []

    def run():
        reasons.append(minimize(*problem, iterations=2, engine="numpy").reason)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert reasons == ["iterations"]
