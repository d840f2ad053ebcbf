"""Sec. 7.2 to the letter: J, G and H built column by column, each against central differences."""

from collections.abc import Callable, Iterator

import numpy as np

from rop.checking.calls import CallFailed
from rop.checking.compare import compare
from rop.checking.directions import Direction
from rop.checking.lines import Array, relative_difference
from rop.checking.point import Point
from rop.checking.policy import Verdict
from rop.checking.report import Columns
from rop.checking.session import Session
from rop.checking.sizes import NO_SIZES
from rop.errors import RopValueError

STEP = 1e-4
ALLOWED = 1e-6
# Entries of J and of G beyond which the model is no toy version.
LARGEST = 30_000_000
# Columns beyond `ALLOWED` that are looked at again, with the whole ladder of steps.
SECOND_LOOKS = 50

# From j to the user's column, or row, j and to the same by differences.
Sides = tuple[Callable[[int], Array], Callable[[int], Array]]


def check_columns(session: Session) -> Columns:
    """Hold J e_j, (Jᵀw)_j, G e_j and H e_j against differences with ε = 1e-4, for every j.

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
    for symbol, name, sides in _matrices(session, point):
        try:
            column, difference = sides()
            differences = [relative_difference(column(j), difference(j)) for j in range(point.n)]
            found = np.array(differences)
        except CallFailed as failure:
            session.warnings.append(f"no columns of {symbol}: {failure.fault}")
            undecided = True
            continue
        suspects = np.argsort(-found)[: np.count_nonzero(found > ALLOWED)]
        verdicts = {
            int(j): _second_look(session, name, point, int(j)) for j in suspects[:SECOND_LOOKS]
        }
        errors[symbol], worst[symbol] = float(found.max()), int(found.argmax())
        beyond[symbol] = len(suspects)
        wrong[symbol] = tuple(sorted(j for j, v in verdicts.items() if v == "fail"))
        undecided |= "inconclusive" in verdicts.values() or len(suspects) > SECOND_LOOKS
    verdict: Verdict = "pass"
    if any(wrong.values()):
        verdict = "fail"
    elif undecided or not errors:
        verdict = "inconclusive"
    return Columns(verdict, STEP, ALLOWED, errors, worst, beyond, wrong)


def _matrices(session: Session, point: Point) -> Iterator[tuple[str, str, Callable[[], Sides]]]:
    """Symbol, argument name and sides of every matrix that has both."""
    given, trusted = session.functions, session.trusted
    jacobian: list[Array] = []

    def J() -> Array:
        if not jacobian:
            F, theta = given["outputs"], point.theta
            columns = [_along(F, theta, _unit(point, j)).ravel() for j in range(point.n)]
            jacobian.append(np.array(columns).T)
        return jacobian[0]

    def of_J() -> Sides:
        return lambda j: point.product("jvp", _unit(point, j)).ravel(), lambda j: J()[:, j]

    def of_Jt() -> Sides:
        # [Jᵀ]_ji = [J e_j]_i: the columns of J by differences are the rows of Jᵀ.
        w = point.random_vector("vjp")
        Jtw, expected = point.product("vjp", w), J().T @ w.ravel()
        return lambda j: Jtw[j : j + 1], lambda j: expected[j : j + 1]

    def of_G() -> Sides:
        def column(j: int) -> Array:
            w = _along(point.grad_loss, point.outputs, J()[:, j].reshape(point.outputs.shape))
            product: Array = J().T @ w.ravel() + point.l2 * _unit(point, j)
            return product

        return lambda j: point.product("ggnvp", _unit(point, j)), column

    def of_H() -> Sides:
        return (
            lambda j: point.product("hvp", _unit(point, j)),
            lambda j: _along(given["gradient"], point.theta, _unit(point, j)),
        )

    if trusted("outputs"):
        if "jvp" in given:
            yield "J", "jvp", of_J
        if "vjp" in given:
            yield "Jᵀ", "vjp", of_Jt
        if "ggnvp" in given and trusted("loss_gradient"):
            yield "G", "ggnvp", of_G
    if "hvp" in given and trusted("gradient"):
        yield "H", "hvp", of_H


def _unit(point: Point, j: int) -> Array:
    e = np.zeros(point.n)
    e[j] = 1.0
    return e


def _along(function: Callable[[Array], Array], origin: Array, direction: Array) -> Array:
    """Central difference whose largest entry moves by ε."""
    t = STEP / (float(np.abs(direction).max()) or 1.0)
    difference: Array = function(origin + t * direction) - function(origin - t * direction)
    derivative: Array = difference / (2 * t)
    return derivative


def _second_look(session: Session, name: str, point: Point, j: int) -> Verdict:
    direction = Direction(f"e_{j}", "", _unit(point, j))
    sizes = session.sizes.get(name, NO_SIZES)
    try:
        verdicts = {
            compare(oracle, point, session.blocks, sizes, lambda: None, direction).verdict
            for oracle in session.oracles(name)
        }
    except CallFailed:
        return "inconclusive"
    if "fail" in verdicts:
        return "fail"
    return "pass" if verdicts == {"pass"} else "inconclusive"
