"""Play the player on the landing page, and as pictures that move.

    python docs/player/build.py      # writes docs/player/gv.gif; needs chromium and `.[dev]`

The site's build calls `page` for the player itself.
"""

import io
import shutil
import tempfile
from pathlib import Path

import numpy as np

import rop


def page() -> str:
    """Return the page that plays Gv of a net of two layers, 2-3-2, on two cases."""
    x, t = rop.data("x", 2), rop.data("t", 2)
    W1, b1 = rop.param("W1", (3, 2)), rop.param("b1", 3)
    W2, b2 = rop.param("W2", (2, 3)), rop.param("b2", 2)
    z = W2 @ rop.tanh(W1 @ x + b1) + b2
    objective = rop.Objective(z, rop.SquaredError(t))
    rng = np.random.default_rng(3)
    theta, v = rng.normal(size=(2, objective.n)).round(1)
    batch = {"x": [[1.0, -0.5], [-0.3, 0.8]], "t": [[1.0, 0.0], [0.0, 1.0]]}
    html: str = rop.play(objective.linearize(theta, batch), "ggnvp", v).html
    return html


def film(target: Path, width: int = 1060, height: int = 760) -> None:
    """Write the steps of Gv as an animated GIF, one second for each."""
    from PIL import Image
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", f"--window-size={width},{height + 150}"):
        options.add_argument(argument)
    driver = webdriver.ChromeService(shutil.which("chromedriver"))
    frames = []
    with (
        tempfile.TemporaryDirectory() as folder,
        webdriver.Chrome(options, driver) as browser,
    ):
        file = Path(folder, "player.html")
        file.write_text(page(), encoding="utf-8")
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [still]})
        browser.get(file.as_uri())
        body = browser.find_element(By.TAG_NAME, "body")
        steps = browser.find_element(By.ID, "slider").get_attribute("max")
        for key in (Keys.HOME, *[Keys.ARROW_RIGHT] * (int(steps) - 1)):
            body.send_keys(key)
            png = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
            frames.append(png.crop((0, 0, png.width - 15, height)))
    some = Image.new("RGB", (width, height * 3))
    for place, frame in enumerate((frames[1], frames[len(frames) // 2], frames[-2])):
        some.paste(frame, (0, place * height))
    palette = some.quantize(128, Image.Quantize.MAXCOVERAGE)
    flat = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    flat[0].save(target, save_all=True, append_images=flat[1:], duration=1000, loop=0)


if __name__ == "__main__":
    film(Path(__file__).with_name("gv.gif"))
