"""The player's page in headless Chromium: what it shows, and what it does with keys and clicks."""

import numpy as np
import pytest
from player_pages import click, count, opened, press, text, until
from test_player import kept

import rop

pytestmark = pytest.mark.ci


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
