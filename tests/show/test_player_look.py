"""What the player's page looks like in headless Chromium: widths, tall graphs, schemes, motion."""

import numpy as np
import pytest
from browsing import prefer, serious_violations
from player_pages import opened, text

import rop

pytestmark = pytest.mark.ci


def summed(steps):
    """Every state is a term of the output, so the sums over time steps are long."""
    x, w, u = rop.data("x", steps), rop.param("w"), rop.param("u")
    h = total = rop.tanh(u * x[0])
    for step in range(1, steps):
        h = rop.tanh(w * h + u * x[step])
        total = total + h
    objective = rop.Objective(total, rop.SquaredError(rop.data("t")))
    batch = {"x": np.ones((2, steps)), "t": np.ones(2)}
    return objective.linearize([0.5, 0.3], batch, engine="numpy")


@pytest.fixture(scope="module")
def tall(tmp_path_factory):
    file = tmp_path_factory.mktemp("tall") / "player.html"
    rop.play(summed(20), "ggnvp", [1.0, 1.0], path=file)
    return file


def test_a_sum_over_time_steps_takes_several_lines(browser, tall):
    opened(browser, tall)
    lines = browser.find_elements("css selector", '#listing li[data-target="Rdu"]')
    assert len(lines) > 5 and max(len(line.text) for line in lines) < 80
    assert [line.text.split(" ")[1] for line in lines] == ["="] + ["+="] * (len(lines) - 1)
    terms = [line.find_elements("css selector", ".term") for line in lines]
    assert sum(map(len, terms)) == 20
    last = terms[-1][-1]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", last)
    last.click()
    assert text(browser, "#formula") == "Rdu += Σ Rdx2 * a1"


def test_the_box_that_stands_for_a_node_is_lit(browser, tall):
    opened(browser, tall, "#hvp/190/1,1")
    (lit,) = browser.find_elements("css selector", "#graph .box.now")
    assert "folded" in lit.get_attribute("class").split()
    browser.execute_script("arguments[0].dispatchEvent(new MouseEvent('click'))", lit)
    assert text(browser, "#values") == (
        "It stands for nodes that the picture leaves out; the listing has them."
    )


@pytest.mark.parametrize("width, height", [(1280, 900), (1440, 1080), (390, 844)])
def test_a_tall_graph_leaves_room_for_the_listing(browser, tall, width, height):
    opened(browser, tall, "#hvp/190/1,1", width, height)
    frame, now, line, footer = browser.execute_script(
        "return ['#graph', '#graph .now rect', '#listing li.now', 'footer'].map((selector) => {"
        "const r = document.querySelector(selector).getBoundingClientRect();"
        "return [r.left, r.top, r.right, r.bottom]; })"
    )
    # The node at work is in the part of the picture that shows, and the page has not moved.
    assert frame[0] <= now[0] and now[2] <= frame[2] and frame[1] <= now[1] and now[3] <= frame[3]
    assert browser.execute_script("return scrollY") == 0
    assert line[3] <= footer[1]
    # Nothing of the page lies over the controls when it scrolls below them.
    for fraction in (0.2, 0.5, 1.0):
        browser.execute_script("scrollTo(0, arguments[0] * document.body.scrollHeight)", fraction)
        covered = browser.execute_script(
            "const r = document.querySelector('footer').getBoundingClientRect();"
            "return [5, r.width / 2, r.width - 5].some((x) => [3, r.height - 3].some((y) =>"
            " !document.elementFromPoint(r.left + x, r.top + y).closest('footer')));"
        )
        assert not covered


@pytest.mark.parametrize("width, height", [(1280, 900), (700, 900), (390, 844)])
def test_the_first_screen_says_why_gv_has_one_term(browser, file, width, height):
    """The reason, the line of both products with Hv's term in grey, and what grey means."""
    opened(browser, file, "", width, height)
    end = browser.execute_script(
        "return document.querySelector('footer').getBoundingClientRect().y"
    )
    for selector in ("#formula", "#reason", "#listing .key .out", "#listing li.now .out"):
        element = browser.find_element("css selector", selector)
        place = browser.execute_script(
            "const r = arguments[0].getBoundingClientRect();"
            "const on = document.elementFromPoint(r.x + 5, r.y + r.height / 2);"
            "return [r.top, r.bottom, r.right, arguments[0].contains(on)]", element
        )  # fmt: skip
        assert place[0] >= 0 and place[1] <= end and place[2] <= width and place[3], selector


@pytest.mark.parametrize("width, height", [(1280, 900), (844, 390), (390, 844), (320, 568)])
def test_nothing_lies_beside_the_page(browser, file, width, height):
    opened(browser, file, "#hvp/25/1,1", width, height)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("motion, seconds", [("reduce", "0s"), ("no-preference", "0.2s")])
def test_nothing_moves_for_who_asks_for_that(browser, file, motion, seconds):
    feature = {"name": "prefers-reduced-motion", "value": motion}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    opened(browser, file)
    for selector in ("#graph circle", "#listing li"):
        element = browser.find_element("css selector", selector)
        durations = element.value_of_css_property("transition-duration")
        assert set(durations.split(", ")) == {seconds}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_dark_page_is_dark(browser, file):
    shades = {}
    for scheme in ("light", "dark"):
        prefer(browser, scheme)
        opened(browser, file)
        shades[scheme] = [
            browser.find_element("css selector", selector).value_of_css_property(name)
            for selector, name in (
                ("body", "background-color"), ("body", "color"), ("#graph rect", "fill"),
                ("td.cell", "background-color"), ("#play", "background-color"),
            )
        ]  # fmt: skip
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert all(light != dark for light, dark in zip(*shades.values(), strict=True))
    assert shades["light"][0] == "rgba(255, 255, 255, 1)"
    assert max(map(int, shades["dark"][0].strip("rgba()").split(", ")[:3])) < 40


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, file, scheme):
    prefer(browser, scheme)
    for fragment in ("#ggnvp/19/1,1", "#hvp/25/1,1"):
        opened(browser, file, fragment)
        assert serious_violations(browser) == []
