"""One objective and one linearization in several threads, and steps that fail in one of them."""

import _thread
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import rop
import rop.objective.objective
from rop.engines import threads as parallel


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
    made, original = [], rop.objective.objective.Algorithms

    def slow(*arguments):
        made.append(threading.get_ident())
        time.sleep(0.05)
        return original(*arguments)

    monkeypatch.setattr(rop.objective.objective, "Algorithms", slow)
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
    calls, original = [], rop.engines.execution.run_all

    def counted(tasks):
        calls.append(len(tasks))
        time.sleep(0.02)
        return original(tasks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rop.engines.execution, "run_all", counted)
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


def test_blas_keeps_its_threads(network, sharded):
    """While shards run NumPy's and SciPy's BLAS have one thread; afterwards as many as before."""
    controls = parallel._controls()

    def counts():
        return {get() for get, _ in controls}

    model, before = network(cases=60), [get() for get, _ in controls]
    assert len(before) == 2
    for _, put in controls:
        put(2)
    try:
        with sharded(3):
            at = model.objective.linearize(model.theta, model.batch, "numba")
            at.hvp(model.v)
            assert counts() == {2}
            with parallel.one_blas_thread():
                assert counts() == {1}
                at.hvp(model.v)
                assert counts() == {1}
            assert counts() == {2}
    finally:
        for (_, put), count in zip(controls, before, strict=True):
            put(count)


def test_tasks_run_at_the_same_time_and_their_threads_serve_again():
    meeting = threading.Barrier(3)
    for _ in range(5):
        parallel.run_all([lambda: meeting.wait(10)] * 3)
    threads = {thread for thread in threading.enumerate() if thread.name == "rop-shard"}

    parallel.run_all([lambda: meeting.wait(10)] * 3)
    assert {t for t in threading.enumerate() if t.name == "rop-shard"} == threads
    # Of callers at the same time each has threads of its own: none waits for another's tasks.
    meeting = threading.Barrier(8)
    together(4, lambda i: parallel.run_all([lambda: meeting.wait(10)] * 2))


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_comes_when_all_tasks_are_done(failing):
    done = []

    def task(i):
        if i == failing:
            raise ZeroDivisionError(i)
        time.sleep(0.05)
        done.append(i)

    with pytest.raises(ZeroDivisionError, match=str(failing)):
        parallel.run_all([partial(task, i) for i in range(3)])
    assert sorted(done) == sorted({0, 1, 2} - {failing})
    parallel.run_all([partial(done.append, "again")] * 3)
    assert done[2:] == ["again"] * 3


def test_an_interrupt_waits_for_the_other_tasks():
    """Their buffers may be used again as soon as the caller goes on."""
    ended = []

    def interrupts():
        time.sleep(0.05)
        _thread.interrupt_main()
        time.sleep(0.2)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        parallel.run_all([lambda: None, interrupts])
    assert ended == [True]
    parallel.run_all([partial(ended.append, True)] * 2)
    assert len(ended) == 3
