"""Run folders that are damaged, belong to something else, or are in use: refused, and repaired."""

import json
import os
import shutil
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

import rop
from rop.errors import RopError, RopFileError, RopValueError
from rop.hf import FolderInUseError, Stream, compare, identity, minimize, read_log, recipes, repair
from rop.hf.files import JsonLines, encode_line, read_lines

RECIPE = recipes.martens2010(curvature=0.5, lam=1.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Objective, θ_0, data; the result of 6 iterations; a folder in which 4 of them are done."""
    rng = np.random.default_rng(0)
    _, z = rop.nets.mlp([4, 6, 3])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=1e-3)
    X = rng.standard_normal((60, 4))
    data = {"x": X, "t": np.eye(3)[1 * (X[:, 0] > 0) + (X[:, 2] > 0)]}
    problem = objective, objective.init("glorot", seed=0), data
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(problem, folder, 4)
    return problem, minimize(*problem, RECIPE, iterations=6, engine="numpy"), folder


def run(problem, folder, iterations=6, recipe=RECIPE, **settings):
    settings = {"engine": "numpy", "resume": True, **settings}
    return minimize(*problem, recipe, iterations=iterations, folder=folder, **settings)


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole[2], tmp_path / "run")


def edited(file, change):
    content = bytearray(file.read_bytes())
    file.write_bytes(change(content) or content)


def flipped(place, bit=3):
    def change(content):
        content[int(place * len(content))] ^= 1 << bit

    return change


def without_line(number):
    return lambda content: b"".join(
        line for i, line in enumerate(content.splitlines(keepends=True)) if i != number
    )


def line_of(text):
    """Return a change that appends a line which the checksum says is as it was written."""
    return lambda content: (
        b"".join(content.splitlines(keepends=True)[:2])
        + (text if isinstance(text, bytes) else encode_line(text))
    )


class Folder:
    """Changes that put a folder in the place of a file."""

    def __call__(self, file):
        file.unlink()
        file.mkdir()


def npy():
    file = BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


def pipe(file):
    file.unlink()
    os.mkfifo(file)


LOG_DAMAGES = {
    "missing": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "torn": lambda file: edited(file, lambda content: content[:-20]),
    "half": lambda file: edited(file, lambda content: content[: len(content) // 2]),
    "a record is missing": lambda file: edited(file, without_line(2)),
    "the header is missing": lambda file: edited(file, without_line(0)),
    "a bit of the header": lambda file: edited(file, flipped(0.05)),
    "a bit of a record": lambda file: edited(file, flipped(0.6)),
    "zeros": lambda file: edited(file, lambda content: content[:-900] + bytes(900)),
    "not UTF-8": lambda file: edited(file, line_of(b"\xff\xfe\n")),
    "a value that is no record": lambda file: edited(file, line_of({"a": 1})),
    "an unknown class": lambda file: edited(file, line_of({"class": "Popen", "args": ["true"]})),
    "a class that is a list": lambda file: edited(file, line_of({"class": ["Iteration"]})),
    "an array of objects": lambda file: edited(
        file, line_of({"class": "ndarray", "dtype": "O", "shape": [1], "base64": "AAAAAAAA"})
    ),
    "an array without dtype": lambda file: edited(file, line_of({"class": "ndarray"})),
    "a float of text": lambda file: edited(file, line_of({"class": "float", "value": "x"})),
    "nesting": lambda file: edited(
        file, line_of(b'{"crc32": "00000000", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n")
    ),
    "a folder": Folder(),
}
STATE_DAMAGES = {
    "empty": lambda file: file.write_bytes(b""),
    "half": lambda file: edited(file, lambda content: content[: len(content) // 2]),
    "text": lambda file: file.write_text("hello"),
    "a .npy file": lambda file: file.write_bytes(npy()),
    "no text": lambda file: np.savez(file, theta=np.ones(3)),
    "text that is no JSON": lambda file: np.savez(file, rest=np.array("{")),
    "nesting": lambda file: np.savez(file, rest=np.array("[" * 10_000)),
    "a bit": lambda file: edited(file, flipped(0.5)),
    "a bit near the end": lambda file: edited(file, flipped(0.97)),
    "another array": lambda file: changed_state(file, theta=np.zeros(2)),
    "one more array": lambda file: changed_state(file, more=np.zeros(2)),
    "a folder": Folder(),
    **({"a pipe": pipe} if hasattr(os, "mkfifo") else {}),
}


def changed_state(file, **arrays):
    with np.load(file) as content:
        arrays = {**content, **arrays}
    np.savez(file, **arrays)


@pytest.mark.parametrize("kind", STATE_DAMAGES)
def test_a_damaged_state_is_refused_and_repaired(whole, folder, kind):
    problem, expected, _ = whole
    STATE_DAMAGES[kind](folder / "state.npz")
    log = (folder / "log.jsonl").read_bytes()
    with pytest.raises(RopValueError, match=r"state\.npz .*rop\.hf\.repair\("):
        run(problem, folder)
    assert (folder / "log.jsonl").read_bytes() == log
    if kind in ("a folder", "a pipe"):
        return  # for people to decide
    assert "the run goes on from iteration 3, the state of state.previous.npz" in repair(folder)
    assert (folder / "state.npz.damaged").exists()
    result = run(problem, folder)
    np.testing.assert_array_equal(result.theta, expected.theta)
    assert compare(result.records, expected.records) is None


@pytest.mark.parametrize("kind", LOG_DAMAGES)
def test_a_damaged_log_is_refused_and_repaired(whole, folder, kind):
    problem, expected, _ = whole
    LOG_DAMAGES[kind](folder / "log.jsonl")
    with pytest.raises(RopValueError, match=r"log\.jsonl.*rop\.hf\.repair\("):
        run(problem, folder)
    if kind == "a folder":
        return
    kept = folder / "log.jsonl"
    damaged = kept.read_bytes() if kept.exists() else None
    assert "the run goes on from iteration 4" in repair(folder)
    if damaged is not None:
        assert (folder / "log.jsonl.damaged").read_bytes() == damaged
    result = run(problem, folder)
    np.testing.assert_array_equal(result.theta, expected.theta)
    first = result.records[0].number
    assert compare(result.records, expected.records[first:]) is None
    assert read_log(folder).header.first == first
    # A second time, and after one more crash.
    assert run(problem, folder).nit == 6
    os.remove(folder / "state.npz")
    np.testing.assert_array_equal(run(problem, folder).theta, expected.theta)


def test_every_flipped_bit_is_found_or_does_not_matter(whole, folder):
    problem, expected, made = whole
    rng = np.random.default_rng(0)
    for name in ("log.jsonl", "state.npz"):
        found = 0
        for place in rng.uniform(size=40):
            shutil.rmtree(folder)
            shutil.copytree(made, folder)
            edited(folder / name, flipped(place, rng.integers(8)))
            try:
                result = run(problem, folder, 5)
            except RopValueError:
                found += 1
            else:
                assert compare(result.records, expected.records[:5]) is None
        assert found >= 30


def test_without_its_newest_state_a_run_goes_on_from_the_one_before(whole, folder):
    problem, expected, _ = whole
    os.remove(folder / "state.npz")
    result = run(problem, folder)
    np.testing.assert_array_equal(result.theta, expected.theta)
    assert compare(read_log(folder).records, expected.records) is None


def test_a_log_whose_states_are_lost_is_kept(whole, folder):
    problem, *_ = whole
    os.remove(folder / "state.npz")
    os.remove(folder / "state.previous.npz")
    log = (folder / "log.jsonl").read_bytes()
    with pytest.raises(RopValueError, match="has 4 iterations, but .* are missing, and θ with"):
        run(problem, folder)
    with pytest.raises(RopValueError, match="no good state, so θ is lost"):
        repair(folder)
    assert (folder / "log.jsonl").read_bytes() == log


@pytest.mark.parametrize("content", ['{"my": "own"}\n' * 50, "mine", "\n", '{"crc32": "0'])
@pytest.mark.parametrize("resume", [True, False])
def test_a_log_that_rop_did_not_make_is_kept(whole, tmp_path, content, resume):
    file = tmp_path / "log.jsonl"
    file.write_text(content)
    if content == '{"crc32": "0' and resume:  # what a kill may leave of a header
        assert run(whole[0], tmp_path, 1).nit == 1
        return
    with pytest.raises(RopValueError, match="not the log of a run|holds a run already"):
        run(whole[0], tmp_path, resume=resume)
    assert file.read_text() == content


def test_a_crash_before_the_first_state_begins_anew(whole, tmp_path):
    problem, expected, made = whole
    lines = (made / "log.jsonl").read_bytes().splitlines(keepends=True)
    for kept in (lines[:1], lines[:2], [*lines[:2], lines[2][:50]]):
        (tmp_path / "log.jsonl").write_bytes(b"".join(kept))
        (tmp_path / "state.npz").unlink(missing_ok=True)
        (tmp_path / "state.previous.npz").unlink(missing_ok=True)
        np.testing.assert_array_equal(run(problem, tmp_path).theta, expected.theta)


def graph(hidden="tanh", loss=rop.SoftmaxCrossEntropy, **settings):
    _, z = rop.nets.mlp([4, 6, 3], hidden)
    return rop.Objective(z, loss(rop.data("t", 3)), **{"l2": 1e-3, **settings})


@pytest.mark.parametrize(
    "what, words",
    [
        ({}, None),
        ({"objective": graph()}, None),
        ({"objective": graph("sigmoid")}, r"objective\.ops\.\w+ is"),
        ({"objective": graph(l2=1.0)}, r"objective\.l2 is 0\.001, now 1\.0"),
        ({"objective": graph(loss=rop.SigmoidCrossEntropy)}, r"objective\.loss is 'SoftmaxCross"),
        ({"theta": 1}, "theta at the beginning has other values"),
        ({"x": np.ones((60, 4))}, r"data\.x has other values"),
        ({"x": np.ones((40, 4)), "t": np.eye(3)[[0] * 40]}, r"data\.x\.shape\[0\] is 60, now 40"),
        ({"x": "float32"}, r"data\.x\.dtype is '<f8', now '<f4'"),
        ({"recipe": replace(RECIPE, decay=0.9)}, r"recipe\.decay is 0\.95, now 0\.9"),
        ({"engine": "numba"}, "engine is 'numpy', now 'numba'"),
        ({"dtype": np.float64}, "dtype is 'float32', now 'float64'"),
    ],
)
@pytest.mark.parametrize("stateless", [False, True])
def test_a_run_knows_what_it_belongs_to(whole, folder, what, words, stateless):
    (objective, theta, data), _, _ = whole
    what = dict(what)
    if stateless:  # killed before its first state
        for name in ("state.npz", "state.previous.npz"):
            os.remove(folder / name)
        edited(folder / "log.jsonl", lambda content: content[: content.index(b"\n") + 1])
    data = {name: what.pop(name, array) for name, array in data.items()}
    if isinstance(data["x"], str):
        data["x"] = whole[0][2]["x"].astype(data["x"])
    problem = what.pop("objective", objective), theta + what.pop("theta", 0), data
    log = (folder / "log.jsonl").read_bytes()
    if words is None:
        assert run(problem, folder, **what).nit == 6
        return
    with pytest.raises(RopValueError, match=f"the run of something else: its {words}"):
        run(problem, folder, **what)
    assert (folder / "log.jsonl").read_bytes() == log


def test_a_used_objective_has_the_identity_of_a_new_one(whole):
    objective, theta, data = whole[0]
    objective.linearize(theta, data).hvp(theta)
    objective.linearize(theta, data, engine="numpy").diagonal("exact")
    assert identity.Model.of(objective) == identity.Model.of(graph())


def test_a_stream_is_known_by_its_first_batch(whole, tmp_path):
    objective, theta, data = whole[0]

    def stream(seed):
        return Stream(lambda k: {**data, "x": data["x"] + 10 * seed + k})

    run((objective, theta, stream(0)), tmp_path, 2)
    with pytest.raises(RopValueError, match=r"data\.x has other values"):
        run((objective, theta, stream(1)), tmp_path)
    assert run((objective, theta, stream(0)), tmp_path, 3).nit == 3


def test_another_environment_has_to_be_accepted(whole, folder, monkeypatch):
    problem, expected, _ = whole
    here = identity.Environment.here()
    other = replace(here, threads=99, versions={**here.versions, "numpy": "0.1"})
    monkeypatch.setattr(identity.Environment, "here", lambda: other)
    told = (
        rf"made with threads {here.threads}, now 99; versions.numpy .*, now 0\.1: θ .*to rounding"
    )
    with pytest.raises(RopValueError, match=rf"{told}.*resume=\"anyway\""):
        run(problem, folder)
    with pytest.warns(UserWarning, match=told):
        result = run(problem, folder, 5, resume="anyway")
    assert result.nit == 5
    # From here on the run belongs to the new environment.
    np.testing.assert_array_equal(run(problem, folder).theta, expected.theta)
    with pytest.raises(RopValueError, match="something else"):
        run((problem[0], problem[1] + 1, problem[2]), folder, resume="anyway")


def test_a_folder_is_for_one_run_at_a_time(whole, folder):
    problem, expected, _ = whole
    refused = []

    def callback(it, theta):
        try:
            run(problem, folder)
        except RopError as error:
            refused.append(error)

    result = run(problem, folder, callback=callback)
    np.testing.assert_array_equal(result.theta, expected.theta)
    assert len(refused) == 2 and all(type(error) is FolderInUseError for error in refused)
    assert str(folder) in str(refused[0]) and f"process {os.getpid()}" in str(refused[0])
    assert compare(read_log(folder).records, expected.records) is None


def test_what_the_system_refuses_says_what_to_do(whole, tmp_path):
    problem, *_ = whole
    (tmp_path / "file").write_text("")
    for path, words in (
        (tmp_path / "file", "cannot make the folder .*File exists; give another"),
        (tmp_path / "file" / "run", "cannot make the folder .*; give another"),
        (tmp_path / ("a" * 300), "cannot make the folder .*too long"),
        ("\0", "cannot make the folder .*null"),
    ):
        with pytest.raises(RopError, match=words):
            run(problem, path)

    def remove(it, theta):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)

    with pytest.raises(RopFileError, match=r"cannot write .*state\.npz: .*; free space") as caught:
        run(problem, tmp_path / "run", callback=remove)
    assert isinstance(caught.value, OSError) and caught.value.errno == 2
    with pytest.raises(RopFileError, match="cannot read .*nothing"):
        read_log(tmp_path / "nothing")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_says_what_to_do():
    from pathlib import Path

    file = object.__new__(JsonLines)
    file._path, file._file, file._end = Path("log.jsonl"), open("/dev/full", "ab", buffering=0), 0
    with pytest.raises(RopFileError, match=r"cannot write log\.jsonl: No space left.*; free space"):
        file.append({"a": 1})
    file._file.close()


@pytest.mark.parametrize("value", [{"a": 1}, {"a": 'ä\n"', "b": [1, None]}, {"crc32": "x"}])
def test_lines_come_back(tmp_path, value):
    file = JsonLines(tmp_path / "x.jsonl")
    file.append(value)
    file.close()
    (back,) = read_lines(tmp_path / "x.jsonl")
    assert back == value or "crc32" in value
    line = json.loads((tmp_path / "x.jsonl").read_text())
    assert {**line, **value} == line or "crc32" in value
