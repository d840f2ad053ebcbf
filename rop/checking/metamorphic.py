"""Identities of every graph: other batches, blocks of directions, engines and precisions."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from rop.checking.lines import Array, norm, relative_difference
from rop.checking.report import Identity
from rop.checking.session import Session
from rop.engines import DEFAULT_ENGINE
from rop.losses import LossGraph, SoftmaxCrossEntropy
from rop.objective.diagonals import loss_weight
from rop.objective.linearization import Linearization, products_of
from rop.objective.objective import Objective

Batch = Mapping[str, npt.NDArray[np.generic]]

# Relative difference of two float64 computations whose sums run in another order.
REORDERED = 1e-8
# A product of ones with softmax's L'', relative to that of other vectors.
NULL = 1e-12
# Per unit of the direction, a product below which it may be the rounding residue of zero.
RESIDUE, SINGLE_RESIDUE = 1e-7, 1e-4
# float32 against float64, beside a hundred times what rounding the inputs changes.
SINGLE = 1e-2
EPSILON = 2.0**-53
# Relative rounding of an input to float32.
SINGLE_ROUNDING = 2.0**-24
# Elements of the per-case gradients up to which they are worth their memory.
PER_CASE_ELEMENTS = 10_000_000


def hold_identities(
    objective: Objective, theta: Array, batch: Batch, engine: str, session: Session
) -> list[Identity]:
    """Evaluate every identity that the objective allows.

    Parameters
    ----------
    objective : Objective
    theta : (n,)
    batch : mapping of str to arrays
    engine : str
    session : Session
        Gives random directions, and the sizes below which a product has vanished.

    Returns
    -------
    list of Identity
        With infinite error where the computation raised.
    """
    identities = []
    for name, allowed, compute in _Identities(objective, theta, batch, engine, session):
        try:
            error = compute()
        except Exception as failure:
            name += f" ({type(failure).__name__}: {failure})"
            error = np.inf
        identities.append(Identity(name, "pass" if error <= allowed else "fail", error, allowed))
    return identities


class _Identities:
    """The identities of one objective: name, relative error allowed, and how to compute it."""

    def __init__(
        self, objective: Objective, theta: Array, batch: Batch, engine: str, session: Session
    ) -> None:
        self.objective, self.theta, self.batch, self.engine = objective, theta, batch, engine
        self.rng = session.rng
        scale = session.points[0].scale
        self.V = scale[:, None] * session.rng.standard_normal((objective.n, 3))
        # What has all but vanished differs by the rounding of what it is made from.
        self.unit = norm(self.V[:, 0])
        self.floors = {
            name: max(1e-3 * sizes.reference, RESIDUE * self.unit)
            for name, sizes in session.sizes.items()
        }
        self.at = objective.linearize(theta, batch, engine)
        self.found: dict[str, Array] = {}

    def __iter__(self) -> Iterator[tuple[str, float, Callable[[], float]]]:
        at = self.at
        yield "repeated in another order", 0.0, self.another_order
        if self.batch:
            yield "duplicated batch", REORDERED, self.duplicated
        if at.cases > 1:
            yield "parts of the batch", REORDERED, self.of_parts
        for name in ("jvp", "vjp", "loss_hvp", "ggnvp", "hvp"):
            yield f"{name} of a block", REORDERED, partial(self.of_a_block, name)
        other = "numpy" if self.engine == "numba" else DEFAULT_ENGINE
        if other != self.engine:
            yield f"{other} engine", REORDERED, lambda: self.other_engine(other)
        if at.cases * at.n <= PER_CASE_ELEMENTS:
            yield "mean of per-case gradients", REORDERED, self.per_case
        if isinstance(self.objective.loss, SoftmaxCrossEntropy):
            yield "shift of softmax", NULL, self.softmax_shift
        yield "float32", SINGLE, self.single

    def products(self, at: Linearization) -> dict[str, Array]:
        v = self.V[:, 0]
        return {
            "hvp": at.hvp(v),
            "value": np.array([at.value]),
            "ggnvp": at.ggnvp(v),
            "gradient": at.gradient(),
        }

    def difference(self, other: Mapping[str, Array]) -> float:
        if not self.found:
            self.found = self.products(self.at)
        errors = self.differences(other)
        if max(errors.values()) > REORDERED:
            # At weights so large that the net is chaotic, no order of sums is better than another.
            theta = self.theta * (1 + EPSILON * self.rng.standard_normal(self.theta.shape))
            nearby = self.objective.linearize(theta, self.batch, self.engine)
            rounding = self.differences(self.products(nearby))
            return max(error - 100 * rounding[name] for name, error in errors.items())
        return max(errors.values())

    def differences(self, other: Mapping[str, Array]) -> dict[str, float]:
        return {
            name: relative_difference(
                self.found[name], product, self.floors.get(name, RESIDUE * self.unit)
            )
            for name, product in other.items()
        }

    def another_order(self) -> float:
        at, v = self.at, self.V[:, 0]
        return self.difference({"gradient": at.gradient(), "ggnvp": at.ggnvp(v), "hvp": at.hvp(v)})

    def duplicated(self) -> float:
        twice = {name: np.concatenate([array, array]) for name, array in self.batch.items()}
        return self.difference(
            self.products(self.objective.linearize(self.theta, twice, self.engine))
        )

    def of_parts(self) -> float:
        """The whole against the mean over two parts, weighted by their numbers of cases."""
        middle = max(1, self.at.cases // 3)
        total: dict[str, Array] = {}
        for rows in (slice(0, middle), slice(middle, None)):
            part = {name: array[rows] for name, array in self.batch.items()}
            here = self.objective.linearize(self.theta, part, self.engine)
            for name, product in self.products(here).items():
                share = here.cases / self.at.cases * product
                total[name] = total[name] + share if name in total else share
        if isinstance(self.objective.loss, LossGraph) and not self.objective.z.per_case:
            # Outputs that all cases share have one L'', whose convexification is not linear.
            del total["ggnvp"]
        return self.difference(total)

    def of_a_block(self, name: str) -> float:
        """K directions in one sweep against one at a time."""
        block = self.V
        if name in ("vjp", "loss_hvp"):
            block = self.rng.standard_normal((*self.at.outputs.shape, self.V.shape[1]))
        product = getattr(self.at, name)
        columns = [product(np.ascontiguousarray(block[..., k])) for k in range(block.shape[-1])]
        floor = self.floors.get(name, RESIDUE * self.unit)
        return relative_difference(product(block), np.stack(columns, axis=-1), floor)

    def other_engine(self, engine: str) -> float:
        return self.difference(
            self.products(self.objective.linearize(self.theta, self.batch, engine))
        )

    def per_case(self) -> float:
        mean = self.at.per_case_gradients().mean(axis=0)
        return self.difference({"gradient": mean + self.objective.penalty * self.theta})

    def softmax_shift(self) -> float:
        ones = np.ones_like(self.at.outputs)
        product = self.at.loss_hvp(ones) * self.at.cases
        size = float(np.abs(loss_weight(products_of(self.at))).max()) or 1.0
        return norm(product) / norm(ones) / size

    def single(self) -> float:
        """float32 against float64, less what rounding its inputs explains.

        At a saturated θ float32 may lose every digit; then a smaller θ may vouch for it.
        """
        return min(self.single_at(self.theta), self.single_at(0.1 * self.theta))

    def single_at(self, theta: Array) -> float:
        theta = theta.astype(np.float32).astype(np.float64)
        batch = {name: np.asarray(array, np.float32) for name, array in self.batch.items()}
        double, single = (
            self.products(self.objective.linearize(theta, batch, self.engine, dtype))
            for dtype in (None, np.float32)
        )
        least = SINGLE_RESIDUE * self.unit
        floors = {name: max(self.floors.get(name, least), least) for name in double}
        rounding = dict.fromkeys(double, 0.0)
        for _ in range(3):
            nearby = theta * (1 + SINGLE_ROUNDING * self.rng.standard_normal(theta.shape))
            moved = self.products(self.objective.linearize(nearby, batch, self.engine))
            for name, product in double.items():
                change = relative_difference(product, moved[name], floors[name])
                rounding[name] = max(rounding[name], change)
        return max(
            relative_difference(product, single[name].astype(np.float64), floors[name])
            - 100 * rounding[name]
            for name, product in double.items()
        )
