"""Listings of unrolled recurrences, folded into loops."""

import re

from hypothesis import given
from hypothesis import strategies as st

import rop
from rop.show.folding import Loop, folded


def unfolded(entries):
    """Write loops out again."""
    for entry in entries:
        if not isinstance(entry, Loop):
            yield entry
            continue
        for k in range(entry.rounds):
            for row in entry.rows:
                yield tuple(
                    re.sub(r"\{([^}]*)\}", lambda m, k=k: str(_index(m[1], k)), c) for c in row
                )


def _index(text, k):
    start, sign, step = re.fullmatch(r"(\d*)([+-]?)(\d*)k", text).groups()
    return int(start or 0) + (-1 if sign == "-" else 1) * int(step or 1) * k


lines = st.sampled_from([("y = x",), ("z = y + 1",), ("w",)])


@given(
    before=st.lists(lines, max_size=3),
    rounds=st.integers(1, 6),
    starts=st.lists(st.integers(10, 30), min_size=1, max_size=3),
    steps=st.lists(st.integers(-2, 3), min_size=3, max_size=3),
    after=st.lists(lines, max_size=3),
)
def test_nothing_is_lost(before, rounds, starts, steps, after):
    body = [
        (f"a{i}_{start + step * k} = b{start}", "2")
        for k in range(rounds)
        for i, (start, step) in enumerate(zip(starts, steps, strict=False))
    ]
    rows = [*before, *body, *after]
    assert list(unfolded(folded(rows))) == rows


def test_a_recurrence_becomes_a_loop():
    x, t, W = rop.data("x", (50, 3)), rop.data("t", 4), rop.param("W", (4, 4))
    V = rop.param("V", (4, 3))
    h = rop.tanh(V @ x[0])
    for step in range(1, 50):
        h = rop.tanh(V @ x[step] + W @ h)
    listing = rop.explain(rop.Objective(h, rop.SquaredError(t)), "ggnvp")
    assert len(listing.each) > 200
    text = str(listing)
    assert len(text.splitlines()) < 60
    assert "for k = 0, ..., 48:" in text and "RdW += Σ Rdx{50-k} y{49-k}ᵀ" in text


def test_a_feed_forward_net_stays_as_it_is():
    x, t = rop.data("x", 3), rop.data("t", 2)
    z = rop.param("W2", (2, 4)) @ rop.tanh(rop.param("W1", (4, 3)) @ x)
    assert "for k" not in str(rop.explain(rop.Objective(z, rop.SquaredError(t)), "hvp"))


def test_a_sum_over_time_steps_becomes_a_loop():
    """All inputs are weighed before the first is used: their sum is one line of 30 terms."""
    x, w, u = rop.data("x", 30), rop.param("w"), rop.param("u")
    h = total = rop.tanh(u * x[0])
    for step in range(1, 30):
        h = rop.tanh(w * h + u * x[step])
        total = total + h
    listing = rop.explain(rop.Objective(total, rop.SquaredError(rop.data("t"))), "ggnvp")
    assert max(len(line.terms) for line in listing.each) == 30
    text = str(listing).splitlines()
    (number,) = (i for i, line in enumerate(text) if "Rdu = Σ Rdx31 * a30 " in line)
    shown = [line.strip().split("   ")[0] for line in text[number : number + 4]]
    assert shown == [
        "Rdu = Σ Rdx31 * a30",
        "for k = 0, ..., 27:",
        "Rdu += Σ Rdx{30-k} * a{29-k}",
        "Rdu += Σ Rdx2 * a1",
    ]
    for form in (str(listing), listing.markdown(), listing.latex(), listing.numpy()):
        assert max(map(len, form.splitlines())) < 250


def test_a_short_sum_stays_in_one_line():
    x, w = rop.data("x", 4), rop.param("w")
    z = w * x[0] + w * x[1] + w * x[2] + w * x[3]
    text = str(rop.explain(rop.Objective(z, rop.SquaredError(rop.data("t"))), "jvp"))
    assert "Rz = Rw * a1 + Rw * a2 + Rw * a3 + Rw * a4" in text
