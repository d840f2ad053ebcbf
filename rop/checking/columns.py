"""Sec. 7.2 to the letter: J, G and H built column by column, each against central differences."""

from collections.abc import Callable
from functools import cache

import numpy as np

from rop.checking.calls import CallFailed
from rop.checking.compare import compare
from rop.checking.directions import Direction
from rop.checking.lines import Array
from rop.checking.point import Point
from rop.checking.report import Columns
from rop.checking.session import Session
from rop.checking.sizes import Sizes
from rop.checking.tolerance import Verdict
from rop.errors import RopValueError

STEP = 1e-4
ALLOWED = 1e-6
# Entries of J and of G beyond which the model is no toy version.
LARGEST = 30_000_000
# Columns beyond `ALLOWED` that are looked at again, with the whole ladder of steps.
SECOND_LOOKS = 50


def check_columns(session: Session) -> Columns:
    """Hold J e_j, Jᵀw, G e_j and H e_j against differences with ε = 1e-4, for every j.

    A column that differs by more than 1e-6 of its norm is wrong only if the ladder of steps
    agrees; kinks and rounding make it differ as well.

    Parameters
    ----------
    session : Session
        After it has run.

    Returns
    -------
    Columns

    Raises
    ------
    RopValueError
        If θ is too large for it.
    """
    point = session.points[0]
    rows = point.outputs.size if session.trusted("outputs") else 0
    if point.n * max(point.n, rows) > LARGEST:
        raise RopValueError(
            f"full=True builds matrices of {point.n:,} columns, which is for toy versions of a "
            "model (sec. 7.2): fewer units, cases and time steps; or leave full=False"
        )
    errors: dict[str, float] = {}
    worst: dict[str, int] = {}
    beyond: dict[str, int] = {}
    wrong: dict[str, tuple[int, ...]] = {}
    undecided = False
    for symbol, name, column, difference in _matrices(session, point):
        try:
            differences = np.array([_relative(column(e), difference(e)) for e in np.eye(point.n)])
        except CallFailed as failure:
            session.warnings.append(f"no columns of {symbol}: {failure.fault}")
            undecided = True
            continue
        suspects = np.argsort(-differences)[: np.count_nonzero(differences > ALLOWED)]
        verdicts = {
            int(j): _second_look(session, name, point, int(j)) for j in suspects[:SECOND_LOOKS]
        }
        errors[symbol] = float(differences.max())
        worst[symbol] = int(differences.argmax())
        beyond[symbol] = len(suspects)
        wrong[symbol] = tuple(sorted(j for j, v in verdicts.items() if v == "fail"))
        undecided |= "inconclusive" in verdicts.values() or len(suspects) > SECOND_LOOKS
    verdict: Verdict = "pass"
    if any(wrong.values()):
        verdict = "fail"
    elif undecided or not errors:
        verdict = "inconclusive"
    return Columns(verdict, STEP, ALLOWED, errors, worst, beyond, wrong)


Column = Callable[[Array], Array]


def _matrices(session: Session, point: Point) -> list[tuple[str, str, Column, Column]]:
    """Symbol, argument name, the user's column and the one by differences, where both exist."""
    given, n = session.functions, point.n
    matrices: list[tuple[str, str, Column, Column]] = []

    def along(function: Callable[[Array], Array], origin: Array, direction: Array) -> Array:
        size = float(np.abs(direction).max()) or 1.0
        t = STEP / size
        difference: Array = function(origin + t * direction) - function(origin - t * direction)
        quotient: Array = difference / (2 * t)
        return quotient

    if session.trusted("outputs"):
        # [Jᵀ]_ji = [J e_j]_i: the columns of J by differences are the rows of Jᵀ.
        J = np.array([along(given["outputs"], point.theta, e).ravel() for e in np.eye(n)]).T
        if "jvp" in given:
            matrices.append(
                ("J", "jvp", lambda e: point.jvp(e).ravel(), lambda e: J[:, e.argmax()])
            )
        if "vjp" in given:
            w = session.rng.standard_normal(point.outputs.shape)
            Jtw = cache(lambda: point.vjp(w))
            matrices.append(
                ("Jᵀ", "vjp", lambda e: Jtw()[e != 0], lambda e: J.T[e != 0] @ w.ravel())
            )
        if "ggnvp" in given and session.trusted("loss_gradient"):
            z = point.outputs

            def ggn_column(e: Array) -> Array:
                w = along(point.grad_loss, z, J[:, e.argmax()].reshape(z.shape))
                column: Array = J.T @ w.ravel() + point.l2 * e
                return column

            matrices.append(("G", "ggnvp", point.ggnvp, ggn_column))
    if "hvp" in given and session.trusted("gradient"):

        def gradient(theta: Array) -> Array:
            return given["gradient"](theta, shape=(n,))

        matrices.append(("H", "hvp", point.hvp, lambda e: along(gradient, point.theta, e)))
    return matrices


def _second_look(session: Session, name: str, point: Point, j: int) -> Verdict:
    direction = Direction(f"e_{j}", "", np.eye(1, point.n, j)[0])
    sizes = session.sizes.get(name, Sizes(0.0, 0.0))
    verdicts: set[Verdict] = {
        compare(oracle, point, session.blocks, sizes, lambda: None, direction).verdict
        for oracle in session.oracles(name)
    }
    if "fail" in verdicts:
        return "fail"
    return "pass" if verdicts == {"pass"} else "inconclusive"


def _relative(product: Array, truth: Array) -> float:
    scale = max(float(np.linalg.norm(product)), float(np.linalg.norm(truth)))
    return float(np.linalg.norm(product - truth)) / scale if scale > 0 else 0.0
