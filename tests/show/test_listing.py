"""Listings name what is drawn, and show constants by their value."""

import numpy as np

import rop
from rop.show.pictures.boxes import boxes_of


def objective():
    x, t, W = rop.data("x", 3), rop.data("t", 2), rop.param("W", (2, 3))
    h = rop.tanh(W @ (2.0 * x + 1.0) + np.array([0.5, -1.0]))
    return rop.Objective(h * np.arange(20.0).reshape(10, 2)[3] - 0.25, rop.SquaredError(t))


def test_constants_are_shown_by_their_value():
    listing = str(rop.explain(objective()))
    assert "a3 = 2 x + 1 " in listing
    assert "x2 = W a3 + [0.5, -1] " in listing
    assert "- 0.25 " in listing or "+ (-0.25) " in listing


def test_large_constants_and_large_graphs_have_names():
    x, t = rop.data("x", 5), rop.data("t", 5)
    z = rop.param("p", 5) * x + np.arange(5.0)
    assert "c2" in str(rop.explain(rop.Objective(z, rop.SquaredError(t))))


def test_the_listing_names_every_node_that_is_drawn():
    for what in (objective(), rop.Objective(rop.nets.mlp([4, 3, 2])[1], rop.SquaredError([0, 1]))):
        listing = str(rop.explain(what, "hvp"))
        for box in boxes_of(what):
            if box.kind != "loss":
                assert box.name in listing, box.name
