"""Killed inside any disk call or at any moment, a run goes on to the same bits."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kills.py")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


def killed(limit):
    seed = random.randrange(10**6)  # others each time; a failure names it
    command = [sys.executable, "-W", "error", str(SCRIPT), str(limit), str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    found = re.fullmatch(r"(\d+) kills inside .*, (\d+) at random .*, (\d+) wrong\n", done.stdout)
    assert found, f"seed {seed}: {done.stdout}{done.stderr}"
    inside, at_random, wrong = map(int, found.groups())
    assert wrong == 0, f"seed {seed}: {done.stdout}"
    return inside, at_random


@pytest.mark.ci
def test_some_kills():
    inside, at_random = killed(20)
    assert inside >= 8 and at_random >= 3


@pytest.mark.slow
def test_kills_in_every_disk_call_and_at_random_moments():
    inside, at_random = killed("all")
    assert inside >= 90 and at_random >= 60
