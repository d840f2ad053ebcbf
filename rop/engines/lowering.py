"""From a step to loops over memory: what the engines share.

The axes of cases and directions become loops like all others; loops that walk memory as one are
merged; a nest that is a matrix product is recognised as one, so that BLAS can run it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product as grid
from math import prod

from rop.ops.expressions import Expression, traced_rows
from rop.ops.kernels import Call, Loops, Walk
from rop.ops.rules import Value
from rop.ops.walks import overlapping
from rop.programs.steps import Step

# Below so many multiplications a call of BLAS costs more than it saves.
_SMALLEST_GEMM = 512


@dataclass(frozen=True)
class Nest:
    """A nest of loops over a target and its operands, outermost loop first.

    Attributes
    ----------
    extents : tuple of int
        Length of each loop.
    strides : tuple of tuple of int
        For the target and each operand, the stride of each loop, in elements.
    gemm : bool
        Whether the last three loops are the m, n and k of a matrix product.
    adds : bool
        Whether some loop sums into the target.
    overlapping : tuple of int
        Loops to run one after another, lest others reach an element of the target twice.
    """

    extents: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    gemm: bool
    adds: bool
    overlapping: tuple[int, ...] = ()


def offset_of(value: Value, directions: int) -> int:
    """First element of a value that has a place of its own; blocks of θ hold all directions."""
    assert value.place is not None
    if value.per_direction and value.place.row is None:
        return value.place.offset * directions
    return value.place.offset


def row_expression(step: Step) -> Expression | None:
    """What a step computes of rows along the last axis, such as softmax; None if it does not.

    The target's and the operands' elements lie one after the other. An operand may be the same for
    all cases and directions.
    """
    target, operands = step.target, step.operands
    if not isinstance(step.kernel, Call) or not all(value.shape for value in operands):
        return None
    if any(v.place is not None and v.place.row is not None for v in (target, *operands)):
        return None
    shape, axes = operands[0].shape, (target.per_case, target.per_direction)
    own = {(value.per_case, value.per_direction) for value in operands}
    if any(value.shape != shape for value in operands) or own - {axes, (False, False)}:
        return None
    if axes not in own:
        return None
    expression = traced_rows(step.kernel.function, len(operands))
    if expression is None:
        return None
    result = {"full": shape, "one": (*shape[:-1], 1), "none": shape[:-1]}[expression.axes[-1]]
    return expression if target.shape == result else None


def nest(step: Step, cases: int, directions: int) -> Nest:
    """Lower a step of `Loops`, or without a kernel: then the nest fills the target."""
    values = (step.target, *step.operands)
    axes = tuple(_axes(value, directions) for value in values)
    if step.kernel is None:
        loops = Loops((step.target.size,), (Walk(0, (1,)),), "0")
    else:
        assert isinstance(step.kernel, Loops)
        loops = step.kernel
    return _nest(loops, axes, cases, directions)


def _axes(value: Value, directions: int) -> tuple[int, int]:
    """Strides of the axes of cases and of directions; 0 where the value does not have them."""
    row = value.size
    if value.place is not None and value.place.row is not None:
        row = value.place.row
    case = row * directions if value.per_direction else row
    return (case if value.per_case else 0, row if value.per_direction else 0)


@lru_cache(maxsize=4096)
def _nest(loops: Loops, axes: tuple[tuple[int, int], ...], cases: int, directions: int) -> Nest:
    dims = [
        (extent, tuple(axis[i] for axis in axes))
        for i, extent in enumerate((cases, directions))
        if any(axis[i] for axis in axes)
    ]
    for i, extent in enumerate(loops.extents):
        dims.append((extent, tuple(walk.strides[i] for walk in loops.walks)))
    dims = _merged([dim for dim in dims if dim[0] > 1])
    extents, target = [dim[0] for dim in dims], [dim[1][0] for dim in dims]
    serial = [dims[i] for i in overlapping(tuple(extents), tuple(target))]
    matrix = _matrix(dims) if len(axes) == 3 and not serial else None
    if matrix is None:
        dims.sort(key=lambda dim: (-sum(map(abs, dim[1])), -abs(dim[1][0])))
        if dims and min(dims[-1][1]) < 0:
            # Engines may count on an innermost loop that walks forwards.
            dims.append((1, (0,) * len(axes)))
    else:
        dims = [dim for dim in dims if dim not in matrix] + matrix
    inner = dims[-3:] if matrix else []
    adds = any(dim[1][0] == 0 and dim[0] > 1 for dim in dims if dim not in inner)
    return Nest(
        tuple(extent for extent, _ in dims),
        tuple(tuple(strides[i] for _, strides in dims) for i in range(len(axes))),
        matrix is not None,
        adds,
        tuple(i for i, dim in enumerate(dims) if dim in serial),
    )


_Dim = tuple[int, tuple[int, ...]]


def _merged(dims: list[_Dim]) -> list[_Dim]:
    """Join pairs of loops that walk every array as one longer loop would."""
    for i, (outer, outer_strides) in enumerate(dims):
        for j, (inner, strides) in enumerate(dims):
            if i != j and all(a == b * inner for a, b in zip(outer_strides, strides, strict=True)):
                rest = [dim for k, dim in enumerate(dims) if k not in (i, j)]
                return _merged([*rest, (outer * inner, strides)])
    return dims


def _matrix(dims: list[_Dim]) -> list[_Dim] | None:
    """The loops m, n, k of the largest matrix product t[m, n] += x[m, k] y[k, n], or None."""
    fitting = [
        [d for d in dims if d[1][absent] == 0 and all(d[1][i] for i in {0, 1, 2} - {absent})]
        or [(1, (0, 0, 0))]
        for absent in (2, 1, 0)
    ]
    for chosen in sorted(grid(*fitting), key=lambda mnk: -prod(dim[0] for dim in mnk)):
        (m, m_strides), (n, n_strides), (k, k_strides) = chosen
        if k == 1 or max(m, n) == 1 or m * n * k < _SMALLEST_GEMM:
            continue
        pairs = (
            ((m, m_strides[0]), (n, n_strides[0])),
            ((m, m_strides[1]), (k, k_strides[1])),
            ((k, k_strides[2]), (n, n_strides[2])),
        )
        if all(leading(*rows, *columns) for rows, columns in pairs):
            return [*chosen]
    return None


def leading(rows: int, row: int, columns: int, column: int) -> tuple[bool, int] | None:
    """How BLAS sees a matrix of so many rows and columns, with strides from one to the next.

    Whether its columns (not its rows) lie in one piece, and the leading dimension; None if BLAS
    cannot see it as a matrix.
    """
    if (column == 1 or columns == 1) and (rows == 1 or row >= columns):
        return False, row if rows > 1 else columns
    if (row == 1 or rows == 1) and (columns == 1 or column >= rows):
        return True, column if columns > 1 else rows
    return None
