"""The UCI handwritten digits: 5,620 images of 8 x 8 pixels by 43 writers, shipped with rop.

digits.npz holds, unchanged and in this order, the repository's optdigits.tra (3,823 cases by 30
writers) and optdigits.tes (1,797 cases by 13 others), so that a test is one of unseen writers.
Licensed CC BY 4.0; digits.LICENSE.txt beside it gives attribution and terms.
"""

from __future__ import annotations

from importlib import resources

import numpy as np

from rop.datasets.dataset import Dataset

TRAINING_CASES = 3823
INK = 16  # a pixel counts the black ones among 4 x 4 of the scanned bitmap


def digits() -> Dataset:
    """Real handwritten digits that need no download (Alpaydin & Kaynak 1998).

    The split is the original one, by writer: 3,823 training and 1,797 test cases. (scikit-learn's
    digits are these test cases.)

    Returns
    -------
    Dataset
        With ``x`` (N, 64) and ``t`` (N, 10), both float32.

    Examples
    --------
    >>> data = rop.datasets.digits()
    >>> data.x_train.shape, data.t_test.shape
    ((3823, 64), (1797, 10))
    """
    with resources.files("rop.datasets").joinpath("digits.npz").open("rb") as file:
        archive = np.load(file)
        images, labels = archive["images"], archive["labels"].astype(np.intp)
    x = images.reshape(len(images), -1).astype(np.float32) / INK
    return Dataset(
        name="digits",
        x_train=x[:TRAINING_CASES],
        labels_train=labels[:TRAINING_CASES],
        x_test=x[TRAINING_CASES:],
        labels_test=labels[TRAINING_CASES:],
        classes=tuple("0123456789"),
        image_shape=images.shape[1:],
        source="UCI Machine Learning Repository, https://doi.org/10.24432/C50P49",
        licence="CC BY 4.0, E. Alpaydin and C. Kaynak 1998",
    )
