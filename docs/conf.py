"""Settings of the documentation site; CONTRIBUTING.md has the command that builds it.

The sources are the pages in docs/ and the executed notebooks in tutorials/, so links between them
are the same on the site and in the repository. Nothing is fetched at build time, and nothing from
elsewhere by a reader who does not ask for a lesson that runs.
"""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Iterator
from functools import partial
from html import escape
from inspect import signature
from os.path import normpath
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.ext import autosummary
from sphinx.util import logging
from sphinx.util.inspect import stringify_signature
from sphinx.util.osutil import relative_uri

import rop

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

# The citations of errata, and the numbers in one: "erratum M29", "errata N3 and N4".
NUMBER = r"[MHN]\d+"
ERRATA = rf"(?<=erratum\s){NUMBER}|(?<=errata\s){NUMBER}(?:(?:,\s|\sand\s|\sto\s){NUMBER})*"

project = "rop"
author = copyright = "The rop authors"
version = release = rop.__version__
language = "en"

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "tutorials/[0-9][0-9]_*.ipynb",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = ["docs/_build", "docs/_templates", "docs/_static"]
templates_path = [str(ROOT / "docs" / "_templates")]

nb_execution_mode = "off"
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 4
smartquotes = False

default_role = "py:obj"
autodoc_typehints = "none"
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "rop"
html_static_path = ["_static"]
html_css_files = ["rop.css"]
html_additional_pages = {"index": "redirect.html"}
html_math_renderer = "mathml"
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "rop"},
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 8,
}
# A summary in a table goes on after these.
autosummary.WELL_KNOWN_ABBREVIATIONS += ("sec.", "secs.", "alg.", "eq.", "fig.")
autosummary_filename_map = {"rop.museum.exhibit": "rop.museum.exhibit_named"}
html_sidebars = {"docs/index": [], "docs/gallery": []}

BUTTON = """
<div class="rop-lite">
<a class="sd-btn sd-btn-primary" href="{page}?path={name}.ipynb">
Run this lesson in your browser</a>
<span>This loads about 60 MB: Python and its libraries, from cdn.jsdelivr.net and pypi.org. Nothing
is loaded before you press the button, and nothing has to be installed.</span>
</div>
"""


def formula(translator: Any, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as MathML, which browsers show without a script."""
    text = node.astext()
    # What docutils does not know: \tag{3}, \frac12 and \dots.
    text = re.sub(r"\\tag\{(\w+)\}", r"\\qquad \\text{(\1)}", text)
    text = re.sub(r"frac(\d)(\d)", r"frac{\1}{\2}", text).replace(r"\dots", r"\ldots")
    # It leaves no space after the name of a function.
    text = re.sub(r"\\(log|exp|sin|cos|cosh|tanh) (?=[\\\w])", r"\\\1\\,", text)
    try:
        translator.body.append(tex2mathml(text, as_block=isinstance(node, nodes.math_block)))
    except MathError as error:
        logging.getLogger(__name__).warning("%s: %s", text, error, location=node)
    raise nodes.SkipNode


def with_targets(app: Sphinx, docname: str, source: list[str]) -> None:
    """Make HTML anchors, which GitHub understands, the targets that MyST links to."""
    source[0] = re.sub(r'^<a id="([\w-]+)"></a>$', r"(\1)=", source[0], flags=re.MULTILINE)


def players(app: Sphinx, error: Exception | None) -> None:
    """Write the player that pages show in a frame."""
    page = runpy.run_path(str(ROOT / "docs" / "player" / "build.py"))["page"]()
    (app.outdir / "_static" / "player.html").write_text(page, encoding="utf-8")


def lite(app: Sphinx, error: Exception | None) -> None:
    """Write the pages where lessons run."""
    runpy.run_path(str(ROOT / "docs" / "lite" / "build.py"))["build"](app.outdir / "lite")


def in_browser(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give a lesson a button that opens it where it runs."""
    if docname in app.env.rop_lessons:
        here = app.builder.get_target_uri(docname)
        page = relative_uri(here, "lite/notebooks/index.html")
        button = BUTTON.format(page=page, name=docname.partition("/")[2])
        title = next(doctree.findall(nodes.title))
        title.parent.insert(1, nodes.raw("", button, format="html"))


def escaped(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Prepare a docstring, written to be read in a terminal too, for docutils."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = line.split("``")
            parts[::2] = [plain(part) for part in parts[::2]]
            lines[i] = "``".join(parts)


def plain(text: str) -> str:
    """Escape the stars of shapes, (N, *shape), and the bars of |θ|; link errata."""
    text = re.sub(r"(?<=[ (])\*(?=\w)|\|(?=\w)", r"\\\g<0>", text)
    links = partial(re.sub, NUMBER, lambda number: f":ref:`{number[0]} <{number[0].lower()}>`")
    return re.sub(ERRATA, lambda found: links(found[0]), text)


def signature_of(
    app: Sphinx, what: str, name: str, value: Any, options: Any, arguments: str, returns: str
) -> tuple[str, str] | None:
    """Show the signature that Python shows, where a wrapper hides it."""
    if arguments != "(*args, **kwargs)":
        return None
    return stringify_signature(signature(value), show_annotation=False), returns


def of_others(
    app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out the members that a class inherits from another library."""
    function = getattr(value, "fget", value)
    module = getattr(function, "__module__", None) or "rop"
    return None if module.partition(".")[0] == "rop" else True


def link_sources(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Let links to Python files lead to pages that show them."""
    here = app.builder.get_target_uri(docname)
    for node in list(doctree.findall(addnodes.download_reference)):
        path = Path(normpath(app.srcdir / docname / ".." / node["reftarget"]))
        if path.suffix != ".py":
            continue
        name = path.relative_to(ROOT).as_posix()
        app.env.rop_sources.add(name)
        link = nodes.reference("", "", refuri=relative_uri(here, f"source/{name}.html"))
        link += node.children
        node.replace_self(link)


def link_errata(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Let citations of errata in pages and lessons lead to the page of errata."""
    if docname == "docs/errata":
        return
    page = relative_uri(app.builder.get_target_uri(docname), "docs/errata.html")

    def link(number: str, *children: nodes.Node) -> nodes.reference:
        return nodes.reference("", "", *children, refuri=f"{page}#{number.lower()}")

    others = (nodes.reference, nodes.title, nodes.literal_block, nodes.raw)
    for text in list(doctree.findall(nodes.Text)):
        above, parents = text.parent, []
        while above is not None:
            parents.append(above)
            above = above.parent
        if any(isinstance(parent, others) for parent in parents):
            continue
        literal = text.parent
        if isinstance(literal, nodes.literal):
            if command := re.fullmatch(r"rop errata ([MHN]\d+)", text):
                literal.replace_self(link(command[1], literal.deepcopy()))
            continue
        parts: list[nodes.Node] = []
        end = 0
        for cited in re.finditer(ERRATA, text):
            for number in re.finditer(NUMBER, cited[0]):
                start, stop = (cited.start() + at for at in number.span())
                parts += [nodes.Text(text[end:start]), link(number[0], nodes.Text(number[0]))]
                end = stop
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield a page for each Python file that some page links to."""
    formatter = HtmlFormatter(linenos="inline", lineanchors="line", anchorlinenos=True)
    for name in sorted(app.env.rop_sources):
        code = highlight((ROOT / name).read_text(encoding="utf-8"), PythonLexer(), formatter)
        body = f'<h1>{escape(name)}</h1><div class="highlight-python">{code}</div>'
        yield f"source/{name}", {"title": name, "body": body}, "page.html"


def prepare(app: Sphinx) -> None:
    """Give the environment a set of linked files, and the lessons that run in a browser."""
    app.env.rop_sources = set()  # filled in each build, which writes all pages
    lessons = runpy.run_path(str(ROOT / "docs" / "lite" / "build.py"))["lessons"]()
    app.env.rop_lessons = {path.relative_to(ROOT).with_suffix("").as_posix() for path in lessons}


def setup(app: Sphinx) -> None:
    """Register what this file adds to Sphinx."""
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))
    app.connect("builder-inited", prepare)
    app.connect("source-read", with_targets)
    app.connect("doctree-resolved", link_sources)
    app.connect("doctree-resolved", link_errata)
    app.connect("doctree-resolved", in_browser)
    app.connect("autodoc-process-docstring", escaped)
    app.connect("autodoc-process-signature", signature_of)
    app.connect("autodoc-skip-member", of_others)
    app.connect("build-finished", players)
    app.connect("build-finished", lite)
    app.connect("html-collect-pages", source_pages)
