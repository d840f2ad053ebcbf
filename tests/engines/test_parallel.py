"""One objective and one linearization in several threads, and steps that fail in one of them."""

import _thread
import os
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import rop
import rop.engines.numpy
import rop.engines.sharded
import rop.objective.definition
from rop.engines import parallel


def together(count, task):
    """Run a task in so many threads that start at the same moment; its results in order."""
    barrier = threading.Barrier(count)

    def started(i):
        barrier.wait()
        return task(i)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(started, range(count)))


def test_one_linearization(network, engine):
    """Products of every kind at once: each thread gets what it would get alone."""
    model = network(cases=40)
    vectors = model.rng.standard_normal((8, 64))
    u = model.rng.standard_normal((40, 4))

    def work(at, i):
        v = vectors[i]
        block = np.stack([v, -v], axis=1)
        return at.hvp(v), at.jvp(v), at.vjp(i * u), at.ggnvp(block), at.gradient(), at.diagonal()

    right = [work(model.objective.linearize(model.theta, model.batch, engine), i) for i in range(8)]
    for _ in range(5):
        at = model.objective.linearize(model.theta, model.batch, engine)
        for found, expected in zip(together(8, partial(work, at)), right, strict=True):
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_array_equal(a, b)


def test_one_objective(network, engine):
    """Linearizations that come and go in several threads, at several sizes of batch."""
    model = network(cases=12)
    thetas = model.rng.standard_normal((8, 64))

    def work(i):
        results = []
        for cases in (12, 5, 12, 1, 7):
            batch = {name: array[:cases] for name, array in model.batch.items()}
            at = model.objective.linearize(thetas[i], batch, engine)
            results += [at.hvp(model.v), at.outputs, model.objective.value(thetas[i], batch)]
        return results

    right = [work(i) for i in range(8)]
    for _ in range(5):
        for found, expected in zip(together(8, work), right, strict=True):
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_new_objective(monkeypatch, engine):
    """Its programs are made once, however many threads are the first to need them."""
    made, original = [], rop.objective.definition.Programs

    def slow(*arguments):
        made.append(threading.get_ident())
        time.sleep(0.05)
        return original(*arguments)

    monkeypatch.setattr(rop.objective.definition, "Programs", slow)
    x, w = rop.data("x", 3), rop.param("w", 3)
    objective = rop.Objective(rop.tanh(w * x), rop.SquaredError(np.zeros(3)))
    batch, theta = {"x": np.ones((4, 3))}, np.ones(3)
    found = together(4, lambda i: objective.linearize(theta, batch, engine).hvp(theta))
    assert len(made) == 1
    for result in found:
        np.testing.assert_array_equal(result, found[0])


def test_what_is_computed_once_is_computed_once(network, engine):
    """Threads that need the same stage wait for the one that is at it."""
    model = network()
    at = model.objective.linearize(model.theta, model.batch, engine)
    module, name = {
        "numpy": (rop.engines.numpy, "run"),
        "numba": (rop.engines.sharded.ShardedExecution, "_together"),
    }[engine]
    calls, original = [], getattr(module, name)

    def counted(*arguments):
        calls.append(name)
        time.sleep(0.02)
        return original(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, counted)
        found = together(6, lambda i: at.loss_gradient())
    assert len(calls) == 1
    for result in found:
        np.testing.assert_array_equal(result, found[0])


class Failing(rop.ops.Linear):
    """Fails when it is told to."""

    fails = False

    def A(self, z):
        if Failing.fails:
            raise ZeroDivisionError("as told")
        return 2.0 * z

    def AT(self, da):
        return 2.0 * da


def test_a_step_that_fails(engine, monkeypatch):
    """The error comes through, from whichever shard, and what follows is right again."""
    x, w = rop.data("x", 3), rop.param("w", 3)
    objective = rop.Objective(Failing.of(w * x), rop.SquaredError(np.zeros(3)))
    batch, theta = {"x": np.random.default_rng(0).standard_normal((9, 3))}, np.ones(3)
    at = objective.linearize(theta, batch, engine)
    right = at.jvp(theta), at.hvp(theta)
    before = [get() for get, _ in parallel._controls()]
    monkeypatch.setattr(Failing, "fails", True)
    for call in (
        lambda: at.jvp(theta),
        lambda: at.jvp(np.ones((3, 2))),
        lambda: objective.linearize(theta, batch, engine),
        lambda: objective.value(theta, batch, engine),
    ):
        with pytest.raises(ZeroDivisionError, match="as told"):
            call()
    monkeypatch.setattr(Failing, "fails", False)
    assert [get() for get, _ in parallel._controls()] == before
    np.testing.assert_array_equal(at.jvp(theta), right[0])
    np.testing.assert_array_equal(at.hvp(theta), right[1])
    again = objective.linearize(theta, batch, engine)
    np.testing.assert_array_equal(again.hvp(theta), right[1])


def test_overflow_warns_in_no_thread(engine):
    """A line search may get anywhere: f is infinite there, and nobody is warned."""
    x, w = rop.data("x", 2), rop.param("w", 2)
    objective = rop.Objective(rop.exp(w * x), rop.SquaredError(np.zeros(2)))
    batch = {"x": np.full((9, 2), 1e3)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert objective.value(np.ones(2), batch, engine) == np.inf
        assert objective.linearize(np.ones(2), batch, engine).value == np.inf


@pytest.fixture
def two_blas_threads():
    """SciPy's BLAS may use two threads; gives the function that tells how many it may use."""
    [(get, put)] = parallel._controls()
    before = get()
    put(2)
    yield get
    put(before)


def large(cases=400):
    """A network whose matrix products BLAS would split over its threads."""
    rng = np.random.default_rng(0)
    x, z = rop.nets.mlp([64, 100, 50, 10])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 10)), l2=1e-4)
    batch = {
        "x": rng.standard_normal((cases, 64)),
        "t": np.eye(10)[rng.integers(0, 10, cases)],
    }
    return objective, objective.init("sparse"), batch


@pytest.mark.parametrize("count", [1, 3])
def test_blas_has_one_thread_in_every_product(sharded, two_blas_threads, count):
    """Whether shards run or not; and as many as before when none is inside."""
    with sharded(count):
        objective, theta, batch = large(2000)
        at = objective.linearize(theta, batch, "numba")
        seen, done = set(), threading.Event()

        def watch():
            while not done.is_set():
                seen.add(two_blas_threads())

        watcher = threading.Thread(target=watch)
        watcher.start()
        for _ in range(5):
            at.hvp(theta)
            assert two_blas_threads() == 2
        done.set()
        watcher.join()
    assert seen == {1, 2}


def test_bits_do_not_depend_on_other_threads(two_blas_threads, sharded):
    """Beside products in shards, one in a single piece gives what it gives alone."""
    with sharded(1):
        objective, theta, batch = large()
        at = objective.linearize(theta, batch, "numba")
        right = at.hvp(theta), at.ggnvp(theta), at.gradient()
    with sharded(2):
        beside = objective.linearize(theta, batch, "numba")
    done = threading.Event()

    def busy():
        while not done.is_set():
            beside.hvp(theta)

    other = threading.Thread(target=busy)
    other.start()
    try:
        for _ in range(20):
            for found, expected in zip(
                (at.hvp(theta), at.ggnvp(theta), at.gradient()), right, strict=True
            ):
                np.testing.assert_array_equal(found, expected)
    finally:
        done.set()
        other.join()


def shard_threads():
    return {thread for thread in threading.enumerate() if thread.name == "rop-shard"}


def test_tasks_run_at_the_same_time_and_their_threads_serve_again():
    meeting = threading.Barrier(3)
    for _ in range(5):
        parallel.run_all([lambda: meeting.wait(10)] * 3)
    threads = shard_threads()
    parallel.run_all([lambda: meeting.wait(10)] * 3)
    assert shard_threads() == threads


def test_callers_do_not_wait_for_each_other():
    """While one caller's tasks take all threads, another runs its tasks itself."""
    threads, open_ = len(shard_threads()) + 2, threading.Event()
    first = threading.Thread(target=parallel.run_all, args=([lambda: open_.wait(20)] * threads,))
    first.start()
    done = []
    parallel.run_all([partial(done.append, i) for i in range(3)])
    assert sorted(done) == [0, 1, 2]
    assert first.is_alive()
    open_.set()
    first.join()


def test_tasks_of_tasks():
    """Tasks that have tasks of their own, more than there are threads."""
    done = []

    def task(depth):
        if depth:
            parallel.run_all([partial(task, depth - 1)] * 3)
        done.append(depth)

    parallel.run_all([partial(task, 3)] * 3)
    assert len(done) == 3 + 9 + 27 + 81


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_comes_when_no_task_runs_any_more(failing):
    """Those that have begun are waited for, the others never begin."""
    begun, ended = [], []

    def task(i):
        begun.append(i)
        if i == failing:
            raise ZeroDivisionError(i)
        time.sleep(0.05)
        ended.append(i)

    with pytest.raises(ZeroDivisionError, match=str(failing)):
        parallel.run_all([partial(task, i) for i in range(3)])
    assert {*begun} - {*ended} == {failing}
    time.sleep(0.1)
    assert {*begun} - {*ended} == {failing}
    parallel.run_all([partial(ended.append, "again")] * 3)
    assert ended[-3:] == ["again"] * 3


def test_an_interrupt_waits_for_the_other_tasks():
    """Their buffers may be used again as soon as the caller goes on."""
    ended, begun = [], threading.Event()

    def interrupts():
        begun.set()
        time.sleep(0.05)
        _thread.interrupt_main()
        time.sleep(0.2)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        parallel.run_all([lambda: begun.wait(10), interrupts])
    assert ended == [True]
    parallel.run_all([partial(ended.append, True)] * 2)
    assert len(ended) == 3


@pytest.fixture
def interrupts():
    """Only those interrupts come through that come while this list holds True; each empties it."""
    armed = []

    def handler(signum, frame):
        if armed:
            armed.clear()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handler)
    yield armed
    signal.signal(signal.SIGINT, before)


# An interrupt may hit hypothesis's callback of the garbage collector: Python can only report that.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*gc_callback")
def test_many_interrupts(sharded, two_blas_threads, interrupts):
    """Results stay right, BLAS gets its threads back, and no thread is lost."""
    with sharded(3):
        objective, theta, batch = large(60)
        at = objective.linearize(theta, batch, "numba")
        right, threads = at.hvp(theta), len(shard_threads())
        hits, shots, rng = 0, 100, np.random.default_rng(0)
        done = threading.Event()

        def shoot():
            for _ in range(shots):
                time.sleep(rng.uniform(0.0005, 0.004))
                _thread.interrupt_main()
            done.set()

        shooter = threading.Thread(target=shoot)
        shooter.start()
        while not done.is_set():
            try:
                while not done.is_set():
                    if not interrupts:
                        interrupts.append(True)
                    np.testing.assert_array_equal(at.hvp(theta), right)
                    again = objective.linearize(theta, batch, "numba")
                    np.testing.assert_array_equal(again.hvp(theta), right)
                interrupts.clear()
            except KeyboardInterrupt:
                hits += 1
                assert two_blas_threads() == 2
        shooter.join()
        assert hits > shots // 4
        assert len(shard_threads()) <= max(threads, 2)
        np.testing.assert_array_equal(at.hvp(theta), right)


@pytest.mark.ci
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_forks_while_another_thread_computes(sharded, two_blas_threads):
    """The child computes the same, with BLAS as it was, on objects that the thread had in hand."""
    with sharded(3), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)  # JAX's, if a test has used it
        objective, theta, batch = large(1000)
        at = objective.linearize(theta, batch, "numba")
        right, done = at.hvp(theta), threading.Event()

        def busy():
            while not done.is_set():
                at.hvp(theta)
                objective.linearize(theta, batch, "numba")

        thread = threading.Thread(target=busy)
        thread.start()
        try:
            for i in range(12):
                time.sleep(0.001 * (i % 7))
                child = os.fork()
                if child == 0:
                    blas = two_blas_threads() == 2
                    again = objective.linearize(theta, batch, "numba").hvp(theta)
                    same = all(np.array_equal(a, right) for a in (at.hvp(theta), again))
                    os._exit(0 if same and blas else 1)
                assert ended(child) == 0
        finally:
            done.set()
            thread.join()


def ended(child, seconds=20.0):
    """Exit status of a child; None if it hangs."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
