"""The control for cuts on the player's page, in headless Chromium."""

import numpy as np
import pytest
from player_pages import click, opened, text
from test_player import layers

import rop

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def squashed(tmp_path_factory):
    """A sigmoid before the squared error: there are cuts of every kind."""
    x, y = rop.nets.mlp([2, 3, 3])
    objective = rop.Objective(rop.sigmoid(y), rop.SquaredError(rop.data("t", 3)))
    rng = np.random.default_rng(0)
    batch = {"x": rng.normal(size=(4, 2)), "t": np.eye(3)[[0, 1, 2, 0]]}
    theta = objective.init("glorot", seed=0)
    at = objective.linearize(theta, batch, engine="numpy")
    file = tmp_path_factory.mktemp("cuts") / "player.html"
    rop.play(at, "ggnvp", theta, path=file)
    return file, rop.cuts(objective, theta, batch)


def test_the_cut_moves_and_the_table_and_picture_follow(browser, squashed):
    file, cuts = squashed
    opened(browser, file)
    rows = browser.find_elements("css selector", "#cut tbody tr")
    shown = [[cell.text for cell in row.find_elements("css selector", "th, td")] for row in rows]
    assert shown == [list(row) for row in cuts.rows()]
    places = []
    for number, cut in enumerate(cuts):
        click(browser, f'#cut-buttons [data-cut="{number}"]')
        pressed = browser.find_elements("css selector", '#cut-buttons [aria-pressed="true"]')
        assert [button.text for button in pressed] == [cut.name]
        assert rows[number].get_attribute("class") == "now"
        drawn = browser.find_elements("css selector", "#eigenvalues .minus, #eigenvalues .plus")
        assert len(drawn) == 2 * len(cut.eigenvalues)
        negative = browser.find_elements("css selector", "#eigenvalues .minus")
        size = np.abs(np.concatenate([cut.eigenvalues, np.linalg.eigvalsh(cut.H)])).max()
        both = np.concatenate([cut.eigenvalues, np.linalg.eigvalsh(cut.H)])
        assert len(negative) == (both < -1e-10 * size).sum()
        beyond = browser.find_elements("css selector", "#graph .beyond")
        names = {group.get_attribute("data-node") for group in beyond}
        assert names == {"x3": {"z", "t", "L"}, "z": {"t", "L"}, "L": set()}[cut.name]
        line = browser.find_element("css selector", "#graph .cut")
        places.append(float(line.get_attribute("x1")))
        said = text(browser, "#cut-said")
        assert said.startswith(f"F ends at {cut.name}")
        assert ("not PSD" in said) == (not cut.convex)
    assert places == sorted(set(places))
    assert "CG may meet negative curvature" in cut_said(browser, 0)


def cut_said(browser, number):
    click(browser, f'#cut-buttons [data-cut="{number}"]')
    return text(browser, "#cut-said")


def test_the_address_keeps_the_cut(browser, squashed):
    file, _ = squashed
    opened(browser, file)
    assert browser.current_url.endswith("player.html")
    click(browser, '#cut-buttons [data-cut="0"]')
    assert browser.current_url.endswith("/1,1/x3")
    address = browser.current_url.split("#")[1]
    opened(browser, file, f"#{address}")
    assert text(browser, "#cut-said").startswith("F ends at x3.")
    click(browser, '#cut-buttons [data-cut="1"]')
    assert browser.current_url.endswith("/1,1")


def test_a_net_too_large_for_matrices_says_so_in_place_of_the_cuts(browser, tmp_path):
    at, v = layers(30, 20, 5)
    rop.play(at, "ggnvp", v, path=tmp_path / "large.html")
    opened(browser, tmp_path / "large.html")
    assert text(browser, "#cutting").startswith(
        "Not shown: makes matrices of at most 500 parameters"
    )
    assert not browser.find_elements("css selector", "#cut button")
    beyond = browser.find_elements("css selector", "#graph .beyond")
    assert {group.get_attribute("data-node") for group in beyond} == {"t", "L"}
