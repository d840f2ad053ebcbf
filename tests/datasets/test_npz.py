"""Reading .npz files of others: arrays come back, anything else is one clear error."""

import io
import os
import pickle
import threading
import zipfile

import numpy as np
import pytest

from rop.datasets.npz import read_npz
from rop.errors import RopFileError, RopValueError


def npy(array, **settings):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **settings)
    return file.getvalue()


def header(text):
    content = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content


def archive(path, compression=zipfile.ZIP_STORED, **entries):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(f"{name}.npy", content)


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("theta.npy", "w", force_zip64=True) as entry:
            entry.write(header("{'descr': '<f8', 'fortran_order': False, 'shape': (67108864,)}"))
            for _ in range(64):
                entry.write(bytes(2**23))


def encrypted(path):
    archive(path, theta=npy(np.ones(3)))
    content = bytearray(path.read_bytes())
    for place in (6, content.index(b"PK\x01\x02") + 8):
        content[place] |= 1
    path.write_bytes(content)


def flipped(path):
    archive(path, theta=npy(np.arange(100.0)))
    content = bytearray(path.read_bytes())
    content[300] ^= 4
    path.write_bytes(content)


def twice(path):
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "w") as file:
        file.writestr("theta.npy", npy(np.ones(3)))
        file.writestr("theta.npy", npy(np.ones(4)))


def half(path):
    np.savez(path, theta=np.ones(1000))
    path.write_bytes(path.read_bytes()[:3000])


SHAPE = "{{'descr': '{}', 'fortran_order': False, 'shape': {}}}"
MALFORMED = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("theta = 1"),
    "half": half,
    "one array, no archive": lambda path: path.write_bytes(npy(np.ones(3))),
    "a pickle": lambda path: path.write_bytes(pickle.dumps({"theta": 1})),
    "objects": lambda path: np.savez(path, theta=np.array([print], object)),
    "fields": lambda path: np.savez(path, theta=np.zeros(3, [("a", "f8")])),
    "dates": lambda path: np.savez(path, theta=np.zeros(3, "M8[s]")),
    "no array": lambda path: archive(path, theta=b"hello"),
    "a bit": flipped,
    "encrypted": encrypted,
    "another entry": lambda path: zipfile.ZipFile(path, "w").writestr("README", "hello"),
    "a name twice": twice,
    "a shape beyond the file": lambda path: archive(
        path, theta=header(SHAPE.format("<f8", (10**12,)))
    ),
    "a shape beyond all bounds": lambda path: archive(
        path, theta=header(SHAPE.format("<f8", (2**62, 2**62)))
    ),
    "a negative shape": lambda path: archive(
        path, theta=header(SHAPE.format("<f8", (-1,))) + bytes(64)
    ),
    "a shape of text": lambda path: archive(path, theta=header(SHAPE.format("<f8", "'a'"))),
    "an unknown dtype": lambda path: archive(path, theta=header(SHAPE.format("zz", (3,)))),
    "nesting": lambda path: archive(path, theta=header("(" * 5000 + ")" * 5000)),
    "code": lambda path: archive(path, theta=header("__import__('os').abort()")),
    "more than its array": lambda path: archive(path, theta=npy(np.ones(3)) + b"more"),
    "an unknown version": lambda path: archive(
        path, theta=npy(np.ones(3)).replace(b"NUMPY\x01", b"NUMPY\x09")
    ),
    "a bomb": bomb,
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_file_is_a_clear_error(tmp_path, kind):
    path = tmp_path / "x.npz"
    MALFORMED[kind](path)
    with pytest.raises(RopValueError, match=r"x\.npz is"):
        read_npz(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_refused_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.npz")
    errors = []

    def read():
        with pytest.raises(RopValueError, match="not a regular file") as caught:
            read_npz(tmp_path / "x.npz")
        errors.append(caught.value)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(10)
    assert errors


def test_files_that_are_not_there_or_too_large(tmp_path):
    with pytest.raises(RopFileError, match=r"cannot read .*x\.npz: No such file.*check the path"):
        read_npz(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", theta=np.ones(1000))
    with pytest.raises(RopValueError, match=r"x\.npz has 0\.0 GiB"):
        read_npz(tmp_path / "x.npz", largest=1000)
    np.savez_compressed(tmp_path / "x.npz", theta=np.ones(1000))
    with pytest.raises(RopValueError, match="its arrays take"):
        read_npz(tmp_path / "x.npz", largest=5000)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(tmp_path, save):
    arrays = {
        "theta": np.arange(5.0),
        "X": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "empty": np.zeros((0, 3)),
        "scalar": np.array(3),
        "flags": np.array([True, False]),
        "text": np.array("ä"),
        "complex": np.array([1j]),
    }
    save(tmp_path / "x.npz", **arrays)
    back = read_npz(tmp_path / "x.npz")
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)
