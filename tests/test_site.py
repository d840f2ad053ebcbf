"""The documentation site: it builds without warnings, its links work, and a browser shows it."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest
from browsing import chromium, prefer, serious_violations

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.ci,
    pytest.mark.xdist_group("site"),  # built once, for all workers
    pytest.mark.skipif(find_spec("myst_nb") is None, reason="the extra docs is not installed"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; from a copy, as the build writes pages beside its sources."""
    copy = tmp_path_factory.mktemp("site")
    made = shutil.ignore_patterns("_build", "generated", "__pycache__")
    for name in ("docs", "rop", "tests", "tutorials"):
        shutil.copytree(ROOT / name, copy / name, ignore=made)
    for name in (
        *("CHANGELOG.md", "CONTRIBUTING.md", "README.md"),
        *("LICENSE", "pyproject.toml", "setup.cfg"),  # what rop's wheel is made of
    ):
        shutil.copy(ROOT / name, copy)
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    command = re.search(r"^sphinx-build .*", contributing, re.MULTILINE).group()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command.split(),
        cwd=copy,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return copy / "docs" / "_build" / "html"


class Page(HTMLParser):
    """The anchors of a page, its links, and what a browser loads with it."""

    def __init__(self, file):
        super().__init__()
        self.anchors, self.links, self.loaded = set(), [], []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag == "link" and "canonical" not in found.get("rel", ""):
            self.loaded.append(found.get("href", ""))
        self.loaded.append(found.get("src", ""))


def test_links_lead_somewhere_and_nothing_is_loaded_from_elsewhere(site):
    files = [file for file in sorted(site.rglob("*.html")) if file.parent.name != "_static"]
    pages = {file: Page(file) for file in files}
    assert len(pages) > 150
    broken = []
    for file, page in pages.items():
        assert [url for url in page.loaded if urlsplit(url).netloc] == [], file
        for url in page.links + page.loaded:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            anchor = unquote(parts.fragment)
            missing = anchor and target in pages and anchor not in pages[target].anchors
            if not target.is_file() or missing:
                broken.append((str(file.relative_to(site)), url))
    assert broken == []
    styles = "".join(file.read_text(encoding="utf-8") for file in site.rglob("*.css"))
    assert not re.search(r"url\(['\"]?(?:https?:)?//|@import ['\"]?(?:https?:)?//", styles)


def test_citations_of_errata_are_links(site):
    pages = [*(site / "tutorials").glob("*.html"), *(site / "docs").rglob("*.html")]
    texts = {page.stem: page.read_text(encoding="utf-8") for page in pages}
    assert texts.pop("errata")
    assert sum(text.count("errata.html#") for text in texts.values()) > 50
    for name, text in texts.items():
        rest = re.sub("<a .*?</a>", "", text, flags=re.DOTALL)
        assert not re.search(r"errat(um|a)\s+[MHN]\d", rest), name


def test_pages_are_in_a_row(site):
    for page in ("docs/index", "docs/howto/check", "tutorials/01_the_r_operator"):
        text = (site / f"{page}.html").read_text(encoding="utf-8")
        assert "next page" in text
        assert ("previous page" in text) == (page != "docs/index")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        driver.implicitly_wait(10)
        yield driver


def test_search_finds_structural_damping(site, browser):
    browser.get((site / "search.html").as_uri() + "?q=structural+damping")
    found = [
        link.get_attribute("href")
        for link in browser.find_elements("css selector", "#search-results .search li a")
    ]
    assert any("rop.hf.Structural" in link for link in found)


def test_the_player_runs(site, browser):
    browser.get((site / "docs" / "index.html").as_uri())
    browser.switch_to.frame(browser.find_element("css selector", "iframe.rop-player"))
    before = browser.find_element("id", "count").text
    browser.find_element("id", "next").click()
    assert browser.find_element("id", "count").text != before


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "page",
    [
        "docs/index",
        "tutorials/01_the_r_operator",
        "docs/howto/check",
        "docs/api/generated/rop.Objective",
    ],
)
def test_axe_finds_nothing_serious(site, browser, page, scheme):
    prefer(browser, scheme)
    browser.get((site / f"{page}.html").as_uri())
    assert serious_violations(browser) == []


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *message):
        pass


@pytest.fixture
def served(site):
    """The address of the site on a web server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def asked_elsewhere(browser, address):
    """The addresses beyond the site that the page that is open has asked for."""
    asked = browser.execute_script("return performance.getEntries().map(entry => entry.name)")
    return [url for url in asked if url.startswith("http") and not url.startswith(address)]


def test_a_button_opens_the_lesson_where_it_runs(served, browser):
    browser.get(f"{served}/tutorials/01_the_r_operator.html")
    button = browser.find_element("link text", "Run this lesson in your browser")
    assert asked_elsewhere(browser, served) == []
    button.click()
    for words in ("This lesson runs in your browser", "1 The R-operator"):  # of two cells
        browser.find_element(
            "xpath", f"//*[contains(@class, 'jp-MarkdownOutput')][contains(., {words!r})]"
        )


def test_lessons_that_run_in_a_browser_have_the_button_and_the_library(site):
    names = {file.stem for file in (site / "lite" / "files").glob("*.ipynb")}
    for page in (site / "tutorials").glob("*.html"):
        assert ("rop-lite" in page.read_text(encoding="utf-8")) == (page.stem in names)
    assert {page.stem for page in (site / "tutorials").glob("*.html")} - names == {
        "10_recurrent_nets",  # which need Numba
        "12_three_engines",
    }
    for name in names:
        lesson = json.loads((site / "lite" / "files" / f"{name}.ipynb").read_text("utf-8"))
        first, second = lesson["cells"][:2]
        assert first["cell_type"] == "markdown" and "piplite" in "".join(second["source"])
        text = "".join(line for cell in lesson["cells"] for line in cell["source"])
        assert "](../" not in text  # there are no files around it
    index = json.loads((site / "lite" / "pypi" / "all.json").read_text("utf-8"))
    [[release]] = index["rop"]["releases"].values()
    with zipfile.ZipFile(site / "lite" / "pypi" / release["filename"]) as wheel:
        assert {"rop/__init__.py", "rop/show/player/player.js"} <= set(wheel.namelist())
