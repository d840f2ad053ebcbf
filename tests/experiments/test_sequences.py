"""The pathological problems: definitions, statistics, judgement, and that HF solves them."""

import itertools
import json

import numpy as np
import pytest
from scipy import stats

import rop
from rop.cli import main
from rop.errors import RopValueError
from rop.experiments import EXPERIMENTS, STUDIES
from rop.experiments.sequences import TASKS
from rop.experiments.sequences_problems import recurrent_objective, rnn_recipe, start
from rop.experiments.sequences_runs import FIRST_ORDER, first_order, hessian_free
from rop.hf.preconditioners import NoPreconditioner
from rop.hf.streams import Stream

T, N = 40, 3000
MARKED = ["addition", "multiplication", "xor"]
ORDERED = {"temporal-order": [(1, 2), (5, 6)], "temporal-order-3": [(1, 2), (3, 4), (6, 7)]}
VARIED = [*MARKED, *ORDERED, "random-permutation"]


@pytest.fixture(scope="module")
def drawn():
    return {name: (make(T), make(T).draw(N, 0)) for name, make in TASKS.items()}


def uniform(counts):
    """Whether counts are those of equally probable values; the seeds are fixed."""
    return stats.chisquare(counts).pvalue > 0.01


def ends(task, batch):
    """T' of each sequence: the step of its last output of weight 1."""
    weight = batch["weight"].reshape(-1, len(task.at))
    last = len(task.at) - 1 - (weight[:, ::-1] > 0).argmax(axis=1)
    return np.array(task.at)[last] + 1


@pytest.mark.parametrize("name", TASKS)
def test_shapes_are_those_of_the_net_and_everything_is_float32(drawn, name):
    task, batch = drawn[name]
    assert batch["x"].shape == (N, task.steps, task.inputs)
    assert batch["t"].shape == (N, len(task.at), task.outputs)
    assert all(array.dtype == np.float32 for array in batch.values())
    objective = recurrent_objective(task, hidden=5)
    assert {"x", "t", "weight"} == set(objective.data_shapes)
    few = {key: array[:20] for key, array in batch.items()}
    assert np.isfinite(objective.value(objective.init("spectral", connections=3), few))


@pytest.mark.parametrize("name", TASKS)
def test_the_seed_alone_decides(name):
    task = TASKS[name](20)
    first, again, other = task.draw(9, 1), task.draw(9, 1), task.draw(9, 2)
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not np.array_equal(first["x"], other["x"])


@pytest.mark.parametrize("name", VARIED)
def test_lengths_are_uniform_between_T_and_a_tenth_more(drawn, name):
    task, batch = drawn[name]
    lengths = ends(task, batch) + (name == "random-permutation")  # its last symbol is not shown
    assert (lengths.min(), lengths.max()) == (T, T + T // 10)
    assert uniform(np.bincount(lengths)[T:])
    shown = ends(task, batch)
    after = np.arange(task.steps) >= shown[:, None]
    assert not batch["x"][after].any()
    silent = 0.5 if name == "xor" else 0.0  # bits that are 0 and not marked
    assert 1 - batch["x"][~after].any(axis=1).mean() == pytest.approx(silent, abs=0.03)


@pytest.mark.parametrize("name", [*MARKED, *ORDERED])
def test_only_the_last_step_of_a_sequence_has_a_target(drawn, name):
    task, batch = drawn[name]
    assert np.all(batch["weight"].reshape(N, -1).sum(axis=1) == 1)
    assert task.at[0] == T - 1


@pytest.mark.parametrize("name", MARKED)
def test_two_numbers_are_marked_in_their_windows_and_make_the_target(drawn, name):
    task, batch = drawn[name]
    values, marks = batch["x"][:, :, 0].astype(float), batch["x"][:, :, 1]
    assert np.all(marks.sum(axis=1) == 2)
    rows = np.arange(N)
    first = marks.argmax(axis=1)
    second = task.steps - 1 - marks[:, ::-1].argmax(axis=1)
    lengths = ends(task, batch)
    assert np.all(first + 1 <= lengths // 10)
    assert np.all((lengths // 10 <= second + 1) & (second + 1 <= lengths // 2))
    assert np.all(second > first)
    assert uniform(np.bincount(first))
    u, v = values[rows, first], values[rows, second]
    wanted = {"addition": (u + v) / 2, "multiplication": u * v, "xor": (u != v).astype(float)}
    np.testing.assert_allclose(batch["t"][:, 0, 0], wanted[name], rtol=1e-6)


@pytest.mark.parametrize("name", ["addition", "multiplication"])
def test_numbers_are_uniform(drawn, name):
    _, batch = drawn[name]
    before = batch["x"][:200, :T, 0].ravel()  # every sequence is that long
    assert stats.kstest(before, "uniform").pvalue > 0.01


def test_bits_and_their_xor_are_fair(drawn):
    _, batch = drawn["xor"]
    assert uniform(np.bincount(batch["x"][:, :T, 0].astype(int).ravel()))
    assert uniform(np.bincount(batch["t"][:, 0, 0].astype(int)))


@pytest.mark.parametrize("name", ORDERED)
def test_special_symbols_come_in_their_windows_and_make_the_class(drawn, name):
    _, batch = drawn[name]
    x, windows = batch["x"], ORDERED[name]
    assert np.all(x[:, :, 4:].sum(axis=(1, 2)) == len(windows))
    label = np.zeros(N, int)
    for low, high in windows:
        part = x[:, low * T // 10 - 1 : high * T // 10, 4:]
        assert np.all(part.sum(axis=(1, 2)) == 1)
        assert uniform(part.sum(axis=(0, 2)))
        label = 2 * label + part.sum(axis=1).argmax(axis=1)
    assert np.array_equal(batch["t"].argmax(axis=2), np.repeat(label[:, None], 5, axis=1))
    assert uniform(np.bincount(label))
    assert uniform(x[:, :, :4].sum(axis=(0, 1)))


def test_the_permutation_asks_for_the_next_symbol_and_at_the_end_for_the_first(drawn):
    task, batch = drawn["random-permutation"]
    x, t = batch["x"].argmax(axis=2), batch["t"].argmax(axis=2)
    count = batch["weight"].sum(axis=1).astype(int)
    for i in range(200):
        shown, asked = x[i, : count[i]], t[i, : count[i]]
        assert np.array_equal(shown[1:], asked[:-1])
        assert shown[0] == asked[-1] in (0, 1)
        assert shown[1:].min() >= 2
    assert uniform(np.bincount(x[:, 0]))
    inside = np.bincount(x[:, 1:30].ravel(), minlength=100)
    assert not inside[:2].any()
    assert uniform(inside[2:])
    assert task.outputs == 100


@pytest.mark.parametrize(
    ("name", "count", "values"), [("memorization-5", 5, 2), ("memorization-20", 10, 5)]
)
def test_symbols_are_to_be_repeated_after_a_trigger_T_steps_later(drawn, name, count, values):
    task, batch = drawn[name]
    x, t = batch["x"].argmax(axis=2), batch["t"].argmax(axis=2)
    assert task.steps == T + 2 * count
    symbols = x[:, :count]
    assert symbols.max() == values - 1
    assert uniform(np.bincount(symbols.ravel()))
    assert np.all(x[:, count + T - 1] == values + 1)
    rest = np.delete(x, [*range(count), count + T - 1], axis=1)
    assert np.all(rest == values)
    assert np.all(t[:, : T + count] == values)
    assert np.array_equal(t[:, T + count :], symbols)
    assert np.all(batch["weight"] == 1)


def test_all_32_sequences_are_the_batch_of_5_bits():
    batch = TASKS["memorization-5"](T).all()
    bits = batch["x"].argmax(axis=2)[:, :5]
    assert {tuple(row) for row in bits} == set(itertools.product([0, 1], repeat=5))
    assert len(bits) == 32
    assert TASKS["memorization-20"](T).all is None


@pytest.mark.parametrize(
    ("name", "n"),
    [
        ("addition", 10_501),
        ("memorization-5", 10_903),
        ("memorization-20", 11_506),
        ("random-permutation", 30_300),
    ],
)
def test_nets_have_the_published_sizes(name, n):
    assert recurrent_objective(TASKS[name](10), hidden=100).n == n


def test_without_memory_5_bits_cost_5_log_2():
    """A net that knows the time but no bits: the loss is that of five fair coins (3.466 nats)."""
    task = TASKS["memorization-5"](12)
    batch, z = task.all(), rop.param("z", (task.steps, 3))
    t = rop.data("t", z.shape)
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(t))
    best = np.full((task.steps, 3), -40.0)
    best[: 12 + 5, 2] = 0
    best[12 + 5 :, :2] = 0
    value = objective.value(best.ravel(), {"t": batch["t"]})
    assert value == pytest.approx(5 * np.log(2), rel=1e-6)


@pytest.mark.parametrize("name", TASKS)
def test_right_answers_are_not_wrong_and_outputs_without_weight_are_not_judged(drawn, name):
    task, batch = drawn[name]
    right = 20 * batch["t"] - 10 if name == "xor" else batch["t"].copy()
    assert not task.wrong(right, batch).any()
    uncounted = batch["weight"].reshape(N, -1) == 0
    spoilt = right.copy()
    spoilt[uncounted] = -spoilt[uncounted] + 7 * np.arange(task.outputs)
    assert not task.wrong(spoilt, batch).any()


@pytest.mark.parametrize("name", TASKS)
def test_one_wrong_output_makes_a_sequence_wrong(drawn, name):
    task, batch = drawn[name]
    z = 20 * batch["t"] - 10 if name == "xor" else batch["t"].copy()
    last, chosen = ends(task, batch) - 1 - task.at[0], np.arange(0, N, 3)
    if name == "xor":
        z[chosen, last[chosen]] *= -1
    elif task.loss is rop.SquaredError:
        z[chosen, last[chosen]] += 0.0401
        z[chosen + 1, last[chosen + 1]] -= 0.0399
    else:
        z[chosen, last[chosen]] = np.roll(z[chosen, last[chosen]], 1, axis=-1)
    wrong = task.wrong(z, batch)
    assert np.all(wrong[chosen] == 1)
    assert wrong.sum() == len(chosen)


def test_only_the_last_symbol_of_the_permutation_is_judged(drawn):
    task, batch = drawn["random-permutation"]
    z = np.zeros_like(batch["t"])
    last = ends(task, batch) - 1
    z[np.arange(N), last] = batch["t"][np.arange(N), last]
    assert not task.wrong(z, batch).any()


@pytest.mark.parametrize("name", VARIED)
def test_lengths_below_ten_are_refused(name):
    with pytest.raises(RopValueError, match="length must be at least 10"):
        TASKS[name](9)


def test_outputs_start_with_the_mean_of_the_targets_where_these_are_numbers():
    for name in ("addition", "temporal-order"):
        task = TASKS[name](10)
        objective, batch = recurrent_objective(task, hidden=20), task.draw(500, 0)
        bias = objective.unpack(start(objective, batch, seed=0))["b_z"]
        if name == "addition":
            assert bias == pytest.approx(batch["t"][:, 0, 0].mean(), rel=1e-6)
        else:
            assert not bias.any()


@pytest.mark.parametrize("name", TASKS)
def test_every_problem_is_an_experiment_with_fresh_sequences(name):
    problem = EXPERIMENTS[name].build(0, length=10, hidden=20, sequences=20, curvature=5)
    assert EXPERIMENTS[name].options["length"] == 30
    assert "RNN" in EXPERIMENTS[name].summary
    if name == "memorization-5":
        assert len(problem.train["x"]) == 32
        return
    assert isinstance(problem.train, Stream)
    first, second = problem.train(0)["x"], problem.train(1)["x"]
    assert first.shape[0] == 20
    assert not np.array_equal(first, second)
    assert len(problem.test["x"]) == 10_000
    assert problem.recipe.batches.curvature == 0.25


def test_lam_of_the_permutation_grows_with_its_length():
    options = {"length": 20, "hidden": 20, "sequences": 8}
    problem = EXPERIMENTS["random-permutation"].build(0, **options)
    assert problem.recipe.damping.lam == pytest.approx(2.0)
    assert EXPERIMENTS["addition"].build(0, **options).recipe.damping.lam == 0.1


def test_the_permutation_starts_from_a_net_that_has_not_forgotten_the_first_symbol():
    """A linear readout of its last state finds it; with the W_xh of all others it guesses."""

    def missed(**options):
        task = TASKS["random-permutation"](30)
        problem = EXPERIMENTS["random-permutation"].build(1, sequences=20, **options)
        batch, p = task.draw(3000, 7), problem.objective.unpack(problem.theta)
        last, states = ends(task, batch) - 1, []
        h = np.tile(p["h_0"], (3000, 1))
        for x in batch["x"].swapaxes(0, 1):
            h = np.tanh(h @ p["W_hh"].T + x @ p["W_xh"].T + p["b_h"])
            states.append(h)
        features = np.c_[np.array(states)[last, np.arange(3000)], np.ones(3000)]
        side = 2 * batch["x"][:, 0, 1] - 1
        w = np.linalg.lstsq(features[:2000], side[:2000], rcond=None)[0]
        return np.mean(np.sign(features[2000:] @ w) != side[2000:])

    assert missed() < 0.4
    assert 0.43 < missed(radius=1.1, inputs=0.1) < 0.57


def test_the_recipe_can_do_without_structural_damping():
    assert rnn_recipe(mu=0).damping.mu == 0
    assert rnn_recipe().damping.mu == 1 / 30


def test_the_recipe_is_that_of_RNN11_whatever_the_defaults_are():
    recipe = rnn_recipe()
    assert isinstance(recipe.preconditioner, NoPreconditioner)
    assert recipe.reduction == "curvature"
    assert (recipe.cg.max_steps, recipe.cg.rise, recipe.decay) == (300, None, 0.95)
    rule = recipe.damping.rule
    assert (rule.raise_by, rule.lower_by, rule.model) == (3 / 2, 2 / 3, "undamped")


@pytest.mark.ci
def test_training_ends_when_the_problem_is_solved(tmp_path, capsys):
    small = ["--length", "3", "--hidden", "30", "--iterations", "60", "--out", str(tmp_path)]
    assert main(["train", "memorization-5", *small]) == 0
    assert "solved: test wrong is below 0.01" in capsys.readouterr().out
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["reason"] == "solved"
    assert summary["test wrong"] < 0.01
    assert 1 < summary["iterations"] < 60
    rows = [json.loads(line) for line in (tmp_path / "measures.jsonl").read_text().splitlines()]
    assert all(row["test wrong"] >= 0.01 for row in rows[:-1])
    assert len(rows) == summary["iterations"]
    assert main(["train", "memorization-5", *small, "--resume"]) == 0
    resumed = json.loads((tmp_path / "summary.json").read_text())
    assert {**resumed, "seconds": 0} == {**summary, "seconds": 0}


def test_only_measures_below_all_goals_solve_a_problem():
    problem = EXPERIMENTS["memorization-5"].build(0, length=3, hidden=20)
    assert problem.goals == {"test wrong": 0.01}
    assert problem.solved({"test wrong": 0.0, "test f": 1.0})
    assert not problem.solved({"test wrong": 0.01})
    assert not problem.solved({"test wrong": float("nan")})
    assert not EXPERIMENTS["digits"].build(0, hidden="4").solved({"test error rate": 0.0})


def test_hf_solves_memorization_where_first_order_methods_do_not():
    options = {"length": 5, "hidden": 40}
    build = EXPERIMENTS["memorization-5"].build
    attempt = hessian_free(build(0, **options), seconds=60, updates=60)
    assert attempt.solved, attempt.rows[-1]
    assert attempt.summary()["updates"] == len(attempt.rows) - 1
    assert [row["seconds"] for row in attempt.rows] == sorted(r["seconds"] for r in attempt.rows)


@pytest.mark.parametrize("method", FIRST_ORDER)
def test_first_order_methods_take_steps_from_the_same_start(method):
    problem = EXPERIMENTS["addition"].build(0, length=10, hidden=20, sequences=200)
    attempt = first_order(problem, method, seconds=0.05, seed=0, points=2)
    assert attempt.rows[0]["wrong"] > 0.5
    assert attempt.rows[-1]["update"] >= 1
    again = EXPERIMENTS["addition"].build(0, length=10, hidden=20, sequences=200)
    assert np.array_equal(problem.theta, again.theta)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "length"), [("memorization-5", 20), ("addition", 30)])
def test_hf_solves_long_ranges(name, length):
    """Experiments 1 and 3: the numbers of updates are some three times those of a pilot."""
    problem = EXPERIMENTS[name].build(0, length=length)
    attempt = hessian_free(problem, seconds=600, updates=100)
    assert attempt.solved, attempt.rows[-1]


@pytest.mark.slow
def test_the_study_compares_all_methods_from_the_same_seeds():
    findings = STUDIES["long-range"].run(12, 0, length=10, seeds=2)
    assert len(findings.tables["attempts"]) == 2 * (2 + len(FIRST_ORDER))
    assert set(findings.pictures) == {"long_range"}
    assert "of 2 solved" in findings.text
