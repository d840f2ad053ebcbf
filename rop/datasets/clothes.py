"""Fashion-MNIST, 70,000 pictures of clothes (Xiao, Rasul & Vollgraf 2017): find, check, read.

The files are looked for where Debian's package dataset-fashion-mnist puts them, then in the user's
cache, and are downloaded only on request.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rop.datasets.dataset import Dataset
from rop.errors import RopError, RopValueError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"


class Checksums(NamedTuple):
    """Of one file: as the authors publish it, and what it holds however it was packed."""

    md5: str
    unpacked_sha256: str


# Debian packs the same bytes anew, and MNIST itself comes in files of these very names.
FILES = {
    "train-images-idx3-ubyte.gz": Checksums(
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train-labels-idx1-ubyte.gz": Checksums(
        "25c81989df183df01b3e8a0aad5dffbe",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "t10k-images-idx3-ubyte.gz": Checksums(
        "bef4ecab320f06d8554ea6380940ec79",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "t10k-labels-idx1-ubyte.gz": Checksums(
        "bb300cfdad3c16e7a12a480ee83cd310",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}


class DatasetNotFoundError(RopError, FileNotFoundError):
    """A data set is neither on this machine nor could it be downloaded."""


def fashion_mnist(download: bool = False) -> Dataset:
    """Pictures of clothes in ten classes, in the format and the numbers of MNIST.

    Parameters
    ----------
    download : bool
        Whether to fetch the files (31 MB) into the user's cache if they are not on this machine;
        needs the extra ``rop[datasets]``.

    Returns
    -------
    Dataset
        60,000 training and 10,000 test cases, ``x`` (N, 784) and ``t`` (N, 10), both float32.

    Raises
    ------
    DatasetNotFoundError
        If the files are not on this machine and were not, or could not be, downloaded.
    RopValueError
        If a file holds other bytes than Fashion-MNIST's.
    """
    folder = _folder(download)
    return Dataset(
        name="Fashion-MNIST",
        x_train=_images(folder / "train-images-idx3-ubyte.gz"),
        labels_train=_labels(folder / "train-labels-idx1-ubyte.gz"),
        x_test=_images(folder / "t10k-images-idx3-ubyte.gz"),
        labels_test=_labels(folder / "t10k-labels-idx1-ubyte.gz"),
        classes=(
            *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
            *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
        ),
        image_shape=(28, 28),
        source="https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT, Zalando SE 2017",
    )


def cache_folder() -> Path:
    """Where downloaded files are kept: ``$XDG_CACHE_HOME``, else ~/.cache, then rop/."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rop"


def _folder(download: bool) -> Path:
    cache = cache_folder() / "fashion-mnist"
    for folder in (DEBIAN, cache):
        if all((folder / name).is_file() for name in FILES):
            return folder
    if not download:
        raise _not_found(cache, "is not on this machine")
    try:
        import pooch
    except ImportError as error:
        raise _not_found(cache, "cannot be downloaded without pooch") from error
    for name, checksums in FILES.items():
        try:
            pooch.retrieve(URL + name, f"md5:{checksums.md5}", fname=name, path=cache)
        except (OSError, ValueError) as error:
            raise _not_found(cache, f"could not be downloaded from {URL} ({error})") from error
    return cache


def _not_found(cache: Path, what: str) -> DatasetNotFoundError:
    return DatasetNotFoundError(
        f"Fashion-MNIST {what}. Any one of these provides it:\n"
        "  apt install dataset-fashion-mnist      (Debian, Ubuntu)\n"
        '  pip install "rop[datasets]", then rop.datasets.fashion_mnist(download=True)\n'
        f"  put {', '.join(FILES)} into {cache}"
    )


def _images(path: Path) -> NDArray[np.float32]:
    header = 16  # magic number, cases, rows, columns: four 32-bit integers
    pixels = np.frombuffer(_unpacked(path), np.uint8, offset=header)
    return pixels.reshape(-1, 784).astype(np.float32) / np.float32(255)


def _labels(path: Path) -> NDArray[np.intp]:
    header = 8  # magic number, cases
    return np.frombuffer(_unpacked(path), np.uint8, offset=header).astype(np.intp)


def _unpacked(path: Path) -> bytes:
    try:
        content = gzip.decompress(path.read_bytes())
        intact = hashlib.sha256(content).hexdigest() == FILES[path.name].unpacked_sha256
    except (gzip.BadGzipFile, EOFError):
        intact = False
    if not intact:
        raise RopValueError(
            f"{path} does not hold Fashion-MNIST's {path.name}: it is damaged or belongs to "
            "another data set such as MNIST. Remove it and provide the file again."
        )
    return content
