"""The constants that Adaptive HF must be given, from a run."""

from collections.abc import Iterable

from rop.errors import RopValueError
from rop.hf.record import Iteration, only_iterations
from rop.support.arguments import checked


@checked
def prerun(records: Iterable[Iteration]) -> tuple[float, float]:
    """Return σ and L as a run saw them, by any recipe (sec. 4 and appendix B).

    Parameters
    ----------
    records : iterable of Iteration
        The iterations, as in ``result.records``.

    Returns
    -------
    sigma : float
        The largest ‖∇f‖.
    L : float
        The largest L that a step needed in definition 1.

    Raises
    ------
    RopValueError
        If no iteration moved θ.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, dtype=np.float64, iterations=20)
    >>> sigma, L = rop.hf.prerun(run.records)
    >>> round(sigma, 1), round(L, 1)
    (232.9, 266.1)
    """
    history = list(only_iterations("records", records))
    seen = [it.L_seen for it in history if it.step_norm]
    if not seen:
        raise RopValueError("prerun: records must have an iteration that moved theta, got none")
    return max(it.gradient_norm for it in history), max(seen)
