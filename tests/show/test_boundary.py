"""Cuts between F and L: H stays, G changes as sec. 6 says."""

import numpy as np
import pytest

import rop


def cuts_of(loss, output=None, **options):
    x, y = rop.nets.mlp([2, 3, 3])
    z = y if output is None else output(y)
    objective = rop.Objective(z, loss(z, rop.data("t", 3)), l2=0.1, **options)
    rng = np.random.default_rng(0)
    batch = {"x": rng.normal(size=(4, 2)), "t": np.eye(3)[[0, 1, 2, 0]]}
    theta = objective.init("glorot", seed=0)
    return rop.cuts(objective, theta, batch), objective.linearize(theta, batch), batch


LOSSES = {
    "softmax": (lambda z, t: rop.SoftmaxCrossEntropy(t), None, ["z", "p", "L"]),
    "sigmoid": (lambda z, t: rop.SigmoidCrossEntropy(t), None, ["z", "p", "L"]),
    "weighted": (lambda z, t: rop.SigmoidCrossEntropy(t, weight=0.5), None, ["z", "p", "L"]),
    "squared": (lambda z, t: rop.SquaredError(t), rop.sigmoid, ["x3", "z", "L"]),
    "graph": (
        lambda z, t: rop.LossGraph(rop.sum(rop.square(z - t) * rop.sin(z))),
        rop.sigmoid,
        ["x3", "z", "a3", "a4"],
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_cut_has_the_same_hessian_and_its_own_ggn(name):
    loss, output, expected = LOSSES[name]
    found, at, _ = cuts_of(loss, output)
    assert [cut.name for cut in found] == expected
    H = at.H.matrix() - 0.1 * np.eye(at.n)
    for cut in found:
        assert np.allclose(cut.H, H, rtol=0, atol=1e-12)
        N, m = cut.L2.shape[:2]
        J = cut.J.reshape(N, m, at.n)
        assert np.allclose(cut.G, np.einsum("nip,nij,njq->pq", J, cut.L2, J), atol=1e-12)
        assert cut.psd or not cut.convex
    assert np.allclose(found["z"].G, at.G.matrix() - 0.1 * np.eye(at.n), rtol=0, atol=1e-12)
    assert not found[-1].G.any() and found[-1].rank == 0 and found[-1].distance == 1.0


def test_the_matching_loss_is_convex_in_its_own_outputs_only():
    found, _, _ = cuts_of(*LOSSES["squared"][:2])
    assert found["z"].matching and found["z"].convex and found["z"].psd
    assert not found["x3"].matching and not found["x3"].convex and not found["x3"].psd
    assert found["x3"].distance < found["z"].distance  # more of H is in G


def test_cut_at_the_probabilities_the_ggn_is_the_empirical_fisher():
    found, at, batch = cuts_of(*LOSSES["softmax"][:2])
    gradients = at.per_case_gradients()
    assert np.allclose(found["p"].G, gradients.T @ gradients / 4, rtol=0, atol=1e-12)
    assert found["p"].rank == 4


def test_the_table_and_the_picture(tmp_path):
    found, at, _ = cuts_of(*LOSSES["softmax"][:2])
    text, html = str(found), found._repr_html_()
    for cell in (
        "z = add",
        "p = softmax",
        "L = SoftmaxCrossEntropy",
        "‖G - H‖/‖H‖",
        f"{found['p'].distance:.3g}",
    ):
        assert cell in text and cell in html
    assert html.count("<tr>") == 1 + len(found) + 1 and len(repr(found)) < 80
    figure = rop.plot.cuts(found)
    ticks = [label.get_text().split("\n")[0] for label in figure.axes[0].get_xticklabels()]
    assert ticks == ["z", "p", "L", "H"]
    heights = figure.axes[0].collections[0].get_offsets()[:, 1]
    assert np.allclose(heights, found["z"].eigenvalues)
    low, high = figure.axes[0].get_ylim()
    assert low < np.linalg.eigvalsh(found[0].H).min() and found["p"].eigenvalues.max() < high
    rop.plot.cuts(found, tmp_path / "cuts.svg")
    assert (tmp_path / "cuts.svg").stat().st_size > 1000


def test_bad_arguments():
    found, at, batch = cuts_of(*LOSSES["softmax"][:2])
    with pytest.raises(rop.RopTypeError, match="cuts: expected an Objective"):
        rop.cuts(at, at.theta, batch)
    with pytest.raises(rop.RopTypeError, match="found: expected what rop.cuts returns"):
        rop.plot.cuts(at)
    with pytest.raises(KeyError, match="no cut 'y'"):
        found["y"]
    large = rop.Objective(rop.param("p", 600), rop.SquaredError(np.zeros(600)))
    with pytest.raises(
        rop.RopValueError, match="at most 500 parameters; got 600; use a smaller net"
    ):
        rop.cuts(large, np.zeros(600))
    many = {name: np.tile(array, (50, 1)) for name, array in batch.items()}
    with pytest.raises(rop.RopValueError, match="500 outputs of all cases; got 600"):
        rop.cuts(at.objective, at.theta, many)
