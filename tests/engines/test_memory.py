"""Memory: the plan before anything is allocated, the report, and what does not fit."""

import gc
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import rop
import rop.engines.memory
import rop.engines.room
import rop.engines.sharded
from rop.objective.definition import programs_of


def chain(layers, width=8):
    x, t = rop.data("x", width), rop.data("t", width)
    y = x
    for i in range(layers):
        y = rop.tanh(rop.param(f"W{i}", (width, width)) @ y)
    return rop.Objective(y, rop.SquaredError(t))


def place(objective, cases, width=8):
    rng = np.random.default_rng(0)
    batch = {"x": rng.standard_normal((cases, width)), "t": rng.standard_normal((cases, width))}
    return objective.init("normal"), batch


def test_the_report(engine):
    objective = chain(4)
    theta, batch = place(objective, 100)
    at = objective.linearize(theta, batch, engine)
    memory = at.memory
    assert set(memory) == {"theta", "batch", "cached", "work"}
    assert memory["theta"] == 4 * 64 * 8 and memory["batch"] == 2 * 100 * 8 * 8
    # Activations and slopes of four layers of 100 × 8.
    assert 8 * 100 * 8 * 8 <= memory["cached"] <= 12 * 100 * 8 * 8
    at.hvp(theta)
    after = at.memory
    assert after["cached"] > memory["cached"] and after["work"] >= memory["work"]
    at.hvp(theta)
    assert at.memory == after
    single = objective.linearize(theta, batch, engine, dtype=np.float32).memory
    assert single["theta"] == memory["theta"] // 2 and single["batch"] == memory["batch"] // 2


def test_temporaries_share_space(engine):
    """They do not grow with the depth, what is cached does."""
    found = {}
    for layers in (8, 32):
        objective = chain(layers)
        theta, batch = place(objective, 50)
        at = objective.linearize(theta, batch, engine)
        at.ggnvp(theta)
        found[layers] = at.memory
    assert found[32]["cached"] >= 3.5 * found[8]["cached"]
    work = {layers: memory["work"] for layers, memory in found.items()}
    # But for the shards' parts of a result, which is of θ's size.
    shards = len(getattr(at._execution, "shards", ["all"]))
    parts = shards * 64 * (32 - 8) * 8 if shards > 1 else 0
    assert work[32] - work[8] <= parts


def test_a_plan_that_does_not_fit(engine, monkeypatch):
    objective = chain(4)
    theta, batch = place(objective, 100)
    monkeypatch.setattr(rop.engines.room, "_ALWAYS_FITS", 0)
    monkeypatch.setattr(rop.engines.room, "available", lambda: 10_000)
    monkeypatch.setattr(rop.engines.room, "_ALWAYS_FITS", 0)
    with pytest.raises(rop.RopMemoryError) as caught:
        objective.linearize(theta, batch, engine)
    assert isinstance(caught.value, MemoryError) and isinstance(caught.value, rop.RopError)
    message = str(caught.value)
    for word in ("100 cases", "MiB", "cached", "temporaries", "float32"):
        assert word in message, message


def test_a_plan_that_is_far_too_large_is_refused_before_it_is_tried(engine):
    """A thousand recurrent steps of a batch, whose activations would take terabytes."""
    x, W = rop.data("x", 1000), rop.param("W", (1000, 1000))
    y = x
    for _ in range(1000):
        y = rop.tanh(W @ y)
    objective = rop.Objective(y, rop.SquaredError(np.zeros(1000)))
    # A batch of many cases that takes no memory itself.
    X = np.broadcast_to(np.zeros(1000, np.float32), (10_000, 1000))
    theta = np.zeros(objective.n, np.float32)
    with pytest.raises(rop.RopMemoryError, match="10,000 cases"):
        objective.linearize(theta, {"x": X}, engine, checkpoints=0)


def test_where_the_system_does_not_tell(engine, monkeypatch):
    objective = chain(2)
    theta, batch = place(objective, 10)
    monkeypatch.setattr(rop.engines.room, "available", lambda: None)
    assert np.isfinite(objective.linearize(theta, batch, engine).value)


def test_f_alone_keeps_nothing(engine):
    """Deep nets cost `value` no more memory than shallow ones."""
    peaks = []
    for layers in (4, 64):
        objective = chain(layers, 32)
        theta, batch = place(objective, 2000, 32)
        objective.value(theta, batch, engine)
        programs_of(objective).prepared.clear()
        gc.collect()
        tracemalloc.start()
        objective.value(theta, batch, engine)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 60 more layers' activations would take 30 MB.
    assert peaks[1] - peaks[0] < 3_000_000


def test_many_linearizations_do_not_add_up(engine):
    """Those that are gone leave nothing behind but the memory of a few, for the next ones."""
    objective = chain(6, 16)
    theta, batch = place(objective, 500, 16)

    def use():
        for cases in range(400, 500, 10):
            part = {name: array[:cases] for name, array in batch.items()}
            objective.linearize(theta, part, engine).hvp(theta)

    use()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(3):
        use()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    at = objective.linearize(theta, batch, engine)
    at.hvp(theta)
    assert grown < 5 * sum(at.memory.values())


@pytest.mark.parametrize("K", [1, 3, 40])
def test_blocks_larger_than_the_room_for_temporaries(network, engine, short_of_room, K):
    model = network()
    at = model.objective.linearize(model.theta, model.batch, engine)
    V = model.rng.standard_normal((64, K))
    whole = at.hvp(V)
    with short_of_room(True):
        np.testing.assert_allclose(at.hvp(V), whole, rtol=1e-12, atol=1e-14)


def system(root, files):
    """A folder with files of proc and sys."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal: 64000000 kB\nMemAvailable: 32000000 kB\n"}


def group(version, path, limit, used, inactive):
    """The files of a control group of version 1 or 2."""
    if version == 1:
        folder = f"sys/fs/cgroup/memory{path}"
        names = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
    else:
        folder = f"sys/fs/cgroup{path}"
        names = "memory.max", "memory.current", "inactive_file"
    return {
        f"{folder}/{names[0]}": f"{limit}\n",
        f"{folder}/{names[1]}": f"{used}\n",
        f"{folder}/memory.stat": f"anon 12\n{names[2]} {inactive}\n",
    }


def test_memory_of_a_machine_without_limits(tmp_path):
    root = system(tmp_path, {**MEMINFO, "proc/self/cgroup": "0::/\n"})
    assert rop.engines.room.available(root) == 32_000_000 * 1024
    unlimited = system(tmp_path, group(2, "", "max", 10**9, 0) | group(1, "", 2**63 - 4096, 10, 0))
    assert rop.engines.room.available(unlimited) == 32_000_000 * 1024


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("shown", "limited"),
    [("/", ""), ("/jobs/7", "/jobs/7"), ("/jobs/7", "/jobs"), ("/docker/abc", "")],
)
def test_memory_of_a_control_group(tmp_path, version, shown, limited):
    """Its own limit or that of one above it; containers may see the host's path."""
    line = f"0::{shown}\n" if version == 2 else f"11:cpu:/x\n4:memory:{shown}\n0::/\n"
    files = {**MEMINFO, "proc/self/cgroup": line}
    files |= group(version, limited, 1_500_000_000, 700_000_000, 200_000_000)
    root = system(tmp_path, files)
    assert rop.engines.room.available(root) == 1_000_000_000


def test_a_control_group_that_is_full(tmp_path):
    files = {"proc/self/cgroup": "0::/\n"} | group(2, "", 1000, 1200, 0)
    assert rop.engines.room.available(system(tmp_path, files)) == 0


def test_files_that_are_not_as_expected(tmp_path):
    files = {"proc/meminfo": "nonsense\n", "proc/self/cgroup": "0::/\n"} | group(2, "", "", "", "")
    found = rop.engines.room.available(system(tmp_path, files))
    assert found is None or found > 0
    assert rop.engines.room.available() > 0


def kept():
    """Bytes that wait to be used again, by kind."""
    found = {"Results": 0, "Layouts": 0, "Spares": 0}
    for one in rop.engines.memory._all_kept():
        if isinstance(one, rop.engines.memory.Results):
            found["Results"] += sum(a.nbytes for free in one._free.values() for a in free)
        elif isinstance(one, rop.engines.memory.Layouts):
            found["Layouts"] += one.nbytes
        else:
            found["Spares"] += sum(execution.nbytes for execution in one._waiting)
    return found


def test_results_of_many_sizes():
    """Those that nobody holds any more wait for the next ones, a few of them."""
    rop.free_memory()
    for k in range(30):
        w = rop.param("w", 200_000 + 20_000 * k)
        objective = rop.Objective(rop.sum(w * w), rop.SquaredError(0.0))
        at = objective.linearize(np.ones(objective.n))
        gradients = [at.gradient() for _ in range(5)]
    del gradients
    assert 0 < kept()["Results"] <= 8 * objective.n * 8
    assert rop.free_memory() >= 8 * 700_000 * 8
    assert kept()["Results"] == 0


def test_results_are_bounded_in_bytes(monkeypatch):
    rop.free_memory()
    monkeypatch.setattr(rop.engines.memory.Results, "most_bytes", 5_000_000)
    arrays = [rop.engines.memory.results.empty(300_000, np.dtype(float)) for _ in range(6)]
    del arrays
    assert kept()["Results"] == 4_800_000


@pytest.mark.parametrize("count", [1, 3])
def test_many_numbers_of_directions(sharded, count):
    """One linearization holds on to the memory of the largest only."""
    objective = chain(3, 40)
    theta, batch = place(objective, 60, 40)
    V = np.random.default_rng(0).standard_normal((objective.n, 40))
    with sharded(count):
        at = objective.linearize(theta, batch, "numba")
        right = at.ggnvp(V), at.hvp(V)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for K in range(1, 41):
            np.testing.assert_allclose(at.ggnvp(V[:, :K]), right[0][:, :K], rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(at.hvp(V[:, :K]), right[1][:, :K], rtol=1e-10, atol=1e-12)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert grown < 3 * V.nbytes
    # The same place again, with what is bound to it: θ and batch are those of the next load.
    np.testing.assert_array_equal(at.ggnvp(theta), at.ggnvp(theta))
    del at
    with sharded(count):
        again = objective.linearize(-theta, batch, "numba")
        found = [again.ggnvp(V[:, :K]) for K in (40, 3, 1)]
        fresh = chain(3, 40).linearize(-theta, batch, "numba")
        for K, product in zip((40, 3, 1), found, strict=True):
            np.testing.assert_allclose(product, fresh.ggnvp(V[:, :K]), rtol=1e-10, atol=1e-13)


def test_one_bound_for_all_objectives(monkeypatch):
    """Executions that wait hold so much memory together, and the oldest goes first."""
    rop.free_memory()
    objectives = [chain(3) for _ in range(4)]
    theta, batch = place(objectives[0], 100)
    size = None
    for objective in objectives:
        objective.linearize(theta, batch).gradient()
        one = programs_of(objective).prepared["executions"]
        size = size or one._waiting[0].nbytes
    assert kept()["Spares"] == 4 * size
    monkeypatch.setattr(rop.engines.sharded.ShardedExecution, "spare_bytes", int(2.5 * size))
    objectives[0].linearize(theta, batch).gradient()
    waiting = [len(programs_of(o).prepared["executions"]._waiting) for o in objectives]
    assert waiting == [1, 0, 0, 1]
    assert rop.free_memory() >= 2 * size
    assert kept() == {"Results": 0, "Layouts": 0, "Spares": 0}
    assert np.isfinite(objectives[0].linearize(theta, batch).gradient()).all()


def test_plans_are_bounded_in_bytes(monkeypatch):
    rop.free_memory()
    objective = chain(4)
    theta, batch = place(objective, 40)
    objective.linearize(theta, batch).hvp(theta)
    one = kept()["Layouts"]
    monkeypatch.setattr(rop.engines.memory.Layouts, "most_bytes", 2 * one)
    for cases in range(1, 40):
        part = {name: array[:cases] for name, array in batch.items()}
        objective.linearize(theta, part).hvp(theta)
        assert kept()["Layouts"] <= 2.5 * one


def test_what_belongs_to_an_objective_goes_with_it():
    rop.free_memory()
    objective = chain(3)
    theta, batch = place(objective, 100)
    objective.linearize(theta, batch).gradient()
    assert kept()["Spares"] > 0
    del objective
    gc.collect()
    assert kept()["Spares"] == kept()["Layouts"] == 0


def test_objectives_may_be_made_while_others_make_room():
    """Threads of a cluster's workers: each new objective is counted while others count all."""
    stop = threading.Event()

    def make():
        while not stop.is_set():
            rop.engines.memory.Layouts()

    threads = [threading.Thread(target=make) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for _ in range(3_000):
            rop.free_memory()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
