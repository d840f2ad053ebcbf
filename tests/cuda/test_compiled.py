"""Layer 2: every kernel of every op compiles for a Hopper GPU, and keeps to its dtype."""

import contextlib
import re
from unittest import mock

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed (pip install 'rop[cuda]')")

from graphs import GRAPHS

from rop.engines.cuda import driver, launches, memory, products, source, vectors
from rop.engines.cuda.gemm import gemm
from rop.engines.planning import plan
from rop.objective.definition import programs_of
from rop.programs.steps import Program

pytestmark = pytest.mark.skipif(driver.SIMULATED, reason="the simulator compiles nothing")

CEILING = {"float32": 96, "float64": 112}
"""Registers of a thread: two blocks of 256 threads on a multiprocessor would leave it 128."""

CEILING_GEMM = {"float32": 192, "float64": 255}
PRODUCTS = ("gradient", "jvp", "vjp", "loss_hvp", "ggnvp", "hvp", "rows", "squares")


class Recorder:
    """Stands in for the GPU: notes the kernels that a program would launch, and what with."""

    def __init__(self, dtype):
        self.dtype = np.dtype(dtype)
        self.found = {}

    def start(self, kernel, blocks, given):
        key = kernel if isinstance(kernel, str) else kernel.py_func.__name__
        self.found.setdefault(key, (kernel, given))
        return lambda: None

    def programs(self, model):
        programs = programs_of(model.objective)
        stages = [programs.forward, programs.loss_value, programs.loss_gradient]
        stages += [programs.loss_curvature, programs.adjoints, programs.value_program]
        shard = memory.DeviceShard(3, slice(0, 3), self.dtype)
        for name in ("theta", "constants", "cases", *(f"data {d}" for d in model.batch)):
            shard.buffers[name] = np.empty(1, self.dtype)
        for program in [*stages, *map(programs.product, PRODUCTS)]:
            self.program(program, shard)

    def program(self, program: Program, shard):
        for directions in (1, 2) if program.name == "ggnvp" else (1,):
            layout = plan(program, shard.cases, directions)
            shard.prepare(program, layout)
            for end in ("input", "output"):
                shard.room(end, memory.extent(program, end, shard.cases, directions))
            list(launches.launches_of(program, layout, shard, directions, False))


@contextlib.contextmanager
def recorded(dtype):
    """Without a GPU: buffers of NumPy, and kernels that are only noted."""
    recorder = Recorder(dtype)
    patches = (
        mock.patch.object(launches, "_start", recorder.start),
        mock.patch.object(launches, "compiled", lambda text, dtype: text),
        mock.patch.object(launches, "_table", lambda rows: np.empty((1, 4), np.int64)),
        mock.patch.object(products, "launch", lambda *given: lambda: None),
        mock.patch.object(driver, "empty", np.empty),
        mock.patch.object(driver, "processors", lambda: 132),
    )
    with contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield recorder


def judge(compiled, dtype, ceiling, text=""):
    # NVIDIA's sine and cosine reduce arguments beyond 1e5 in local memory and in float64.
    if not re.search(r"math\.(sin|cos)\(", text):
        if dtype == "float32":
            assert ".f64" not in compiled.ptx, "float64 in a kernel of float32"
        assert ".local" not in compiled.ptx and compiled.stack == 0
    assert compiled.spills == 0
    assert compiled.registers <= ceiling, f"{compiled.registers} registers"


@pytest.mark.ci
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kernel_of_every_op(dtype):
    from compiling import compiled_for_sm_90

    with recorded(dtype) as recorder:
        for build in GRAPHS.values():
            recorder.programs(build())
    generated = [key for key in recorder.found if key.startswith("@cuda.jit")]
    assert {"walk", "reduce"} <= recorder.found.keys()
    assert len(generated) > 30 and any("syncthreads" in text for text in generated)
    for key, (kernel, given) in recorder.found.items():
        if isinstance(kernel, str):
            kernel = source.compiled(kernel, np.dtype(dtype))
        try:
            judge(compiled_for_sm_90(kernel.py_func, *given), dtype, CEILING[dtype], key)
        except AssertionError as error:
            raise AssertionError(f"{key}\n{error}") from None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_matrix_product(dtype):
    from compiling import compiled_for_sm_90

    one = np.empty(1, dtype)
    matrices = (one, 0, 1, 1) * 3
    compiled = compiled_for_sm_90(gemm.py_func, *matrices, 1, 1, 1, one.dtype.type(1), True)
    judge(compiled, dtype, CEILING_GEMM[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_conjugate_gradients(dtype):
    """Their scalars are float64, whatever the vectors are."""
    from compiling import compiled_for_sm_90

    x, exact, table = np.empty(1, dtype), np.empty(1), np.empty((1, 4))
    for kernel, given in (
        (vectors._axpy, (x.dtype.type(1), x, x, 1)),
        (vectors._dot, (x, x, 1, exact)),
        (vectors.copy, (x, x, 1)),
        (vectors.first, (x,) * 7 + (1,)),
        (vectors.damp, (x, x, x, 1, exact)),
        (vectors.length, (exact, exact, table)),
        (vectors.descend, (exact, *(x,) * 6, 1, exact)),
        (vectors.record, (exact, exact, table)),
        (vectors.turn, (exact, x, x, x, 1)),
    ):
        compiled = compiled_for_sm_90(kernel.py_func, *given)
        assert ".local" not in compiled.ptx and compiled.stack == compiled.spills == 0
        assert compiled.registers <= CEILING[dtype], kernel.py_func.__name__
        if kernel in (vectors._axpy, vectors.copy, vectors.first):
            judge(compiled, dtype, CEILING[dtype])
