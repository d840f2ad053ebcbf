"""The benchmark: contestants agree, wrong ones are caught, and times become the right ratios."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from rop.bench import agreement, command, processes, report, timing
from rop.bench.bars import BARS, Bar
from rop.bench.contestants import Contestant, enter
from rop.bench.workloads import WORKLOADS, Convolutional, FeedForward, Recurrent, Workload
from rop.cli import bench, main

MODELS = {
    "autoencoder": FeedForward(
        (5, 4, 3, 4, 5), ("sigmoid", "linear", "sigmoid", "linear"), "sigmoid cross-entropy"
    ),
    "classifier": FeedForward((4, 6, 5, 3), ("tanh", "tanh", "linear"), "softmax cross-entropy"),
    "recurrent": Recurrent(steps=6, inputs=2, hidden=5, outputs=3, loss="squared error"),
    "convolutional": Convolutional((1, 10, 10), (2, 3), 3, (4, 3), "softmax cross-entropy"),
}
PRODUCTS = ("Gv", "Hv", "Jv", "Jᵀu", "gradient")


def small(model, products=PRODUCTS, dtype="float64", parallel=True):
    return Workload("W0", "small", MODELS[model], 7, dtype, parallel, products)


@pytest.fixture
def x64():
    """Leave JAX's process-wide precision as it was."""
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


def worst(workload, engines=("numpy",), peers=("jax", "torch")):
    """Largest difference from rop among the contestants of each product."""
    for peer in peers:
        pytest.importorskip(peer)
    contestants = enter(workload, workload.problem(), engines, peers)
    assert len(contestants) >= len(engines) + len(peers)
    return {
        product: max(
            agreement.differences(
                {c.name: c.vector(product, workload.model.shapes) for c in contestants}
            ).values()
        )
        for product in workload.products
    }


# What is not parallel is tiny, and has JAX with a flat θ as a further contestant.
@pytest.mark.ci
@pytest.mark.parametrize(
    "model, parallel", [*((model, True) for model in MODELS), ("classifier", False)]
)
def test_contestants_agree(x64, model, parallel):
    found = worst(small(model, parallel=parallel))
    assert all(difference < 1e-14 for difference in found.values()), found


@pytest.mark.ci
@pytest.mark.parametrize("model", MODELS)
def test_contestants_agree_in_float32(x64, model):
    found = worst(small(model, dtype="float32"))
    assert all(1e-9 < difference < 2e-6 for difference in found.values()), found


@pytest.mark.ci
@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # torch.func's own
def test_contestants_agree_on_a_whole_matrix(x64):
    assert worst(small("classifier", ("G",)))["G"] < 1e-14


@pytest.mark.ci
def test_contestants_agree_on_conjugate_gradient(x64, monkeypatch):
    for module in ("engines", "peers_jax", "peers_torch"):
        module = f"rop.bench.{module}"
        pytest.importorskip(module)
        monkeypatch.setattr(sys.modules[module], "CG_STEPS", 8)
    assert worst(small("autoencoder", ("CG",)))["CG"] < 1e-12


@pytest.mark.parametrize("model", MODELS)
def test_parameters_are_in_the_order_of_theta(model):
    from rop.bench.engines import objective

    f = objective(MODELS[model])
    assert list(f.shapes.items()) == list(MODELS[model].shapes.items())
    assert f.output_shape == MODELS[model].output_shape


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_problem_is_repeatable_and_of_its_dtype(name):
    workload = replace(WORKLOADS[name], cases=3)
    first, second = workload.problem(), workload.problem()
    for array, same in zip(
        [first.x, first.t, first.u, *first.theta.values(), *first.v.values()],
        [second.x, second.t, second.u, *second.theta.values(), *second.v.values()],
        strict=True,
    ):
        assert array.dtype == workload.dtype
        np.testing.assert_array_equal(array, same)
    assert {k: a.shape for k, a in first.theta.items()} == workload.model.shapes
    assert not np.array_equal(first.x, workload.problem(seed=1).x)


def test_workloads_have_their_sizes():
    n = {
        name: sum(int(np.prod(shape)) for shape in work.model.shapes.values())
        for name, work in WORKLOADS.items()
    }
    assert n["W4"] == 155
    assert n["W1"] == n["W5"] == 842_340
    assert n["W6"] == 44_426
    assert set(BARS) <= {(name, p) for name, work in WORKLOADS.items() for p in work.products}


# Agreement


def contestant(result):
    return Contestant("wrong", "peer", {"Gv": lambda: result}, lambda product, array: array)


@pytest.mark.parametrize("dtype, error", [("float64", 1e-10), ("float32", 1e-3)])
def test_a_contestant_that_is_slightly_off_is_caught(dtype, error):
    workload = small("classifier", ("Gv",), dtype)
    (right,) = enter(workload, workload.problem(), ["numpy"], [])
    vector = right.vector("Gv", workload.model.shapes)
    wrong = vector.copy()
    wrong[len(wrong) // 2] += error * np.linalg.norm(vector)
    found = agreement.differences(
        {"rop": vector, "wrong": contestant(wrong).vector("Gv", workload.model.shapes)}
    )
    assert found["rop"] == 0
    assert found["wrong"] == pytest.approx(error, rel=1e-6)
    assert found["wrong"] > agreement.tolerance(workload, "Gv")


@pytest.mark.parametrize("broken", [[1.0, np.nan], [1.0], [1.0, np.inf]])
def test_broken_results_differ_infinitely(broken):
    found = agreement.differences({"rop": np.array([1.0, 2.0]), "broken": np.array(broken)})
    assert found == {"rop": 0, "broken": np.inf}


# The limit


def test_the_limit_of_w1_has_46_gemms_and_5_47_gflop():
    limit = pytest.importorskip("rop.bench.limit")
    table = limit.gemms(WORKLOADS["W1"].model, 1000, "Gv")
    assert len(table) == 46
    assert limit.flops(table) == pytest.approx(5.47e9, rel=1e-3)


@pytest.mark.parametrize(
    "product, inner, first",
    [("gradient", 3, 2), ("Gv", 4, 2), ("Hv", 6, 2), ("Jv", 2, 1), ("Jᵀu", 2, 1)],
)
def test_multiplications_follow_erratum_m24(product, inner, first):
    limit = pytest.importorskip("rop.bench.limit")
    model = WORKLOADS["W1"].model
    P1, *P = (below * above for below, above in model.layers)
    flops = limit.flops(limit.gemms(model, 10, product))
    assert flops == 2 * 10 * (inner * sum(P) + first * P1)

    rnn = Recurrent(steps=9, inputs=2, hidden=7, outputs=3, loss="squared error")
    maps = 9 * (first * 2 * 7 + inner * 7 * 3) + 8 * inner * 7 * 7
    assert limit.flops(limit.gemms(rnn, 10, product)) == 2 * 10 * maps


@pytest.mark.ci
def test_the_limit_runs_each_kind_of_gemm():
    limit = pytest.importorskip("rop.bench.limit")
    rng = np.random.default_rng(0)
    Y, D, W = rng.standard_normal((4, 3)), rng.standard_normal((4, 5)), rng.standard_normal((5, 3))
    expected = {limit.FORWARD: Y @ W.T, limit.BACKWARD: D @ W, limit.WEIGHT: D.T @ Y}
    for kind, product in expected.items():
        out = np.zeros(20)
        table = np.array([limit.Gemm(kind, rows=4, below=3, above=5)])
        limit._run(table, Y.ravel(), D.ravel(), W.ravel(), out)
        np.testing.assert_allclose(out[: product.size].reshape(product.shape), product, rtol=1e-14)


# Timing


def test_every_round_gives_every_contestant_a_turn_from_another_start(monkeypatch):
    monkeypatch.setattr(timing, "TURN", 0.0)
    monkeypatch.setattr(timing, "SETTLE", 0.0)
    log = []
    calls = {name: (lambda name=name: log.append(name)) for name in "abc"}
    times = timing.interleave(calls, rounds=4)
    assert {name: len(seconds) for name, seconds in times.items()} == dict.fromkeys("abc", 4)
    assert all(second > 0 for seconds in times.values() for second in seconds)
    # A turn is one call to warm up and, with no time to fill, one that is timed.
    assert "".join(log[-24:]) == "aabbcc" + "bbccaa" + "ccaabb" + "aabbcc"


def test_times_are_for_one_call(monkeypatch):
    monkeypatch.setattr(timing, "SETTLE", 0.0)
    monkeypatch.setattr(timing, "TURN", 10.0)
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def call():
        now[0] += 2.0

    assert timing.interleave({"a": call}, rounds=2) == {"a": [2.0, 2.0]}


def test_ratios_are_taken_within_rounds():
    # Both slow down together: the ratio of each round is 2, that of the medians is not 1.
    slow, fast = [2.0, 20.0, 200.0], [1.0, 10.0, 100.0]
    assert timing.quartiles(slow, fast) == (2.0, 2.0, 2.0)
    assert timing.quartiles([1.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == (1.5, 2.0, 2.5)


# Report

ROLES = {"limit": "limit", "rop numba": "rop", "JAX linearize": "peer", "torch": "peer"}


def measured(rop, jax=1.0, torch=2.0):
    seconds = {"limit": 0.5, "rop numba": rop, "JAX linearize": jax, "torch": torch}
    return {
        "seconds": {name: [s, s, s] for name, s in seconds.items() if s is not None},
        "differences": {"rop numba": 0.0, "JAX linearize": 1e-7},
        "tolerance": 1e-5,
    }


@pytest.mark.parametrize(
    "rop, verdict", [(0.9, "aim met"), (0.95, "aim met"), (1.0, "met"), (1.06, "missed")]
)
def test_verdicts_judge_the_ratio_to_the_best_peer(rop, verdict):
    found = report.summary("W1", "Gv", ROLES, measured(rop))
    assert found["best peer"] == "JAX linearize"
    assert found["ratios"]["JAX linearize"][1] == pytest.approx(rop)
    assert found["ratios"]["limit"][1] == pytest.approx(2 * rop)
    assert (found["required"], found["aim"], found["verdict"]) == (1.05, 0.95, verdict)
    faster_torch = report.summary("W1", "Gv", ROLES, measured(rop, torch=0.5))
    assert faster_torch["best peer"] == "torch"
    assert faster_torch["verdict"] == "missed"


def test_verdicts_without_peer_bar_or_agreement():
    alone = report.summary("W1", "Gv", ROLES, measured(1.0, jax=None, torch=None))
    assert alone["verdict"] == "not compared"
    assert report.summary("W3", "Jv", ROLES, measured(1.0))["verdict"] == "no bar"
    torch_only = report.summary("W6", "Gv", ROLES, measured(1.0, jax=None))
    assert torch_only["verdict"] == "not compared"
    wrong = {"seconds": {}, "differences": {"rop numba": 0.0, "torch": 0.1}, "tolerance": 1e-5}
    assert report.summary("W1", "Gv", ROLES, wrong)["verdict"] == "disagree"


def test_the_bar_is_met_at_equality():
    assert Bar(1.05, 0.95).verdict(0.95) == "aim met"
    assert Bar(1.05, 0.95).verdict(1.05) == "met"


def test_convolution_is_judged_beside_jax_alone():
    assert report.summary("W6", "Gv", ROLES, measured(0.8, torch=0.1))["verdict"] == "met"
    assert report.summary("W6", "Gv", ROLES, measured(0.9, torch=9.0))["verdict"] == "missed"


@pytest.mark.parametrize("own, verdict", [(0.9, "met"), (1.1, "aim met"), (0.7, "missed")])
def test_the_hessian_of_convolution_is_judged_beside_its_own_gv(own, verdict):
    times = measured(1.0, jax=0.1)
    times["seconds"]["own Gv"] = [own] * 3
    found = report.summary("W6", "Hv", {**ROLES, "own Gv": "own"}, times)
    assert (found["best peer"], found["verdict"]) == ("JAX linearize", verdict)


@pytest.mark.parametrize(
    "flat, blocks, verdict",
    [(0.7, 0.5, "met"), (0.6, 0.4, "aim met"), (0.7, 0.51, "missed"), (0.81, 0.5, "missed")],
)
def test_small_gradients_are_held_against_jax_twice(flat, blocks, verdict):
    """With θ as one vector, JAX's fastest; and with an array for each parameter."""
    seconds = {"rop numba": [1.0], "JAX, flat θ": [1 / flat], "JAX linearize": [1 / blocks]}
    roles = {"rop numba": "rop", "JAX, flat θ": "peer", "JAX linearize": "peer"}
    measured = {"seconds": seconds, "differences": {}, "tolerance": 1.0}
    assert report.summary("W2", "gradient", roles, measured)["verdict"] == verdict


def workload_result(**products):
    return {
        "description": "what it is",
        "cores": 2,
        "roles": ROLES,
        "products": {p: report.summary("W1", p, ROLES, m) for p, m in products.items()},
    }


def test_the_table_marks_the_best_peer_and_names_who_disagrees():
    wrong = {"seconds": {}, "differences": {"rop numba": 0.0, "torch": 0.1}, "tolerance": 1e-5}
    result = workload_result(Gv=measured(0.012, jax=0.010, torch=0.020), Hv=wrong)
    title, heading, gv, hv, note = report.workload_table("W1", result).splitlines()
    assert title == "W1  what it is; 2 cores; * best peer"
    assert heading.split()[:3] == ["limit", "rop", "numba"]
    assert "12 ms" in gv and "10 ms*" in gv and "20 ms " in gv
    assert gv.split()[-6:] == ["0.02", "1.20", "1.20", "1.05", "0.95", "missed"]
    assert hv.split()[-1] == "disagree"
    assert note == "Hv: torch differs from rop numba by 1.0e-01 (allowed 1.0e-05); not timed"


@pytest.mark.parametrize(
    "products, code",
    [
        ({"Gv": measured(1.0), "Jv": measured(0.5)}, 0),
        ({"Gv": measured(1.0), "Jv": measured(1.5)}, 1),
        ({"Gv": measured(1.0, jax=None, torch=None)}, 2),
        ({"Gv": measured(2.0), "Jv": measured(1.0, jax=None, torch=None)}, 1),
        ({"Gv": {"seconds": {}, "differences": {}, "tolerance": 0.0}}, 1),
    ],
)
def test_exit_codes(products, code):
    assert command.exit_code({"workloads": {"W1": workload_result(**products)}}) == code


# Processes and the command


@pytest.mark.parametrize(
    "given, message",
    [
        (["W9"], "'W6' or 'startup', got 'W9'"),
        (["--rounds", "0"], "--rounds: expected a whole number, 1 or more, got '0'"),
        (["--cores", "100000"], "--cores is at most "),
        (["--cores", "0"], "1 or more, got '0'"),
    ],
)
def test_bad_usage_is_explained(given, message, capsys):
    assert main(["bench", *given]) == 2
    assert message in capsys.readouterr().err


def test_a_peer_that_is_not_installed_is_named(monkeypatch, capsys):
    monkeypatch.setattr(bench.importlib.util, "find_spec", lambda name: None)
    assert main(["bench", "--peers", "torch"]) == 2
    assert "not installed: torch; pip install 'rop[peers]'" in capsys.readouterr().err


def test_importing_the_benchmark_is_light():
    source = "import sys, rop.bench.command; print({'jax', 'torch', 'numba'} & set(sys.modules))"
    assert processes.call(["-c", source], cores=1).stdout == "set()\n"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs processor affinity")
def test_a_process_gets_its_cores_and_we_keep_ours():
    before = os.sched_getaffinity(0)
    source = "import os; print(len(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS'])"
    assert processes.call(["-c", source], cores=1).stdout == "1 1\n"
    assert os.sched_getaffinity(0) == before


def test_a_process_that_fails_is_reported(capfd):
    with pytest.raises(processes.BenchmarkError, match="exit code 3"):
        processes.call(["-c", "raise SystemExit(3)"], cores=1)


@pytest.mark.ci
def test_first_product_reports_time_and_memory():
    found = processes.ask("rop.bench.probe", {"engines": ["numpy"], "peers": []}, cores=1)
    # θ and v alone are 3.4 MB each, the activations of W1 more than 10 MB.
    assert found["peak_mb"] > found["before_mb"] + 15
    assert found["before_mb"] > 15
    assert 0 < found["seconds"] < 60


@pytest.mark.ci
def test_the_command_measures_and_writes_json(tmp_path, capsys):
    path = tmp_path / "bench.json"
    given = ["W4", "--rounds", "1", "--cores", "1", "--engines", "numpy", "numba", "--peers"]
    assert main(["bench", *given, "--json", str(path)]) == 2
    written = json.loads(path.read_text())
    found = written["workloads"]["W4"]["products"]["G"]
    assert found["verdict"] == "not compared"
    assert list(found["seconds"]) == ["rop numpy", "rop numba"]
    assert found["differences"]["rop numba"] < 1e-13
    assert written["machine"]["versions"]["numpy"] == np.__version__
    assert "not compared" in capsys.readouterr().out


def test_what_was_measured_for_this_version_is_printed_without_measuring(monkeypatch, capsys):
    monkeypatch.setattr(bench, "run", None)
    assert main(["bench", "--stored"]) == 0
    printed = capsys.readouterr().out
    stored = sorted(command._RESULTS.glob("*.json"))
    measured = set()
    for path in stored:
        results = json.loads(path.read_text())
        assert f"{path.stem}: {results['machine']['processor']}" in printed
        measured |= results["workloads"].keys()
    assert measured == WORKLOADS.keys()
    heads = ("limit", "rop/limit", "rop/JAX", "rop/best*", "required", "aim", "verdict")
    legend = printed[printed.rindex("\nTimes are medians") :]
    assert all(head in legend for head in heads)
    assert all(f"\n{name}  " in printed for name in WORKLOADS)


def test_ctrl_c_ends_the_process_that_measures(tmp_path):
    """A terminal sends the signal to the whole group: the worker must not tell of it."""
    source = (
        "import time; from rop.bench.processes import call; print('begun', flush=True); "
        "call(['-c', 'import time; time.sleep(60)'], cores=1)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=50)
    assert process.returncode == -signal.SIGINT
    assert err.count("Traceback") == 1
