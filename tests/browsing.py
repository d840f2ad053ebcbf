"""Pages in headless Chromium, for tests: a browser, and what axe finds in a page."""

import shutil
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


@contextmanager
def chromium(profile):
    """A browser with its profile in a folder; the test is skipped where there is none."""
    reason = "no selenium: pip install selenium"
    webdriver = pytest.importorskip("selenium.webdriver", reason=reason)
    if not (BROWSER and DRIVER):
        pytest.skip("no browser: apt-get install chromium chromium-driver (Debian)")
    options = webdriver.ChromeOptions()
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        yield driver


def serious_violations(browser):
    """What axe finds serious or critical in the page that is open; skips where there is no axe."""
    found = find_spec("axe_selenium_python")
    if found is None:
        pytest.skip("no axe: pip install axe-selenium-python")
    axe = Path(found.origin).parent / "node_modules" / "axe-core" / "axe.min.js"
    browser.execute_script(axe.read_text(encoding="utf-8"))
    result = browser.execute_async_script("axe.run().then(arguments[0])")
    return [
        (one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"])
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def prefer(browser, scheme):
    """Have pages shown in the light or in the dark scheme."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
