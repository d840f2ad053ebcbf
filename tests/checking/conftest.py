"""Fixtures of the checker's tests."""

import pytest
from networks import Network


@pytest.fixture
def network():
    return Network
