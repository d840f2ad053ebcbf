"""The bars: the largest allowed ratio of rop's time to another's, and the aim."""

from __future__ import annotations

from typing import NamedTuple

JAX, OWN_GV = "JAX linearize", "own Gv"


class Bar(NamedTuple):
    """Largest ratios of rop's time to another's.

    Attributes
    ----------
    required, aim : float
        The ratio that is required, and the ratio that is the aim.
    jax : float, optional
        The ratio that is required beside jitted JAX with an array for each parameter, where another
        peer is faster.
    beside : str, optional
        The contestant to judge by: that form of JAX, or for Hv the same engine's Gv; by default the
        best peer.
    """

    required: float
    aim: float
    jax: float = float("inf")
    beside: str | None = None

    def verdict(self, ratio: float, beside_jax: float = 0.0) -> str:
        """Say whether a ratio meets the bar.

        Parameters
        ----------
        ratio : float
            rop's time over that of the contestant to judge by.
        beside_jax : float
            rop's time over that of JAX with an array for each parameter.

        Returns
        -------
        str
            "aim met", "met" or "missed".
        """
        if ratio > self.required or beside_jax > self.jax:
            return "missed"
        return "aim met" if ratio <= self.aim else "met"


BARS = {
    **{("W1", product): Bar(1.05, 0.95) for product in ("Gv", "Hv", "Jv", "Jᵀu")},
    ("W1", "gradient"): Bar(1.15, 1.00),
    **{("W2", product): Bar(0.20, 0.11) for product in ("Gv", "Hv")},
    ("W2", "gradient"): Bar(0.80, 0.60, jax=0.50),
    ("W3", "Gv"): Bar(0.80, 0.55),
    ("W3", "gradient"): Bar(1.10, 0.75),
    ("W4", "G"): Bar(1.10, 0.70),
    ("W5", "CG"): Bar(1.05, 0.95),
    ("W6", "Gv"): Bar(0.85, 0.60, beside=JAX),
    ("W6", "Hv"): Bar(1.30, 1.00, beside=OWN_GV),
    ("W6", "gradient"): Bar(1.00, 0.60, beside=JAX),
}
