"""The rules of one node, held against each other at the values that its parents have (sec. 5).

R against central differences of the value; the reverse rule against R by an inner product; the
curvature rule against central differences of the reverse rule. Which of the three fail tells which
rule is wrong.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from rop.checking.eager import Eager, Known, array_of
from rop.checking.lines import Array
from rop.checking.outcomes import TRIES, Outcome, against_differences, is_single, worst
from rop.checking.policy import Judgement
from rop.checking.truths import DOT
from rop.graph import Node, Shape
from rop.ops.families import Elementwise
from rop.ops.op import Op
from rop.ops.rules import State, Target

R_TEST, REVERSE_TEST, CURVATURE_TEST = (
    "R against differences of the value",
    "reverse against R, by the dot test",
    "curvature against differences of reverse",
)


class LocalRules:
    """One node's four rules as functions of arrays, apart from the rest of the graph.

    Parameters
    ----------
    node : Node
    a : dict of Node to Value
        Values of its parents and its own, with their arrays.
    active : collection of Node
        Nodes that depend on a parameter: the others have neither R nor adjoint.
    cases : int
        N.
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        node: Node,
        a: State,
        active: Collection[Node],
        cases: int,
        rng: np.random.Generator,
    ) -> None:
        assert isinstance(node.op, Op)
        self.node, self.op, self.cases, self.rng = node, node.op, cases, rng
        self.z = [array_of(a[parent]) for parent in node.parents]
        self.a = array_of(a[node])
        moving = [i for i, parent in enumerate(node.parents) if parent in active]
        self.slots = [i for i in moving if i not in node.op.fixed]
        # Stand-ins, so that the two operands of x * x have adjoints of their own.
        self._own = _stand_in(node)
        self._parents = [_stand_in(parent) for parent in node.parents]

    def value(self, z: Sequence[Array]) -> Array:
        """a from z."""
        target = Target(State(), self._own, "")
        emit = self._begin("value")
        self.op.value(emit, target, [Known(z_i) for z_i in z])
        emit.end(target)
        return self._array(target.state, self._own)

    def R(self, Rz: Mapping[int, Array]) -> Array:
        """Ra from the directions of some of the parents."""
        target = Target(State(), self._own, "R")
        z, directions = [Known(z_i) for z_i in self.z], self._optional(Rz)
        self.op.R(self._begin("R"), target, Known(self.a), z, directions)
        return self._array(target.state, self._own)

    def reverse(self, z: Sequence[Array], a: Array, da: Array) -> list[Array]:
        """dz of every active slot from da, at given z and a."""
        targets = self._targets()
        self.op.reverse(
            self._begin("reverse"), Known(da), Known(a), [Known(z_i) for z_i in z], targets
        )
        return self._collected(targets)

    def curvature(self, Rz: Mapping[int, Array], da: Array) -> list[Array]:
        """Rdz of every active slot."""
        targets = self._targets()
        z = [Known(z_i) for z_i in self.z]
        self.op.curvature(
            self._begin("curvature"), Known(da), Known(self.a), z, self._optional(Rz), targets
        )
        return self._collected(targets)

    def flat(self, slots: Sequence[int]) -> Array:
        """The values of some operands, one after the other."""
        return flattened([self.z[i] for i in slots])

    def moved(self, slots: Sequence[int], flat: Array) -> list[Array]:
        """All operands, those of some slots taken from a flat vector."""
        z, start = list(self.z), 0
        for i in slots:
            z[i] = flat[start : start + z[i].size].reshape(z[i].shape)
            start += z[i].size
        return z

    # Comparisons

    def test_R(self, slots: Sequence[int]) -> Outcome:
        """R against central differences of the value."""

        def once() -> Judgement:
            Rz = self._directions(slots)

            def displaced(flat: Array) -> Array:
                return self.value(self.moved(slots, flat)).ravel()

            direction = flattened([Rz[i] for i in slots])
            return against_differences(displaced, self.flat(slots), direction, self.R(Rz).ravel())

        return worst(once)

    def test_reverse(self, slots: Sequence[int]) -> Outcome:
        """<u, J v> = <Jᵀu, v>."""
        outcomes = []
        for _ in range(TRIES):
            Rz, da = self._directions(slots), self.rng.standard_normal(self.a.shape)
            dz = dict(zip(self.slots, self.reverse(self.z, self.a, da), strict=True))
            Ra = self.R(Rz)
            scale = np.linalg.norm(da) * np.linalg.norm(Ra)
            scale += sum(np.linalg.norm(dz[i]) * np.linalg.norm(Rz[i]) for i in slots)
            difference = np.vdot(da, Ra) - sum(np.vdot(dz[i], Rz[i]) for i in slots)
            error = float(abs(difference) / scale) if scale > 0 else 0.0
            length = da.size + sum(self.z[i].size for i in slots)
            wrong = not np.isfinite(error) or error > DOT * np.sqrt(length)
            outcomes.append(Outcome(error, bool(wrong), not wrong))
        return max(outcomes, key=lambda o: (o.wrong, o.error))

    def test_curvature(self, slots: Sequence[int]) -> Outcome:
        """Curvature against differences of reverse, with a moved as R says: no value is asked."""

        def once() -> Judgement:
            Rz, da = self._directions(slots), self.rng.standard_normal(self.a.shape)
            Ra = self.R(Rz)
            flat_z = self.flat(slots)
            # One more coordinate holds how far along the line a point is, for a to follow.
            origin = np.append(flat_z, 0.0)
            direction = np.append(flattened([Rz[i] for i in slots]), 1.0)

            def displaced(point: Array) -> Array:
                a = self.a + point[-1] * Ra
                return flattened(self.reverse(self.moved(slots, point[:-1]), a, da))

            product = flattened(self.curvature(Rz, da))
            return against_differences(displaced, origin, direction, product)

        return worst(once)

    def rounded_rules(self) -> list[str]:
        """Rules whose results are float32 numbers although they are given float64 ones."""
        z = [z_i + 1e-3 * self.rng.standard_normal(z_i.shape) for z_i in self.z]
        Rz, da = self._directions(self.slots), self.rng.standard_normal(self.a.shape)
        results = {
            "value": [self.value(z)],
            "R": [self.R(Rz)],
            "reverse": self.reverse(self.z, self.a, da),
            "curvature": self.curvature(Rz, da),
        }
        return [rule for rule, arrays in results.items() if any(map(is_single, arrays))]

    def curved(self) -> bool:
        """Whether the curvature rule gives anything but zero."""
        Rz, da = self._directions(self.slots), self.rng.standard_normal(self.a.shape)
        return any(part.any() for part in self.curvature(Rz, da))

    def _directions(self, slots: Sequence[int]) -> dict[int, Array]:
        return {i: self.rng.standard_normal(self.z[i].shape) for i in slots}

    def _optional(self, Rz: Mapping[int, Array]) -> list[Known | None]:
        return [Known(Rz[i]) if i in Rz else None for i in range(len(self.z))]

    def _targets(self) -> list[Target | None]:
        return [
            Target(State(), stand_in, "d") if i in self.slots else None
            for i, stand_in in enumerate(self._parents)
        ]

    def _collected(self, targets: Sequence[Target | None]) -> list[Array]:
        return [self._array(t.state, t.node) for t in targets if t is not None]

    def _array(self, state: State, node: Node) -> Array:
        """What a rule gave, or zeros if it gave nothing."""
        if node in state:
            return array_of(state[node])
        return np.zeros((self.cases if node.per_case else 1, *node.shape))

    def _begin(self, rule: str) -> Eager:
        emit = Eager(self.cases, {parent: f"z{i}" for i, parent in enumerate(self.node.parents)})
        emit.begin(self.node, rule)
        return emit


def guilty_rule(rules: LocalRules, R: Outcome, reverse: Outcome, curvature: Outcome) -> str:
    """Name the one rule that explains which comparisons fail; "" if none does.

    | R against value | reverse against R | curvature against reverse | guilty    |
    |-----------------|-------------------|---------------------------|-----------|
    | wrong           | wrong             |                           | R         |
    | wrong           | right             | not right                 | s'        |
    | wrong           | right             | right                     | value     |
    | right           | wrong             |                           | reverse   |
    | right           | right             | wrong                     | curvature |

    Parameters
    ----------
    rules : LocalRules
    R, reverse, curvature : Outcome

    Returns
    -------
    str
        "value", "R", "reverse", "s'" (R and reverse share it), "curvature" or "".
    """
    if R.wrong and reverse.wrong:
        return "R"
    if R.wrong:
        # Where s' is constant the curvature cannot speak for it, and the value is the definition.
        elementwise = isinstance(rules.op, Elementwise)
        return "value" if curvature.right and (rules.curved() or not elementwise) else "s'"
    if reverse.wrong:
        return "reverse"
    return "curvature" if curvature.wrong else ""


def flattened(arrays: Sequence[Array]) -> Array:
    """The elements of some arrays, one after the other."""
    return np.concatenate([array.ravel() for array in arrays]) if arrays else np.empty(0)


def _stand_in(node: Node) -> Node:
    shape: Shape = node.shape
    stand_in = Node(None, (), shape)
    stand_in.per_case = node.per_case
    return stand_in
