"""Make the notebooks: every NN_name.py becomes the executed NN_name.ipynb beside it.

    python tutorials/build.py        # all of them
    python tutorials/build.py 02 03  # these

The sources are the .py files; notebooks are never edited. The same sources give the same bytes.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

# One thread, and sets in one order: what is printed and drawn does not depend on the run.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def build(source: Path) -> Path:
    """Execute a tutorial, and write it with its outputs as a notebook.

    Parameters
    ----------
    source : Path
        The tutorial, as py:percent.

    Returns
    -------
    Path
        The notebook.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails; the notebook then stays as it was.
    """
    notebook = jupytext.read(source)
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, resources={"metadata": {"path": folder}}, timeout=600)
        client.record_timing = False
        client.execute(env=environment | ENVIRONMENT)
    normalise(notebook)
    target = source.with_suffix(".ipynb")
    nbformat.write(notebook, target)
    return target


def normalise(notebook: NotebookNode) -> None:
    """Leave nothing in an executed notebook that a further run would change.

    Parameters
    ----------
    notebook : NotebookNode
        Changed in place.
    """
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": kernel, "language_info": {"name": "python"}}
    )
    seen: set[str] = set()
    for cell in notebook.cells:
        cell.metadata = NotebookNode()
        text = cell.source
        while (digest := hashlib.sha256(text.encode()).hexdigest()[:8]) in seen:
            text += "\n"
        seen.add(digest)
        cell.id = digest
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = merged(cell.outputs)


def merged(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs without their counts, and with a stream in one piece, however it arrived.

    Parameters
    ----------
    outputs : list of NotebookNode
        Of one cell.

    Returns
    -------
    list of NotebookNode
    """
    result: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "execute_result":
            output.execution_count = None
        last = result[-1] if result else None
        if output.output_type == "stream" and last is not None and last.get("name") == output.name:
            last.text += output.text
        else:
            result.append(output)
    return result


if __name__ == "__main__":
    for path in sorted(Path(__file__).parent.glob("[0-9][0-9]_*.py")):
        if path.name[:2] in (sys.argv[1:] or path.name[:2]):
            print(build(path).name)
