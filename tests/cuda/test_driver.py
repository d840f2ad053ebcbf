"""Captured graphs without a GPU: what the driver is asked for, and in which order."""

import contextlib
from types import SimpleNamespace

import pytest

api = pytest.importorskip("cuda.bindings.driver")

import rop  # noqa: E402
from rop.engines.cuda import driver  # noqa: E402


@pytest.mark.parametrize(
    "version, words", [((12, 8), "CUDA 12.8, the compiler for CUDA 13"), ((13, 0), None)]
)
def test_an_old_driver_is_told_of(monkeypatch, version, words):
    from numba.cuda import cudadrv

    monkeypatch.setattr(driver.cuda, "is_available", lambda: True)
    monkeypatch.setattr(cudadrv.driver, "get_version", lambda: version)
    monkeypatch.setattr(cudadrv.runtime, "get_version", lambda: (13, 1))
    driver._too_old.cache_clear()
    found = driver.missing()
    driver._too_old.cache_clear()
    assert found is None if words is None else words in found


@pytest.fixture
def calls(monkeypatch):
    """The driver's calls about streams and graphs, noted and answered with success."""
    noted = []

    def answer(name, *result):
        def call(*given):
            noted.append(name)
            return (0, *result)

        monkeypatch.setattr(api, name, call)

    answer("cuStreamBeginCapture")
    answer("cuStreamEndCapture", "graph")
    answer("cuGraphInstantiate", "executable")
    answer("cuGraphDestroy")
    answer("cuGraphLaunch")
    answer("cuGraphExecDestroy")

    @contextlib.contextmanager
    def defer_cleanup():
        noted.append("memory is kept")
        yield
        noted.append("memory may go")

    cuda = SimpleNamespace(current_context=lambda: None, defer_cleanup=defer_cleanup)
    monkeypatch.setattr(driver, "cuda", cuda)
    monkeypatch.setattr(driver, "stream", lambda: SimpleNamespace(handle=7))
    monkeypatch.setattr(driver, "SIMULATED", False)
    return noted


CAPTURE = ["memory is kept", "cuStreamBeginCapture", "a", "b", "cuStreamEndCapture"]
CAPTURE += ["memory may go", "cuGraphInstantiate", "cuGraphDestroy"]


def test_launches_are_warmed_up_captured_and_replayed(calls):
    graph = driver.Graph([lambda: calls.append("a"), lambda: calls.append("b")])
    graph()
    assert calls == ["a", "b"]
    for _ in range(2):
        graph()
    assert calls[2:] == [*CAPTURE, "cuGraphLaunch", "cuGraphLaunch"]
    del graph
    assert calls[-1] == "cuGraphExecDestroy"


def test_one_launch_needs_no_graph(calls):
    graph = driver.Graph([lambda: calls.append("a")])
    for _ in range(3):
        graph()
    assert calls == ["a", "a", "a"]


def test_a_capture_that_fails_is_ended(calls):
    def sometimes():
        calls.append("a")
        if calls.count("a") == 2:
            raise MemoryError

    graph = driver.Graph([sometimes, lambda: calls.append("b")])
    graph()
    with pytest.raises(MemoryError):
        graph()
    assert calls[-1] == "cuStreamEndCapture"
    graph()
    assert calls[-1] == "cuGraphLaunch"


def test_an_error_of_the_driver_is_raised(calls, monkeypatch):
    monkeypatch.setattr(api, "cuGraphLaunch", lambda *given: (api.CUresult.CUDA_ERROR_UNKNOWN,))
    graph = driver.Graph([lambda: None, lambda: None])
    graph()
    with pytest.raises(rop.RopError, match="CUDA_ERROR_UNKNOWN"):
        graph()
