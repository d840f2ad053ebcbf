"""θ on disk: an .npz file that anything can read, with what it needs to be used again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.datasets.npz import read_npz
from rop.datasets.writing import write_atomically
from rop.errors import RopValueError
from rop.objective.definition import Definition
from rop.objective.fingerprint import fingerprint, ops_of
from rop.support.arguments import checked

# Names of parameters are identifiers, which this is not.
_ABOUT = "about.json"
_FORMAT = 1


_Own: TypeAlias = Annotated[Definition, "give the rop.Objective that θ belongs to"]


@checked
def save_theta(path: str | Path, objective: Definition, theta: NDArray[Any]) -> None:
    """Write θ (n,), parameter by parameter; see `Objective.save`."""
    about = json.dumps({"format": _FORMAT, **_about(objective)})
    arrays = {_ABOUT: np.array(about), **objective.unpack(theta)}
    write_atomically(Path(path), lambda file: np.savez(file, allow_pickle=False, **arrays))


@checked
def load_theta(path: str | Path, objective: _Own) -> NDArray[Any]:
    """Read the θ that `Objective.save` has written.

    Parameters
    ----------
    path : str or Path
        The file.
    objective : Objective
        What θ is for: an objective with the same graph and loss. l2 may be another.

    Returns
    -------
    ndarray, (n,)
        θ, in the dtype in which it was saved.

    Raises
    ------
    RopValueError
        If the file is damaged or of another kind, or θ is of another graph; it says what differs.
    RopFileError
        If the file does not exist or cannot be read.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> f.save("model.npz", [1.0, 2.0])
    >>> rop.load_theta("model.npz", f)
    array([1., 2.])
    """
    arrays = read_npz(Path(path))
    try:
        about = json.loads(str(arrays.pop(_ABOUT)))
        known = about["format"] == _FORMAT
    except (KeyError, TypeError, ValueError):
        known = False
    if not known:
        raise RopValueError(
            f"{path} was not written by objective.save, or by another version; objective.pack "
            "makes a theta of arrays by name"
        )
    _refuse_shapes(path, {name: array.shape for name, array in arrays.items()}, objective)
    for what, now in _about(objective).items():
        then = about.get(what)
        if then != now:
            raise RopValueError(
                f"{path} is of another model: {_difference(what, then, now)}; to use its numbers "
                "all the same, make a theta with objective.pack of its arrays"
            )
    theta = objective.pack(arrays)
    return theta.astype(np.result_type(np.float32, *arrays.values()))


def _refuse_shapes(
    path: str | Path, found: Mapping[str, tuple[int, ...]], objective: Definition
) -> None:
    if found == objective.shapes:
        return
    faults = [f"it lacks {name!r}" for name in objective.shapes if name not in found]
    faults += [f"{name!r} is unknown" for name in found if name not in objective.shapes]
    faults += [
        f"{name!r} has shape {found[name]}, expected {shape}"
        for name, shape in objective.shapes.items()
        if found.get(name, shape) != shape
    ]
    raise RopValueError(f"{path} is of another model: {'; '.join(faults)}")


def _about(objective: Definition) -> dict[str, Any]:
    """What must be the same, the most telling first."""
    return {
        "parameters": list(objective.shapes),
        "loss": objective.loss.name,
        "nodes": ops_of(objective),
        "sha256": fingerprint(objective),
    }


def _difference(what: str, then: Any, now: Any) -> str:
    if what == "nodes" and isinstance(then, dict):
        changed = [op for op in {**then, **now} if then.get(op) != now.get(op)]
        return ", ".join(f"{then.get(op, 0)} x {op}, now {now.get(op, 0)}" for op in changed)
    if what == "sha256":
        return "the ops are the same, but not their order, settings or constants"
    return f"{what} {then}, now {now}"
