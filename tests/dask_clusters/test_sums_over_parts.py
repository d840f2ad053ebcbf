"""Sums in the order of a tree, and who has which part."""

from collections import Counter

import numpy as np
import pytest

from rop.distributed.placing import placed
from rop.distributed.sums import TreeSum, merged


def by_hand(values):
    """The tree's sum, level by level."""
    while len(values) > 1:
        pairs = [values[i : i + 2] for i in range(0, len(values), 2)]
        values = [pair[0] + pair[1] if len(pair) == 2 else pair[0] for pair in pairs]
    return values[0]


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 8, 13])
def test_the_bits_of_a_sum_depend_on_nothing_but_its_parts(parts):
    rng = np.random.default_rng(parts)
    values = list(rng.standard_normal((parts, 50)) * 10.0 ** rng.integers(-8, 8, (parts, 50)))
    for _ in range(20):
        workers = [TreeSum(parts) for _ in range(rng.integers(1, 5))]
        for part in rng.permutation(parts):
            workers[rng.integers(len(workers))].add(0, part, values[part])
        total = workers.pop()
        while workers:
            total = merged(workers.pop(rng.integers(len(workers))), total)
        assert (total.total == by_hand(values)).all()


def test_parts_without_cases_add_nothing():
    total = TreeSum(5)
    for part, value in enumerate([None, (1.0, None), None, (2.0, None), None]):
        total.add(0, part, value)
    assert total.total == (3.0, None)


def test_a_sum_is_not_told_before_it_is_complete():
    total = TreeSum(4)
    for part in (0, 1, 3):
        total.add(0, part, 1.0)
    with pytest.raises(ValueError, match="unpack"):
        _ = total.total


def test_neighbours_lie_together_at_first():
    assert placed(8, ["a", "b"], {}) == dict(enumerate("aaaabbbb"))


@pytest.mark.parametrize("parts, workers", [(16, "abcd"), (16, "abc"), (7, "abcdefgh"), (5, "a")])
def test_who_comes_and_goes_moves_few_parts(parts, workers):
    before = placed(parts, workers, {})
    for now in (workers[1:] or "z", workers + "z", workers):
        after = placed(parts, list(now), before)
        counts = Counter(after.values())
        assert sorted(after) == list(range(parts))
        assert max(counts.values()) - min(counts[w] for w in now) <= 1
        held = Counter(before.values())
        lost = [before[part] for part in range(parts) if before[part] != after[part]]
        gained = [after[part] for part in range(parts) if before[part] != after[part]]
        assert all(worker not in now or held[worker] > parts // len(now) for worker in lost)
        assert not set(lost) & set(gained)
        before = after
