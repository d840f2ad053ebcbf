"""The player's page in headless Chromium: what it shows, and what it does with keys and clicks."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from test_player import kept, two_three_two

import rop

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
BROWSER = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="there is no chromium or chromedriver"),
]
OPTIONS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


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
    options = webdriver.ChromeOptions()
    for option in [*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(option)
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


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
    page.find_element("css selector", selector).click()


def count(page):
    return text(page, "#count")


def test_it_opens_where_gv_and_hv_differ(page):
    assert text(page, "#formula") == "Rdx2 = s'(x2) * Rdy2"
    assert "adds a second term: s''·da(x2) * Rx2" in text(page, "#reason")
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


def test_a_node_is_pinned(page):
    click(page, '#graph [data-node="W2"]')
    assert text(page, "#node-title").startswith("Node W2 (pinned)")
    click(page, "#first")
    assert text(page, "#node-title").startswith("Node W2 (pinned)")


@pytest.mark.parametrize("width, height", [(1280, 900), (390, 844)])
def test_nothing_lies_beside_the_page(browser, file, width, height):
    opened(browser, file, "#hvp/25/1,1", width, height)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, file, scheme):
    found = find_spec("axe_selenium_python")
    if found is None:
        pytest.skip("axe-selenium-python is not installed")
    axe = Path(found.origin).parent / "node_modules" / "axe-core" / "axe.min.js"
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    for fragment in ("#ggnvp/19/1,1", "#hvp/25/1,1"):
        opened(browser, file, fragment)
        browser.execute_script(axe.read_text(encoding="utf-8"))
        result = browser.execute_async_script("axe.run().then(arguments[0])")
        serious = [
            (one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"])
            for one in result["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == []
