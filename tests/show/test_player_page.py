"""The player's page in headless Chromium: what it shows, and what it does with keys and clicks."""

import numpy as np
import pytest
from browsing import chromium, prefer, serious_violations
from test_player import kept, layers, two_three_two

import rop

pytestmark = pytest.mark.ci


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


def opened(browser, file, fragment="", width=1280, height=900):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    browser.get(file.as_uri() + fragment)


def text(page, selector):
    return page.find_element("css selector", selector).text


def press(page, key):
    page.find_element("css selector", "body").send_keys(key)


def click(page, selector):
    element = page.find_element("css selector", selector)
    # The controls stay at the bottom, above what lies there.
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def count(page):
    return text(page, "#count")


def test_one_case_and_one_product_are_not_counted(browser, page, tmp_path):
    assert "Σ over the" in text(page, "#listing .key") and "switch the product" in text(
        page, "#keys"
    )
    w = rop.param("w", 3)
    at = rop.Objective(rop.sum(w * w)).linearize([1.0, 2.0, 3.0])
    rop.play(at, "gradient", path=tmp_path / "one.html")
    opened(browser, tmp_path / "one.html")
    assert text(browser, "#listing .key") == "* elementwise"
    assert "switch" not in text(browser, "#keys")


def test_it_opens_where_gv_and_hv_differ(page):
    assert text(page, "#formula") == "Rdx2 = s'(x2) * Rdy2"
    assert (
        "adds a second term, which is grey: R{s'(x2)} * dy2 = s''(x2) * Rx2 * dy2, in the listing "
        "s''·da(x2) * Rx2."
    ) in text(page, "#reason")
    assert text(page, "#listing .key").startswith("grey: only in Hv")
    out = [span.text.strip() for span in page.find_elements("css selector", ".term.out")]
    assert out == [
        "W2ᵀ dz", "tanh''(y2)", "s''(x2) * dy2", "Σ dz Ry2ᵀ", "RW2ᵀ dz", "+ s''·da(x2) * Rx2"
    ]  # fmt: skip
    assert text(page, "#listing .term.now") == "s'(x2) * Rdy2"


def test_steps_keys_and_the_slider(page):
    from selenium.webdriver.common.keys import Keys

    assert count(page) == "step 19 of 21"
    click(page, "#next")
    assert count(page) == "step 20 of 21"
    click(page, "#back")
    assert count(page) == "step 19 of 21"
    for key, expected in (
        (Keys.HOME, 1), (Keys.ARROW_LEFT, 1), (Keys.ARROW_RIGHT, 2), (Keys.END, 21)
    ):  # fmt: skip
        press(page, key)
        assert count(page) == f"step {expected} of 21"
    slider = page.find_element("css selector", "#slider")
    page.execute_script(
        "arguments[0].value = 9; arguments[0].dispatchEvent(new Event('input'))", slider
    )
    assert text(page, "#formula") == "Rx2 = RW1 x"
    assert page.current_url.endswith("#ggnvp/9/1,1")


def test_the_switch_keeps_the_step(page):
    press(page, "4")
    assert text(page, "#title") == "H v (algorithm 4)"
    assert count(page) == "step 24 of 27" and text(page, "#formula") == "Rdx2 = s'(x2) * Rdy2"
    assert not page.find_elements("css selector", ".term.out")
    click(page, "#next")
    assert text(page, "#formula") == "Rdx2 += s''·da(x2) * Rx2"
    press(page, "3")
    assert text(page, "#formula") == "Rdx2 = s'(x2) * Rdy2"


def test_an_address_opens_at_a_step_and_a_cell(browser, file, at_and_v):
    at, v = at_and_v
    opened(browser, file, "#hvp/20/2,3")
    step = rop.step(at, "hvp", v)[19]
    assert text(browser, "#formula") == step.formula == "RdW2 = Σ Rdz y2ᵀ"
    assert float(text(browser, "td.cell")) == float(f"{step.result[1, 2]:.3e}")


def test_every_number_shown_is_the_librarys(browser, file, at_and_v):
    at, v = at_and_v
    for product in ("gradient", "jvp", "ggnvp", "hvp"):
        opened(browser, file, f"#{product}/1/1,1")
        for step in rop.step(at, product, None if product == "gradient" else v):
            assert text(browser, "#formula") == step.formula
            shown = browser.execute_script(
                "return [...document.querySelectorAll('#operands [data-name] tbody')].map("
                "(body) => [...body.rows].map((row) => [...row.querySelectorAll('td')].map("
                "(cell) => cell.innerText)))"
            )
            arrays = [*step.operands.values(), step.result]
            assert len(shown) == len(arrays)
            for cells, array in zip(shown, arrays, strict=True):
                numbers = np.array([[float(cell) for cell in row] for row in cells])
                table = {"columns": numbers.shape[1]}
                rounded = [[float(f"{n:.3e}") for n in row] for row in kept(array, table)]
                np.testing.assert_array_equal(numbers, rounded)
            press(browser, "\ue014")


def test_a_cell_is_written_out_and_a_guess_is_asked_for(browser, file, at_and_v):
    at, v = at_and_v
    opened(browser, file, "#hvp/25/2,3")
    step = rop.step(at, "hvp", v)[24]
    written = text(browser, "#written").split("  ")[0]
    assert written.startswith("Rdx2[case 2, 3] = ") and "(before) + " in written
    click(browser, "#predict")
    assert text(browser, "td.cell") == "?"
    entry = browser.find_element("css selector", "#guess input")
    entry.send_keys(f"{step.result[1, 2]:.6f}")
    entry.submit()
    assert text(browser, "#guess").startswith("Right")
    assert float(text(browser, "td.cell")) == float(f"{step.result[1, 2]:.3e}")
    click(browser, "#predict")


@pytest.mark.parametrize(
    "fragment, formula, cell",
    [
        ("#hvp/16/1,1", "Rz += W2 Ry2", "1,0"),
        ("#hvp/20/1,1", "RdW2 = Σ Rdz y2ᵀ", "1,2"),
        ("#hvp/22/1,1", "RdW2 += Σ dz Ry2ᵀ", "0,1"),
    ],
)
def test_the_dot_product_of_a_cell_is_what_the_library_has(
    browser, file, at_and_v, fragment, formula, cell
):
    at, v = at_and_v
    opened(browser, file, fragment)
    assert text(browser, "#formula") == formula
    click(browser, f'#operands .result td[data-cell="{cell}"] button')
    step = rop.step(at, "hvp", v)[int(fragment.split("/")[1]) - 1]
    place = tuple(map(int, cell.split(",")))
    left, sum_, right = text(browser, "#written").split("  ")[0].split(" = ")
    case = "case " if step.result.shape[0] == 2 and formula.startswith("Rz") else ""
    assert left == f"{step.name}[{case}{place[0] + 1}, {place[1] + 1}]"
    assert float(right.split(" Choose")[0]) == float(f"{step.result[place]:.3e}")
    terms = [term.strip("()") for part in sum_.split(" + ") for term in part.split(" × ")]
    assert len(sum_.split(" + ")) == len(terms) - sum_.count("×")
    total = 0.0
    for term in sum_.replace("(before)", "").split(" + "):
        total += np.prod([float(factor.strip(" ()")) for factor in term.split(" × ")])
    np.testing.assert_allclose(total, step.result[place], rtol=2e-3, atol=2e-4)
    # The cells of the operands that the terms are made of are marked.
    used = browser.find_elements("css selector", "#operands > [data-name] td.used")
    assert len(used) == 2 * sum_.count("×")
    assert {cell.text for cell in used} <= set(terms)
    assert browser.current_url.endswith("/" + ",".join(str(i + 1) for i in place))


def test_an_address_typed_later_moves_the_page(page):
    page.execute_script("location.hash = '#jvp/2/1,1'")
    until(page, lambda: text(page, "#title") == "J v by R-forward mode (sec. 5)")
    assert count(page) == "step 2 of 12" and text(page, "#formula") == "x2 += b1"


def test_a_node_says_what_of_it_is_not_computed(page):
    assert text(page, "#values .absent") == "Not computed on its own in Gv: dx2"
    click(page, '#graph [data-node="a1"]')
    assert text(page, "#values .absent") == "Not computed on its own in Gv: a1, Ra1, da1"
    click(page, '#graph [data-node="z"]')
    assert not page.find_elements("css selector", "#values .absent")


def test_hv_says_where_its_second_term_comes_from(browser, file):
    opened(browser, file, "#hvp/25/1,1")
    assert text(browser, "#formula") == "Rdx2 += s''·da(x2) * Rx2"
    assert text(browser, "#reason") == (
        "Product rule, the second term of R of the gradient's line dx2 = s'(x2) * dy2. s'(x2) "
        "changes as θ moves along v, by s''(x2) * Rx2, and that times dy2 is this term: "
        "s''·da(x2) is s''(x2) * dy2. Gv leaves it out: G takes F as linear in θ (sec. 6), so J "
        "stays fixed."
    )
    formulas = [code.text for code in browser.find_elements("css selector", "#reason code")]
    assert formulas[0] == "dx2 = s'(x2) * dy2" and formulas[-1] == "s''(x2) * dy2"
    assert text(browser, "#listing .key").startswith("red: curvature rules, not in Gv")
    red = browser.find_element("css selector", "#listing .term.curvature")
    assert "a curvature rule" in red.get_attribute("title")
    red.click()
    assert text(browser, "#formula") == "RdW2 += Σ dz Ry2ᵀ"
    assert "line dW2 = Σ dz y2ᵀ. y2 changes as θ moves along v, by Ry2." in text(browser, "#reason")


def test_a_node_is_pinned(page):
    click(page, '#graph [data-node="W2"]')
    assert text(page, "#node-title").startswith("Node W2 (pinned)")
    click(page, "#first")
    assert text(page, "#node-title").startswith("Node W2 (pinned)")


def test_a_node_is_shown_while_the_mouse_is_over_it(page):
    from selenium.webdriver import ActionChains

    node = page.find_element("css selector", '#graph [data-node="W1"]')
    ActionChains(page).move_to_element(node).perform()
    assert text(page, "#node-title").startswith("Node W1: ")
    ActionChains(page).move_to_element(page.find_element("css selector", "#title")).perform()
    assert text(page, "#node-title").startswith("Node x2: ")


def test_a_tap_pins_a_node_and_another_frees_it(browser, file):
    opened(browser, file, width=390, height=844)
    box = browser.find_element("css selector", '#graph [data-node="W2"]')
    for title in ("Node W2 (pinned)", "Node x2: "):
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
        place = browser.execute_script(
            "const r = arguments[0].getBoundingClientRect();"
            "return {x: r.x + r.width / 2, y: r.y + r.height / 2}", box
        )  # fmt: skip
        for kind, points in (("touchStart", [place]), ("touchEnd", [])):
            browser.execute_cdp_cmd(
                "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points}
            )
        assert text(browser, "#node-title").startswith(title)


def test_keys_pin_a_node(page):
    from selenium.webdriver.common.keys import Keys

    box = page.find_element("css selector", '#graph [data-node="y2"]')
    page.execute_script("arguments[0].focus()", box)
    box.send_keys(Keys.ENTER)
    assert box.get_attribute("aria-pressed") == "true"
    assert text(page, "#node-title").startswith("Node y2 (pinned)")
    assert text(page, "#play") == "Play"


def test_play_goes_on_by_itself_at_the_speed_chosen(browser, file):
    opened(browser, file, "#ggnvp/1/1,1")
    # A clock of the test's own: timers run when it says so.
    browser.execute_script(
        "window.timers = []; window.setTimeout = (run, wait) => timers.push([run, wait]);"
        "window.clearTimeout = (number) => { timers[number - 1] = undefined; };"
    )
    run = "const [run, wait] = timers[timers.length - 1]; run(); return wait;"
    click(browser, "#play")
    assert text(browser, "#play") == "Pause"
    assert browser.execute_script(run) == 1500 and count(browser) == "step 2 of 21"
    for option, wait in (("fast", 500), ("slow", 3000)):
        browser.execute_script(
            "const s = document.getElementById('speed');"
            "s.value = [...s.options].find((o) => o.text === arguments[0]).value;", option
        )  # fmt: skip
        browser.execute_script(run)
        assert browser.execute_script(run) == wait
    assert count(browser) == "step 6 of 21"
    click(browser, "#play")
    assert text(browser, "#play") == "Play"
    assert browser.execute_script("return timers[timers.length - 1]") is None


def test_play_ends_at_the_last_step_and_begins_anew(browser, file):
    opened(browser, file, "#ggnvp/20/1,1")
    browser.execute_script("document.getElementById('speed').value = 120")
    click(browser, "#play")
    until(browser, lambda: text(browser, "#play") == "Play")
    assert count(browser) == "step 21 of 21"
    click(browser, "#play")
    assert text(browser, "#play") == "Pause" and int(count(browser).split()[1]) < 21
    click(browser, "#play")


def until(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 20).until(lambda _: condition())


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


def test_one_live_region_says_each_step(page):
    regions = page.find_elements("css selector", "[aria-live]")
    assert [region.get_attribute("aria-live") for region in regions] == ["polite"]
    (live,) = regions
    assert live.get_attribute("textContent").startswith(
        "Gv, step 19 of 21: Rdx2 = s'(x2) * Rdy2. R of the gradient's line dx2 = s'(x2) * dy2"
    )
    click(page, "#next")
    assert live.get_attribute("textContent").startswith("Gv, step 20 of 21: Rdb1 = Σ Rdx2. ")
    click(page, '#cut-buttons [data-cut="1"]')
    assert live.get_attribute("textContent") == text(page, "#cut-said")
    page.execute_script("document.getElementById('speed').value = 120")
    click(page, "#first")
    before = live.get_attribute("textContent")
    click(page, "#play")  # too fast to be read out
    until(page, lambda: count(page) == "step 21 of 21")
    assert live.get_attribute("textContent") == before


def test_predict_hides_the_result_and_play_waits_for_the_guess(browser, file):
    opened(browser, file, "#ggnvp/1/1,1")
    press(browser, "p")
    cells = browser.find_elements("css selector", "#operands .result td[data-cell]")
    assert {cell.text for cell in cells} == {"?"} and not any(
        cell.get_attribute("title") for cell in cells
    )
    assert text(browser, "#written").split(" = ")[-1].startswith("?")
    assert "?" in text(browser, "#values")
    entry = browser.find_element("css selector", "#guess input")
    entry.send_keys("much")
    entry.submit()
    assert browser.find_element("css selector", "#guess input").get_attribute("aria-invalid")
    entry.clear()
    entry.send_keys("1234")
    entry.submit()
    assert text(browser, "#guess").startswith("You said 1234. ")
    browser.execute_script("document.getElementById('speed').value = 120")
    click(browser, "#play")
    until(browser, lambda: count(browser) == "step 2 of 21")
    until(browser, lambda: text(browser, "#play") == "Play")
    assert count(browser) == "step 2 of 21" and text(browser, "td.cell") == "?"
    press(browser, "p")
    assert text(browser, "td.cell") != "?"


def test_beyond_a_thousand_steps_a_message_says_what_is_missing(browser, tmp_path):
    w, h = rop.param("w", 2), rop.data("x", 2)
    for _ in range(150):
        h = rop.tanh(w * h)
    objective = rop.Objective(h, rop.SquaredError(rop.data("t", 2)))
    at = objective.linearize(np.ones(2), {"x": np.ones((1, 2)), "t": np.ones((1, 2))})
    rop.play(at, "hvp", np.ones(2), path=tmp_path / "long.html")
    left = len(rop.step(at, "hvp", np.ones(2))) - 1000
    opened(browser, tmp_path / "long.html", "#hvp/999/1,1")
    assert not browser.find_element("css selector", "#note").is_displayed()
    press(browser, "\ue014")
    assert count(browser) == "step 1000 of 1000"
    assert text(browser, "#note") == (
        f"The first 1000 steps are here; {left} more follow. rop.step has them all."
    )
    assert "nodes not shown" in text(browser, "#legend")


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


def test_a_notebook_shows_the_page_in_a_sandbox(browser, at_and_v, tmp_path):
    at, v = at_and_v
    notebook = tmp_path / "notebook.html"
    frame = rop.play(at, "ggnvp", v)._repr_html_()
    notebook.write_text(f"<!doctype html><title>notebook</title><h1>Out</h1>{frame}", "utf-8")
    browser.get_log("browser")
    opened(browser, notebook)
    inside = browser.find_element("css selector", "iframe")
    assert inside.get_attribute("sandbox") == "allow-scripts"
    browser.switch_to.frame(inside)
    assert text(browser, "#formula") == "Rdx2 = s'(x2) * Rdy2"
    click(browser, "#next")
    press(browser, "4")
    assert text(browser, "#title") == "H v (algorithm 4)"
    click(browser, '#cut-buttons [data-cut="1"]')
    assert "nothing of H is left" in text(browser, "#cut-said")
    # It has no origin of its own: neither the notebook nor what it stores is within reach.
    reached = browser.execute_script(
        "const found = []; for (const reach of [() => parent.document, () => localStorage, "
        "() => document.cookie]) { try { reach(); found.push(String(reach)); } catch { } } "
        "return found"
    )
    assert reached == []
    browser.switch_to.default_content()
    assert browser.get_log("browser") == []


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, file, scheme):
    prefer(browser, scheme)
    for fragment in ("#ggnvp/19/1,1", "#hvp/25/1,1"):
        opened(browser, file, fragment)
        assert serious_violations(browser) == []
