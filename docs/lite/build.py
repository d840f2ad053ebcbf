"""Build the part of the site that runs lessons in a browser: JupyterLite, the lessons, and rop.

The site's build calls `lessons` and `build`. Neither needs a network. Python itself, NumPy, SciPy
and Matplotlib come from a network, when a reader opens a lesson.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]
KERNEL = "share/jupyter/labextensions/@jupyterlite/pyodide-kernel-extension"
# Without it the first takes many minutes; the second compiles with it.
NEED_NUMBA = ("10_recurrent_nets", "12_three_engines")
TEXT = """\
**This lesson runs in your browser.** Run the next cell first (Shift+Enter). It loads NumPy, SciPy
and Matplotlib from the network, and `rop` from this site. Numba does not run in a browser, so `rop`
computes with NumPy, and cells take several times longer than on a computer with `rop` installed.
What you change stays in this browser. If a cell does not answer, or `numpy` cannot be found, your
network blocks cdn.jsdelivr.net or pypi.org."""
CODE = """\
import piplite

await piplite.install(["numpy", "scipy", "matplotlib", "tqdm"])
await piplite.install("rop", deps=False)  # without Numba"""


def lessons() -> list[Path]:
    """Return the notebooks that a browser can run."""
    notebooks = sorted((ROOT / "tutorials").glob("[0-9][0-9]_*.ipynb"))
    return [path for path in notebooks if path.stem not in NEED_NUMBA]


def build(target: Path) -> None:
    """Write JupyterLite with the lessons and rop's wheel into a folder, made anew.

    Parameters
    ----------
    target : Path
        The folder.

    Raises
    ------
    subprocess.CalledProcessError
        If a command fails; what it wrote is on standard error.
    """
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = folder / "contents"
        contents.mkdir()
        for path in lessons():
            nbformat.write(prepared(path), contents / path.name)
        command = [sys.executable, "-m", "jupyterlite_core", "build", "--log-level=ERROR"]
        command += [f"--lite-dir={folder}", f"--contents={contents}", f"--output-dir={target}"]
        command += [f"--piplite-wheels={wheel(folder)}", "--apps=notebooks"]
        command += ["--no-sourcemaps", "--no-unused-shared-packages", "--no-libarchive"]
        # No extension but the kernel, whatever else is installed here.
        command += ["--ignore-sys-prefix"]
        command += [f"--LiteBuildConfig.federated_extensions={Path(sys.prefix, KERNEL)}"]
        run(command, folder)


def wheel(folder: Path) -> Path:
    """Build rop's wheel in a folder, from a copy, as setuptools writes beside its sources."""
    source = folder / "source"
    shutil.copytree(ROOT / "rop", source / "rop", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    code = f"import setuptools.build_meta as backend; backend.build_wheel({str(folder)!r})"
    run([sys.executable, "-c", code], source)
    return next(folder.glob("rop-*.whl"))


def prepared(path: Path) -> nbformat.NotebookNode:
    """Return a lesson that first loads what it needs, without links to files that are not here."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = re.sub(r"\[([^]]+)\]\(\.\./[^)]+\)", r"\1", cell.source)
    notebook.cells[:0] = [
        nbformat.v4.new_markdown_cell(TEXT, id="in-a-browser"),
        nbformat.v4.new_code_cell(CODE, id="load"),
    ]
    return notebook


def run(command: list[str], folder: Path) -> None:
    """Run a command in a folder; show what it wrote if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
    done.check_returncode()
