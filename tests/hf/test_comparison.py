"""Where two runs part, and runs done again from their logs."""

from dataclasses import replace

import numpy as np
import pytest
from damped import damped

from rop.errors import RopValueError
from rop.hf import (
    Difference,
    ReplayError,
    Stream,
    compare,
    minimize,
    read_log,
    recipes,
    replay,
)
from rop.hf.damping import Tikhonov
from rop.hf.files import decode_line, encode_line
from rop.hf.levenberg_marquardt import LevenbergMarquardt


@pytest.fixture
def records(problem):
    return minimize(*problem, iterations=6, engine="numpy").records


def changed(records, number, **fields):
    return [replace(it, **fields) if it.number == number else it for it in records]


def test_a_run_is_the_same_as_itself(problem, records):
    again = minimize(*problem, iterations=6, engine="numpy").records
    assert records is not again
    assert compare(records, again) is None


def test_times_do_not_count(records):
    assert compare(records, changed(records, 2, seconds={"cg": 1e9})) is None


def test_the_first_difference_in_the_order_of_the_algorithm(records):
    other = changed(records, 3, f_after=-1.0, lam_before=7.0, chosen=1)
    other = changed(other, 5, lam_before=8.0)
    assert compare(records, other) == Difference(3, "lam_before", records[3].lam_before, 7.0)
    longest = max(records, key=lambda it: it.cg.steps)
    k, j, cg = longest.number, longest.cg.steps, longest.cg
    other = changed(records, k, cg=replace(cg, q=(*cg.q[:j], -9.0), steps=5), f_after=0.0)
    found = compare(records, other)
    assert found == Difference(k, f"cg.q[{j}]", cg.q[j], -9.0)
    assert str(found) == f"iteration {k}, cg.q[{j}]: {cg.q[j]!r} against -9.0"


def test_a_shorter_run(records):
    assert compare(records, records[:4]) == Difference(4, "number", 4, None)
    assert compare(records[:4], records) == Difference(4, "number", None, 4)
    assert compare([], []) is None


def test_floats_up_to_a_tolerance(records):
    nearly = changed(records, 1, gradient_norm=records[1].gradient_norm * (1 + 1e-9))
    assert compare(records, nearly).field == "gradient_norm"
    assert compare(records, nearly, rtol=1e-8) is None


def test_nan_is_nan(records):
    nan = changed(records, 1, rho=float("nan"))
    assert compare(nan, changed(records, 1, rho=float("nan"))) is None
    assert compare(records, nan).field == "rho"


def test_two_recipes_part_where_the_rule_acts(problem):
    raising = damped(damping=Tikhonov(1.0, LevenbergMarquardt(good=1e9)))
    runs = [
        minimize(*problem, r, iterations=5, engine="numpy").records for r in (damped(), raising)
    ]
    found = compare(*runs)
    assert found.field == "lam_after"
    assert runs[0][found.iteration].rho > 3 / 4


def test_engines_part_late(problem):
    objective, theta, data = problem
    settings = {"iterations": 5, "dtype": np.float64}
    recipe = recipes.martens2010(curvature=1.0, lam=1.0)  # strong damping: short runs of CG
    runs = [
        minimize(objective, theta, data, recipe, engine=engine, **settings).records
        for engine in ("numpy", "numba")
    ]
    assert compare(*runs, rtol=1e-6) is None


@pytest.fixture
def logged(problem, tmp_path):
    recipe = recipes.martens2010(curvature=0.5, lam=1.0)
    minimize(*problem, recipe, iterations=6, engine="numpy", dtype=np.float64, folder=tmp_path)
    return tmp_path


def test_replay_decides_the_same(problem, logged):
    assert compare(replay(logged, *problem), read_log(logged).records) is None
    assert len(list(replay(logged / "log.jsonl", *problem))) == 6


def test_replay_of_a_stream(problem, tmp_path):
    objective, theta, data = problem

    def draw(k):
        chosen = np.random.default_rng(k).choice(60, 30, replace=False)
        return {name: array[chosen] for name, array in data.items()}

    minimize(objective, theta, Stream(draw), iterations=4, engine="numpy", folder=tmp_path)
    assert len(list(replay(tmp_path, objective, theta, Stream(draw)))) == 4


def test_replay_tells_the_first_other_decision(problem, logged):
    log = logged / "log.jsonl"
    lines = log.read_text().splitlines()
    told = decode_line(lines[4].encode())
    told["chosen"] += 1
    lines[4] = encode_line(told).decode().rstrip()
    log.write_text("\n".join(lines) + "\n")
    again = replay(log, *problem)
    assert [next(again).number for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ReplayError, match=r"iteration 3, chosen: the log has \d+, the replay \d+"):
        next(again)


def test_replay_with_other_data_fails(problem, logged):
    objective, theta, data = problem
    other = {**data, "x": data["x"] * (1 + 1e-12)}
    with pytest.raises(RopValueError, match=r"data\.x has other values"):
        list(replay(logged, objective, theta, other))
    with pytest.raises(RopValueError, match="theta at the beginning has other values"):
        list(replay(logged, objective, theta + 1e-9, data))
