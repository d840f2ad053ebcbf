"""What users hand over, checked and named in errors: arrays for products, nodes for objectives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.datasets.dataset import Dataset
from rop.engines.arrays import on_gpu
from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, Shape
from rop.losses import LossGraph
from rop.ops.elementwise import sigmoid, tanh
from rop.ops.kernels import Array
from rop.programs.loss import Loss
from rop.support.arguments import check
from rop.support.constraints import Real as Bounds
from rop.support.words import listed, misnamed

# Of penalties and dampings: with it products still fit into float32.
_LARGEST = 1e30


def check_strength(owner: str, name: str, value: float) -> None:
    """Raise RopError unless a penalty or damping is a number from 0 to 1e30."""
    if type(value) is not float or not 0.0 <= value <= _LARGEST:
        check(owner, name, value, Annotated[float, Bounds(at_least=0, at_most=_LARGEST)])


def real(name: str, values: ArrayLike, dtype: np.dtype[Any]) -> Array:
    """Make a C-contiguous array of a dtype; the array itself if it is one.

    Raises
    ------
    RopTypeError
        If the values are not real numbers (complex, strings, objects).
    """
    if _as_it_is(values, dtype):
        return values
    # What is too large for the dtype becomes inf, which is refused by name where it matters.
    with np.errstate(over="ignore"):
        return np.asarray(numbers(name, values), dtype=dtype, order="C")


def _as_it_is(values: Any, dtype: np.dtype[Any]) -> TypeGuard[Array]:
    """Whether engines can take the values as they are."""
    return type(values) is np.ndarray and values.dtype == dtype and values.flags.c_contiguous


def numbers(name: str, values: ArrayLike) -> Array:
    """Make an array of real numbers of any dtype; raises RopTypeError if they are not."""
    if type(values) is np.ndarray and values.dtype.kind in "fiub":
        return values
    if on_gpu(values):
        from rop.engines.cuda.arrays import fetched

        values = fetched(values)
    if isinstance(values, np.ma.MaskedArray):
        raise RopTypeError(
            f"{name}: got a masked array, and no product knows what to do with masked elements; "
            "fill them first (its method filled), or give them weight 0 in the loss"
        )
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise RopTypeError(f"{name}: expected an array of numbers, got: {error}") from None
    if array.dtype.kind not in "fiub":
        raise RopTypeError(
            f"{name}: expected real numbers, got dtype {array.dtype}; convert it first"
        )
    return array


def flat(theta: ArrayLike, n: int) -> Array:
    """Make an array of θ; raises RopTypeError that names `pack` if it is a mapping of names."""
    if isinstance(theta, Mapping):
        raise RopTypeError(
            f"theta: expected a vector of shape ({n},), got a mapping; write objective.pack(theta)"
        )
    return numbers("theta", theta)


def checked_batch(
    batch: Mapping[str, ArrayLike] | None,
    shapes: Mapping[str, Shape],
    dtype: np.dtype[Any],
    integers: Collection[str] = (),
    classes: str | None = None,
) -> tuple[dict[str, NDArray[Any]], int]:
    """Check a batch against the data nodes of a graph.

    Parameters
    ----------
    batch : mapping of str to array_like
        The batch: (N, *shape) for each data node.
    shapes : mapping of str to tuple of int
        Shapes of the data nodes for one case.
    dtype : dtype
        float32 or float64.
    integers : collection of str
        Names of the data nodes that hold integers.
    classes : str, optional
        Name of the data node for which there may be labels, (N, *shape[:-1]).

    Returns
    -------
    dict of str to ndarray
        C-contiguous arrays of the dtype; of labels, their one-hot vectors.
    int
        N, the number of cases; 1 for a graph without data.

    Raises
    ------
    RopTypeError
        If the batch is not a mapping, or holds something else than real numbers.
    RopValueError
        If names are missing or unknown, a shape does not fit, the numbers of cases differ or are 0;
        if a label is not one of a class.
    """
    if not isinstance(batch, Mapping | None):
        raise RopTypeError(
            f"batch: expected a mapping of {listed(shapes)} to arrays, got {type(batch).__name__}"
            + ("; give its .train or .test" if isinstance(batch, Dataset) else "")
        )
    given = batch or {}
    if given.keys() != shapes.keys():
        wrong = misnamed(shapes, given)
        raise RopValueError(f"batch: expected the entries {listed(shapes)}; {wrong}")
    arrays: dict[str, NDArray[Any]] = {}
    cases: int | None = None
    for name, shape in shapes.items():
        values = given[name]
        if name == classes and not _as_it_is(values, dtype):
            values = _one_hot(f"batch[{name!r}]", values, shape, dtype)
        array = real(f"batch[{name!r}]", values, dtype)
        if array.shape[1:] != shape or not array.ndim:
            expected = _of_cases(shape)
            if name == classes:
                expected += f", or integer labels of shape {_of_cases(shape[:-1])}"
            hint = "; the first axis is that of the cases" if array.shape == shape else ""
            got = f"{array.shape} of {np.asarray(values).dtype}" if name == classes else array.shape
            raise RopValueError(f"batch[{name!r}]: expected shape {expected}, got {got}{hint}")
        if cases is not None and len(array) != cases:
            counts = {key: np.shape(given[key])[0] for key in shapes if np.ndim(given[key])}
            raise RopValueError(f"batch: the numbers of cases differ: {counts}")
        cases = len(array)
        if cases == 0:
            raise RopValueError(f"batch[{name!r}]: no cases (N = 0); a mean needs at least one")
        if name in integers and not (array == np.rint(array)).all():
            raise RopValueError(
                f"batch[{name!r}]: expected integers, got {array[array != np.rint(array)][0]:g}"
            )
        arrays[name] = array
    return arrays, 1 if cases is None else cases


def _of_cases(shape: Shape) -> str:
    return f"({', '.join(['N', *map(str, shape)])})" if shape else "(N,)"


def _one_hot(name: str, values: ArrayLike, shape: Shape, dtype: np.dtype[Any]) -> ArrayLike:
    """One-hot vectors (N, *shape) of labels (N, *shape[:-1]); other values as they are."""
    if isinstance(values, np.ndarray) and values.dtype.kind not in "iu":
        return values
    labels = numbers(name, values)
    if labels.dtype.kind not in "iu" or labels.ndim != len(shape) or labels.shape[1:] != shape[:-1]:
        return values
    classes = shape[-1]
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        index = tuple(int(i) for i in np.argwhere(outside)[0])
        raise RopValueError(
            f"{name}: labels of {classes} classes are integers from 0 to {classes - 1}, got "
            f"{labels[index]} at [{', '.join(map(str, index))}]"
        )
    array = np.zeros((*labels.shape, classes), dtype)
    np.put_along_axis(array, labels[..., None], 1.0, axis=-1)
    return array


def checked_loss(z: Node, loss: Loss | None) -> Loss:
    """Return the loss, or z itself as one; raises RopError unless it is a loss of the outputs z."""
    if not isinstance(z, Node):
        raise RopTypeError(f"z: expected a node, got {type(z).__name__}")
    if isinstance(loss, Node):
        raise RopTypeError(
            "loss: a node is no loss by itself; write rop.LossGraph(node) for one that is a "
            "scalar for one case"
        )
    if isinstance(loss, type):
        raise RopTypeError(
            f"loss: {loss.__name__} is a class; write rop.{loss.__name__}(t), with the targets "
            't = rop.data("t", ...)'
        )
    if loss is None and not z.shape:
        loss = LossGraph(z)
    if loss is None:
        raise RopTypeError(
            f"loss: outputs of shape {z.shape} for one case need one, such as "
            "rop.SquaredError(t); only a scalar is an objective by itself"
        )
    if not isinstance(loss, Loss):
        raise RopTypeError(
            f"loss: expected a loss such as rop.SquaredError(t), got {type(loss).__name__}"
        )
    loss.fit(z)
    return loss


def checked_nodes(name: str, nodes: Iterable[Node]) -> list[Node]:
    """Return a list of nodes; raises RopTypeError that names the argument if it is none."""
    if isinstance(nodes, Node) or not isinstance(nodes, Iterable):
        raise RopTypeError(f"{name}: expected a list of nodes, got {nodes!r}")
    listed = list(nodes)
    for node in listed:
        if not isinstance(node, Node):
            raise RopTypeError(f"{name}: expected a list of nodes, got {node!r} in it")
    return listed


def checked_parameters(nodes: Iterable[Node], params: Iterable[Node] | None) -> list[Node]:
    """Return the parameters in θ's order; raises RopError if some of the nodes' are left out."""
    found = [node for node in nodes if node.kind == "param"]
    chosen = found if params is None else checked_nodes("params", params)
    for node in chosen:
        if node.kind != "param":
            raise RopTypeError(f"params: expected parameters, made by rop.param, got {node!r}")
    listed = set(chosen)
    left_out = [node.name for node in found if node not in listed]
    if left_out:
        raise RopValueError(f"params: z depends on {left_out} too; list every parameter")
    if not chosen:
        raise RopValueError("z depends on no parameter; make one with rop.param")
    return chosen


def refuse_duplicates(nodes: Iterable[Node]) -> None:
    """Raise RopValueError if two parameters or data nodes have one name."""
    names = [str(node.name) for node in nodes]
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise RopValueError(
            f"two different nodes are called {twice[0]!r}; give every parameter and data node a "
            "name of its own (to share a parameter, use its node twice)"
        )


def refuse_hidden(
    hidden: Iterable[Node], distance: str, moving: Collection[Node], per_case: bool
) -> None:
    """Raise RopValueError if structural damping makes no sense at one of the hidden nodes.

    `moving` are the nodes that depend on parameters; `per_case` is whether the outputs depend on
    data.
    """
    if distance not in ("squared", "matching"):
        raise RopValueError(f"distance: expected 'squared' or 'matching', got {distance!r}")
    for node in hidden:
        if node.op is None or node not in moving or node.per_case != per_case:
            raise RopValueError(
                f"hidden: expected nodes that depend on parameters, and on data if the outputs "
                f"do, got {node!r}"
            )
        if distance == "matching" and not isinstance(node.op, tanh.op | sigmoid.op):
            raise RopValueError(
                f"hidden: distance='matching' is for tanh and sigmoid units, got {node!r}; "
                "use distance='squared'"
            )
