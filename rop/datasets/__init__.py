"""Data to learn and to test with: real digits inside the package, clothes, and curves.

Nothing is read, and no network is asked, before a data set is called for.
"""

from rop.datasets.clothes import DatasetNotFoundError, fashion_mnist
from rop.datasets.dataset import Dataset, one_hot
from rop.datasets.handwriting import digits
from rop.datasets.parabolas import curves

__all__ = ["Dataset", "DatasetNotFoundError", "curves", "digits", "fashion_mnist", "one_hot"]


def __dir__() -> list[str]:
    # What completion offers: the public names alone.
    return __all__
