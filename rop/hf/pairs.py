"""Quasi-Newton pairs (s, y), y ≈ As, that improve CG's preconditioner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias

import numpy as np

from rop.hf.curvature import Operator
from rop.hf.policy import Policy
from rop.hf.solution import Progress, Solution, ended
from rop.hf.vectors import Vector, dot, return_shares, take_shares
from rop.support.constraints import Count

Pair: TypeAlias = tuple[Vector, Vector]

# About what the caches hold: pairs that lie in main memory take more time than a product on few
# cases. With 20 pairs that is accepted; above 160 there was little to gain.
_BYTES, _FEWEST, _MOST = 8 * 2**20, 20, 160


@dataclass(frozen=True)
class QuasiNewton(Policy):
    """Correct P⁻¹ by the BFGS formula with pairs of earlier iterations (Morales & Nocedal 2000).

    Each run of CG leaves the pairs (p, Ap) of its directions, which cost nothing. If the gradient
    uses all data, the update leaves s = αδ and the change y of ∇f: exact curvature of f on all
    cases, where CG may see a few. The latest pairs are kept, as in L-BFGS. The memory is 2n numbers
    a pair.

    Where the limit of CG is one step and the update's pairs are exact, δ = Hb is a step of L-BFGS:
    the pairs know its length and the model's minimum, q(δ) = -½bᵀHb, without a product. After an
    update that was rejected CG does the step.

    Parameters
    ----------
    most : int, optional
        The largest number of pairs; by default as many as fit into 8 MiB, from 20 to 160.

    Examples
    --------
    >>> recipe = rop.hf.Recipe(pairs=rop.hf.QuasiNewton(most=10))
    >>> print(rop.hf.Recipe().diff(recipe))
    pairs.most: None -> 10
    """

    most: Count | None = None

    def inverse(self, P: Operator | None, pairs: Vector | None) -> Operator | None:
        """Return r ↦ Hr with P⁻¹ corrected by the pairs.

        Parameters
        ----------
        P : callable, (n,) -> (n,), or None
            r ↦ P⁻¹r; None for P = I.
        pairs : ndarray, shape (k, 2, n), or None
            The pairs.

        Returns
        -------
        callable, (n,) -> (n,), or None
            P itself if there are no pairs.
        """
        return P if pairs is None else Corrected(P, pairs)

    def step(self, b: Vector, H: Operator | None) -> Solution:
        """Return the minimum δ = Hb of the model with the curvature H⁻¹, a step of L-BFGS.

        Parameters
        ----------
        b : ndarray, shape (n,)
            -∇f.
        H : callable, (n,) -> (n,), or None
            What `inverse` returned.

        Returns
        -------
        Solution
            One iterate, without a product.
        """
        delta = b.copy() if H is None else H(b)
        progress = Progress(delta, [0.0, -dot(b, delta) / 2], 0.0)
        return ended(progress, "pairs", [], np.zeros_like(b), 0)

    def number(self, theta: Vector) -> int:
        """Return how many pairs are kept for θ of this length and dtype."""
        if self.most is not None:
            return self.most
        return min(max(_BYTES // (2 * theta.nbytes), _FEWEST), _MOST)

    def update(self, pairs: Vector | None, new: Sequence[Pair], memory: Memory) -> Vector | None:
        """Return the pairs that the next iteration uses.

        Parameters
        ----------
        pairs : ndarray, shape (k, 2, n), or None
            The present pairs, the latest last.
        new : sequence of pairs of ndarray, shape (n,)
            s and y; those without clearly positive curvature are left out.
        memory : Memory
            Where they lie.

        Returns
        -------
        ndarray, shape (k, 2, n), or None
            At most so many pairs as `number` says; None for none.
        """
        good = [pair for pair in new if _curved(*pair)]
        if not good:
            return pairs
        most = self.number(good[0][0])
        return memory.append(pairs, good[-most:], most)


class Memory:
    """Where pairs lie one behind the other, so that a new one costs no copy of the others."""

    def __init__(self) -> None:
        self._rows: Vector | None = None
        self._stop = 0
        self._latest: Vector | None = None

    def append(self, pairs: Vector | None, new: Sequence[Pair], most: int) -> Vector:
        """Return pairs and new ones behind them, the latest ``most``; what was returned stays."""
        stop = self._stop + len(new)
        if self._rows is None or pairs is not self._latest or stop > len(self._rows):
            s, _ = new[0]
            kept = np.empty((0, 2, s.size), s.dtype) if pairs is None else pairs[-most:]
            # A quarter more than are kept: all of them are copied once in so many pairs.
            self._rows = np.empty((most + max(most // 4, len(new)), 2, s.size), s.dtype)
            self._rows[: len(kept)] = kept
            self._stop, stop = len(kept), len(kept) + len(new)
        for row, pair in zip(self._rows[self._stop : stop], new, strict=True):
            row[:] = pair
        self._stop = stop
        self._latest = self._rows[max(stop - most, 0) : stop]
        return self._latest


class Corrected:
    """r ↦ Hr with the BFGS matrix H of some pairs, from H_0 = γP⁻¹ (Nocedal & Wright, alg. 7.4).

    γ gives H_0 the scale of the latest pair, so P may have any scale. If rounding errors decide a
    product, as they do when curvatures of the pairs differ by more than numbers can, H is H_0 from
    then on.

    Parameters
    ----------
    P : callable, (n,) -> (n,), or None
        r ↦ P⁻¹r; None for P = I.
    pairs : ndarray, shape (k, 2, n)
        s and y, with sᵀy > 0.
    """

    def __init__(self, P: Operator | None, pairs: Vector) -> None:
        self._P, self._pairs = P, pairs
        self._curvatures = np.array([dot(s, y) for s, y in pairs])
        _, y = pairs[-1]
        self._gamma = float(self._curvatures[-1]) / dot(y, y if P is None else P(y))

    def __call__(self, r: Vector) -> Vector:
        """Return Hr, a new vector."""
        q = r.copy()
        shares = take_shares(self._pairs, self._curvatures, q)
        Hr = np.multiply(q if self._P is None else self._P(q), q.dtype.type(self._gamma))
        # rᵀHr as a sum without negative terms, whose rounding errors are small.
        rHr = dot(q, Hr) + float(self._curvatures @ shares**2)
        return_shares(self._pairs, self._curvatures, shares, Hr)
        if len(self._pairs) and not abs(dot(r, Hr) - rHr) <= rHr / 10:
            self._pairs, self._curvatures = self._pairs[:0], self._curvatures[:0]
            return self(r)
        return Hr


class Sample:
    """At most so many pairs of a run of CG, spread evenly over its steps.

    Parameters
    ----------
    most : int
        The largest number; 0 for none.
    """

    def __init__(self, most: int) -> None:
        self.pairs: list[Pair] = []
        self._most, self._every, self._seen = most, 1, 0

    def add(self, p: Vector, Ap: Vector) -> None:
        """Offer the pair of a step; the vectors are copied if they are taken."""
        if self._most and self._seen % self._every == 0:
            if len(self.pairs) == self._most:
                self.pairs, self._every = self.pairs[::2], 2 * self._every
            if self._seen % self._every == 0:
                self.pairs.append((p.copy(), Ap.copy()))
        self._seen += 1


def _curved(s: Vector, y: Vector) -> bool:
    """Return whether sᵀy is positive, and not by rounding errors."""
    least = float(np.finfo(s.dtype).eps) ** (2 / 3)
    return bool(dot(s, y) > least * sqrt(dot(s, s) * dot(y, y)))
