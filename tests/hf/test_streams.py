"""Data that are drawn for each iteration, and data in files."""

import numpy as np
import pytest
from damped import damped

import rop
from rop.errors import RopTypeError, RopValueError
from rop.hf import HessianFree, Recipe, Stream, minimize
from rop.hf.batches import Batches


def sample(problem, cases=20):
    _, _, data = problem

    def draw(k):
        chosen = np.random.default_rng(k).choice(60, cases, replace=False)
        return {name: array[chosen] for name, array in data.items()}

    return draw


def test_each_iteration_sees_the_cases_drawn_for_it(problem):
    objective, theta, _ = problem
    draw = sample(problem)
    result = minimize(objective, theta, Stream(draw), damped(), iterations=4, engine="numpy")
    run = HessianFree(objective, theta, draw(0), damped(), engine="numpy")
    for k in range(4):
        state = run.state
        run = HessianFree(objective, theta, draw(k), damped(), engine="numpy")
        run.state = state
        assert next(run).f_after == result.records[k].f_after
    np.testing.assert_array_equal(run.theta, result.theta)
    assert len({it.f_before for it in result.records}) == 4


def test_learning_from_a_stream_lowers_f_on_all_data(problem):
    objective, theta, data = problem
    recipe = Recipe(batches=Batches(curvature=0.5))
    stream = Stream(sample(problem, cases=40))
    result = minimize(objective, theta, stream, recipe, iterations=40, engine="numpy")
    assert objective.value(result.theta, data) < objective.value(theta, data) / 3


def test_an_iterable_gives_the_same_run_as_the_function(problem):
    objective, theta, _ = problem
    draw = sample(problem)
    one = minimize(objective, theta, Stream(draw), iterations=5, engine="numpy")
    batches = [draw(k) for k in range(5)]
    for source in (batches, iter(batches), (batch for batch in batches)):
        other = minimize(objective, theta, Stream(source), iterations=5, engine="numpy")
        np.testing.assert_array_equal(other.theta, one.theta)


def test_the_end_of_the_data_ends_the_run(problem):
    objective, theta, _ = problem
    draw = sample(problem)
    result = minimize(objective, theta, Stream([draw(0), draw(1)]), engine="numpy")
    assert (result.nit, result.reason, result.success) == (2, "data", False)
    with pytest.raises(RopValueError, match="no batches"):
        minimize(objective, theta, Stream([]), engine="numpy")


def test_an_iterable_starts_again_where_it_can():
    stream = Stream([{"x": [k]} for k in range(5)])
    assert [stream(k)["x"] for k in (3, 3, 1, 4)] == [[3], [3], [1], [4]]
    once = Stream({"x": [k]} for k in range(5))
    assert once(2)["x"] == once(2)["x"] == [2]
    with pytest.raises(RopValueError, match="batch 1 .* is gone"):
        once(1)


def test_a_function_is_asked_once_for_an_iteration():
    asked = []
    stream = Stream(lambda k: asked.append(k) or {})
    for k in (0, 0, 1, 1, 0):
        stream(k)
    assert asked == [0, 1, 0]


def test_what_is_no_source_is_refused():
    with pytest.raises(RopTypeError, match="got 5"):
        Stream(5)


@pytest.mark.parametrize("seed", [None, 0])
def test_memory_mapped_files_give_the_same_run_as_arrays(problem, tmp_path, seed):
    objective, theta, data = problem
    files = {}
    for name, array in data.items():
        np.save(tmp_path / f"{name}.npy", array)
        files[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    recipe = Recipe(batches=Batches(gradient=0.5, curvature=0.5, seed=seed, chunk=7))
    expected = minimize(objective, theta, data, recipe, iterations=6, engine="numpy")
    result = minimize(objective, theta, files, recipe, iterations=6, engine="numpy")
    np.testing.assert_array_equal(result.theta, expected.theta)
    assert all(isinstance(array, np.memmap) for array in files.values())


def test_of_a_memory_mapped_file_only_pieces_are_read_into_memory(tmp_path):
    import tracemalloc

    cases, inputs = 40_000, 64
    path = tmp_path / "x.npy"
    x = np.lib.format.open_memmap(path, "w+", np.float32, (cases, inputs))
    rng = np.random.default_rng(0)
    for start in range(0, cases, 4000):
        x[start : start + 4000] = rng.standard_normal((4000, inputs), np.float32)
    del x
    node, z = rop.nets.mlp([inputs, 4])
    objective = rop.Objective(z, rop.SquaredError(node[:4]))
    recipe = Recipe(batches=Batches(curvature=500, chunk=500))
    theta = objective.init("glorot")
    tracemalloc.start()
    data = {"x": np.load(path, mmap_mode="r")}
    result = minimize(objective, theta, data, recipe, iterations=3, engine="numpy")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.fun < objective.value(theta, {"x": data["x"][:1000]})
    assert peak < path.stat().st_size / 4
