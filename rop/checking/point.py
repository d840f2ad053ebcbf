"""The user's functions at one θ: their values there, and lines along which to difference them."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from rop.checking.calls import CallFailed, Fault, Guarded
from rop.checking.lines import Array, Line, Noise, OutsideDomain, measure_noise
from rop.checking.tolerance import EPSILON


def coarsest(precisions: Iterable[str]) -> str:
    """The coarsest of some precisions."""
    return "float32" if "float32" in set(precisions) else "float64"


class Point:
    """Values of the user's functions at θ, each computed once.

    Parameters
    ----------
    functions : dict
        Argument name -> `Guarded`.
    broken : dict
        Argument name -> `Fault` of those found to be useless so far.
    index : int
        0 for the caller's θ, 1 for the second one.
    theta : (n,)
    l2 : float or (n,)
        Coefficient of |θ|²/2 in f, in units of f; or one for each element of θ.
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        functions: Mapping[str, Guarded],
        broken: Mapping[str, Fault],
        index: int,
        theta: Array,
        l2: float | Array,
        rng: np.random.Generator,
    ) -> None:
        self.functions, self.broken, self.index = functions, broken, index
        self.theta, self.l2, self.rng = theta, l2, rng
        self._noises: dict[object, Noise] = {}
        self._values: dict[str, Array] = {}

    @property
    def n(self) -> int:
        """Number of parameters."""
        return self.theta.size

    @property
    def value(self) -> Array:
        """f(θ), shape ()."""
        return self._once("value", lambda: self.functions["value"](self.theta, shape=()))

    @property
    def outputs(self) -> Array:
        """z = F(θ), in the shape the user gave it."""
        return self._once("outputs", lambda: self.functions["outputs"](self.theta))

    @property
    def loss_gradient(self) -> Array:
        """∇L(z), shaped like z."""
        return self._once("loss_gradient", lambda: self.grad_loss(self.outputs))

    @property
    def gradient(self) -> Array:
        """∇f(θ)."""
        return self._once(
            "gradient", lambda: self.functions["gradient"](self.theta, shape=(self.n,))
        )

    def zero_residual_gradient(self, theta: Array) -> Array:
        """∇f at `theta` with the targets set to the predictions at this point's own θ."""
        return self.functions["zero_residual"](self.theta, theta, shape=(self.n,))

    def grad_loss(self, z: Array) -> Array:
        """∇L at any z."""
        return self.functions["loss_gradient"](z, shape=z.shape)

    def jvp(self, v: Array) -> Array:
        """Jv, shaped like z."""
        known = "outputs" in self.functions and "outputs" not in self.broken
        shape = self.outputs.shape if known else None
        return self.functions["jvp"](self.theta, v, shape=shape)

    def vjp(self, u: Array) -> Array:
        """Jᵀu."""
        return self.functions["vjp"](self.theta, u, shape=(self.n,))

    def loss_hvp(self, w: Array) -> Array:
        """L''w, shaped like z."""
        return self.functions["loss_hvp"](self.outputs, w, shape=self.outputs.shape)

    def ggnvp(self, v: Array) -> Array:
        """Gv."""
        return self.functions["ggnvp"](self.theta, v, shape=(self.n,))

    def hvp(self, v: Array) -> Array:
        """Hv."""
        return self.functions["hvp"](self.theta, v, shape=(self.n,))

    def product(self, name: str, vector: Array) -> Array:
        """The product of that name with a vector."""
        products: dict[str, Callable[[Array], Array]] = {
            "jvp": self.jvp,
            "vjp": self.vjp,
            "loss_hvp": self.loss_hvp,
            "ggnvp": self.ggnvp,
            "hvp": self.hvp,
        }
        return products[name](vector)

    def origin(self, name: str) -> Array:
        """What a function is called at: θ, or z = F(θ)."""
        return self.outputs if name in ("loss", "loss_gradient", "loss_hvp") else self.theta

    def random_vector(self, name: str) -> Array:
        """A Gaussian vector in the space that a product acts on."""
        shape = self.origin(name).shape
        if name == "vjp":
            known = "outputs" in self.functions and "outputs" not in self.broken
            given = self.outputs if known else self.jvp(self.rng.standard_normal(self.n))
            shape = given.shape
        return self.rng.standard_normal(shape)

    def line(
        self,
        key: object,
        function: Callable[[Array], Array],
        sources: tuple[str, ...],
        direction: Array,
        origin: Array | None = None,
    ) -> Line:
        """`function` along a direction from `origin` (default θ), with its noise measured once.

        Parameters
        ----------
        key : hashable
            Lines of one key share the noise.
        function : callable
            Array shaped like the origin -> array.
        sources : tuple of str
            The user's functions inside it, whose dtypes set the roundoff.
        direction, origin : arrays
        """
        start = self.theta if origin is None else origin

        def flat(displaced: Array) -> Array:
            try:
                return np.atleast_1d(function(displaced)).ravel()
            except CallFailed as failure:
                if failure.fault.kind in ("dtype", "shape"):
                    raise
                raise OutsideDomain(str(failure)) from failure

        if key not in self._noises:
            epsilon = EPSILON[coarsest(self.functions[name].precision for name in sources)]
            self._noises[key] = measure_noise(flat, start, epsilon, self.rng)
        return Line(flat, start, direction, self._noises[key])

    def _once(self, name: str, compute: Callable[[], Array]) -> Array:
        if name not in self._values:
            self._values[name] = compute()
        return self._values[name]
