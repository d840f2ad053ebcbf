"""Wrong arguments of the functions of rop.hf: each is refused by name, in words that help."""

from math import inf, nan

import numpy as np
import pytest

import rop
from rop import hf

A = np.diag([1.0, 2.0, 3.0])
b = np.ones(3)


@pytest.mark.parametrize("solve", [hf.pcg, lambda A, b, **rest: hf.gltr(A, b, 1.0, **rest)])
@pytest.mark.parametrize(
    "kind, arguments, words",
    [
        ("no vector", {"b": "a"}, "b must be an array of float32 or float64, got 'a'"),
        ("no vector", {"b": None}, "b must be an array"),
        ("no vector", {"b": []}, "b must have shape"),
        ("no vector", {"b": [[1.0], [1.0, 2.0]]}, "b must be an array"),
        ("complex", {"b": b + 1j}, "b must be an array of float32 or float64"),
        ("float16", {"b": b.astype(np.float16)}, "b must be an array of float32 or float64"),
        ("masked", {"b": np.ma.masked_array(b, [1, 0, 0])}, "b must be an array"),
        ("axes", {"b": b[:, None]}, r"b must have shape \(n,\) with n >= 1, got \(3, 1\)"),
        ("NaN", {"b": np.array([1, nan, 1])}, "b must be finite, got nan at index 1"),
        ("infinity", {"b": np.array([1, 1, inf])}, "b must be finite, got inf at index 2"),
        ("no operator", {"A": 5}, "operator must be a function of 1 argument or a Matrix, got 5"),
        ("no operator", {"A": None}, "operator must be a function"),
        ("arity", {"A": lambda: b}, "operator must be a function of 1 argument"),
        ("shape", {"A": np.eye(4)}, r"operator: expected shape \(3, 3\)"),
        ("length", {"A": lambda v: v[:2]}, r"operator: expected a result of shape \(3,\)"),
        ("length", {"A": lambda v: np.ones(1)}, "operator: expected a result"),
        ("axes", {"A": lambda v: v[:, None]}, "operator: expected a result"),
        ("None", {"A": lambda v: None}, "operator: expected a result .* got None"),
        ("number", {"A": lambda v: 1.0}, "operator: expected a result"),
        ("complex", {"A": lambda v: v + 1j}, "operator: expected a result .* of real numbers"),
        ("objects", {"A": lambda v: v.astype(object)}, "operator: .* of real numbers"),
        ("masked", {"A": lambda v: np.ma.masked_array(v, [1, 0, 0])}, "operator: .* real numbers"),
        ("length", {"preconditioner": lambda r: r[:2]}, "preconditioner: expected a result"),
        ("None", {"preconditioner": lambda r: None}, "preconditioner: expected a result"),
        ("no operator", {"preconditioner": 5}, "preconditioner must be a function"),
        ("shape", {"preconditioner": np.eye(2)}, r"preconditioner: expected shape \(3, 3\)"),
        ("count", {"max_steps": 0}, "max_steps must be an int >= 1"),
        ("count", {"max_steps": 2.5}, "max_steps must be an int >= 1 or None, got 2.5"),
        ("count", {"max_steps": nan}, "max_steps must be an int"),
        ("count", {"max_steps": True}, "max_steps must be an int"),
        ("container", {"store": 5}, "store must be a Container, got 5"),
    ],
)
def test_solvers_check_what_they_are_given(solve, kind, arguments, words):
    arguments = {"A": A, "b": b, **arguments}
    with pytest.raises(rop.RopError, match=words):
        solve(arguments.pop("A"), arguments.pop("b"), **arguments)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"x0": np.ones(4)}, r"x0 must have the shape of b, \(3,\), got \(4,\)"),
        ({"x0": np.ones((3, 1))}, "x0 must have shape"),
        ({"x0": np.full(3, nan)}, "x0 must be finite, got nan at index 0 and 3 such numbers"),
        ({"x0": "a"}, "x0 must be an array"),
        ({"residual": nan}, "residual must be a finite number >= 0, got nan"),
        ({"residual": -1}, "residual must be a finite number >= 0"),
        ({"residual": "a"}, "residual must be a finite number"),
        ({"keep": 0}, "keep must be an int >= 1"),
        ({"keep": 1.5}, "keep must be an int >= 1"),
        ({"radius": -1}, "radius must be a number > 0"),
        ({"radius": nan}, "radius must be a number > 0"),
        ({"stops": 5}, "stops must be a Sequence, each element a function of 1 argument"),
        ({"stops": [5]}, "stops must be a Sequence, each element a function of 1 argument"),
        ({"downhill": "yes"}, "downhill must be True or False"),
    ],
)
def test_pcg_checks_its_own_arguments(arguments, words):
    with pytest.raises(rop.RopError, match=f"pcg: {words}"):
        hf.pcg(A, b, **arguments)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"radius": "a"}, "radius must be a number > 0, got 'a'"),
        ({"radius": 0}, "radius must be a number > 0, got 0"),
        ({"radius": nan}, "radius must be a number > 0, got nan"),
        ({"tolerance": -1}, "tolerance must be a finite number >= 0"),
        ({"seed": -1}, "seed must be an int >= 0"),
        ({"semidefinite": 1}, "semidefinite must be True or False"),
    ],
)
def test_gltr_checks_its_own_arguments(arguments, words):
    with pytest.raises(rop.RopError, match=f"gltr: {words}"):
        hf.gltr(A, b, **{"radius": 1.0, **arguments})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_solvers_take_what_can_be_converted_without_a_doubt(dtype):
    expected = hf.pcg(A, b.astype(dtype)).x
    for operator, rhs in (
        (lambda v: A @ v, b.astype(dtype)),  # float64 products
        (lambda v: list(A @ v), b.astype(dtype)),
        (A.astype(np.int8), b.astype(dtype)),
    ):
        x = hf.pcg(operator, rhs).x
        assert x.dtype == dtype
        np.testing.assert_allclose(x, expected, rtol=1e-6)
    np.testing.assert_allclose(hf.pcg(A, [1, 1, 1], preconditioner=A).x, 1 / np.diag(A))


@pytest.mark.parametrize("n", [3, 2**18])
def test_compiled_code_never_sees_vectors_of_two_lengths(n):
    from rop.hf.vectors import axpy, descend, dot, turn

    x, short = np.ones(n), np.ones(n - 1)
    for call in (
        lambda: dot(x, short),
        lambda: axpy(1.0, short, x),
        lambda: descend(1.0, x, x, x, short),
        lambda: turn(1.0, short, x),
        lambda: dot(x[:, None], x),
    ):
        with pytest.raises(rop.RopError, match="expected vectors of one length"):
            call()


def minimize(problem, **arguments):
    objective, theta, data = problem
    given = {"objective": objective, "theta": theta, "data": data, **arguments}
    return hf.minimize(**{"engine": "numpy", "iterations": 1, **given})


BAD_ARGUMENTS = [
    ("objective", 5, "objective must be an Objective, got 5"),
    ("objective", rop.Objective, "objective must be an Objective"),
    ("theta", None, "theta: expected real numbers"),
    ("theta", "a", "theta: expected real numbers"),
    ("theta", 1.0, "theta must have the objective's shape"),
    ("theta", lambda theta: theta + 1j, "theta: expected real numbers, got dtype complex128"),
    ("theta", lambda theta: theta[None], "theta must have the objective's shape"),
    ("theta", lambda theta: theta * nan, "theta: .* NaN or inf"),
    ("theta", lambda theta: theta + 1e300, "theta: .* NaN or inf"),  # in float32
    ("data", None, "data must be a dict of arrays .*; write {} for an objective without data"),
    ("data", 5, "data must be a dict of arrays by the names of the objective's data"),
    ("data", (b, b), r'data must be a dict .*; write {"x": X, "t": T}'),
    ("data", hf.Stream, "data must be a dict .*, or a Stream"),
    ("data", {}, "batch"),
    ("data", {"x": "a", "t": b}, r"data\['x'\]: expected real numbers"),
    ("data", {"x": None, "t": b}, r"data\['x'\]: expected real numbers"),
    ("data", {"x": np.ones((2, 4)), "t": b}, "the same number of at least one"),
    ("data", {"x": np.ones((0, 4)), "t": np.ones((0, 3))}, "the same number of at least one"),
    ("data", hf.Stream(lambda k: None), "Stream: the data of iteration 0 must be a dict .* None"),
    ("data", hf.Stream([5]), "Stream: the data of iteration 0 must be a dict of arrays"),
    ("data", hf.Stream([]), "the stream has no batches"),
    ("recipe", 5, "recipe must be"),
    ("recipe", hf.Recipe, r"Recipe is a class: write Recipe\(\)"),
    ("recipe", "martens", "did you mean 'martens2010'"),
    ("iterations", -1, "iterations must be an int >= 0, got -1"),
    ("iterations", "a", "iterations must be an int >= 0, got 'a'"),
    ("iterations", nan, "iterations must be an int >= 0, got nan"),
    ("iterations", inf, "iterations must be an int >= 0, got inf"),
    ("iterations", 2.0, "iterations must be an int >= 0, got 2.0 .*; write 2"),
    ("iterations", True, "iterations must be an int"),
    ("iterations", None, "iterations must be an int .* leave it out for the default"),
    ("seconds", -1, "seconds must be a finite number >= 0 or None, got -1"),
    ("seconds", nan, "seconds must be a finite number"),
    ("seconds", "a", "seconds must be a finite number"),
    ("target", nan, "target must be a finite number or None"),
    ("target", "a", "target must be a finite number or None"),
    ("gradient_norm", nan, "gradient_norm must be a finite number >= 0"),
    ("gradient_norm", -1, "gradient_norm must be a finite number >= 0"),
    ("gradient_norm", "a", "gradient_norm must be a finite number >= 0"),
    ("callback", 5, "callback must be a function of 2 arguments or None, got 5"),
    ("callback", lambda: 0, "callback must be a function of 2 arguments"),
    ("callback", lambda it: 0, "callback must be a function of 2 arguments"),
    ("progress", "no", "progress must be True or False"),
    ("folder", 5, "folder must be a str, a Path or None, got 5"),
    ("folder", "\0", "cannot make the folder"),
    ("folder", "/dev/null/run", "cannot make the folder"),
    ("resume", True, "resume needs folder="),
    ("resume", "yes", "resume must be True or False or 'anyway'"),
    ("engine", "numbda", "numbda"),
    ("engine", 5, "engine must be a str"),
    ("dtype", None, "dtype must be float32 or float64, got None"),
    ("dtype", int, "dtype must be float32 or float64"),
    ("dtype", "what", "dtype must be float32 or float64, got 'what'"),
    ("dtype", np.float16, "dtype must be float32 or float64"),
]


@pytest.mark.parametrize("name, value, words", BAD_ARGUMENTS)
def test_minimize_checks_its_arguments(problem, name, value, words):
    if name == "theta" and callable(value):
        value = value(problem[1])
    with pytest.raises(rop.RopError, match=words):
        minimize(problem, **{name: value})


@pytest.mark.parametrize(
    "name, value, words",
    [each for each in BAD_ARGUMENTS if each[0] in "objective theta data recipe engine dtype"],
)
def test_the_iterator_checks_its_arguments(problem, name, value, words):
    objective, theta, data = problem
    if name == "theta" and callable(value):
        value = value(theta)
    given = {"objective": objective, "theta": theta, "data": data, "engine": "numpy", name: value}
    with pytest.raises(rop.RopError, match=words):
        next(hf.HessianFree(**given))


def test_what_fits_is_accepted(problem):
    objective, theta, data = problem
    for arguments in (
        {"theta": list(theta)},
        {"data": {name: array.tolist() for name, array in data.items()}},
        {"data": [data]},
        {"recipe": "martens2010"},
        {"iterations": np.int64(1), "seconds": np.float32(9), "target": 0, "progress": np.False_},
        {"callback": print},
        {"dtype": "f8"},
    ):
        if isinstance(arguments.get("data"), list):
            arguments["data"] = hf.Stream(arguments["data"])
        assert minimize(problem, **arguments).nit == 1


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda q: hf.Stream(5), "source must be a function of 1 argument or an Iterable"),
        (lambda q: hf.Stream(lambda: 0), "source must be a function of 1 argument"),
        (lambda q: hf.Stream(None), "source must be"),
        (lambda q: hf.read_log(5), "path must be a str or a Path, got 5"),
        (lambda q: hf.read_log(None), "path must be a str or a Path, got None"),
        (lambda q: hf.read_log("/nonexistent"), "cannot read /nonexistent: No such file"),
        (lambda q: hf.read_log("\0"), "cannot read"),
        (lambda q: hf.replay(5, None, b, {}), "log must be a str or a Path"),
        (lambda q: hf.replay("x", 5, b, {}), "objective must be an Objective"),
        (lambda q: hf.replay("x", None, b, (b, b)), "replay: "),
        (lambda q: hf.repair(5), "folder must be a str or a Path"),
        (lambda q: hf.repair("/nonexistent"), "/nonexistent is no folder"),
        (lambda q: hf.compare(5, 5), "first must be an Iterable, got 5"),
        (lambda q: hf.compare(q, [1]), "second: expected the result of .* got 1 at place 0"),
        (lambda q: hf.compare(q, q, rtol=nan), "rtol must be a finite number >= 0"),
        (lambda q: hf.compare(q, q, rtol=-1), "rtol must be a finite number >= 0"),
        (lambda q: hf.table(5), "records must be an Iterable"),
        (
            lambda q: hf.table([1]),
            "records: expected the result of rop.hf.minimize, or its records, got 1",
        ),
        (lambda q: hf.columns(None), "records must be an Iterable, got None"),
        (
            lambda q: hf.columns("ab"),
            "records: expected the result of rop.hf.minimize, or its records",
        ),
    ],
)
def test_functions_on_records_and_files_check_their_arguments(problem, call, words):
    with pytest.raises(rop.RopError, match=words):
        call(minimize(problem).records)


@pytest.mark.parametrize("place", [(0, 0), (41, 2), (59, 3)])
@pytest.mark.parametrize("bad", [nan, inf])
def test_a_bad_number_is_located_in_the_users_array(problem, place, bad):
    objective, theta, data = problem
    X = data["x"].copy()
    X[place] = bad
    recipe = hf.Recipe(batches=hf.Batches(gradient=20, seed=3, chunk=7))
    words = rf"data\['x'\]: expected finite numbers, got {bad} at \[{place[0]}, {place[1]}\]"
    with pytest.raises(rop.RopValueError, match=words):
        minimize(problem, data={**data, "x": X}, recipe=recipe, iterations=9)
