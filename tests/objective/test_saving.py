"""θ on disk: what is read is what was saved, for the same model only."""

import re
import subprocess
import sys

import numpy as np
import pytest

import rop


def build(activation=rop.tanh, hidden=4, loss=rop.SoftmaxCrossEntropy, scale=1.0, names="WV"):
    x, t = rop.data("x", 3), rop.data("t", 2)
    W, V = rop.param(names[0], (hidden, 3)), rop.param(names[1], (2, hidden))
    return rop.Objective(scale * (V @ activation(W @ x)), loss(t), l2=0.1)


@pytest.fixture(params=[np.float32, np.float64])
def theta(request):
    return np.random.default_rng(0).normal(size=20).astype(request.param)


def test_what_is_read_is_what_was_saved(tmp_path, theta):
    path = tmp_path / "model.npz"
    build().save(path, theta)
    found = rop.load_theta(str(path), build())
    assert found.dtype == theta.dtype
    np.testing.assert_array_equal(found, theta)
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["W"], theta[:12].reshape(4, 3))
    build().save(path, 2 * theta)
    np.testing.assert_array_equal(rop.load_theta(path, build()), 2 * theta)
    assert [each.name for each in tmp_path.iterdir()] == ["model.npz"]


def test_another_process_reads_it(tmp_path):
    path = tmp_path / "model.npz"
    build().save(path, np.arange(20.0))
    script = f"""
import sys
sys.path.insert(0, {str(__file__).rsplit("/", 1)[0]!r})
from test_saving import build
import rop
print(rop.load_theta({str(path)!r}, build()).tolist())
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == f"{np.arange(20.0).tolist()}\n"


def test_the_penalty_may_be_another(tmp_path):
    x = rop.data("x", 3)
    objectives = [
        rop.Objective(rop.param("w", 3) @ x, rop.SquaredError(rop.data("t")), l2=l2)
        for l2 in (0.0, 1.0)
    ]
    objectives[0].save(tmp_path / "w.npz", [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(
        rop.load_theta(tmp_path / "w.npz", objectives[1]), [1.0, 2.0, 3.0]
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"hidden": 5}, "'W' has shape (4, 3), expected (5, 3); 'V' has shape (2, 4)"),
        ({"names": "WU"}, "it lacks 'U'; 'V' is unknown"),
        ({"activation": rop.relu}, "1 x tanh, now 0, 0 x relu, now 1"),
        ({"loss": rop.SquaredError}, "loss SoftmaxCrossEntropy, now SquaredError"),
        ({"scale": 2.0}, "the ops are the same, but not their order, settings or constants"),
    ],
)
def test_another_model_is_refused_by_what_differs(tmp_path, other, message):
    path = tmp_path / "model.npz"
    build(scale=1.5).save(path, np.zeros(20))
    with pytest.raises(rop.RopValueError, match=re.escape(message)):
        rop.load_theta(path, build(**({"scale": 1.5} | other)))


def test_the_order_of_the_parameters_counts(tmp_path):
    a, b = rop.param("a", 2), rop.param("b", 2)
    z = a * b
    rop.Objective(z, rop.SquaredError([0.0, 0.0]), params=[a, b]).save(tmp_path / "m", np.ones(4))
    other = rop.Objective(z, rop.SquaredError([0.0, 0.0]), params=[b, a])
    with pytest.raises(rop.RopValueError, match=re.escape("parameters ['a', 'b'], now ['b', 'a']")):
        rop.load_theta(tmp_path / "m", other)


@pytest.mark.parametrize("position", range(0, 1500, 61))
def test_a_damaged_file_is_no_model(tmp_path, position):
    path = tmp_path / "model.npz"
    build().save(path, np.random.default_rng(0).normal(size=20))
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)
    try:
        theta = rop.load_theta(path, build())
    except rop.RopValueError as error:
        assert "model.npz" in str(error)
    else:  # a byte that nobody reads, such as a date
        np.testing.assert_array_equal(theta, np.random.default_rng(0).normal(size=20))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nothing of the kind"])
def test_a_file_of_another_kind(tmp_path, content):
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    with pytest.raises(rop.RopValueError, match="is damaged, or is no .npz file"):
        rop.load_theta(path, build())
    np.savez(path, W=np.ones((4, 3)))
    with pytest.raises(rop.RopValueError, match=re.escape("was not written by objective.save")):
        rop.load_theta(path, build())


def test_files_that_cannot_be_there(tmp_path):
    with pytest.raises(rop.RopError, match="cannot read"):
        rop.load_theta(tmp_path / "none.npz", build())
    with pytest.raises(rop.RopError, match="cannot write"):
        build().save(tmp_path / "none" / "model.npz", np.zeros(20))
    with pytest.raises(rop.RopValueError, match="expected shape"):
        build().save(tmp_path / "model.npz", np.zeros(3))
