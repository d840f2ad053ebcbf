"""The cycling partition: sizes, coverage, repeatability (sec. 12)."""

from dataclasses import replace

import numpy as np
import pytest

import rop
from rop.hf.batches import Batches, Cases
from rop.hf.schedules import Ramp

FREE = {"fewest": 1}  # no lower bounds on fractions


def picked(cases):
    """Return the indices of the cases, as a list."""
    return np.arange(cases.total)[cases.index].tolist()


def test_all_data_for_both_by_default():
    for iteration in (0, 1, 7):
        draw = Batches().draw(iteration, 100)
        assert draw.gradient == draw.curvature == draw.selection
        assert sorted(picked(draw.gradient)) == list(range(100))


@pytest.mark.parametrize("curvature", [25, 0.25])
def test_the_curvature_cycles_through_the_chunks_of_martens_code(curvature):
    batches = Batches(curvature=curvature, seed=None, **FREE)
    for iteration in range(12):
        chunk = iteration % 4
        draw = batches.draw(iteration, 100)
        assert draw.curvature.index == slice(25 * chunk, 25 * chunk + 25)  # a view, no copy
        assert draw.gradient.size == 100


@pytest.mark.parametrize("seed", [None, 3])
def test_a_cycle_sees_every_case_even_if_the_sizes_do_not_divide(seed):
    batches = Batches(curvature=30, seed=seed)
    seen = [picked(batches.draw(iteration, 100).curvature) for iteration in range(4)]
    assert {len(cases) for cases in seen} == {30}
    assert {len(set(cases)) for cases in seen} == {30}
    assert set().union(*seen) == set(range(100))
    assert picked(batches.draw(4, 100).curvature) == seen[0]


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("total, size", [(100, 15), (96, 10)])
def test_gradient_minibatches_cycle_and_contain_the_curvatures(seed, total, size):
    batches = Batches(gradient=40, curvature=size, selection=0.5, seed=seed, **FREE)
    counts = np.zeros(total)
    curvatures = np.zeros(total)
    for iteration in range(4 * total):
        draw = batches.draw(iteration, total)
        gradient = picked(draw.gradient)
        assert len(set(gradient)) == 40
        assert set(picked(draw.curvature)) <= set(gradient)
        assert len(picked(draw.curvature)) == size
        assert set(picked(draw.selection)) <= set(gradient)
        assert draw.selection.size == 20
        counts[gradient] += 1
        curvatures[picked(draw.curvature)] += 1
    assert counts.max() - counts.min() <= 1
    assert curvatures.min() > 0


def test_the_seed_determines_the_order():
    first, again, other = (Batches(curvature=10, seed=seed).draw(3, 50) for seed in (1, 1, 2))
    assert picked(first.curvature) == picked(again.curvature)
    assert picked(first.curvature) != picked(other.curvature)
    assert sorted(picked(first.curvature)) != picked(first.curvature)


def test_a_draw_can_be_found_again_from_its_numbers_alone():
    cases = Batches(gradient=40, curvature=10, seed=5).draw(11, 96).curvature
    assert picked(Cases(cases.start, cases.size, cases.total, cases.seed)) == picked(cases)
    permutation = np.random.default_rng(5).permutation(96)
    positions = (cases.start + np.arange(cases.size)) % 96
    assert picked(cases) == permutation[positions].tolist()


@pytest.mark.parametrize("seed", [None, 0])
def test_pieces_are_a_partition_in_order(seed):
    cases = Cases(start=70, size=50, total=100, seed=seed)
    pieces = list(cases.pieces(20))
    assert [piece.size for piece in pieces] == [20, 20, 10]
    assert sum((picked(piece) for piece in pieces), []) == picked(cases)


def test_pieces_of_all_cases_are_views():
    pieces = list(Batches(seed=0).draw(0, 100).gradient.pieces(30))
    assert [piece.index for piece in pieces] == [
        slice(0, 30), slice(30, 60), slice(60, 90), slice(90, 100),
    ]  # fmt: skip


def test_sizes_are_cut_to_what_there_is():
    draw = Batches(gradient=500, curvature=200, selection=1).draw(0, 60)
    assert (draw.gradient.size, draw.curvature.size, draw.selection.size) == (60, 60, 1)
    assert Batches(curvature=0.001, **FREE).draw(0, 60).curvature.size == 1


def test_numpy_integers_are_numbers_of_cases():
    assert Batches(curvature=np.int64(7)).draw(0, 60).curvature.size == 7


@pytest.mark.parametrize("name", ["gradient", "curvature", "selection"])
@pytest.mark.parametrize("size", [0, -5, 0.0, 1.5, float("nan")])
def test_sizes_that_mean_nothing_are_refused(name, size):
    with pytest.raises(rop.RopError, match=f"Batches: {name} must be a number of cases"):
        replace(Batches(), **{name: size})


def test_an_empty_chunk_is_refused():
    with pytest.raises(rop.RopError, match="Batches: chunk must be an int >= 1"):
        Batches(chunk=0)


@pytest.mark.parametrize(
    "total, curvature, selection", [(1, 1, 1), (200, 200, 200), (1600, 256, 256), (8000, 500, 1000)]
)
def test_few_cases_are_not_made_fewer(total, curvature, selection):
    batches = Batches(curvature=1 / 16, selection=1 / 8, fewest=256)
    for iteration in range(3):
        draw = batches.draw(iteration, total)
        sizes = draw.gradient.size, draw.curvature.size, draw.selection.size
        assert sizes == (total, curvature, selection)
    with pytest.raises(rop.RopError, match="fewest must be an int >= 1"):
        Batches(fewest=0)


@pytest.mark.parametrize("first, last", [(10, 60), (0.1, 0.6), (60, 10)])
def test_batches_that_grow_still_go_through_the_data_in_order(first, last):
    batches = Batches(gradient=Ramp(first, last, 3, 8), curvature=0.5, seed=2, **FREE)
    expected = 0
    for iteration in range(25):
        draw = batches.draw(iteration, 100)
        assert draw.gradient.start == expected % 100
        expected += draw.gradient.size
        assert draw.curvature.size == round(draw.gradient.size / 2)
        assert set(picked(draw.curvature)) <= set(picked(draw.gradient))
    sizes = [batches.draw(k, 100).gradient.size for k in (0, 3, 8, 24)]
    assert sizes == ([10, 10, 60, 60] if first < last else [60, 60, 10, 10])


def test_a_count_of_cases_is_taken_as_it_is():
    # The lower bounds are for fractions, which on small data would be few cases.
    draw = Batches(gradient=500, curvature=7, selection=3).draw(0, 1000)
    assert (draw.curvature.size, draw.selection.size) == (7, 3)


def test_batches_can_grow_to_all_data():
    batches = Batches(gradient=Ramp(20, 500, 0, 4), held_out=0.3, seed=None)
    draws = [batches.draw(k, 100) for k in range(8)]
    assert [draw.gradient.size for draw in draws][-1] == 100
    assert draws[0].held_out.size == 30
    assert draws[-1].held_out is None


@pytest.mark.parametrize("gradient, curvature", [(1.0, 0.25), (40, 1.0), (40, 10)])
def test_cases_outside_the_curvatures_are_outside(gradient, curvature):
    batches = Batches(
        gradient, curvature, selection=0.5, selection_from="outside", held_out=0.2, **FREE
    )
    for iteration in range(30):
        draw = batches.draw(iteration, 100)
        assert draw.selection.size == draw.gradient.size // 2
        assert not set(picked(draw.selection)) & set(picked(draw.curvature))
        if draw.held_out is not None:
            assert not set(picked(draw.held_out)) & set(picked(draw.gradient))
            assert draw.held_out.size == 20
    inside = replace(batches, selection_from="curvature").draw(3, 100)
    assert set(picked(inside.selection)) <= set(picked(inside.curvature))


def test_there_must_be_cases_outside():
    with pytest.raises(rop.RopError, match="needs cases outside the curvature's, which are all 50"):
        Batches(selection_from="outside").draw(0, 50)
    with pytest.raises(rop.RopError, match="must be 'gradient', 'curvature' or 'outside'"):
        Batches(selection_from="elsewhere")
    with pytest.raises(rop.RopError, match="Batches: gradient must be a number of cases"):
        Batches(gradient=Ramp(10, 0, 0, 5))
    with pytest.raises(rop.RopError, match="Batches: held_out must be a number of cases"):
        Batches(held_out=0)


@pytest.mark.parametrize("first, last", [(10, 90), (0.1, 1.0), (90, 10)])
@pytest.mark.parametrize("begin, end", [(0, 0), (0, 30), (7, 7), (7, 30)])
def test_a_ramp_starts_where_the_batches_before_it_end(first, last, begin, end):
    batches = Batches(gradient=Ramp(first, last, begin, end), curvature=1.0, selection=1.0)
    seen = 0
    expected = []
    for k in range(45):
        draw = batches.draw(k, 100)
        assert draw.gradient.start == seen % 100
        seen += draw.gradient.size
        expected.append(draw)
    order = np.random.default_rng(0).permutation(45)
    assert [batches.draw(int(k), 100) for k in order] == [expected[k] for k in order]


def test_a_draw_of_a_ramp_costs_no_more_the_longer_the_ramp():
    batches = Batches(gradient=Ramp(10, 90, 0, 10**9))
    sizes = []
    counted = Ramp.at

    def at(self, iteration):
        sizes.append(iteration)
        return counted(self, iteration)

    for k in range(10_000, 10_003):
        batches.draw(k, 1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ramp, "at", at)
        batches.draw(10_003, 1000)
    assert len(sizes) < 10
