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
