"""Fashion-MNIST: every way to get it, every way to be refused, and the real pictures."""

import functools
import gzip
import hashlib
import http.server
import re
import struct
import sys
import threading

import numpy as np
import pytest

from rop.datasets import DatasetNotFoundError, clothes, fashion_mnist
from rop.errors import RopError, RopValueError


def idx(array):
    """The bytes of an idx file, the format of MNIST."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without Debian's package and with an empty cache; returns the cache's folder."""
    monkeypatch.setattr(clothes, "DEBIAN", tmp_path / "no such folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rop" / "fashion-mnist"


@pytest.fixture
def wardrobe(tmp_path, monkeypatch):
    """A folder with a small data set in the four files, and its checksums put into place."""
    rng = np.random.default_rng(0)
    contents = {}
    for part, cases in [("train", 5), ("t10k", 3)]:
        contents[f"{part}-images-idx3-ubyte.gz"] = rng.integers(0, 256, (cases, 28, 28))
        contents[f"{part}-labels-idx1-ubyte.gz"] = rng.integers(0, 10, cases)
    checksums = {}
    folder = tmp_path / "wardrobe"
    folder.mkdir()
    for name, array in contents.items():
        packed = gzip.compress(idx(array))
        (folder / name).write_bytes(packed)
        checksums[name] = clothes.Checksums(
            hashlib.sha256(packed).hexdigest(), hashlib.sha256(idx(array)).hexdigest()
        )
    monkeypatch.setattr(clothes, "FILES", checksums)
    return folder, contents


def assert_holds(data, contents):
    for part, x, labels in [
        ("train", data.x_train, data.labels_train),
        ("t10k", data.x_test, data.labels_test),
    ]:
        images = contents[f"{part}-images-idx3-ubyte.gz"].reshape(-1, 784)
        assert x.dtype == np.float32
        assert np.array_equal(x, images.astype(np.float32) / 255)
        assert np.array_equal(labels, contents[f"{part}-labels-idx1-ubyte.gz"])


@pytest.fixture
def server(wardrobe, monkeypatch):
    """The small data set's folder behind HTTP on this machine."""
    folder, _ = wardrobe

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Keep the test's output clean."""

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        monkeypatch.setattr(clothes, "URL", f"http://127.0.0.1:{served.server_port}/")
        yield served
        served.shutdown()


def test_clothes_are_found_where_debian_puts_them(machine, wardrobe, monkeypatch):
    folder, contents = wardrobe
    monkeypatch.setattr(clothes, "DEBIAN", folder)
    assert_holds(fashion_mnist(), contents)


def test_clothes_are_found_in_the_cache(machine, wardrobe):
    folder, contents = wardrobe
    machine.parent.mkdir(parents=True)
    folder.rename(machine)
    assert_holds(fashion_mnist(), contents)


def test_without_files_the_error_names_every_way_to_get_them(machine):
    with pytest.raises(DatasetNotFoundError) as caught:
        fashion_mnist()
    assert isinstance(caught.value, RopError)
    assert isinstance(caught.value, FileNotFoundError)
    for way in ["apt install dataset-fashion-mnist", "fashion_mnist(download=True)", str(machine)]:
        assert way in str(caught.value)


def test_clothes_are_downloaded_once(machine, server, wardrobe):
    _, contents = wardrobe
    assert_holds(fashion_mnist(download=True), contents)
    server.shutdown()
    assert_holds(fashion_mnist(), contents)


def test_a_download_with_other_bytes_is_refused(machine, server, wardrobe):
    folder, _ = wardrobe
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(3))))
    with pytest.raises(DatasetNotFoundError, match="could not be downloaded"):
        fashion_mnist(download=True)
    assert not (machine / "t10k-labels-idx1-ubyte.gz").exists()


def test_an_unreachable_server_is_said(machine, server):
    server.shutdown()
    server.server_close()
    with pytest.raises(DatasetNotFoundError, match=re.escape(f"downloaded from {clothes.URL}")):
        fashion_mnist(download=True)


def test_a_download_without_pooch_is_said(machine, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DatasetNotFoundError, match=r"without pooch[\s\S]*rop\[datasets\]"):
        fashion_mnist(download=True)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda packed: packed[:-20], id="cut off"),
        pytest.param(lambda packed: b"<html>" + packed, id="no gzip file"),
        pytest.param(lambda packed: packed[:30] + b"\0\0\0\0" + packed[34:], id="corrupted"),
        pytest.param(lambda packed: gzip.compress(idx(np.zeros((5, 28, 28)))), id="MNIST"),
        pytest.param(lambda packed: gzip.compress(bytes(2**28)), id="bomb"),
        pytest.param(lambda packed: b"", id="empty"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(machine, wardrobe, damage):
    folder, _ = wardrobe
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    machine.parent.mkdir(parents=True)
    folder.rename(machine)
    with pytest.raises(RopValueError, match="train-images-idx3-ubyte.gz: it is damaged or belongs"):
        fashion_mnist()


def test_the_download_is_encrypted_and_checked():
    assert clothes.URL.startswith("https://")
    assert all(len(each.packed) == len(each.unpacked) == 64 for each in clothes.FILES.values())


def test_the_real_clothes():
    try:
        data = fashion_mnist()
    except DatasetNotFoundError as error:
        pytest.skip(str(error))
    assert data.x_train.shape == (60_000, 784)
    assert data.x_test.shape == (10_000, 784)
    assert np.bincount(data.labels_train).tolist() == [6000] * 10
    assert np.bincount(data.labels_test).tolist() == [1000] * 10
    # Mean and standard deviation of the training pixels, as everybody normalises them.
    assert f"{data.x_train.mean(dtype=float):.4f}" == "0.2860"
    assert f"{data.x_train.std(dtype=float):.4f}" == "0.3530"
    assert [data.classes[label] for label in data.labels_test[:3]] == [
        "ankle boot",
        "pullover",
        "trouser",
    ]
