"""The objective f(θ): mean over cases of L(F(θ)), plus l2/2 |θ|²."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from rop.engines import DEFAULT_ENGINE, engine_named
from rop.engines.arrays import finite
from rop.errors import RopMemoryError, RopTypeError, RopValueError
from rop.graph import ancestors
from rop.losses import TableLoss
from rop.objective.definition import Definition, programs_of
from rop.objective.inputs import checked_batch, flat, real
from rop.objective.linearization import Linearization
from rop.objective.products import gradient
from rop.objective.saving import save_theta
from rop.objective.scipy import scipy_functions
from rop.ops.kernels import Array
from rop.programs.checkpointing import Checkpoints

# So many cases are predicted at once.
_AT_ONCE = 1024

_FLOATS = np.dtype(np.float64), np.dtype(np.float32)

# Longer than any graph: who asks for more has mistaken the argument for another.
_MOST_SEGMENTS = 10**6


class Objective(Definition):
    """f(θ) = (1/N) Σ_cases L(F(θ)) + l2/2 |θ|², for a graph F and a loss L (sec. 6).

    Parameters
    ----------
    z : Node
        The outputs of F. As much as possible of f should be in L: logits, not probabilities.
    loss : Loss, optional
        `SquaredError`, `SigmoidCrossEntropy`, `SoftmaxCrossEntropy` or `LossGraph`. If z is a
        scalar for one case, it may be left out: then f is the mean of z.
    l2 : float or mapping of str to float
        Strength of the penalty l2/2 |θ|²; or a strength for each parameter that has one, by its
        name, such as ``{"W1": 1e-4, "W2": 1e-4}`` to leave out the biases.
    params : sequence of Node, optional
        The parameters in the order in which they make up θ; by default those that z depends on, in
        the order of their creation. One that z does not depend on has gradient 0.
    hidden : sequence of Node
        Units that structural damping keeps from changing much, such as the states of an RNN
        (sec. 8.4); see `Linearization.ggnvp`. Where sequences end early, a mask m of 0 and 1 among
        the data frees the steps after the end: give ``m[i] * h``, or with the matching distance
        ``rop.tanh(m[i] * x)``, x being what h is the tanh of, ``h.parents[0]``.
    distance : {"squared", "matching"}
        How it measures their change: by the squared error of the activations, or by the loss that
        matches tanh or the sigmoid, for which (d∘s)'' = s' (erratum M47).

    Attributes
    ----------
    data_shapes : dict of str to tuple of int
        Shape for one case of each entry of a batch.
    output_shape : tuple of int
        Shape of z for one case.

    Raises
    ------
    RopTypeError
        If an argument is of the wrong type.
    RopValueError
        If z depends on no parameter, the loss does not fit z, two nodes share a name, or l2 is
        negative or not finite, or names no parameter.

    Examples
    --------
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> objective, objective.shapes
    (<Objective: SquaredError of (1,), 3 parameters in W1, b1>, {'W1': (1, 2), 'b1': (1,)})
    >>> batch = {"x": np.eye(2), "t": [[1.0], [0.0]]}
    >>> objective.value_and_gradient([3.0, 4.0, 0.0], batch)
    (5.0, array([1., 2., 3.]))
    """

    _linearization: type[Linearization] = Linearization  # what `linearize` makes

    def linearize(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None = None,
        engine: str = DEFAULT_ENGINE,
        dtype: DTypeLike | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> Linearization:
        """Run the forward sweep at θ and keep what the products need (sec. 7.1).

        Parameters
        ----------
        theta : array_like, (n,)
            The parameters; copied.
        batch : mapping of str to array_like
            (N, *shape) for each data node; copied.
        engine : {"numba", "numpy", "cuda", "cuda-tf32"}
            Engine that runs the programs; the last one may round products of float32 to TF32.
        dtype : dtype, optional
            float32 or float64; by default theta's own, float64 for integers.
        checkpoints : int or "sqrt", optional
            Into how many segments the forward sweep is cut; only their ends are kept, and each
            product recomputes the rest (sec. 7.1). "sqrt" is the number that needs the least
            memory, 0 keeps everything. By default everything is kept if it fits. There is no `hvp`
            with checkpoints.

        Returns
        -------
        Linearization

        Raises
        ------
        RopTypeError, RopValueError
            If an argument does not fit, with the name and the position of what does not.
        RopMemoryError
            If there is not enough memory for what is to be kept.
        """
        values, kind = self._theta(theta, dtype)
        arrays, cases = self._batch(batch, kind)
        whole = isinstance(checkpoints, int | np.integer) and not isinstance(checkpoints, bool)
        if (
            checkpoints is not None
            and checkpoints != "sqrt"
            and not (whole and 0 <= checkpoints <= _MOST_SEGMENTS)
        ):
            raise RopValueError(
                f"checkpoints: expected a number of segments up to {_MOST_SEGMENTS:,}, 'sqrt' or "
                f"None, got {checkpoints!r}"
            )
        segments: Checkpoints = "sqrt" if checkpoints == "sqrt" else int(checkpoints or 0)
        try:
            return self._linearization(self, values, arrays, cases, engine, segments)
        except RopMemoryError:
            if checkpoints is not None:
                raise
            return self._linearization(self, values, arrays, cases, engine, "sqrt")

    def value(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None = None,
        engine: str = DEFAULT_ENGINE,
        dtype: DTypeLike | None = None,
    ) -> float:
        """f(θ) alone: a forward sweep that keeps nothing; see `linearize` for the arguments.

        Returns
        -------
        float
            Infinite or NaN where the loss is, without an error: a line search may get there.
        """
        values, kind = self._theta(theta, dtype, must_be_finite=False)
        arrays, cases = self._batch(batch, kind)
        programs = programs_of(self)
        execution = engine_named(engine)(programs, cases, engine, kind, "value")
        try:
            execution.load(values, arrays, self._refuse_batch, programs.value_program)
            return self._mean(execution.losses(), cases, execution.theta)
        finally:
            execution.release()

    def gradient(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None = None,
        engine: str = DEFAULT_ENGINE,
        dtype: DTypeLike | None = None,
    ) -> NDArray[Any]:
        """∇f(θ) alone, by algorithm 1: it keeps less than `linearize`, which has the arguments.

        Returns
        -------
        ndarray, (n,)

        Raises
        ------
        RopTypeError, RopValueError
            If an argument does not fit, with the name and the position of what does not.
        RopMemoryError
            If there is not enough memory.
        """
        return self._differentiate(theta, batch, engine, dtype, value=False)[1]

    def value_and_gradient(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None = None,
        engine: str = DEFAULT_ENGINE,
        dtype: DTypeLike | None = None,
    ) -> tuple[float, NDArray[Any]]:
        """f(θ) and ∇f(θ) from one forward sweep; see `gradient`.

        Returns
        -------
        float
            f(θ), infinite or NaN where the loss is.
        ndarray, (n,)
            ∇f(θ).
        """
        return self._differentiate(theta, batch, engine, dtype, value=True)

    def _differentiate(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None,
        engine: str,
        dtype: DTypeLike | None,
        value: bool,
    ) -> tuple[float, NDArray[Any]]:
        values, kind = self._theta(theta, dtype)
        arrays, cases = self._batch(batch, kind)
        programs = programs_of(self)
        try:
            execution = engine_named(engine)(programs, cases, engine, kind, "gradient")
        except RopMemoryError:
            at = self._linearization(self, values, arrays, cases, engine, "sqrt")
            return at.value if value else np.nan, at.gradient()
        try:
            execution.load(values, arrays, self._refuse_batch)
            found = gradient(self, execution, "algorithm 1 with f" if value else "algorithm 1")
            return self._mean(execution.losses(), cases, values) if value else np.nan, found
        finally:
            execution.release()

    def outputs(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None = None,
        engine: str = DEFAULT_ENGINE,
        dtype: DTypeLike | None = None,
    ) -> NDArray[Any]:
        """F(θ) on cases whose targets need not be known; see `linearize` for the arguments.

        Parameters
        ----------
        theta : array_like, (n,)
            The parameters.
        batch : mapping of str to array_like
            (N, *shape) for each data node that z depends on; other entries are left unread.
        engine : str
            Engine that runs the forward sweep, on at most 1,024 cases at a time.
        dtype : dtype, optional
            float32 or float64.

        Returns
        -------
        ndarray, (N, *output shape)

        Raises
        ------
        RopTypeError, RopValueError
            If an argument does not fit.
        """
        values, kind = self._theta(theta, dtype)
        shapes = {str(d.name): d.shape for d in ancestors(self.z) if d.kind == "data"}
        if isinstance(batch, Mapping):
            batch = {name: array for name, array in batch.items() if name in shapes}
        arrays, cases = checked_batch(batch, shapes, kind, self._integers)
        programs = programs_of(self)
        pieces = []
        for start in range(0, cases, _AT_ONCE):
            rows = slice(start, min(start + _AT_ONCE, cases))
            piece = {name: array[rows] for name, array in arrays.items()}
            cases_here = rows.stop - start
            execution = engine_named(engine)(programs, cases_here, engine, kind, "outputs")
            try:
                execution.load(values, piece, self._refuse_not_finite, programs.outputs_program)
                pieces.append(execution.values(programs.a[self.z]))
            finally:
                execution.release()
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def predict(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None = None,
        engine: str = DEFAULT_ENGINE,
        dtype: DTypeLike | None = None,
    ) -> NDArray[Any]:
        """What the loss predicts from F(θ): probabilities or means; see `outputs`.

        Returns
        -------
        ndarray, (N, *output shape)

        Raises
        ------
        RopTypeError, RopValueError
            If an argument does not fit, or the loss predicts nothing.
        """
        if not isinstance(self.loss, TableLoss):
            raise RopTypeError(
                f"predict: {self.loss.name} does not say what it predicts; objective.outputs gives "
                "the outputs"
            )
        return self.loss.prediction(self.outputs(theta, batch, engine, dtype))

    def save(self, path: str | Path, theta: ArrayLike) -> None:
        """Write θ to a file, which `rop.load_theta` reads: .npz, an array for each parameter.

        Parameters
        ----------
        path : str or Path
            The file, such as "model.npz"; one of that name is replaced.
        theta : array_like, (n,)
            The parameters.

        Raises
        ------
        RopTypeError, RopValueError
            If theta does not fit.
        RopFileError
            If the file cannot be written.
        """
        save_theta(path, self, self._theta(theta, None)[0])

    def scipy(
        self, batch: Mapping[str, ArrayLike] | None = None, **options: Any
    ) -> dict[str, Callable[..., Any]]:
        """Functions for `scipy.optimize.minimize`: its arguments ``fun``, ``jac`` and ``hessp``.

        Parameters
        ----------
        batch : mapping of str to array_like
            The batch.
        **options
            Of `rop.objective.scipy.scipy_functions`.

        Returns
        -------
        dict of str to callable
            For ``minimize(x0=theta, method="trust-krylov", **objective.scipy(batch))``.
        """
        return scipy_functions(self, batch, **options)

    def _theta(
        self, theta: ArrayLike, dtype: DTypeLike | None, must_be_finite: bool = True
    ) -> tuple[Array, np.dtype[Any]]:
        given = flat(theta, self.n)
        try:
            kind = given.dtype if dtype is None else np.dtype(dtype)
        except TypeError as error:
            raise RopTypeError(f"dtype: expected float32 or float64, got: {error}") from None
        if dtype is None and given.dtype.kind in "iub":
            kind = _FLOATS[0]
        if kind not in _FLOATS:
            raise RopTypeError(f"theta: expected float32 or float64, got {kind}; pass dtype=")
        if given.shape != (self.n,):
            raise RopValueError(f"theta: expected shape ({self.n},), got {given.shape}")
        values = real("theta", given, kind)
        if must_be_finite:
            finite("theta", values, self._position)
        return values, kind

    def _batch(
        self, batch: Mapping[str, ArrayLike] | None, dtype: np.dtype[Any]
    ) -> tuple[dict[str, NDArray[Any]], int]:
        return checked_batch(batch, self.data_shapes, dtype, self._integers, self.loss.classes)
