"""The cuts between F and L that a player shows (sec. 6)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, ancestors
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
from rop.programs.names import Names
from rop.show.boundary import HEADS, Cut, cuts

_DIGITS = 6


def cutting(at: Linearization, objective: Objective, names: Names) -> dict[str, Any]:
    """The cuts of an objective, as a player's JSON has them.

    Parameters
    ----------
    at : Linearization
        θ and the batch.
    objective : Objective
        Its objective.
    names : Names
        Names of the nodes of the picture.

    Returns
    -------
    dict
        "note" says why there are none, for a net that is too large or a loss of the user's own.
    """
    try:
        found = cuts(objective, at.theta, at.batch)
    except (RopTypeError, RopValueError) as error:
        return {"note": f"Not shown: {str(error).removeprefix('cuts: ')}.", "cuts": []}
    *rows, last = found.rows()
    return {
        "note": "",
        "heads": list(HEADS),
        "H": {"row": list(last), "eigenvalues": _rounded(np.linalg.eigvalsh(found[0].H))},
        "own": [cut.node for cut in found].index(objective.z),
        "cuts": [
            {
                "name": cut.name,
                "row": list(row),
                "eigenvalues": _rounded(cut.eigenvalues),
                "said": _said(cut),
                "box": names.get(cut.node, "L"),
                "inside": cut.node not in names and cut is not found[-1],
                "F": _part(cut.node, names) + ["L"] * (cut is found[-1]),
            }
            for cut, row in zip(found, rows, strict=True)
        ],
    }


def _part(node: Node, names: Names) -> list[str]:
    """The boxes that are in F."""
    return [names[other] for other in ancestors(node) if other in names]


def _said(cut: Cut) -> str:
    """What becomes of G, in a few sentences."""
    if not cut.L2.any():
        return (
            f"F ends at {cut.name}: all of f is in F, and L does nothing. L'' = 0, so G = 0, and "
            "nothing of H is left."
        )
    own = ", and L is its matching loss (table 2)" if cut.matching else ""
    far = f"G differs from H by {100 * cut.distance:.3g} % of ‖H‖."
    if cut.convex:
        return (
            f"F ends at {cut.name}{own}. L'' is PSD in every case, so G = Jᵀ L'' J is PSD too. "
            f"{far}"
        )
    least = "Here G is PSD all the same."
    if not cut.psd:
        least = f"G has the eigenvalue {cut.eigenvalues[0]:.3g}: CG may meet negative curvature."
    return f"F ends at {cut.name}. L'' is not PSD in every case. {least} {far}"


def _rounded(eigenvalues: np.ndarray[Any, np.dtype[np.floating]]) -> list[float]:
    return [float(f"{number:.{_DIGITS}g}") for number in eigenvalues]
