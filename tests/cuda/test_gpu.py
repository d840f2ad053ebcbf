"""Layer 3: on a GPU. All that the simulator has checked, cuBLAS, graphs, and other libraries."""

import json
from functools import partial
from itertools import islice

import numpy as np
import pytest
from cuda_agreement import *  # noqa: F403
from graphs import GRAPHS
from hf_agreement import *  # noqa: F403

import rop
from rop.bench import engines, gpu
from rop.bench.workloads import WORKLOADS
from rop.engines.cuda import cublas, driver, products
from rop.hf import pcg
from rop.objective.device_cg import cg_steps

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(driver.missing() is not None, reason=str(driver.missing())),
]


def w1(cases=1000, engine="cuda", dtype=np.float32):
    workload = WORKLOADS["W1"]
    problem = workload.problem()
    f = engines.objective(workload.model)
    theta, v = (f.pack(block).astype(dtype) for block in (problem.theta, problem.v))
    batch = {"x": problem.x[:cases], "t": problem.t[:cases]}
    return f.linearize(theta, batch, engine), v


def test_cublas_is_there():
    assert cublas.missing() is None
    assert cublas.version() >= 130000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", range(8))
@pytest.mark.parametrize("count", [1, 3])
def test_cublas_against_numpy(dtype, turned, count):
    m, n, k = 200, 130, 170
    rng = np.random.default_rng(turned)
    shapes = (m, n), (m, k), (k, n)
    given = [rng.standard_normal((count, *shape)) for shape in shapes]
    arrays, strides = [], []
    for i, (matrices, shape) in enumerate(zip(given, shapes, strict=True)):
        by_columns = bool(turned >> i & 1)
        stored = np.swapaxes(matrices, 1, 2) if by_columns else matrices
        arrays.append(driver.cuda.to_device(np.ascontiguousarray(stored, dtype).reshape(-1)))
        strides.append((1, shape[0]) if by_columns else (shape[1], 1))
    apart = tuple(rows * columns for rows, columns in shapes)
    one = products.Matrices(m, n, k, (0, 0, 0), tuple(strides), True, count, apart)
    products.launch(one, tuple(arrays), 0.5, tf32=False)()
    found = np.empty(count * m * n, dtype)
    driver.download(found, arrays[0])
    found = found.reshape(count, n, m).swapaxes(1, 2) if turned & 1 else found.reshape(count, m, n)
    right = given[0] + 0.5 * given[1] @ given[2]
    allowed = {"float32": 1e-4, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(found, right, rtol=0, atol=allowed)


def test_the_fallback_is_as_right_as_cublas(monkeypatch):
    at, v = w1()
    right = at.ggnvp(v)
    del at
    monkeypatch.setattr(cublas, "missing", lambda: "the test looks away")
    at, _ = w1(999)  # another batch size: nothing is reused
    monkeypatch.undo()
    again, _ = w1(999)
    found, expected = at.ggnvp(v), again.ggnvp(v)
    assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)
    assert right.shape == found.shape


def test_graphs_are_captured_and_give_the_same_bits():
    at, v = w1()
    results = [at.ggnvp(v) for _ in range(4)]
    graphs = at._execution.bound("ggnvp")._parts
    assert len(graphs) == 1 and graphs[0]._executable is not None
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_w1_agrees_with_the_cpu():
    (ours, v), (right, _) = w1(), w1(engine="numba")
    for name in ("ggnvp", "hvp", "jvp"):
        found, expected = getattr(ours, name)(v), getattr(right, name)(v)
        assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected), name


def test_cg_on_w1_is_one_graph_and_as_exact_as_the_host():
    def on_the_host(dtype):
        at, _ = w1(engine="numba", dtype=dtype)
        return pcg(partial(at.ggnvp, lam=1.0), -at.gradient(), max_steps=30)

    at, _ = w1()
    b = -at.gradient()
    steps = list(islice(cg_steps(at, b, damping=1.0), 31))
    right, host = on_the_host(np.float64), on_the_host(np.float32)
    # The order of sums differs, so what rounding does differs, but not by how much.
    for found, ours, exact in (
        ([step.q for step in steps], host.q, right.q),
        (steps[-1].fetch(), host.x, right.x),
    ):
        assert np.linalg.norm(np.subtract(found, exact)) <= 10 * np.linalg.norm(
            np.subtract(ours, exact)
        )
    (graph,) = at._execution.conjugate_gradient("ggnvp")._step
    assert graph._executable is not None
    again = [step.q for step in islice(cg_steps(at, b, damping=1.0), 31)]
    assert again == [step.q for step in steps]


def test_tf32_only_where_it_is_asked_for():
    (exact, v), (rounded, _) = w1(), w1(engine="cuda-tf32")
    right, found = exact.ggnvp(v), rounded.ggnvp(v)
    error = np.linalg.norm(found - right) / np.linalg.norm(right)
    assert 1e-5 < error < 1e-2


@pytest.mark.parametrize("library", ["torch", "cupy", "jax"])
def test_arrays_of_other_libraries(library):
    module = pytest.importorskip(library)
    model = GRAPHS["tanh"]()
    at = model.objective.linearize(model.theta, model.batch, "cuda", dtype="float32")
    v = model.v.astype(np.float32)
    if library == "torch":
        on_gpu, take = module.asarray(v, device="cuda"), lambda a: module.as_tensor(a).cpu().numpy()
    elif library == "cupy":
        on_gpu, take = module.asarray(v), lambda a: module.asnumpy(module.asarray(a))
    else:
        on_gpu, take = module.numpy.asarray(v), lambda a: np.asarray(module.numpy.asarray(a))
    np.testing.assert_array_equal(take(at.ggnvp(on_gpu)), at.ggnvp(v))


def test_memory_of_the_card_is_asked_for_first():
    f = rop.Objective(rop.param("w", ()) * rop.data("x", ()), rop.SquaredError(0.0))
    too_much = int(driver.free_memory())
    with pytest.raises(rop.RopMemoryError, match="MiB are wanted"):
        driver.empty(too_much, np.dtype(np.float64))
    assert f.linearize([1.0], {"x": np.ones(3)}, "cuda").value == 0.5


@pytest.mark.slow
def test_the_measurements(tmp_path):
    """Gv within 1.25 times the bare matrix products at batch 20,000, and ahead of JAX."""
    file = tmp_path / "gpu.json"
    assert gpu.main(["--rounds", "5", "--seconds", "0", "--json", str(file)]) == 0
    results = json.loads(file.read_text())
    large = results["W1, N = 20000"]["seconds"]
    assert large["rop cuda"] <= 1.25 * large["cuBLAS, bare"]
    for name in ("W1, N = 20000", "W3"):
        seconds = results[name]["seconds"]
        peers = [s for peer, s in seconds.items() if peer not in ("rop cuda", "cuBLAS, bare")]
        assert all(seconds["rop cuda"] < s for s in peers)
