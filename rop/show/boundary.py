"""`cuts`: every place where the boundary between F and L can lie, and the G it makes (sec. 6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop import ops
from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, ancestors, descendants
from rop.losses import LossGraph, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError, TableLoss
from rop.objective.definition import programs_of
from rop.objective.linearization import products_of
from rop.objective.objective import Objective
from rop.programs.loss import Loss
from rop.programs.names import node_names
from rop.show.tables import aligned
from rop.support.display import Displayed

# Parameters, and outputs of all cases, of which matrices are made.
LARGEST = 500
HEADS = (
    "outputs of F",
    "matching",
    "L'' PSD",
    "rank of G",
    "least eigenvalue",
    "largest",
    "G PSD",
    "‖G - H‖/‖H‖",
)
"""The headings of `Cuts.rows`."""


@dataclass(frozen=True, eq=False)
class Cut:
    """One place of the boundary: what F computes there, and the matrices of that split.

    Attributes
    ----------
    name : str
        The name of F's outputs.
    node : Node
        F's outputs.
    what : str
        The op that makes them.
    matching : bool
        Whether L is a loss of table 2 on its own outputs, for which ∇L = p - t.
    J : ndarray, (N·m, n)
        The Jacobian of F.
    L2 : ndarray, (N, m, m)
        L'' of each case, with the 1/N of the mean.
    G : ndarray, (n, n)
        Jᵀ L'' J, without the penalty.
    H : ndarray, (n, n)
        The Hessian, the same for every cut.
    """

    name: str
    node: Node
    what: str
    matching: bool
    J: NDArray[np.float64] = field(repr=False)
    L2: NDArray[np.float64] = field(repr=False)
    G: NDArray[np.float64] = field(repr=False)
    H: NDArray[np.float64] = field(repr=False)

    @property
    def eigenvalues(self) -> NDArray[np.floating]:
        """Eigenvalues of G, in ascending order."""
        return np.linalg.eigvalsh(self.G)

    @property
    def rank(self) -> int:
        """Rank of G."""
        return int(np.linalg.matrix_rank(self.G, hermitian=True))

    @property
    def psd(self) -> bool:
        """Whether G is positive semidefinite, up to rounding."""
        return _is_psd(self.eigenvalues)

    @property
    def convex(self) -> bool:
        """Whether L'' is positive semidefinite in every case: then G is."""
        return all(_is_psd(np.linalg.eigvalsh(L2)) for L2 in self.L2)

    @property
    def distance(self) -> float:
        """‖G - H‖ / ‖H‖, in the Frobenius norm."""
        size = float(np.linalg.norm(self.H))
        return float(np.linalg.norm(self.G - self.H)) / size if size else 0.0


@dataclass(frozen=True, eq=False, repr=False)
class Cuts(Displayed):
    """All cuts of an objective, from the parameters to the loss; `rop.plot.cuts` plots them.

    Attributes
    ----------
    cuts : tuple of Cut
        The cuts.
    n : int
        Number of parameters.
    """

    cuts: tuple[Cut, ...]
    n: int

    def __len__(self) -> int:
        return len(self.cuts)

    def __iter__(self) -> Iterator[Cut]:
        return iter(self.cuts)

    def __getitem__(self, name: str | int) -> Cut:
        if isinstance(name, int):
            return self.cuts[name]
        for cut in self.cuts:
            if cut.name == name:
                return cut
        raise KeyError(f"no cut {name!r}; there are {[cut.name for cut in self.cuts]}")

    def rows(self) -> list[tuple[str, ...]]:
        """The table: a row for each cut, and one for H."""
        rows = [
            (
                f"{cut.name} = {cut.what}",
                "yes" if cut.matching else "no",
                "yes" if cut.convex else "no",
                str(cut.rank),
                *_ends(cut.eigenvalues),
                "yes" if cut.psd else "no",
                f"{cut.distance:.3g}",
            )
            for cut in self.cuts
        ]
        H = self.cuts[0].H
        values = np.linalg.eigvalsh(H)
        rank = int(np.linalg.matrix_rank(H, hermitian=True))
        psd = "yes" if _is_psd(values) else "no"
        return [*rows, ("H", "", "", str(rank), *_ends(values), psd, "0")]

    def __str__(self) -> str:
        lines = aligned([HEADS, *self.rows()])
        return "\n  ".join([f"cuts between F and L, n = {self.n} (sec. 6)", *lines])

    def __repr__(self) -> str:
        return f"<Cuts: {len(self)} of n = {self.n}; print it>"


def cuts(
    objective: Objective, theta: ArrayLike, batch: Mapping[str, ArrayLike] | None = None
) -> Cuts:
    """Move the boundary between F and L, and see what becomes of G (sec. 6).

    f is the same wherever F ends and L begins, and so is H. G is not: the more of f is in L, the
    more of H is in G, as long as L is convex. The boundary can lie at every node that all
    parameters act through, from the last layer to the loss itself, where G = 0.

    Parameters
    ----------
    objective : Objective
        The objective, of a small net.
    theta : array_like, (n,)
        The parameters.
    batch : mapping of str to array_like
        The batch.

    Returns
    -------
    Cuts
        The cuts in the order of the graph. A loss of table 2 adds the cut at its predictions p and
        the one at L.

    Raises
    ------
    RopTypeError
        If it is no objective, or its loss is neither of table 2 nor a `LossGraph`.
    RopValueError
        If n, or the outputs of all cases, are more than 500; if theta or batch do not fit.

    Examples
    --------
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> batch = {"x": np.eye(2), "t": [[1.0], [0.0]]}
    >>> found = rop.cuts(objective, [3.0, 4.0, 0.0], batch)
    >>> print(found)
    cuts between F and L, n = 3 (sec. 6)
      outputs of F      matching  L'' PSD  rank of G  least eigenvalue  largest  G PSD  ‖G - H‖/‖H‖
      z = add           yes       yes      2          0                 1.5      yes    ...e-16
      L = SquaredError  no        yes      0          0                 0        yes    1
      H                                    2          0                 1.5      yes    0
    """
    if not isinstance(objective, Objective):
        raise RopTypeError(f"cuts: expected an Objective, got {type(objective).__name__}")
    _refuse_large("parameters", objective.n, "net")
    at = objective.linearize(np.asarray(theta, dtype=np.float64), batch, engine="numpy")
    _refuse_large("outputs of all cases", at.outputs.size, "batch")
    loss = objective.loss
    z, end, beyond = objective.z, *_as_graph(loss, objective.z)
    named = {node: type(loss).__name__ for node, name in beyond.items() if name == "L"}
    if isinstance(loss, TableLoss):
        named |= {node: loss.link for node, name in beyond.items() if name == "p"}
    nodes = ancestors(end)
    names = node_names(nodes, z) | programs_of(objective).names | beyond
    found, inside = [], set(ancestors(z))
    for node in nodes:
        # Of a loss of table 2, p and L are places of its formula; the rest is how it is computed.
        helper = beyond and node not in inside and node not in beyond
        if helper or not _separates(node, nodes, objective.parameters, end):
            continue
        own = objective.loss if node is z else LossGraph(end)
        split = Objective(node, own, params=objective.parameters)
        data = {name: array for name, array in at.batch.items() if name in split.data_shapes}
        there = split.linearize(at.theta, data, engine="numpy")
        what = named.get(node) or (node.op.name if node.op is not None else node.kind)
        matching = node is z and isinstance(own, TableLoss)
        matrices = there.J.matrix(), products_of(there).loss_hessians(), there.G.matrix()
        found.append(Cut(names[node], node, what, matching, *matrices, there.H.matrix()))
    return Cuts(tuple(found), objective.n)


def _refuse_large(what: str, number: int, of: str) -> None:
    if number > LARGEST:
        raise RopValueError(
            f"cuts: makes matrices of at most {LARGEST} {what}; got {number:,}; use a smaller {of}"
        )


def _as_graph(loss: Loss, z: Node) -> tuple[Node, dict[Node, str]]:
    """The loss of one case as a node, and the names of what lies between z and it."""
    if isinstance(loss, LossGraph):
        return loss.node if not loss.node.shape else ops.sum(loss.node), {}
    if not isinstance(loss, TableLoss):
        raise RopTypeError(f"cuts: expected a loss of table 2 or a LossGraph, got {loss.name}")
    t, names = loss.t, dict[Node, str]()
    if isinstance(loss, SquaredError):
        each = ops.multiply(0.5, ops.square(ops.subtract(z, t)))
    elif isinstance(loss, SoftmaxCrossEntropy):
        p = ops.softmax(z)
        names[p] = "p"
        each = ops.negative(ops.sum(ops.multiply(t, ops.log(p)), axis=-1))
    elif isinstance(loss, SigmoidCrossEntropy):
        p = ops.sigmoid(z)
        names[p] = "p"
        other = ops.multiply(ops.subtract(1.0, t), ops.log(ops.subtract(1.0, p)))
        each = ops.negative(ops.add(ops.multiply(t, ops.log(p)), other))
    else:
        raise RopTypeError(f"cuts: expected a loss of table 2 or a LossGraph, got {loss.name}")
    if loss.weight is not None:
        each = ops.multiply(loss.weight, each)
    end = ops.sum(each)
    return end, names | {end: "L"}


def _separates(node: Node, nodes: list[Node], parameters: list[Node], end: Node) -> bool:
    """Whether all parameters act on the loss through a node alone."""
    if node.op is None or node not in descendants(nodes, parameters):
        return False
    others = [other for other in nodes if other is not node]
    return node is end or end not in _reached(others, parameters)


def _reached(nodes: list[Node], sources: list[Node]) -> set[Node]:
    """What depends on one of the sources by a path of these nodes."""
    inside = set(nodes)
    found = {source for source in sources if source in inside}
    for node in nodes:
        if any(parent in found for parent in node.parents):
            found.add(node)
    return found


def _ends(eigenvalues: NDArray[np.floating]) -> tuple[str, str]:
    """The least and the largest; 0 for what is rounding."""
    most = float(np.abs(eigenvalues).max(initial=0.0))
    ends = (float(number) for number in (eigenvalues[0], eigenvalues[-1]))
    least, largest = (f"{number:.3g}" if abs(number) > 1e-12 * most else "0" for number in ends)
    return least, largest


def _is_psd(eigenvalues: NDArray[np.floating]) -> bool:
    size = float(np.abs(eigenvalues).max(initial=0.0))
    return bool(eigenvalues.min(initial=0.0) >= -1e-10 * size)
