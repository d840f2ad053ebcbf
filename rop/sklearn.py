"""Nets trained by HF as scikit-learn estimators, for pipelines and searches (extra ``sklearn``)."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop import hf, nets
from rop.engines import DEFAULT_ENGINE
from rop.errors import RopValueError
from rop.graph import ancestors, data
from rop.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError, TableLoss
from rop.objective.objective import Objective
from rop.support.arguments import check, named
from rop.support.constraints import Count, NotNegative, Real

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets, type_of_target
    from sklearn.utils.validation import (
        _check_sample_weight,
        check_is_fitted,
        column_or_1d,
        validate_data,
    )
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"rop.sklearn needs scikit-learn ({error}); install it with pip install 'rop[sklearn]'",
        name=error.name,
    ) from error

__all__ = ["HFClassifier", "HFRegressor"]


def __dir__() -> list[str]:
    # What completion offers: the public names alone.
    return __all__


Cases: TypeAlias = dict[str, NDArray[Any]]

# What is not checked where it is used.
_WANTED = {
    "max_iter": Count,
    "tol": NotNegative,
    "n_iter_no_change": Count,
    "validation_fraction": Annotated[float, Real(at_least=0, below=1)],
}


class HFEstimator(BaseEstimator):  # type: ignore[misc]
    """A feedforward net trained by HF; a subclass knows what its targets are."""

    @named
    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (50,),
        activation: nets.Activation = "tanh",
        *,
        l2: float = 1e-4,
        init: str = "glorot",
        recipe: hf.Recipe | str | None = None,
        max_iter: int = 100,
        tol: float = 1e-2,
        n_iter_no_change: int = 10,
        validation_fraction: float = 0.0,
        random_state: int | np.random.RandomState | None = None,
        engine: str = DEFAULT_ENGINE,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.l2 = l2
        self.init = init
        self.recipe = recipe
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.engine = engine
        self.verbose = verbose

    @abstractmethod
    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """Turn labels into targets, and set the number of outputs."""

    @property
    @abstractmethod
    def _loss(self) -> type[TableLoss]:
        """The loss of these targets."""

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the net.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, (N, features)
            The inputs; a sparse matrix is made dense. float32 is trained in float32, all else in
            float64.
        y : array_like, (N,) or (N, outputs)
            The labels or targets.
        sample_weight : array_like, (N,), optional
            A case of weight 2 counts like two cases, one of weight 0 does not count.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If data or parameters do not fit.

        Warns
        -----
        ConvergenceWarning
            If the loss still fell when ``max_iter`` iterations were done.
        """
        for name, wanted in _WANTED.items():
            check(type(self).__name__, name, getattr(self, name), wanted)
        X, y = self._checked(X, y, multi_output=True, y_numeric=isinstance(self, RegressorMixin))
        cases = {"x": _dense(X), "t": self._targets(_dense(y))}
        if sample_weight is not None:
            cases["w"] = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        random = check_random_state(self.random_state)
        objective = self._objective("w" in cases)
        theta = objective.init(self.init, seed=random.randint(2**31))
        train, held_out = self._split(cases, random)
        stalled = _stalled(self.tol, self.n_iter_no_change) if held_out is None else None
        self.result_ = hf.minimize(
            objective,
            theta,
            train,
            self.recipe,
            iterations=self.max_iter,
            validation=held_out,
            patience=None if held_out is None else self.n_iter_no_change,
            callback=stalled,
            progress=self.verbose,
            engine=self.engine,
            dtype=X.dtype,
        )
        self.theta_ = self.result_.theta
        self.n_iter_ = self.result_.nit
        if self.result_.reason == "iterations":
            warnings.warn(
                f"{type(self).__name__}: the loss still fell after max_iter={self.max_iter} "
                "iterations",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def objective(self) -> Objective:
        """Return the objective that `fit` minimised, without sample weights; its θ is ``theta_``.

        Returns
        -------
        Objective
            With the data "x" (features,) and "t" (outputs,): for `rop.explain`, `rop.check`, ...
        """
        check_is_fitted(self)
        return self._objective(weighted=False)

    def _objective(self, weighted: bool) -> Objective:
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=int)).tolist()
        _, z = nets.mlp([self.n_features_in_, *hidden, self.n_outputs_], self.activation)
        loss = self._loss(data("t", self.n_outputs_), data("w") if weighted else None)
        weights = [node for node in ancestors(z) if node.kind == "param" and len(node.shape) == 2]
        return Objective(z, loss, l2={str(W.name): self.l2 for W in weights})

    def _split(self, cases: Cases, random: np.random.RandomState) -> tuple[Cases, Cases | None]:
        """Split into the cases to train on and those held out, each with weights of mean 1."""
        parts = [np.arange(len(cases["x"]))]
        if self.validation_fraction:
            parts = train_test_split(
                *parts, test_size=self.validation_fraction, random_state=random
            )
        chosen = [{name: array[part] for name, array in cases.items()} for part in parts]
        for part in chosen:
            if "w" in part:
                if not part["w"].any():
                    raise RopValueError("sample_weight: all weights are 0")
                part["w"] = part["w"] / part["w"].mean()
        return chosen[0], chosen[1] if len(chosen) > 1 else None

    def _predicted(self, X: Any) -> NDArray[Any]:
        """What the loss predicts: means or probabilities, (N, outputs)."""
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        return self.objective().predict(self.theta_, {"x": _dense(X)}, self.engine)

    def _checked(self, *arrays: Any, **options: Any) -> Any:
        return validate_data(
            self, *arrays, accept_sparse="csr", dtype=[np.float64, np.float32], **options
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class HFClassifier(ClassifierMixin, HFEstimator):  # type: ignore[misc]
    """A feedforward net for classes, trained by Hessian-free optimization.

    Labels may be of any kind that scikit-learn takes: numbers, strings, or a matrix of zeros and
    ones if a case may have several labels at once.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Sizes of the hidden layers; () is a linear model.
    activation : str or callable
        Function of the hidden units: a key of `rop.nets.ACTIVATIONS`, or what makes a node of a
        node.
    l2 : float
        Strength of the penalty l2/2 |W|² on the weights, not the biases; added to the mean loss.
    init : str
        Where θ starts; see `rop.init`.
    recipe : rop.hf.Recipe or str, optional
        The settings of HF, or the name of a recipe such as "martens2010".
    max_iter : int
        Largest number of iterations of HF.
    tol : float
        Without held-out cases, stop when each of ``n_iter_no_change`` iterations in a row lowers f
        by less than this fraction of it.
    n_iter_no_change : int
        See ``tol`` and ``validation_fraction``.
    validation_fraction : float
        Fraction of the cases to hold out: training stops when ``n_iter_no_change`` iterations in a
        row bring no lower loss of theirs, and the θ with the lowest is kept. 0 trains on all cases.
    random_state : int, RandomState or None
        Of the first θ and of the held-out cases.
    engine : str
        Engine of the products: "numba", "numpy" or "cuda".
    verbose : bool
        Show a line of progress.

    Attributes
    ----------
    classes_ : ndarray
        The labels.
    theta_ : ndarray, (n,)
        The parameters; ``objective().unpack(theta_)`` gives them by name.
    result_ : rop.hf.Result
        How the run went: every decision of every iteration.
    n_iter_ : int
        Number of iterations.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> from rop.sklearn import HFClassifier
    >>> HFClassifier(random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest labels.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, (N, features)
            The inputs.

        Returns
        -------
        ndarray, (N,), or of 0 and 1 of shape (N, labels)
        """
        p = self.predict_proba(X)
        if self.multilabel_:
            return (p > 0.5).astype(int)
        labels: NDArray[Any] = self.classes_[p.argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probabilities of the labels.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, (N, features)
            The inputs.

        Returns
        -------
        ndarray, (N, labels)
            In the order of ``classes_``.
        """
        return self._predicted(X)

    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        check_classification_targets(y)
        self.multilabel_ = type_of_target(y) == "multilabel-indicator"
        if self.multilabel_:
            self.classes_ = np.arange(y.shape[1])
            labels = y
        else:
            self.classes_, labels = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        self.n_outputs_ = len(self.classes_)
        return labels

    @property
    def _loss(self) -> type[TableLoss]:
        return SigmoidCrossEntropy if self.multilabel_ else SoftmaxCrossEntropy

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class HFRegressor(MultiOutputMixin, RegressorMixin, HFEstimator):  # type: ignore[misc]
    """A feedforward net for numbers, trained by Hessian-free optimization on the squared error.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Sizes of the hidden layers; () is a linear model.
    activation : str or callable
        Function of the hidden units: a key of `rop.nets.ACTIVATIONS`, or what makes a node of a
        node.
    l2 : float
        Strength of the penalty l2/2 |W|² on the weights, not the biases; added to half the mean
        squared error.
    init : str
        Where θ starts; see `rop.init`.
    recipe : rop.hf.Recipe or str, optional
        The settings of HF, or the name of a recipe such as "martens2010".
    max_iter : int
        Largest number of iterations of HF.
    tol : float
        Without held-out cases, stop when each of ``n_iter_no_change`` iterations in a row lowers f
        by less than this fraction of it.
    n_iter_no_change : int
        See ``tol`` and ``validation_fraction``.
    validation_fraction : float
        Fraction of the cases to hold out: training stops when ``n_iter_no_change`` iterations in a
        row bring no lower loss of theirs, and the θ with the lowest is kept. 0 trains on all cases.
    random_state : int, RandomState or None
        Of the first θ and of the held-out cases.
    engine : str
        Engine of the products: "numba", "numpy" or "cuda".
    verbose : bool
        Show a line of progress.

    Attributes
    ----------
    theta_ : ndarray, (n,)
        The parameters; ``objective().unpack(theta_)`` gives them by name.
    result_ : rop.hf.Result
        How the run went: every decision of every iteration.
    n_iter_ : int
        Number of iterations.

    Examples
    --------
    >>> X = np.linspace(-3, 3, 200)[:, None]
    >>> from rop.sklearn import HFRegressor
    >>> HFRegressor(10, random_state=0).fit(X, np.sin(X[:, 0])).score(X, np.sin(X[:, 0])) > 0.99
    True
    """

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted numbers.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, (N, features)
            The inputs.

        Returns
        -------
        ndarray, (N,) or (N, outputs)
            As the targets were given.
        """
        means = self._predicted(X)
        return means[:, 0] if self.single_output_ else means

    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        self.single_output_ = y.ndim == 1
        targets = y.reshape(len(y), -1)
        self.n_outputs_ = targets.shape[1]
        return targets

    @property
    def _loss(self) -> type[TableLoss]:
        return SquaredError


def _stalled(tol: float, patience: int) -> Callable[[hf.Iteration, NDArray[Any]], None]:
    """Return a callback that ends the run after so many iterations that hardly lower f."""
    in_a_row = 0

    def look(it: hf.Iteration, theta: NDArray[Any]) -> None:
        nonlocal in_a_row
        fell = it.f_before - it.f_after > tol * abs(it.f_after)
        in_a_row = 0 if fell else in_a_row + 1
        if in_a_row == patience:
            raise StopIteration

    return look


def _dense(X: Any) -> NDArray[Any]:
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X)
