"""An objective as the functions that SciPy's optimizers call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.engines import DEFAULT_ENGINE, engine_named
from rop.errors import RopTypeError, RopValueError
from rop.objective.linearization import Linearization

Vector = NDArray[np.float64]


class Linearizable(Protocol):
    """What the functions need of an objective."""

    @property
    def linearize(self) -> Callable[..., Linearization]:
        """As `Objective.linearize`."""

    @property
    def value_and_gradient(self) -> Callable[..., tuple[float, NDArray[Any]]]:
        """As `Objective.value_and_gradient`."""


class ScipyFunctions:
    """f, ∇f and a curvature product of θ on one batch, in float64.

    ``fun`` and ``jac`` share one sweep at the latest θ, all products one linearization.

    The arguments are those of `scipy_functions`.
    """

    def __init__(
        self,
        objective: Linearizable,
        batch: Mapping[str, ArrayLike] | None = None,
        curvature: Literal["hessian", "ggn"] = "hessian",
        engine: str = DEFAULT_ENGINE,
    ) -> None:
        if curvature not in ("hessian", "ggn"):
            raise RopValueError(f"curvature must be 'hessian' or 'ggn', got {curvature!r}")
        self._objective, self._batch, self._engine = objective, batch, engine
        self._product = curvature
        self._at: Linearization | None = None
        self._found: tuple[Vector, float, Vector] | None = None

    def fun(self, theta: Vector) -> float:
        """f(θ)."""
        return self._differentiated(theta)[1]

    def jac(self, theta: Vector) -> Vector:
        """∇f(θ)."""
        return self._differentiated(theta)[2].copy()

    def hessp(self, theta: Vector, v: Vector) -> Vector:
        """Hv or Gv at θ."""
        if self._at is None or not np.array_equal(self._at.theta, theta):
            self._at = self._objective.linearize(theta, self._batch, self._engine, np.float64)
        return self._at.hvp(v) if self._product == "hessian" else self._at.ggnvp(v)

    def _differentiated(self, theta: Vector) -> tuple[Vector, float, Vector]:
        """θ, f(θ) and ∇f(θ)."""
        if self._found is None or not np.array_equal(self._found[0], theta):
            found = self._objective.value_and_gradient(theta, self._batch, self._engine, np.float64)
            self._found = np.array(theta), *found
        return self._found


def scipy_functions(
    objective: Linearizable,
    batch: Mapping[str, ArrayLike] | None = None,
    curvature: Literal["hessian", "ggn"] = "hessian",
    engine: str = DEFAULT_ENGINE,
) -> dict[str, Callable[..., Any]]:
    """Return an objective as arguments of ``scipy.optimize.minimize``: fun, jac and hessp.

    Parameters
    ----------
    objective : Objective
        f.
    batch : mapping of str to array_like, optional
        The cases.
    curvature : {"hessian", "ggn"}
        What hessp is: Hv or Gv.
    engine : str
        Engine of the sweeps.

    Returns
    -------
    dict
        "fun", "jac" and "hessp"; methods that want no curvature ignore hessp with a warning, so
        leave it out for them.

    Examples
    --------
    >>> import scipy.optimize
    >>> import rop
    >>> a = rop.param("a", 2)  # Rosenbrock's function
    >>> z = rop.stack([a[0] - 1, 10 * (a[1] - a[0] ** 2)])
    >>> objective = rop.Objective(z, rop.SquaredError([0.0, 0.0]))
    >>> functions = scipy_functions(objective)
    >>> found = scipy.optimize.minimize(x0=[-1.2, 1.0], method="trust-krylov", **functions)
    >>> found.x.round(2).tolist()
    [1.0, 1.0]
    """
    if batch is not None and not isinstance(batch, Mapping):
        raise RopTypeError(
            f"batch: expected a mapping of names to arrays, got {type(batch).__name__}"
        )
    engine_named(engine)
    functions = ScipyFunctions(objective, batch, curvature, engine)
    return {"fun": functions.fun, "jac": functions.jac, "hessp": functions.hessp}
