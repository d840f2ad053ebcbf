"""An objective on a cluster does what a local one does."""

import pickle
import subprocess
import sys
import time

import dask.array
import dask.dataframe
import numpy as np
import pandas as pd
import pytest
import scipy.optimize

import rop
import rop.distributed

# The order of sums differs from that of a local objective.
SAME = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture(scope="module")
def pair(client, digits):
    """A local and a distributed linearization of the same cases."""
    objective, theta, data = digits
    spread = rop.distributed.Objective(objective, client, data)
    return objective.linearize(theta, data), spread.linearize(theta)


def test_it_is_an_objective(pair):
    at, there = pair
    assert isinstance(there, rop.Linearization)
    assert isinstance(there.objective, rop.Objective)
    assert there.cases == at.cases == there.objective.cases
    assert (there.theta == at.theta).all()
    assert not there.theta.flags.writeable
    assert there.memory.keys() == at.memory.keys()
    assert there.predicted_memory.keys() == at.predicted_memory.keys()
    assert "numba" in repr(there)


def test_values_are_those_of_a_local_objective(pair):
    at, there = pair
    np.testing.assert_allclose(there.value, at.value, **SAME)
    np.testing.assert_allclose(there.gradient(), at.gradient(), **SAME)
    np.testing.assert_allclose(there.outputs, at.outputs, **SAME)
    np.testing.assert_allclose(there.loss_gradient(), at.loss_gradient(), **SAME)
    np.testing.assert_allclose(there.per_case_gradients(), at.per_case_gradients(), **SAME)


@pytest.mark.parametrize("directions", [(), (3,)], ids=["one", "three"])
def test_products_are_those_of_a_local_linearization(pair, directions):
    at, there = pair
    rng = np.random.default_rng(0)
    v = rng.standard_normal((at.n, *directions))
    u = rng.standard_normal((*at.outputs.shape, *directions))
    np.testing.assert_allclose(there.jvp(v), at.jvp(v), **SAME)
    np.testing.assert_allclose(there.vjp(u), at.vjp(u), **SAME)
    np.testing.assert_allclose(there.loss_hvp(u), at.loss_hvp(u), **SAME)
    np.testing.assert_allclose(there.hvp(v), at.hvp(v), **SAME)
    np.testing.assert_allclose(there.ggnvp(v), at.ggnvp(v), **SAME)
    np.testing.assert_allclose(there.ggnvp(v, lam=0.3), at.ggnvp(v, lam=0.3), **SAME)


def test_matrices_are_those_of_a_local_linearization(client):
    x, z = rop.nets.mlp([3, 2])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 2)), l2=0.1)
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((7, 3)), "t": rng.standard_normal((7, 2))}
    theta = rng.standard_normal(objective.n)
    at = objective.linearize(theta, data)
    there = rop.distributed.Objective(objective, client, data).linearize(theta)
    for name in "GHJ":
        mine, other = getattr(there, name), getattr(at, name)
        np.testing.assert_allclose(mine.matrix(), other.matrix(), **SAME)
        v = rng.standard_normal(other.shape[1])
        np.testing.assert_allclose(mine @ v, other @ v, **SAME)
        u = rng.standard_normal(other.shape[0])
        np.testing.assert_allclose(mine.T @ u, other.T @ u, **SAME)


@pytest.mark.parametrize("method", ["exact", "empirical-fisher"])
def test_diagonals_are_those_of_a_local_linearization(pair, method):
    at, there = pair
    np.testing.assert_allclose(there.diagonal(method), at.diagonal(method), **SAME)


def test_random_signs_differ_from_part_to_part(client, pair):
    at, there = pair
    a, b = (there.diagonal("chapelle-erhan", seed) for seed in (0, 1))
    assert (a != b).any()
    assert (a == there.diagonal("chapelle-erhan", 0)).all()
    rng = np.random.default_rng(0)
    assert (there.diagonal("chapelle-erhan", rng) != there.diagonal("chapelle-erhan", rng)).any()
    # With one output, signs square to 1, and with two equal parts equal signs would show.
    x, z = rop.nets.mlp([3, 4, 1])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)), l2=0.1)
    data = {"x": np.random.default_rng(0).standard_normal((9, 3)), "t": np.zeros((9, 1))}
    one = rop.distributed.Objective(objective, client, data).linearize(np.ones(objective.n))
    exact = objective.linearize(np.ones(objective.n), data).diagonal()
    np.testing.assert_allclose(one.diagonal("chapelle-erhan", 3), exact, **SAME)


def test_float32_and_the_other_engine(client, digits):
    objective, theta, data = digits
    spread = rop.distributed.Objective(objective, client, data)
    v = np.ones(objective.n)
    exact = objective.linearize(theta, data).ggnvp(v)
    single = spread.linearize(theta, dtype=np.float32).ggnvp(v)
    assert single.dtype == np.float32
    # 32 roundings of the largest entry; a local product has 3 to 5 from four θ.
    rounding = 32 * np.finfo(np.float32).eps * np.abs(exact).max()
    np.testing.assert_allclose(single, exact, rtol=0, atol=rounding)
    plain = spread.linearize(theta, engine="numpy")
    assert plain.engine == "numpy"
    np.testing.assert_allclose(plain.ggnvp(v), exact, **SAME)


def test_value_gradient_outputs_and_predictions(client, digits):
    objective, theta, data = digits
    spread = rop.distributed.Objective(objective, client, data)
    np.testing.assert_allclose(spread.value(theta), objective.value(theta, data), **SAME)
    np.testing.assert_allclose(spread.gradient(theta), objective.gradient(theta, data), **SAME)
    f, g = spread.value_and_gradient(theta)
    np.testing.assert_allclose(f, objective.value(theta, data), **SAME)
    np.testing.assert_allclose(g, objective.gradient(theta, data), **SAME)
    np.testing.assert_allclose(spread.outputs(theta), objective.outputs(theta, data), **SAME)
    few = {"x": data["x"][:5]}
    np.testing.assert_allclose(spread.predict(theta, few), objective.predict(theta, few), **SAME)


def test_structural_damping_and_checkpoints_of_a_recurrent_net(client):
    x, z, hidden = rop.nets.rnn([2, 4, 2], steps=9)
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", z.shape)), hidden=hidden)
    rng = np.random.default_rng(0)
    data = {
        name: rng.standard_normal((11, *shape)) for name, shape in objective.data_shapes.items()
    }
    theta, v = rng.standard_normal(objective.n) / 2, rng.standard_normal(objective.n)
    at = objective.linearize(theta, data)
    there = rop.distributed.Objective(objective, client, data).linearize(theta, checkpoints="sqrt")
    assert there.checkpoints == "sqrt"
    np.testing.assert_allclose(there.ggnvp(v, mu=0.7), at.ggnvp(v, mu=0.7), **SAME)
    with pytest.raises(rop.RopValueError, match="checkpoints"):
        there.hvp(v)


def test_the_bits_do_not_depend_on_the_number_of_workers(cluster, digits):
    objective, theta, data = digits
    found = []
    for workers in (1, 2, 3):
        with cluster(workers) as client:
            spread = rop.distributed.Objective(objective, client, data, parts=6)
            at = spread.linearize(theta)
            found.append([at.value, at.gradient(), at.ggnvp(theta), at.diagonal()])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert np.array_equal(a, b)


def test_two_linearizations_live_at_the_same_time_and_are_freed(client, digits):
    objective, theta, data = digits
    spread = rop.distributed.Objective(objective, client, data)
    first, second = spread.linearize(theta), spread.linearize(2 * theta)
    a, b = (objective.linearize(c * theta, data).ggnvp(theta) for c in (1, 2))
    np.testing.assert_allclose(first.ggnvp(theta), a, **SAME)
    np.testing.assert_allclose(second.ggnvp(theta), b, **SAME)
    np.testing.assert_allclose(first.ggnvp(theta), a, **SAME)
    token = spread.pool.token

    def kept(dask_worker):
        return len({point for point, _ in dask_worker.plugins[token].linearized})

    assert set(client.run(kept).values()) == {2}
    del first
    second.ggnvp(theta)
    assert set(client.run(kept).values()) == {1}
    del second, spread
    for _ in range(1000):  # a busy machine takes its time
        left = client.run(lambda dask_worker: token in dask_worker.plugins)
        if not any(left.values()):
            break
        time.sleep(0.05)
    assert not any(left.values())


def test_given_arrays_are_sent_to_the_workers(client, digits):
    objective, theta, data = digits
    spread = rop.distributed.Objective(objective, client, data)
    few = {name: array[:20] for name, array in data.items()}
    there = spread.linearize(theta, few)
    assert there.cases == 20
    np.testing.assert_allclose(there.value, objective.value(theta, few), **SAME)
    assert spread.on(few) is there.objective
    brought = there.batch
    assert all((brought[name] == few[name]).all() for name in few)


def test_the_checker_checks_the_products_of_the_cluster(client):
    x, z = rop.nets.mlp([2, 2])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 2)))
    data = {"x": np.eye(2), "t": np.eye(2)[::-1].copy()}
    spread = rop.distributed.Objective(objective, client, data, parts=2)
    theta = np.array([0.3, -0.4, 0.5, 0.6, 0.1, 0.2])
    report = rop.check_products(
        theta,
        value=spread.value,
        gradient=spread.gradient,
        ggnvp=lambda p, v: spread.linearize(p).ggnvp(v),
        hvp=lambda p, v: spread.linearize(p).hvp(v),
        outputs=lambda p: spread.linearize(p).outputs,
        jvp=lambda p, v: spread.linearize(p).jvp(v),
        budget="60 calls",
    )
    assert report.verdict != "fail", str(report)


def test_scipy_minimizes_it(client):
    x, z = rop.nets.mlp([2, 1])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)), l2=1e-3)
    X = np.random.default_rng(0).standard_normal((20, 2))
    data = {"x": X, "t": X.sum(1, keepdims=True)}
    spread = rop.distributed.Objective(objective, client, data, parts=3)
    here, there = (
        scipy.optimize.minimize(x0=np.zeros(3), method="trust-krylov", **functions)
        for functions in (objective.scipy(data), spread.scipy())
    )
    np.testing.assert_allclose(there.x, here.x, rtol=1e-8)


# Sources of data.


def sources(data, folder):
    for name, array in data.items():
        np.save(folder / f"{name}.npy", array)
    mapped = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in data}
    labels = data["t"].argmax(1)
    columns = {f"c{i}": column for i, column in enumerate(data["x"].T)}
    frame = dask.dataframe.from_pandas(pd.DataFrame(columns | {"label": labels}), npartitions=3)
    blocks = {name: dask.array.from_array(a, chunks=(70, -1)) for name, a in data.items()}

    def loader(rows):
        return lambda: {n: np.load(folder / f"{n}.npy", mmap_mode="r")[rows] for n in data}

    return {
        "arrays": data,
        "labels": {"x": data["x"].astype(np.float32), "t": labels},
        "memory-mapped files": mapped,
        "rows of memory-mapped files": {name: a[10:] for name, a in mapped.items()},
        "functions": [loader(slice(0, 50)), loader(slice(50, 203))],
        "Dask arrays": blocks,
        "Dask dataframes": {"x": frame[list(columns)], "t": frame["label"]},
    }


@pytest.mark.parametrize(
    "kind",
    [
        "arrays",
        "labels",
        "memory-mapped files",
        "rows of memory-mapped files",
        "functions",
        "Dask arrays",
        "Dask dataframes",
    ],
)
def test_data_come_from_everywhere(client, digits, tmp_path, kind):
    objective, theta, data = digits
    rows = slice(10 if kind.startswith("rows") else 0, None)
    local = {name: array[rows] for name, array in data.items()}
    tight = SAME if kind != "labels" else {"rtol": 1e-5}
    spread = rop.distributed.Objective(objective, client, sources(data, tmp_path)[kind], parts=5)
    assert spread.cases == len(local["x"])
    np.testing.assert_allclose(spread.gradient(theta), objective.gradient(theta, local), **tight)


def test_files_are_mapped_by_the_workers_and_not_kept(client, digits, tmp_path):
    objective, theta, data = digits
    mapped = sources(data, tmp_path)["memory-mapped files"]
    spread = rop.distributed.Objective(objective, client, mapped)
    token = spread.pool.token
    kept = client.run(lambda dask_worker: dask_worker.plugins[token].data)
    assert not any(kept.values())
    assert all(type(source.load).__name__ == "FileRows" for source in spread.pool.sources)


def test_an_objective_without_data(client):
    a = rop.param("a", 2)
    f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    spread = rop.distributed.Objective(f, client, {})
    assert spread.value([0.0, 1.0]) == 101.0
    np.testing.assert_allclose(spread.gradient([0.0, 1.0]), f.gradient([0.0, 1.0]))


# What is wrong with arguments and data, and where.


def test_a_function_that_fails_is_named_with_its_part(client, digits):
    objective, theta, data = digits

    def good():
        return data

    def bad():
        raise OSError("no such bucket")

    with pytest.raises(rop.distributed.PartError, match=r"part 1, .*bad.*OSError: no such bucket"):
        rop.distributed.Objective(objective, client, [good, bad])


def test_a_function_that_returns_other_cases_each_time_is_named(client, digits, tmp_path):
    objective, theta, data = digits
    again = tmp_path / "again"

    def grows():
        rows = slice(0, 20 if again.exists() else 10)
        again.touch()
        return {name: array[rows] for name, array in data.items()}

    spread = rop.distributed.Objective(objective, client, [grows])

    token = spread.pool.token

    def lose(dask_worker):
        dask_worker.plugins[token].data.clear()

    client.run(lose)
    with pytest.raises(rop.distributed.PartError, match="had 10 cases, and has 20"):
        spread.value(theta)


@pytest.mark.parametrize(
    "change, said",
    [
        (
            lambda d: {"x": d["x"]},
            r"part \d+, cases \d+ to \d+: batch: expected the entries 'x', 't'",
        ),
        (lambda d: {**d, "x": d["x"][:, :3]}, r"part \d+.*expected shape \(N, 64\), got \(1, 3\)"),
        (lambda d: {**d, "t": d["t"][:9]}, "every array must have the cases as axis 0"),
        (lambda d: [], "expected a dict of arrays .* or a list of functions"),
        (lambda d: {**d, "t": dask.array.ones((203, 10))}, "all arrays are Dask collections or"),
        (
            lambda d: {n: dask.array.from_array(a, chunks=(50, 5)) for n, a in d.items()},
            "blocks of a Dask array must be whole rows",
        ),
        (
            lambda d: {
                n: dask.array.from_array(a, chunks=(rows, -1))
                for (n, a), rows in zip(d.items(), (50, 100), strict=True)
            },
            "numbers of blocks differ",
        ),
        (lambda d: [lambda: 5], "part 0, .*expected a dict of arrays, got int"),
    ],
)
def test_data_that_do_not_fit_are_named(client, digits, change, said):
    objective, _, data = digits
    with pytest.raises(rop.RopError, match=said):
        rop.distributed.Objective(objective, client, change(data))


def test_what_is_not_finite_is_named(client, digits):
    objective, theta, data = digits
    bad = {"x": data["x"].copy(), "t": data["t"]}
    bad["x"][100, 3] = np.nan
    spread = rop.distributed.Objective(objective, client, bad)
    with pytest.raises(rop.RopValueError, match="nan"):
        spread.linearize(theta)
    good = rop.distributed.Objective(objective, client, data).linearize(theta)
    with pytest.raises(rop.RopValueError, match=r"v: .*inf"):
        good.ggnvp(np.full(objective.n, np.inf))
    with pytest.raises(rop.RopValueError, match="v: expected shape"):
        good.ggnvp(np.ones(3))
    with pytest.raises(rop.RopValueError, match="u: expected shape"):
        good.vjp(np.ones((3, 10)))
    with pytest.raises(rop.RopTypeError, match=r"objective\.local"):
        good.trace()


def test_arguments_that_make_no_sense(client, digits):
    objective, theta, data = digits
    with pytest.raises(rop.RopTypeError, match="client must be"):
        rop.distributed.Objective(objective, "tcp://here", data)
    spread = rop.distributed.Objective(objective, client, data)
    with pytest.raises(rop.RopTypeError, match="on a cluster already"):
        rop.distributed.Objective(spread, client, data)
    for each in (spread, spread.linearize(theta)):
        with pytest.raises(rop.RopTypeError, match="cannot be pickled"):
            pickle.dumps(each)


def test_a_cluster_without_workers_is_an_error_and_no_wait_for_ever(cluster, digits):
    objective, _, data = digits
    with cluster(0) as client, pytest.raises(rop.distributed.ClusterError, match="0 workers"):
        rop.distributed.Objective(objective, client, data, timeout=0.3)


def test_a_closed_client_is_an_error(cluster, digits):
    objective, theta, data = digits
    with cluster(1) as client:
        spread = rop.distributed.Objective(objective, client, data, timeout=1.0)
    with pytest.raises(rop.distributed.ClusterError, match="does not answer"):
        spread.value(theta)


@pytest.mark.ci
def test_without_dask_it_says_what_to_install():
    script = "import sys; sys.modules['distributed'] = None; import rop; rop.distributed"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 1
    assert "pip install 'rop[distributed]'" in run.stderr.splitlines()[-1]
    script = "import sys, rop; assert not {'dask', 'distributed'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
