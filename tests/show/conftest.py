"""A headless browser, and the page of the player for a 2-3-2 net."""

import pytest
from browsing import chromium
from player_pages import opened
from test_player import two_three_two

import rop


@pytest.fixture(scope="module")
def at_and_v():
    return two_three_two()


@pytest.fixture(scope="module")
def file(at_and_v, tmp_path_factory):
    at, v = at_and_v
    file = tmp_path_factory.mktemp("player") / "player.html"
    rop.play(at, "ggnvp", v, path=file)
    return file


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def page(browser, file):
    opened(browser, file)
    yield browser
    assert browser.get_log("browser") == []
