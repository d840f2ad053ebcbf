"""The user's functions at one θ: their values there, and lines along which to difference them."""

from collections.abc import Callable, Mapping

import numpy as np

from rop.checking.calls import CallFailed, Fault, Guarded
from rop.checking.directions import Blocks
from rop.checking.lines import Array, Line, Noise, OutsideDomain, entry_scales
from rop.checking.noise import measure_noise, shaken
from rop.checking.policy import EPSILON, coarsest

OF_OUTPUTS = ("loss", "loss_gradient", "loss_hvp")


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
    blocks : dict
        Name -> slice of θ.
    l2 : float or (n,)
        Coefficient of |θ|²/2 in f, in units of f; or one for each element of θ.
    rng : numpy.random.Generator
    lines : int
        Lines along which noise is measured.
    """

    def __init__(
        self,
        functions: Mapping[str, Guarded],
        broken: Mapping[str, Fault],
        index: int,
        theta: Array,
        blocks: Blocks,
        l2: float | Array,
        rng: np.random.Generator,
        lines: int = 3,
    ) -> None:
        self.functions, self.broken, self.index = functions, broken, index
        self.theta, self.blocks, self.l2, self.rng = theta, blocks, l2, rng
        self.lines = lines
        self.scale = entry_scales(theta, list(blocks.values()))
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
    def output_scale(self) -> Array:
        """Sizes of the entries of z."""
        return self._once("output_scale", lambda: entry_scales(self.outputs))

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

    def product(self, name: str, vector: Array) -> Array:
        """The product called `name`, such as "jvp", with a vector."""
        shape: tuple[int, ...] | None = (self.n,)
        if name in ("jvp", "loss_hvp"):
            shape = self.outputs.shape if self._has_outputs else None
        return self.functions[name](self.origin(name), vector, shape=shape)

    def origin(self, name: str) -> Array:
        """What a function is called at: θ, or z = F(θ)."""
        return self.outputs if name in OF_OUTPUTS else self.theta

    def random_vector(self, name: str) -> Array:
        """A Gaussian vector in the space that a product acts on."""
        if name == "vjp":
            known = self._has_outputs
            given = self.outputs if known else self.product("jvp", self.random_vector("jvp"))
            return self.rng.standard_normal(given.shape)
        scale = self.output_scale if name in OF_OUTPUTS else self.scale
        return np.asarray(scale * self.rng.standard_normal(scale.shape))

    def shaken(self, epsilon: float, rng: np.random.Generator, seed: int) -> "Point":
        """The same point with θ changed in its last digits, for the noise of products."""
        theta = shaken(self.theta, epsilon, seed)
        return Point(self.functions, self.broken, self.index, theta, self.blocks, self.l2, rng)

    def line(
        self,
        key: object,
        function: Callable[[Array], Array],
        sources: tuple[str, ...],
        direction: Array,
        origin: Array | None = None,
    ) -> Line:
        """`function` along a direction from θ, or from z.

        Parameters
        ----------
        key : hashable
            Lines of one key share the noise, which is measured once it is needed.
        function : callable
            Array shaped like the origin -> array.
        sources : tuple of str
            The user's functions inside it, whose dtypes set the roundoff.
        direction : array
        origin : array, optional
            z, if not θ.
        """
        start, scale = self.theta, self.scale
        if origin is not None:
            start, scale = origin, self.output_scale

        def flat(displaced: Array) -> Array:
            try:
                return np.asarray(function(displaced)).reshape(-1)
            except CallFailed as failure:
                if failure.fault.kind in ("dtype", "shape"):
                    raise
                raise OutsideDomain(str(failure)) from failure

        def noise() -> Noise:
            if key not in self._noises:
                epsilon = EPSILON[coarsest([self.functions[name].precision for name in sources])]
                self._noises[key] = measure_noise(flat, start, scale, epsilon, self.rng, self.lines)
            return self._noises[key]

        return Line(flat, start, direction, noise, scale)

    @property
    def _has_outputs(self) -> bool:
        return "outputs" in self.functions and "outputs" not in self.broken

    def _once(self, name: str, compute: Callable[[], Array]) -> Array:
        if name not in self._values:
            self._values[name] = compute()
        return self._values[name]
