"""An objective's loss as a function of the outputs alone, to be differenced anywhere."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rop.checking.lines import Array
from rop.graph import Node, ancestors, data, param
from rop.losses import LossGraph
from rop.objective.linearization import Linearization, products_of
from rop.objective.objective import Objective
from rop.programs.loss import Loss


class LossAlone:
    """L(z), ∇L(z) and L''(z) w of an objective, with the network cut off.

    Parameters
    ----------
    objective : Objective
    batch : mapping of str to arrays
    engine : str

    Attributes
    ----------
    convexify : str or None
        What the objective's Gauss-Newton matrix uses instead of L'' (sec. 6.3).
    """

    def __init__(
        self, objective: Objective, batch: Mapping[str, npt.ArrayLike], engine: str
    ) -> None:
        z, loss = objective.z, objective.loss
        taken = {*objective.data_shapes, *objective.shapes}
        self._name = _free("z", taken)
        self._per_case = z.per_case
        shift = param(_free("shift", taken | {self._name}), z.shape)
        leaf = data(self._name, z.shape) + shift if z.per_case else shift
        self.convexify: str | None = None
        raw: Loss = loss
        convex: Loss = loss
        if isinstance(loss, LossGraph):
            node = _replace(loss.node, z, leaf)
            self.convexify = loss.convexify
            raw, convex = LossGraph(node), LossGraph(node, loss.convexify)
        self._objectives = {False: Objective(leaf, raw), True: Objective(leaf, convex)}
        self._size = int(np.prod(z.shape))
        self._batch = {
            name: array
            for name, array in batch.items()
            if name in self._objectives[False].data_shapes
        }
        self._engine = engine

    def value(self, z: Array) -> float:
        """L(z)."""
        return self._at(z).value

    def gradient(self, z: Array) -> Array:
        """∇L(z)."""
        return self._at(z).loss_gradient()

    def hvp(self, z: Array, w: Array) -> Array:
        """L''(z) w, of the true L''."""
        return self._at(z).loss_hvp(w)

    def convex_hvp(self, z: Array, w: Array) -> Array:
        """The product that stands for L'' w in G."""
        return self._at(z, convex=True).loss_hvp(w)

    def correction(self, z: Array, w: Array) -> Array:
        """What convexification must add to L'' w, from the eigenvalues of each case's true L''."""
        hessians = products_of(self._at(z)).loss_hessians()
        eigenvalues, vectors = np.linalg.eigh((hessians + hessians.swapaxes(1, 2)) / 2)
        flat = w.reshape(len(w), -1, 1)
        if self.convexify == "shift":
            added = np.maximum(0.0, -eigenvalues[:, :1, None]) * flat
        else:
            inside = vectors.swapaxes(1, 2) @ flat
            added = vectors @ (np.maximum(0.0, -eigenvalues)[:, :, None] * inside)
        result: Array = added.reshape(w.shape)
        return result

    def _at(self, z: Array, convex: bool = False) -> Linearization:
        objective = self._objectives[convex]
        if self._per_case:
            batch = {**self._batch, self._name: z}
            return objective.linearize(np.zeros(self._size), batch, self._engine)
        return objective.linearize(z.ravel(), self._batch, self._engine)


def _replace(node: Node, old: Node, new: Node) -> Node:
    """The node with another in place of one that it depends on."""
    replaced = {old: new}
    for ancestor in ancestors(node):
        if ancestor not in replaced:
            parents = tuple(replaced.get(parent, parent) for parent in ancestor.parents)
            if parents != ancestor.parents:
                replaced[ancestor] = Node(ancestor.op, parents, ancestor.shape)
    return replaced.get(node, node)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
