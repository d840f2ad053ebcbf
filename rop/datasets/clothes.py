"""Fashion-MNIST, 70,000 pictures of clothes (Xiao, Rasul & Vollgraf 2017): find, check, read.

The files are looked for where Debian's package dataset-fashion-mnist puts them, then in the user's
cache, and are downloaded only on request.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rop.datasets.dataset import Dataset
from rop.datasets.npz import open_regular
from rop.errors import RopError, RopValueError
from rop.support.arguments import checked

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
URL = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
_LARGEST = 2**26  # bytes of a file, packed or not: the largest has 47 million


class Checksums(NamedTuple):
    """SHA-256 of one file: as the authors publish it, and of what it holds however packed."""

    packed: str
    unpacked: str


# Debian packs the same bytes anew, and MNIST itself comes in files of these very names.
FILES = {
    "train-images-idx3-ubyte.gz": Checksums(
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train-labels-idx1-ubyte.gz": Checksums(
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "t10k-images-idx3-ubyte.gz": Checksums(
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "t10k-labels-idx1-ubyte.gz": Checksums(
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}


class DatasetNotFoundError(RopError, FileNotFoundError):
    """A data set is neither on this machine nor could it be downloaded.

    >>> issubclass(rop.datasets.DatasetNotFoundError, rop.RopError)
    True
    """


@checked
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

    Examples
    --------
    >>> clothes = rop.datasets.fashion_mnist()  # doctest: +SKIP
    >>> clothes.x_train.shape  # doctest: +SKIP
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
            pooch.retrieve(URL + name, f"sha256:{checksums.packed}", fname=name, path=cache)
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


_GZIP = 16 + zlib.MAX_WBITS


def _unpacked(path: Path) -> bytes:
    content = b""
    # What cannot be unpacked has the wrong checksum too.
    with open_regular(path, _LARGEST) as file, suppress(zlib.error):
        content = zlib.decompressobj(_GZIP).decompress(file.read(), _LARGEST)
    intact = hashlib.sha256(content).hexdigest() == FILES[path.name].unpacked
    if not intact:
        raise RopValueError(
            f"{path} does not hold Fashion-MNIST's {path.name}: it is damaged or belongs to "
            "another data set such as MNIST. Remove it and provide the file again."
        )
    return content
