"""The ball ‖x‖_P <= r along a run of CG from 0, by recursion (sec. 8.6)."""

from math import sqrt


class Ball:
    """Keeps ‖x‖²_P, xᵀPp and pᵀPp along CG, for which P itself need not be known.

    From r ⟂ p and r ⟂ x, which CG ensures when it starts from 0, follow yᵀPp = rᵀp = 0 and
    xᵀPy = xᵀr = 0 for y = P⁻¹r, and from these the recursions (Conn, Gould & Toint 2000, 7.5.1).

    Parameters
    ----------
    radius : float
        r.
    ry : float
        rᵀP⁻¹r at x = 0, which is pᵀPp.
    """

    def __init__(self, radius: float, ry: float) -> None:
        self.radius = radius
        self._xx, self._xp, self._pp = 0.0, 0.0, ry

    def holds(self, alpha: float) -> bool:
        """Return whether x + αp lies inside the ball.

        Parameters
        ----------
        alpha : float
            α; infinity does not.

        Returns
        -------
        bool
            ‖x + αp‖_P < r.
        """
        return self._xx + alpha * (2 * self._xp + alpha * self._pp) < self.radius**2

    def exit(self) -> float:
        """Return the τ >= 0 at which x + τp leaves the ball.

        Returns
        -------
        float
            The positive root of ‖x + τp‖²_P = r², in the form without cancellation.
        """
        gap = max(self.radius**2 - self._xx, 0.0)
        return gap / (self._xp + sqrt(self._xp**2 + self._pp * gap))

    def advance(self, alpha: float, beta: float, ry: float) -> None:
        """Go on from x to x + αp and from p to βp - P⁻¹r.

        Parameters
        ----------
        alpha, beta : float
            CG's α and β.
        ry : float
            rᵀP⁻¹r at the new x.
        """
        self._xx += alpha * (2 * self._xp + alpha * self._pp)
        self._xp = beta * (self._xp + alpha * self._pp)
        self._pp = ry + beta**2 * self._pp
