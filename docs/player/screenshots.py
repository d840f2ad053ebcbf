"""Take the screenshots of the player in this folder: python docs/player/screenshots.py.

It needs Debian's chromium and chromium-driver, and selenium.
"""

import base64
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from selenium import webdriver

import rop

SIZES = ((1280, 900), (390, 844))


def page(file: Path, output: Callable[[rop.Node], rop.Node], scale: float) -> rop.Linearization:
    """Write the player of a net 2-3-2 with a function of its outputs; return what it plays."""
    x, y = rop.nets.mlp([2, 3, 2])
    objective = rop.Objective(output(y), rop.SquaredError(rop.data("t", 2)))
    rng = np.random.default_rng(0)
    batch = {"x": rng.normal(size=(2, 2)), "t": np.eye(2)}
    theta = scale * objective.init("glorot", seed=1)
    at = objective.linearize(theta, batch, engine="numpy")
    rop.play(at, "ggnvp", rng.normal(size=objective.n), path=file)
    return at


def main() -> None:
    """Take them all: where Gv and Hv differ, Hv's second term, and another cut."""
    with tempfile.TemporaryDirectory() as folder:
        plain, squashed = Path(folder, "plain.html"), Path(folder, "squashed.html")
        at = page(plain, lambda y: y, 1.0)
        page(squashed, rop.sigmoid, 4.0)
        formulas = [step.formula for step in rop.step(at, "hvp", at.theta)]
        second = formulas.index("Rdx2 += s''·da(x2) * Rx2") + 1
        browser = started(folder)
        for name, address in {
            "gv": plain.as_uri(),
            "hv": f"{plain.as_uri()}#hvp/{second}/1,2",
            "cuts": f"{squashed.as_uri()}#ggnvp/1/1,1/x3",
        }.items():
            for width, height in SIZES:
                size = {"width": width, "height": height, "deviceScaleFactor": 1}
                size["mobile"] = width < 600
                browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                browser.get("about:blank")
                browser.get(address)
                if name == "cuts":
                    browser.execute_script("document.getElementById('cut').scrollIntoView()")
                shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
                file = Path(__file__).parent / f"{name}-{width}.png"
                file.write_bytes(base64.b64decode(shot["data"]))
        browser.quit()


def started(folder: str) -> webdriver.Chrome:
    """Start a browser in which nothing moves."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for option in ("headless=new", "no-sandbox", "hide-scrollbars", f"user-data-dir={folder}/own"):
        options.add_argument(f"--{option}")
    driver = shutil.which("chromedriver") or ""
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    still = {"name": "prefers-reduced-motion", "value": "reduce"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [still]})
    return browser


if __name__ == "__main__":
    main()
