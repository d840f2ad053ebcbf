"""The CUDA engine against the NumPy engine: run by the simulator (layer 1) and on a GPU (layer 3).

Not collected by its name: test_simulator.py and test_gpu.py say where it runs.
"""

import sys
import threading
from itertools import islice

import numpy as np
import pytest
from graphs import GRAPHS, graph

import rop
from rop.engines import cuda as engine
from rop.engines.cuda import driver, kernels, launches, memory
from rop.engines.cuda.cg import ConjugateGradient
from rop.engines.cuda.execution import DeviceExecution
from rop.engines.numpy import run
from rop.engines.planning import plan
from rop.hf import pcg
from rop.objective.definition import programs_of
from rop.objective.device_cg import cg_steps
from rop.programs.steps import Program

if driver.SIMULATED:
    from numba.cuda.simulator.kernelapi import FakeCUDAShared

    # Its threads hand over to each other at every barrier.
    sys.setswitchinterval(1e-5)
    one_by_one = threading.Lock()

    def shared_array(self, shape, dtype):
        """As the simulator's own, but two threads that ask at once get the same array."""
        frame = sys._getframe(1)
        with one_by_one:
            place = frame.f_code.co_filename, frame.f_lineno
            if place not in self._allocations:
                self._allocations[place] = np.empty(shape, np.dtype(dtype.name))
            return self._allocations[place]

    FakeCUDAShared.array = shared_array

PRODUCTS = ("gradient", "jvp", "vjp", "loss_hvp", "ggnvp", "hvp", "rows", "squares")
RELATIVE = {"float64": 1e-12, "float32": 2e-5}


def close(found, expected, dtype, what):
    assert found.shape == expected.shape and found.dtype == np.dtype(dtype), what
    error = np.linalg.norm(found.astype(np.float64) - expected)
    bound = RELATIVE[dtype] * (np.linalg.norm(expected) + np.sqrt(expected.size))
    assert error <= bound, f"{what}: error {error:.3g}, allowed {bound:.3g}"


class Beside:
    """A program on both engines, step by step: nothing is thrown away, and all is compared."""

    def __init__(self, model, dtype):
        self.programs = programs_of(model.objective)
        self.dtype = np.dtype(dtype)
        self.cases = len(model.u)
        self.host, self.values = {}, {}
        self.device = memory.DeviceShard(self.cases, slice(0, self.cases), self.dtype)
        given = {f"data {name}": array for name, array in model.batch.items()}
        given |= {"theta": model.theta, "constants": self.programs.constants}
        given |= {"cases": np.full(1, 1 / self.cases), "strength": np.zeros(1)}
        for name, array in given.items():
            self.host[name] = np.array(array, self.dtype).reshape(-1)
            self.device.write(name, self.host[name])

    def run(self, program, given=(), directions=1, dtype=None):
        values = {step.target for step in program.steps if step.target.place is None}
        whole = Program(program.name, program.steps, values)
        layout = plan(whole, self.cases, directions)
        size = memory.extent(program, "output", self.cases, directions)
        given = np.array(given, self.dtype)
        results = [np.zeros(size, self.dtype), np.zeros(size, self.dtype)]
        ends = {"input": given, "output": results[0]}
        self.values |= run(whole, self.cases, directions, self.host | ends, self.values)
        self.device.prepare(whole, layout)
        engine.bind(whole, layout, self.device, directions)(given, results[1])
        for step in program.steps:
            value = step.target
            if value.place is None and not value.per_direction:
                ours, right = self.device.array(value), self.values[value][:, 0]
                close(ours, right, self.dtype.name, f"{program.name}: {value.name}")
        close(results[1], results[0], self.dtype.name, program.name)


# The simulator is slow, and does not know dtypes: layer 2 does.
_THOROUGHLY = ("everything", "softmax, weighted", "Python") if driver.SIMULATED else GRAPHS


@pytest.mark.parametrize(
    "name, dtype",
    [*((name, "float64") for name in GRAPHS), *((name, "float32") for name in _THOROUGHLY)],
)
def test_every_op_step_by_step(name, dtype):
    model = GRAPHS[name]()
    beside = Beside(model, dtype)
    a = beside.programs
    for stage in (a.forward, a.loss_value, a.loss_gradient, a.loss_curvature, a.adjoints):
        beside.run(stage)
    v, u = model.v, model.u.reshape(-1)
    inputs = {"gradient": (), "jvp": v, "ggnvp": v, "hvp": v}
    # Gv and Hv are made of the other products' steps.
    for product in PRODUCTS if name in _THOROUGHLY else ("ggnvp", "hvp"):
        beside.run(a.product(product), inputs.get(product, u))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_products_of_a_linearization(dtype):
    """Temporaries share memory here, and two directions run at once."""
    model = GRAPHS["everything"]()
    V = np.stack([model.v, model.v[::-1]], axis=-1)
    U = np.stack([model.u, -model.u], axis=-1)
    ours, right = (
        model.objective.linearize(model.theta, model.batch, name, dtype=dtype)
        for name in ("cuda", "numpy")
    )
    close(ours.outputs, right.outputs, dtype, "outputs")
    assert ours.value == pytest.approx(right.value, rel=RELATIVE[dtype])
    for call in (
        lambda at: at.gradient(),
        lambda at: at.loss_gradient(),
        lambda at: at.vjp(U),
        lambda at: at.ggnvp(V),
        lambda at: at.hvp(model.v),
    ):
        close(call(ours), call(right), dtype, call)
    assert model.objective.value(model.theta, model.batch, "cuda") == pytest.approx(right.value)
    value, gradient = model.objective.value_and_gradient(model.theta, model.batch, "cuda", dtype)
    assert value == pytest.approx(right.value, rel=RELATIVE[dtype])
    close(gradient, right.gradient(), dtype, "algorithm 1")


def test_a_batch_in_pieces_gives_the_same(monkeypatch):
    """Batches that do not fit go piece by piece (sec. 7.1), here of 2, 1, 1 and 1 cases."""
    model = graph(lambda x: x @ x.T, "softmax", cases=5, weight=True)
    right = model.objective.linearize(model.theta, model.batch, "numpy")
    monkeypatch.setattr(DeviceExecution, "_needed", lambda self, cases: cases)
    monkeypatch.setattr(driver, "free_memory", lambda: 2.0)
    monkeypatch.setattr(driver, "empty", _empty)
    ours = model.objective.linearize(model.theta, model.batch, "cuda")
    model.batch["x"] *= 2.0  # what is sent again is the batch as it was
    assert [rows.stop - rows.start for rows in ours._execution._pieces] == [2, 1, 1, 1]
    assert ours.value == pytest.approx(right.value, rel=1e-12)
    for name in ("outputs", "loss_gradient", "gradient"):
        close(*(_read(at, name) for at in (ours, right)), "float64", name)
    v, u = model.v, model.u
    for name, given in (("jvp", v), ("vjp", u), ("ggnvp", v), ("hvp", v), ("loss_hvp", u)):
        close(getattr(ours, name)(given), getattr(right, name)(given), "float64", name)
    model.batch["x"] /= 2.0
    assert model.objective.value(model.theta, model.batch, "cuda") == pytest.approx(right.value)
    value, gradient = model.objective.value_and_gradient(model.theta, model.batch, "cuda")
    assert value == pytest.approx(right.value, rel=1e-12)
    close(gradient, right.gradient(), "float64", "algorithm 1")


@pytest.mark.parametrize("free", [None, 2.0])
def test_structural_damping(monkeypatch, free):
    """Its strength is the same for all cases, its random signs are not; whole, and in pieces."""
    x, t, W = rop.data("x", 3), rop.data("t", 2), rop.param("W", (4, 3))
    h = rop.tanh(W @ x)
    z = rop.param("V", (2, 4)) @ h
    objective = rop.Objective(z, rop.SquaredError(t), hidden=[h], distance="matching")
    rng = np.random.default_rng(0)
    theta, v = rng.standard_normal((2, objective.n))
    batch = {"x": rng.standard_normal((5, 3)), "t": rng.standard_normal((5, 2))}
    right = objective.linearize(theta, batch, "numpy")
    if free is not None:
        monkeypatch.setattr(DeviceExecution, "_needed", lambda self, cases: cases)
        monkeypatch.setattr(driver, "free_memory", lambda: free)
        monkeypatch.setattr(driver, "empty", _empty)
    ours = objective.linearize(theta, batch, "cuda")
    assert len(ours._execution._pieces) == (1 if free is None else 4)
    for mu in (0.5, 0.25):
        close(ours.ggnvp(v, mu), right.ggnvp(v, mu), "float64", "structural")
    close(ours.ggnvp(v), right.ggnvp(v), "float64", "ggnvp")
    found, expected = (at.diagonal("chapelle-erhan", 0, mu=0.5) for at in (ours, right))
    close(found, expected, "float64", "structural squares")


def _empty(elements, dtype):
    return driver.cuda.device_array(max(1, elements), dtype)


def _read(at, name):
    found = getattr(at, name)
    return found() if callable(found) else found


def test_arrays_on_the_gpu_stay_there():
    model = GRAPHS["tanh"]()
    at = model.objective.linearize(model.theta, model.batch, "cuda")
    v, u = driver.cuda.to_device(model.v), driver.cuda.to_device(model.u)
    for found, right in (
        (at.ggnvp(v), at.ggnvp(model.v)),
        (at.vjp(u), at.vjp(model.u)),
        (at.jvp(v), at.jvp(model.v)),
    ):
        assert not isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found.copy_to_host(), right)
    with pytest.raises(rop.RopTypeError, match="v: expected float64 as θ, got float32"):
        at.ggnvp(driver.cuda.to_device(model.v.astype(np.float32)))
    with pytest.raises(rop.RopValueError, match=r"v: expected shape \(16,\) on the GPU, got"):
        at.ggnvp(u)
    wrong = model.v.copy()
    wrong[3] = np.nan
    with pytest.raises(rop.RopValueError, match="v: 1 of 16 elements are NaN or inf"):
        at.ggnvp(driver.cuda.to_device(wrong))
    on_gpu = model.objective.linearize(
        driver.cuda.to_device(model.theta),
        {name: driver.cuda.to_device(array) for name, array in model.batch.items()},
        "cuda",
    )
    np.testing.assert_array_equal(on_gpu.gradient(), at.gradient())


def test_the_penalty_by_parameter():
    model = GRAPHS["tanh"]()
    model.objective.l2 = {"B": 2.0}
    ours, right = (
        model.objective.linearize(model.theta, model.batch, name) for name in ("cuda", "numpy")
    )
    close(ours.gradient(), right.gradient(), "float64", "gradient")
    block = np.stack([model.v, model.theta], axis=1)
    for name in ("ggnvp", "hvp"):
        expected = getattr(right, name)(model.v)
        close(getattr(ours, name)(model.v), expected, "float64", name)
        on_gpu = getattr(ours, name)(driver.cuda.to_device(model.v))
        close(on_gpu.copy_to_host(), expected, "float64", f"{name} on the GPU")
        close(getattr(ours, name)(block), getattr(right, name)(block), "float64", f"{name} block")
    b = -right.gradient()
    expected = pcg(right.ggnvp, b, max_steps=3, store=[3])
    steps = list(islice(cg_steps(ours, b), 4))
    np.testing.assert_allclose(steps[3].fetch(), expected.iterates[-1].x, rtol=1e-8, atol=1e-11)


def test_outputs_without_targets_and_labels():
    x = rop.data("x", 3)
    z = rop.tanh(rop.param("W", (4, 3)) @ x)
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 4)))
    rng = np.random.default_rng(0)
    theta, X, labels = rng.standard_normal(12), rng.standard_normal((5, 3)), np.arange(5) % 4
    found = objective.outputs(theta, {"x": X}, "cuda")
    close(found, np.tanh(X @ theta.reshape(4, 3).T), "float64", "outputs")
    value = objective.value(theta, {"x": X, "t": labels}, "cuda")
    assert value == pytest.approx(objective.value(theta, {"x": X, "t": np.eye(4)[labels]}))


@pytest.mark.parametrize("warm", [False, True])
def test_conjugate_gradients(warm):
    """The same steps as on the host, whenever that looks."""
    model = GRAPHS["tanh"]()
    ours, right = (
        model.objective.linearize(model.theta, model.batch, name) for name in ("cuda", "numpy")
    )
    rng = np.random.default_rng(0)
    b, inverse = -right.gradient(), rng.uniform(0.5, 2.0, len(model.v))
    x0 = 0.1 * model.v if warm else None
    expected = pcg(right.ggnvp, b, x0, lambda r: inverse * r, max_steps=7, store=range(8))
    cg = ConjugateGradient(_bound(ours, model.v), len(b), ours.dtype, ahead=3)
    steps = cg.steps(b, x0, model.objective.l2, inverse)
    for j, q in enumerate(expected.q):
        step = next(steps)
        assert step.q == pytest.approx(q, rel=1e-10, abs=1e-13)
        for iterate in expected.iterates:
            if iterate.steps == j:
                np.testing.assert_allclose(step.fetch(), iterate.x, rtol=1e-8, atol=1e-11)
        # Others may use the product meanwhile.
        ours.ggnvp(b)
    assert step.residual == pytest.approx(expected.residual, rel=1e-6)


def test_conjugate_gradients_end_where_the_curvature_is_negative():
    model = GRAPHS["tanh"]()
    at = model.objective.linearize(model.theta, model.batch, "cuda")
    cg = ConjugateGradient(_bound(at, model.v), len(model.v), at.dtype, ahead=3)
    start, last = list(cg.steps(model.v, None, -100.0))
    assert last.pAp < 0 and start.q == last.q == 0
    np.testing.assert_array_equal(last.fetch(), 0)


def _bound(at, v):
    at.ggnvp(v)
    return at._execution.bound("ggnvp")


def test_what_does_not_fit_in_pieces_either(monkeypatch):
    model = GRAPHS["tanh"]()
    monkeypatch.setattr(driver, "free_memory", lambda: 1000.0)
    with pytest.raises(rop.RopError, match="MiB are needed for one piece.*are free"):
        model.objective.linearize(model.theta, model.batch, "cuda", checkpoints=0)


def test_bitwise_repeatable():
    model = GRAPHS["everything"]()
    runs = []
    for _ in range(2):
        at = model.objective.linearize(model.theta, model.batch, "cuda", dtype="float32")
        runs.append([at.ggnvp(model.v), at.ggnvp(model.v), at.gradient(), at.hvp(model.v)])
        del at
    for found in runs:
        np.testing.assert_array_equal(found[0], found[1])
        for first, other in zip(runs[0], found, strict=True):
            np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("elements, terms", [(1, 200), (5, 200), (64, 3), (40, 100)])
@pytest.mark.parametrize("along", [False, True])
def test_sums_in_parts(monkeypatch, elements, terms, along):
    """A sum of few elements and many terms is split among blocks, and added up afterwards."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((elements, terms) if along else (terms, elements))
    shard = memory.DeviceShard(1, slice(0, 1), np.dtype(np.float64))
    shard.write("x", x)
    shard.write("t", np.ones(elements))
    strides = (terms, 1) if along else (1, elements)
    loops = list(zip((elements, terms), (1, 0), strides, strict=True))
    given = [shard.buffers["t"], 0, shard.buffers["x"], 0, shard.buffers["x"], 0]
    for launch in launches._sum(loops, given, -2.0, False, True, shard):
        launch()
    t = np.empty(elements)
    driver.download(t, shard.buffers["t"])
    np.testing.assert_allclose(t, 1 - 2 * x.sum(axis=1 if along else 0), rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("turned", range(8))
def test_the_matrix_product_in_numba(dtype, turned):
    """Any of the three matrices by rows or by columns, and lengths that fill no tile."""
    from rop.engines.cuda import products

    m, n, k = 2 * products.TILE + 1, products.TILE - 1, 7
    rng = np.random.default_rng(turned)
    x, y, t = rng.standard_normal((m, k)), rng.standard_normal((k, n)), rng.standard_normal((m, n))
    arrays, strides = [], []
    for i, matrix in enumerate((t, x, y)):
        by_columns = bool(turned >> i & 1)
        flat = np.ascontiguousarray(matrix.T if by_columns else matrix, dtype).reshape(-1)
        arrays.append(driver.cuda.to_device(flat))
        strides.append((1, matrix.shape[0]) if by_columns else (matrix.shape[1], 1))
    product = products.Matrices(m, n, k, (0, 0, 0), tuple(strides), add=True)
    products._numba(product, tuple(arrays), 0.5)()
    found = np.empty(m * n, dtype)
    driver.download(found, arrays[0])
    found = found.reshape(n, m).T if turned & 1 else found.reshape(m, n)
    close(found, t + 0.5 * x @ y, dtype, "gemm")


def test_blocks_of_threads_are_powers_of_two():
    assert kernels.THREADS & (kernels.THREADS - 1) == 0
