"""Plots of curvature matrices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.errors import RopTypeError, RopValueError
from rop.show.boundary import Cuts
from rop.support.arguments import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def spectrum(matrix: ArrayLike, path: str | Path | None = None) -> Figure:
    """Plot the eigenvalues of a curvature matrix by their size, and count their signs.

    Eigenvalues below n · ε · max|λ| count as zero, as in numpy.linalg.matrix_rank; ε is that of the
    matrix's dtype.

    Parameters
    ----------
    matrix : array_like, (n, n), float32 or float64
        A symmetric matrix, such as ``at.G.matrix()`` or ``at.H.matrix()``.
    path : str or Path, optional
        File to save the plot to; its suffix, svg, png or pdf, gives the format.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    RopTypeError
        If the matrix is not an array of real numbers.
    RopValueError
        If it is not square, finite and symmetric, or the path has another suffix.

    Examples
    --------
    >>> figure = rop.plot.spectrum(np.diag([3.0, 1.0, -2.0]), path="spectrum.png")
    """
    from rop.show.pictures.figures import (
        BLUE,
        GREY,
        VERMILLION,
        Picture,
        label,
        logarithmic,
        save,
    )

    B = _symmetric(matrix)
    eigenvalues = np.linalg.eigvalsh(B)
    eigenvalues = eigenvalues[np.argsort(-np.abs(eigenvalues))]
    n, largest = len(B), abs(eigenvalues[0])
    threshold = float(n * np.finfo(B.dtype).eps * largest)
    rank = np.arange(1, n + 1)
    positive, negative = eigenvalues > threshold, eigenvalues < -threshold
    zeros = n - int(positive.sum()) - int(negative.sum())

    figure = Picture(7.0, 4.2)
    ax = figure.subplots()
    if largest:
        logarithmic(ax, "y")
        ax.axhline(threshold, color=GREY, linewidth=0.8, linestyle=":", label="rounding error")
        for which, marker, colour, sign in (
            (positive, "o", BLUE, "positive"),
            (negative, "v", VERMILLION, "negative"),
        ):
            if which.any():
                size = np.abs(eigenvalues[which])
                ax.plot(rank[which], size, marker, color=colour, ms=4, label=sign)
        ax.legend(fontsize=8, frameon=False)
    ax.set_xlim(0, n + 1)
    label(
        ax,
        f"Spectrum of a {n} × {n} matrix: {positive.sum()} positive, {negative.sum()} negative, "
        f"{zeros} zero; largest {largest:.3g}",
        "rank by size",
        "|eigenvalue| (f per unit of θ squared)",
    )
    return save(figure, path)


def cuts(found: Cuts, path: str | Path | None = None) -> Figure:
    """Plot the eigenvalues of G for every cut between F and L, beside those of H (sec. 6).

    Parameters
    ----------
    found : Cuts
        What `rop.cuts` returns.
    path : str or Path, optional
        File to save the plot to; its suffix, svg, png or pdf, gives the format.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    RopTypeError
        If it is something else.
    RopValueError
        If the path has another suffix.

    Examples
    --------
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> batch = {"x": np.eye(2), "t": [[1.0], [0.0]]}
    >>> found = rop.cuts(objective, [3.0, 4.0, 0.0], batch)
    >>> figure = rop.plot.cuts(found, path="cuts.png")
    """
    from rop.show.pictures.figures import (
        BLUE,
        GREY,
        VERMILLION,
        Picture,
        label,
        save,
        symlogarithmic,
    )

    if not isinstance(found, Cuts):
        raise RopTypeError(f"found: expected what rop.cuts returns, got {shown(found)}")

    figure = Picture(1.6 + 1.1 * (len(found) + 1), 4.2)
    ax = figure.subplots()
    H = np.linalg.eigvalsh(found[0].H)
    columns = [*((f"{cut.name}\n{cut.distance:.2g}", cut.eigenvalues) for cut in found), ("H", H)]
    for i, (_, eigenvalues) in enumerate(columns):
        colours = np.where(eigenvalues < -1e-10 * np.abs(eigenvalues).max(), VERMILLION, BLUE)
        ax.scatter(np.full(len(eigenvalues), i), eigenvalues, c=colours, marker="_", s=300)
    ax.axhline(0.0, color=GREY, linewidth=0.8)
    every = np.concatenate([eigenvalues for _, eigenvalues in columns])
    scale = float(np.abs(every).max()) or 1.0
    symlogarithmic(ax, 1e-4 * scale, 0.5)
    ax.set_ylim(min(2.0 * every.min(), -1e-4 * scale), 2.0 * scale)
    # The numbers beside 0 would be written across it.
    ax.set_yticks([y for y in ax.get_yticks() if not 0.0 < abs(y) < 2e-4 * scale])
    ax.set_xticks(range(len(columns)), [name for name, _ in columns])
    ax.set_xlim(-0.6, len(columns) - 0.4)
    title = "Eigenvalues of G and H; negative ones red"
    label(ax, title, "outputs of F, and ‖G - H‖ / ‖H‖", "eigenvalue (f per unit of θ squared)")
    return save(figure, path)


def _symmetric(matrix: ArrayLike) -> NDArray[np.floating]:
    array = np.asarray(matrix)
    if array.dtype.kind not in "fiu":
        raise RopTypeError(
            f"matrix: expected an array of real numbers such as at.G.matrix(), got "
            f"{type(matrix).__name__} of dtype {array.dtype}"
        )
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        raise RopValueError(f"matrix: expected shape (n, n), got {array.shape}")
    B = array if array.dtype == np.float32 else array.astype(np.float64)
    if not np.isfinite(B).all():
        raise RopValueError("matrix: expected finite numbers, got NaN or inf")
    difference = float(np.max(np.abs(B - B.T)))
    if difference > np.sqrt(np.finfo(B.dtype).eps) * float(np.max(np.abs(B))):
        raise RopValueError(
            f"matrix: expected a symmetric one, but it differs from its transpose by up to "
            f"{difference:.3g}"
        )
    return (B + B.T) / 2
