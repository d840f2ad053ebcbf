"""Listings as LaTeX and Markdown."""

import shutil
import subprocess

import pytest
from hypothesis import given
from random_graphs import examples, models
from typesetting import PRODUCTS, set_by_matplotlib

import rop


def layers():
    x, z = rop.nets.mlp([4, 6, 6, 3])
    return rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=0.1)


def recurrent():
    x, t = rop.data("x", (9, 3)), rop.data("t", 2)
    W, V, U = rop.param("W_in", (5, 3)), rop.param("V", (5, 5)), rop.param("U", (2, 5))
    h = rop.tanh(W @ x[0])
    for step in range(1, 9):
        h = rop.tanh(W @ x[step] + V @ h)
    return rop.Objective(U @ h, rop.SquaredError(t))


def rosenbrock():
    theta = rop.param("θ", 2)
    return rop.Objective(100.0 * (theta[1] - theta[0] ** 2) ** 2 + (1.0 - theta[0]) ** 2)


@pytest.mark.parametrize("objective", [layers, recurrent, rosenbrock])
@pytest.mark.parametrize("product", PRODUCTS)
def test_latex_can_be_set(objective, product):
    latex = rop.explain(objective(), product).latex()
    set_by_matplotlib(latex)


@pytest.mark.ci
@given(models())
@examples(15)
def test_latex_of_random_graphs_can_be_set(model):
    set_by_matplotlib(rop.explain(model.objective, "hvp").latex())


def test_latex_compiles(tmp_path):
    compiler = shutil.which("tectonic") or shutil.which("pdflatex")
    latex = rop.explain(recurrent(), "hvp").latex()
    document = "\\documentclass{article}\\usepackage{amsmath,amssymb}\\begin{document}"
    (tmp_path / "listing.tex").write_text(f"{document}\n\\[{latex}\\]\n\\end{{document}}\n")
    if compiler is None:
        set_by_matplotlib(latex)
    else:
        options = [] if compiler.endswith("tectonic") else ["-halt-on-error"]
        subprocess.run([compiler, *options, "listing.tex"], cwd=tmp_path, check=True)


def test_latex_is_the_papers():
    latex = rop.explain(layers(), "hvp").latex()
    for line in (
        r"\mathcal{R}x_{2} &= \mathcal{R}W_{1}\,x + \mathcal{R}b_{1} &&\text{R rule of matvec a1",
        r"\mathcal{R}dx_{2} &= s'(x_{2}) \odot \mathcal{R}dy_{2} + s''_{da}(x_{2})",
        r"dy_{3} &= W_{3}^{\top}\,dz",
        r"\mathcal{R}dW_{3} &\mathrel{+}= \sum_{\mathrm{cases}}\,dz\,\mathcal{R}y_{3}^{\top}",
        "product rule (eq. 5), linearity (eq. 4)}",
    ):
        assert line in latex
    assert r"\theta_{[1]}" not in rop.explain(rosenbrock()).latex()


def test_a_recurrence_is_a_loop():
    listing = rop.explain(recurrent(), "ggnvp")
    latex, markdown = listing.latex(), listing.markdown()
    assert r"&\text{for $k = 0, \ldots, " in latex and r"x_{2+k}" in latex.replace("{3+k}", "{2+k}")
    assert "| for k = 0, ..., " in markdown
    assert len(latex.splitlines()) < 40


def test_markdown_has_rules_and_sources():
    markdown = rop.explain(layers(), "ggnvp").markdown()
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {row.count(" | ") for row in rows} == {4}
    expected = "| `Ry2 = s'(x2) * Rx2` | N × 6 | R rule of tanh | chain rule (eq. 6) | "
    row = next(row for row in rows if row.startswith(expected))
    assert "test_listing_forms.py, line" in row
    assert "**G v" in markdown and "for each product" in markdown


def test_a_line_knows_its_nodes_and_their_source():
    listing = rop.explain(layers(), "hvp")
    line = next(line for line in listing.each if line.target == "Rx2")
    assert [node.op.name for node in line.nodes] == ["matvec", "add"]
    assert line.laws == ("product rule (eq. 5)", "linearity (eq. 4)")
    assert len(line.sources) == 1 and "test_listing_forms.py, line" in line.sources[0]
    assert listing.each[-1].steps == () and listing.each[-1].laws == ()
